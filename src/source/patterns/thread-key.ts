/** Whether a key stands for the running thread, task or greenlet. */
import { functionScope, importedPath, type Project } from '../project.ts';
import { child, descendants, type SyntaxNode, textOf } from '../syntax.ts';

const identities = new Set([
  'threading.current_thread',
  'threading.currentThread',
  'threading.get_ident',
  'threading.get_native_id',
  '_thread.get_ident',
  'thread.get_ident',
  'asyncio.current_task',
  'greenlet.getcurrent',
  'contextvars.copy_context',
]);

/** The call that gives the identity, or null. A local variable is followed to its value, a call to what it returns. */
export function threadKey(project: Project, key: SyntaxNode, depth = 0): string | null {
  for (const call of descendants(key, 'call')) {
    const path = importedPath(project, child(call, 'function')!);
    if (path !== null && identities.has(path)) return path;
    if (depth < 2) {
      const name = textOf(child(call, 'function')!).split('.').at(-1)!;
      for (const f of project.functions.get(name) ?? [])
        for (const r of descendants(f.scope.body, 'return_statement')) {
          const inner = threadKey(project, r, depth + 1);
          if (inner !== null) return inner;
        }
    }
  }
  if (depth > 2) return null;
  for (const name of descendants(key, 'identifier')) {
    for (const b of functionScope(project, name).bindings.get(textOf(name)) ?? []) {
      const value = b.kind === 'assignment' ? child(b, 'right') : null;
      const inner = value === null ? null : threadKey(project, value, depth + 1);
      if (inner !== null) return inner;
    }
  }
  return null;
}
