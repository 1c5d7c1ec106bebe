/** What the heap would say about each leaking zoo program: the holder in the diagnosis's words and a few flags, from the truth files. */
import type { HeapFacts } from '../../src/source/index.ts';

type Rest = Omit<HeapFacts, 'growingTypes' | 'storeSites'>;
const plain = (holderExpression: string | null, holderKind = 'dict', more: Partial<Rest> = {}): Rest => ({
  holderExpression,
  holderKind,
  holderIsModuleGlobal: holderExpression !== null,
  throughClosure: false,
  throughThreadLocal: false,
  throughLruCache: false,
  ...more,
});

export const zooFacts: Record<string, Rest> = {
  asset_proxy: plain('__main__.STORE._slots'),
  button_panels: plain(null, 'none'),
  checkout_view: plain('__main__.order_paid.receivers', 'list'),
  conn_states: plain('__main__.states', 'WeakKeyDictionary'),
  context_store: plain('__main__.context._storage'),
  courier_dispatch: plain('__main__.dispatcher._awaiting'),
  edge_gateway: plain('__main__.REQUESTS._children'),
  event_streams: plain('__main__.streams'),
  formula_engine: plain('linecache.cache'),
  frame_decoder: plain('__main__.NEED_MORE.__traceback__', 'NeedMore'),
  geo_tiles: plain('__main__.render', 'functools._lru_cache_wrapper', { throughLruCache: true }),
  hook_reload: plain('__main__.hooks.on_shutdown', 'function', { throughClosure: true }),
  import_queue: plain('__main__.DEAD_LETTERS'),
  lease_table: plain('__main__.release_later'),
  order_diag: plain('gc.garbage', 'list'),
  pay_client: plain("logging.Logger.manager.loggerDict['payments.null'].handlers", 'list'),
  progress_feed: plain('__main__.bus.mailboxes', 'set'),
  receipt_mailer: plain('__main__.send_receipt.__closure__[outcomes]', 'dict', { throughClosure: true }),
  repo_browser: plain('__main__.RepoClient.resolve', 'functools._lru_cache_wrapper', { throughLruCache: true }),
  report_exporter: plain('atexit callbacks', 'atexit'),
  risk_desk: plain('__main__.desk.exposure', 'Amount'),
  schema_views: plain('__main__.registry'),
  scope_worker: plain('__main__._local.stack', 'list', { throughThreadLocal: true }),
  sender_table: plain('__main__.changed._by_sender'),
  stage_files: plain('weakref.finalize._registry'),
  stanza_gateway: plain('__main__.gateway.root', 'xml.etree.ElementTree.Element'),
  telemetry_link: plain('__main__.link.pickler.memo', '_pickle.Pickler'),
  tenant_jobs: plain('logging.Logger.manager.loggerDict'),
  thumb_worker: plain(null, 'none'),
  tick_fanout: plain('__main__.replay', 'itertools._tee'),
  udp_probes: plain('__main__.prober.selector._fd_to_key'),
};
