/** Files and sockets that are opened, stored or registered, and not closed on every path. */
import { candidates, detailOf } from '../candidates.ts';
import { endsSomething } from '../container-use.ts';
import { functionScope, importedPath, lastName, methodClass, type Project } from '../project.ts';
import { bare, child, descendants, enclosing, parts, type SyntaxNode, textOf } from '../syntax.ts';
import { advice, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

const openers = new Set([
  'open',
  'io.open',
  'os.open',
  'os.fdopen',
  'os.dup',
  'os.pipe',
  'socket.socket',
  'socket.create_connection',
  'socket.socketpair',
  'socket.create_server',
  'subprocess.Popen',
  'tempfile.TemporaryFile',
  'tempfile.NamedTemporaryFile',
  'tempfile.mkstemp',
  'tempfile.SpooledTemporaryFile',
  'urllib.request.urlopen',
  'sqlite3.connect',
  'gzip.open',
  'bz2.open',
  'lzma.open',
  'zipfile.ZipFile',
  'tarfile.open',
  'mmap.mmap',
  'select.epoll',
  'selectors.DefaultSelector',
  'http.client.HTTPConnection',
  'http.client.HTTPSConnection',
  'ssl.wrap_socket',
  'os.scandir',
  'multiprocessing.Pipe',
  'logging.FileHandler',
  'os.eventfd',
  'os.memfd_create',
  'asyncio.new_event_loop',
  'shelve.open',
]);

export const selectorWithoutUnregister: Rule = {
  id: 'selector-without-unregister',
  category: 'file-or-socket-handle',
  title: 'a socket registered with a selector and not unregistered on every path',
  find: project =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        const callee = child(call, 'function')!;
        if (callee.kind !== 'attribute' || textOf(child(callee, 'attribute')!) !== 'register') continue;
        const receiver = child(callee, 'object')!;
        if (!/select|poll/i.test(textOf(receiver)) && !/EVENT_READ|EVENT_WRITE|EPOLLIN|POLLIN/.test(textOf(call)))
          continue;
        if (functionScope(project, call).kind === 'module' || functionScope(project, call).name === '__init__')
          continue;
        const undone = (project.calls.get('unregister') ?? []).map(c => functionScope(project, c.node));
        const owner = methodClass(functionScope(project, call))?.owner;
        const missing = (owner?.children ?? file.moduleScope.children).filter(
          m =>
            m.kind === 'function' &&
            endsSomething(m.name) &&
            !undone.includes(m) &&
            !descendants(m.body, 'call').some(c => undone.some(u => lastName(child(c, 'function')!) === u.name)) &&
            !/^__/.test(m.name),
        );
        if (undone.length > 0 && missing.length === 0) continue;
        const types = ['socket', 'SelectorKey'];
        found.push(
          matchAt(project, selectorWithoutUnregister, call, {
            sentence:
              undone.length === 0
                ? `${textOf(receiver)} keeps every socket registered at line ${call.line}: nothing in the program unregisters`
                : `sockets registered at line ${call.line} are unregistered in ${undone[0]!.qualname}() but not in ${missing[0]!.qualname}() at line ${missing[0]!.node.line}, so they stay registered and open`,
            fix: advice(
              `${textOf(receiver)}.unregister(sock) and sock.close() in ${missing[0]?.qualname ?? functionScope(project, call).qualname}()${missing[0] === undefined ? ' when the socket is done' : ` at line ${missing[0].node.line}`}`,
            ),
            subjects: ['_fd_to_key', 'selector', ...(textOf(receiver).match(/\w+/g) ?? [])],
            types,
          }),
        );
      }
      return found;
    }),
};

export const storedHandle: Rule = {
  id: 'stored-handle',
  category: 'file-or-socket-handle',
  title: 'an opened file or socket is stored and never closed',
  find: project => {
    const found: PatternMatch[] = [];
    for (const c of candidates(project)) {
      const { use, operations } = detailOf(project, c);
      if (use.bounded) continue;
      for (const o of operations) {
        if (o.act !== 'store' || o.value === null) continue;
        const opener = opened(project, o.value);
        if (opener === null) continue;
        const limited = use.removals.filter(r => r.limits.length > 0);
        if (use.removals.length > 0 && limited.length === 0 && use.missedIn.length === 0) continue;
        const label = c.holder.name ?? c.holder.attribute ?? c.holder.variable ?? '';
        found.push(
          matchAt(project, storedHandle, o.node, {
            sentence: `${label} keeps what ${opener} opens, and ${use.sentences[0] ?? 'nothing removes it'}`,
            fix: advice(
              `close it and remove it from ${label} when it is done (a finally block or with), next to line ${o.node.line}`,
            ),
            subjects: [label, ...(c.holder.className === undefined ? [] : [c.holder.className])],
            types: ['socket', 'TextIOWrapper', 'BufferedReader', 'FileIO'],
          }),
        );
        break;
      }
    }
    return found;
  },
};

/** A handle opened into a local variable, never closed and not given away. */
export const unclosedHandle: Rule = {
  id: 'unclosed-handle',
  category: 'file-or-socket-handle',
  title: 'a descriptor is opened and never closed',
  find: project =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const node of descendants(file.root, 'assignment')) {
        const right = child(node, 'right');
        const left = child(node, 'left');
        if (right === null || left === null || functionScope(project, node).kind === 'module') continue;
        const path = bare(right).kind === 'call' ? importedPath(project, child(bare(right), 'function')!) : null;
        // Objects close themselves when they die; plain descriptor numbers never do.
        if (
          path === null ||
          !['os.open', 'os.dup', 'os.pipe', 'tempfile.mkstemp', 'os.eventfd', 'os.memfd_create'].includes(path)
        )
          continue;
        const scope = functionScope(project, node);
        const names = left.kind === 'identifier' ? [textOf(left)] : parts(left).map(textOf);
        const fds = path === 'tempfile.mkstemp' ? names.slice(0, 1) : names;
        const body = textOf(scope.body);
        const missing = fds.filter(
          n =>
            !new RegExp(
              `(close|fdopen|open|closerange|dup2)\\(\\s*${n}\\b|return\\b[^\\n]*\\b${n}\\b|yield\\b[^\\n]*\\b${n}\\b|=\\s*${n}\\b|\\w\\(\\s*${n}\\s*[,)](?<!(?:read|write|fsync|fstat)\\(\\s*${n}\\s*[,)])`,
            ).test(body),
        );
        if (missing.length === 0) continue;
        found.push(
          matchAt(project, unclosedHandle, node, {
            sentence: `${scope.qualname}() opens ${missing.join(' and ')} with ${path}() and never closes ${missing.length > 1 ? 'them' : 'it'}; a plain descriptor is not closed when its number goes out of scope`,
            fix: advice(
              `os.close(${missing[0]}) in a finally block of ${scope.qualname}() (opened at line ${node.line})`,
            ),
            subjects: [scope.name, ...missing],
          }),
        );
      }
      return found;
    }),
};

/** The call that opened a value: itself, the local variable it came from, or a tuple's part. */
export function opened(project: Project, value: SyntaxNode, depth = 0): string | null {
  const n = bare(value);
  if (n.kind === 'call') {
    const callee = child(n, 'function')!;
    const path = importedPath(project, callee);
    if (path !== null && openers.has(path)) return `${path}()`;
    if (
      callee.kind === 'attribute' &&
      ['accept', 'makefile', 'detach', 'dup'].includes(textOf(child(callee, 'attribute')!))
    )
      return `${textOf(callee)}()`;
    return null;
  }
  if (n.kind === 'tuple' || n.kind === 'list')
    for (const p of parts(n)) {
      const inner = opened(project, p, depth + 1);
      if (inner !== null) return inner;
    }
  if (n.kind !== 'identifier' || depth > 2) return null;
  for (const b of functionScope(project, n).bindings.get(textOf(n)) ?? []) {
    if (enclosing(b, 'with_statement') !== null && b.kind === 'as_pattern') continue;
    const right = b.kind === 'assignment' ? child(b, 'right') : null;
    const inner = right === null ? null : opened(project, right, depth + 1);
    if (inner !== null) return inner;
  }
  return null;
}
