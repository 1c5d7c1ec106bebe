/** The zoo's holders as the diagnosis would name them: the truth files have them in words only. */
import type { HolderName } from '../../src/source/index.ts';

export const zooHolders: Record<string, HolderName> = {
  asset_proxy: { className: 'TtlStore', attribute: '_slots', viaGlobal: 'STORE' },
  checkout_view: { className: 'Signal', attribute: 'receivers', viaGlobal: 'order_paid' },
  conn_states: { module: '__main__', name: 'states' },
  context_store: { className: 'ContextStore', attribute: '_storage', viaGlobal: 'context' },
  courier_dispatch: { className: 'Dispatcher', attribute: '_awaiting', viaGlobal: 'dispatcher' },
  edge_gateway: { className: 'Family', attribute: '_children', viaGlobal: 'REQUESTS' },
  event_streams: { module: '__main__', name: 'streams' },
  formula_engine: { module: 'linecache', name: 'cache' },
  hook_reload: { className: 'Hooks', attribute: 'on_shutdown', viaGlobal: 'hooks' },
  import_queue: { module: '__main__', name: 'DEAD_LETTERS' },
  lease_table: { module: '__main__', name: 'release_later' },
  progress_feed: { className: 'Bus', attribute: 'mailboxes', viaGlobal: 'bus' },
  receipt_mailer: { function: 'once_per_key.<locals>.decorate.<locals>.guarded', variable: 'outcomes' },
  risk_desk: { className: 'Desk', attribute: 'exposure', viaGlobal: 'desk' },
  schema_views: { module: '__main__', name: 'registry' },
  scope_worker: { module: '__main__', name: '_local', attribute: 'stack' },
  sender_table: { className: 'Signal', attribute: '_by_sender', viaGlobal: 'changed' },
  stanza_gateway: { className: 'Gateway', attribute: 'root', viaGlobal: 'gateway' },
  last_failure: { module: '__main__', name: 'last_failure' },
  log_ring: { className: 'RingHandler', attribute: 'records', viaGlobal: 'ring' },
  order_lru: { className: 'Lru', attribute: 'entries', viaGlobal: 'orders' },
  window_stats: { className: 'Window', attribute: 'buckets', viaGlobal: 'window' },
  worker_pool: { className: 'Pool', attribute: 'idle', viaGlobal: 'pool' },
  codec_loader: { module: '__main__', name: 'loaded' },
};
