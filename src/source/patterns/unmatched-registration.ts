/**
 * A callback registered from inside a function (so: again and again) with something that lives longer, and no
 * call in the program that could take it back. Counts bound methods, closures and fresh objects; a module
 * function registered once at import is fine.
 */
import { indentOf, insertLines, patchOf } from '../diff.ts';
import { callable } from '../judge.ts';
import { functionScope, importedPath, lastName, methodClass, type Project, scopeAt, typeOf } from '../project.ts';
import { resolveName } from '../scopes.ts';
import { argumentsOf, bare, child, descendants, parts, type SyntaxNode, textOf } from '../syntax.ts';
import { type Fix, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

/** Registering call to the calls that undo it. */
const undoes = new Map<string, readonly string[]>([
  ['connect', ['disconnect']],
  ['register', ['unregister', 'deregister', 'remove']],
  ['subscribe', ['unsubscribe', 'cancel', 'remove_subscriber']],
  ['attach', ['detach', 'remove']],
  ['observe', ['unobserve', 'remove_observer', 'stop_observing']],
  ['listen', ['unlisten', 'remove_listener', 'stop_listening']],
  ['on', ['off', 'remove_listener', 'remove']],
  ['bind', ['unbind']],
  ['hook', ['unhook', 'remove_hook']],
  ['watch', ['unwatch', 'remove_watch']],
  ['add_listener', ['remove_listener', 'discard_listener']],
  ['add_observer', ['remove_observer', 'delete_observer']],
  ['add_handler', ['remove_handler']],
  ['add_callback', ['remove_callback', 'discard_callback']],
  ['add_subscriber', ['remove_subscriber']],
  ['add_receiver', ['remove_receiver']],
  ['add_hook', ['remove_hook']],
  ['add_signal_handler', ['remove_signal_handler']],
  ['addFilter', ['removeFilter']],
  ['add_filter', ['remove_filter']],
  ['add_watcher', ['remove_watcher']],
  ['register_at_fork', []],
  ['addaudithook', []],
]);

export const unmatchedRegistration: Rule = {
  id: 'unmatched-registration',
  category: 'event-listener',
  title: 'a callback registered and never unregistered',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        const callee = child(call, 'function');
        if (callee === null || functionScope(project, call).kind === 'module') continue;
        const name = lastName(callee);
        if (name === null) continue;
        const path = importedPath(project, callee) ?? '';
        const undo =
          path === 'atexit.register' ? ['unregister'] : path === 'weakref.finalize' ? null : (undoes.get(name) ?? null);
        if (undo === null || (callee.kind === 'identifier' && path === name)) continue;
        if (/selector|poll(er)?$/i.test(textOf(callee)) || path.startsWith('socket.') || path.startsWith('sqlite3.'))
          continue;
        if (callee.kind === 'attribute' && lastsOnlyAsLong(project, child(callee, 'object'), call)) continue;
        const { positional, keywords } = argumentsOf(call);
        const weak = keywords.get('weak');
        const candidate = [...positional, ...keywords.values()].find(a => fresh(project, a));
        if (candidate === undefined || undo.some(u => project.calls.has(u))) continue;
        if (path !== 'atexit.register' && weakByDefault(project, name, call, weak)) continue;
        const kept = describe(project, candidate);
        const target = path === 'atexit.register' ? 'the atexit registry' : textOf(child(callee, 'object') ?? callee);
        found.push(
          matchAt(project, unmatchedRegistration, call, {
            sentence: `${functionScope(project, call).qualname}() registers ${kept.text} with ${target} each time it runs, and nothing in the program calls ${undo.length > 0 ? undo[0] : 'anything that takes it back'}${path === 'atexit.register' ? ' for it before the process ends' : ''}`,
            fix: unregistering(project, call, candidate, path, undo, weak ?? null, root),
            subjects: [
              ...kept.subjects,
              ...(callee.kind === 'attribute'
                ? [
                    textOf(child(callee, 'object') ?? callee)
                      .split('.')
                      .at(-1)!,
                  ]
                : []),
              name,
              ...(path === 'atexit.register' ? ['atexit'] : []),
            ],
            types: kept.types,
          }),
        );
      }
      return found;
    }),
};

/** A bound method, a lambda, a partial, a function defined here, or a new object: each registration is another one. */
function fresh(project: Project, argument: SyntaxNode): boolean {
  const n = bare(argument);
  if (n.kind === 'lambda') return true;
  if (n.kind === 'attribute') return callable(project, n);
  if (n.kind === 'call') {
    const path = importedPath(project, child(n, 'function') ?? n);
    const name = lastName(child(n, 'function') ?? n);
    return (
      path === 'functools.partial' ||
      (name !== null && (project.classes.has(name) || /Handler$|Listener$|Observer$/.test(name)))
    );
  }
  if (n.kind !== 'identifier') return false;
  if (textOf(n) === 'self') return true;
  const scope = resolveName(textOf(n), scopeAt(project, n));
  return (
    scope !== null &&
    scope.kind === 'function' &&
    (scope.bindings.get(textOf(n)) ?? []).some(b => b.kind === 'function_definition')
  );
}

/** Whether what it is registered with dies with the registration's own scope (a local made here, or part of self). */
function lastsOnlyAsLong(project: Project, receiver: SyntaxNode | null, call: SyntaxNode): boolean {
  if (receiver === null) return false;
  const n = bare(receiver);
  const chain = textOf(n);
  const method = methodClass(functionScope(project, call));
  if (n.kind === 'identifier') {
    const scope = resolveName(chain, scopeAt(project, n));
    if (scope === null || scope.kind !== 'function') return false;
    if (method !== null && method.method.parameters[0]?.name === chain) return true;
    // A local variable bound to something new dies with the call.
    return (scope.bindings.get(chain) ?? []).every(b => b.kind === 'assignment' && made(child(b, 'right')));
  }
  if (n.kind === 'attribute' && method !== null) {
    const self = method.method.parameters[0]?.name;
    const [head, attribute] = [child(n, 'object'), child(n, 'attribute')];
    if (head !== null && textOf(head) === self && attribute !== null)
      return method.owner.children.some(
        m =>
          m.kind === 'function' &&
          descendants(m.body, 'assignment').some(
            a => textOf(child(a, 'left') ?? a) === chain && made(child(a, 'right')),
          ),
      );
  }
  return false;
}

function made(value: SyntaxNode | null): boolean {
  if (value === null || value.kind !== 'call') return false;
  const name = lastName(child(value, 'function') ?? value);
  return name !== null && /^[A-Z]/.test(name);
}

/** Whether the called project function keeps receivers weakly unless told otherwise. */
function weakByDefault(project: Project, name: string, call: SyntaxNode, weak: SyntaxNode | null | undefined): boolean {
  if (weak != null) return textOf(weak) === 'True';
  const receiver = child(child(call, 'function') ?? call, 'object');
  const type = receiver === null ? null : typeOf(project, receiver);
  return (project.functions.get(name) ?? []).some(
    f =>
      (type === null || f.scope.parent?.name === type) &&
      (f.scope.parameters.some(p => p.name === 'weak' && p.default !== null && textOf(p.default) === 'True') ||
        /WeakMethod|WeakSet|weakref\.ref|\bref\(/.test(textOf(f.scope.body))),
  );
}

function describe(project: Project, argument: SyntaxNode): { text: string; subjects: string[]; types: string[] } {
  const n = bare(argument);
  if (n.kind === 'attribute') {
    const type = typeOf(project, child(n, 'object') ?? n);
    return {
      text: `the bound method ${textOf(n)} (which keeps its ${type ?? 'object'})`,
      subjects: [textOf(child(n, 'attribute') ?? n), ...(type === null ? [] : [type])],
      types: type === null ? [] : [type],
    };
  }
  if (n.kind === 'lambda') return { text: 'a new lambda', subjects: [], types: ['function'] };
  if (n.kind === 'call')
    return {
      text: `a new ${textOf(child(n, 'function') ?? n)}`,
      subjects: [lastName(child(n, 'function') ?? n) ?? ''],
      types: [lastName(child(n, 'function') ?? n) ?? ''],
    };
  if (textOf(n) === 'self') {
    const type = typeOf(project, n);
    return {
      text: `self (a ${type ?? 'new object'})`,
      subjects: type === null ? [] : [type],
      types: type === null ? [] : [type],
    };
  }
  return { text: `the function ${textOf(n)} it has just defined`, subjects: [textOf(n)], types: ['function'] };
}

function unregistering(
  project: Project,
  call: SyntaxNode,
  argument: SyntaxNode,
  path: string,
  undo: readonly string[],
  weak: SyntaxNode | null,
  root?: string,
): Fix {
  const file = project.fileOf.get(rootOf(call))!;
  const scope = functionScope(project, call);
  const method = methodClass(scope);
  if (weak !== null && textOf(weak) === 'False') {
    // A weak receiver dies with the call that defined it, which ends the growth but also the delivery later on.
    return {
      summary: `in ${scope.qualname}() connect one module-level receiver at import, or ${undo[0] ?? 'disconnect'} it in a finally block; weak=False at line ${weak.line} keeps every receiver for ever`,
      patch: weakPatch(file, weak, root),
    };
  }
  const closing = method?.owner.children.find(
    m =>
      m.kind === 'function' &&
      /^(close|stop|shutdown|dispose|release|aclose|__exit__|disconnect|cleanup|teardown|terminate|detach)$/.test(
        m.name,
      ),
  );
  const n = bare(argument);
  if (closing !== undefined && n.kind === 'attribute' && undo.length > 0) {
    const self = closing.parameters[0]?.name ?? 'self';
    const owner = method!.method.parameters[0]?.name ?? 'self';
    const rename = (text: string): string => text.replace(new RegExp(`\\b${owner}\\b`, 'g'), self);
    const receiver =
      path === 'atexit.register'
        ? textOf(child(call, 'function')!).replace(/register$/, 'unregister')
        : `${textOf(child(child(call, 'function')!, 'object')!)}.${undo[0]}`;
    const known = path === 'atexit.register' || receiver.startsWith(`${owner}.`) || hasUndo(project, call, undo[0]!);
    const others = argumentsOf(call).positional.map(a => rename(textOf(a)));
    const line = parts(closing.body)[0]!.line;
    const text =
      path === 'atexit.register' ? `${receiver}(${rename(textOf(n))})` : `${rename(receiver)}(${others.join(', ')})`;
    return {
      summary: `call ${text} in ${closing.qualname}() at line ${closing.node.line}`,
      patch: known ? patchOf(file, [insertLines(file, line, [indentOf(file, line) + text])], root) : null,
    };
  }
  const undoName = undo[0] ?? 'the matching call';
  return {
    summary: `call ${undoName} for what ${scope.qualname}() registers at line ${call.line} when it is done (in a finally block, or in close()), or register once at import`,
    patch: null,
  };
}

function weakPatch(file: Parameters<typeof patchOf>[0], weak: SyntaxNode, root?: string): string | null {
  return patchOf(file, [{ start: weak.start, end: weak.end, text: 'True' }], root);
}

function hasUndo(project: Project, call: SyntaxNode, undo: string): boolean {
  const receiver = child(child(call, 'function')!, 'object');
  const type = receiver === null ? null : typeOf(project, receiver);
  return type !== null && (project.functions.get(undo) ?? []).some(f => f.scope.parent?.name === type);
}

function rootOf(node: SyntaxNode): SyntaxNode {
  let n = node;
  while (n.parent !== null) n = n.parent;
  return n;
}
