/** What to change so that a container stops growing, as a unified diff where a mechanical edit is safe. */
import { type ContainerUse, containerDetail, type UseDetail } from './container-use.ts';
import { indentOf, indentUnit, insertLines, patchOf, replaceLines } from './diff.ts';
import type { SourceFile } from './file.ts';
import { boundAfterInsert, containerText, endLine } from './fix-bound.ts';
import type { Category, Fix } from './patterns/match.ts';
import { fileOf, functionScope, openProject, type Project } from './project.ts';
import { argumentsOf, bare, child, descendants, enclosing, parts, statementOf, textOf } from './syntax.ts';

export interface FixContext {
  readonly category: Category;
  /** The store site that was seen at work, where one was. */
  readonly storeSite: { readonly file: string; readonly line: number } | null;
  /** Folder that patches are relative to. */
  readonly root?: string;
}

/** Proposes a change for a container. `use` is what `containerUse` returned for the same files. */
export function proposeFix(files: readonly SourceFile[], use: ContainerUse, context: FixContext): Fix {
  return fixFor(openProject(files), containerDetail(files, use.holder), context);
}

export function fixFor(project: Project, detail: UseDetail, context: FixContext): Fix {
  const { use } = detail;
  return (
    popOnTheOtherPath(project, detail, context.root) ??
    sweepOnInsert(project, detail, context.root) ??
    finallyAroundRemoval(detail, context.root) ??
    closeOnDisconnect(detail, context) ??
    breakChain(detail) ??
    (context.category === 'event-listener' ? unsubscribe(project, detail, context.root) : null) ??
    (use.stores.length === 0 && use.creations.length === 0
      ? { summary: `release what ${use.label} keeps when it is no longer needed`, patch: null }
      : boundAfterInsert(project, detail, context.root, context.storeSite?.line ?? null))
  );
}

/** on_reply() pops, on_timeout() only looks: look with pop there too. */
function popOnTheOtherPath(project: Project, detail: UseDetail, root?: string): Fix | null {
  const { use, operations } = detail;
  const missed = use.missedIn[0];
  if (missed === undefined) return null;
  const read = operations.find(
    o => o.act === 'read' && o.node.line === missed.line && functionScope(project, o.node).qualname === missed.function,
  );
  if (read === undefined || read.key === null) return null;
  const file = fileOf(project, read.node);
  const summary = `remove the entry of ${use.label} in ${missed.function}() at line ${missed.line} too, as ${use.removals[0]?.function ?? 'the other path'}() does at line ${use.removals[0]?.line ?? 0}`;
  const key = textOf(read.key);
  if (read.how === 'get') {
    const callee = child(read.node, 'function')!;
    const name = child(callee, 'attribute')!;
    const list = child(read.node, 'arguments')!;
    const given = argumentsOf(read.node).positional;
    return {
      summary,
      patch: patchOf(
        file,
        [
          { start: name.start, end: name.end, text: 'pop' },
          { start: list.start, end: list.end, text: `(${key}, ${given[1] === undefined ? 'None' : textOf(given[1])})` },
        ],
        root,
      ),
    };
  }
  if (read.how === 'item' && read.node.kind === 'subscript') {
    const scope = functionScope(project, read.node);
    const again = operations.some(o => o !== read && o.act === 'read' && functionScope(project, o.node) === scope);
    if (again) return { summary, patch: null };
    return {
      summary,
      patch: patchOf(
        file,
        [{ start: read.node.start, end: read.node.end, text: `${textOf(child(read.node, 'value')!)}.pop(${key})` }],
        root,
      ),
    };
  }
  return { summary, patch: null };
}

/** Entries expire only when read again: bound the store, oldest first, where it is filled. */
function sweepOnInsert(project: Project, detail: UseDetail, root?: string): Fix | null {
  const only = detail.use.removals.filter(r => !r.limits.includes('never-called'));
  if (only.length === 0 || !only.every(r => r.limits.includes('same-key-read'))) return null;
  const bound = boundAfterInsert(project, detail, root);
  const store = detail.use.stores[0];
  return {
    summary: `sweep expired entries of ${detail.use.label} in ${store?.function ?? ''}() at line ${store?.line ?? 0} as well (or bound it there), not only when the same key is read in ${only[0]!.function}()`,
    patch: bound.patch,
  };
}

/** The removal stands at the end of the function that stored: it belongs in a finally. */
function finallyAroundRemoval(detail: UseDetail, root?: string): Fix | null {
  const { use, operations, aliases } = detail;
  const removal = use.removals.find(r => r.limits.includes('only-on-success'));
  if (removal === undefined) return null;
  const node = operations.find(o => o.act === 'remove' && o.node.line === removal.line)?.node;
  const summary = `put the removal in ${removal.function}() at line ${removal.line} into a finally block, so that an exception does not leave the entry in ${use.label}`;
  if (node === undefined) return { summary, patch: null };
  const project = aliases.project;
  const store = operations.find(
    o =>
      o.act === 'store' && functionScope(project, o.node) === functionScope(project, node) && o.node.end <= node.start,
  );
  if (store === undefined) return { summary, patch: null };
  const first = statementOf(store.node);
  const last = statementOf(node);
  if (first.parent !== last.parent || first.parent === null || last.line !== last.endLine)
    return { summary, patch: null };
  const file = fileOf(project, node);
  const from = endLine(first) + 1;
  if (
    from >= last.line ||
    descendants(first.parent, 'string').some(s => s.line !== s.endLine) ||
    (last.kind !== 'expression_statement' && last.kind !== 'delete_statement')
  )
    return { summary, patch: null };
  // A value the removal gives back must not be needed after it.
  const indent = indentOf(file, last.line);
  const unit = indentUnit(file);
  const inner = file.lines.slice(from - 1, last.line - 1).map(l => (l.trim() === '' ? l : unit + l));
  while (inner.length > 0 && inner.at(-1)!.trim() === '') inner.pop();
  return {
    summary,
    patch: patchOf(
      file,
      [
        replaceLines(file, from, last.line, [
          `${indent}try:`,
          ...inner,
          `${indent}finally:`,
          unit + file.lines[last.line - 1]!,
        ]),
      ],
      root,
    ),
  };
}

/** Suspended generators: the function that ends the stream should close and remove. */
function closeOnDisconnect(detail: UseDetail, context: FixContext): Fix | null {
  const { use } = detail;
  if (context.category !== 'generator-or-coroutine') return null;
  const store = use.stores[0];
  return {
    summary: `close() each generator and remove it from ${use.label} when its consumer goes away (a finally block around what ${store?.function ?? ''}() starts at line ${store?.line ?? 0})`,
    patch: null,
  };
}

function breakChain(detail: UseDetail): Fix | null {
  const link = detail.use.stores.find(s => s.how === 'accumulate' || s.how === 'wrap');
  if (link === undefined || detail.use.stores.some(s => !['accumulate', 'wrap', 'setattr'].includes(s.how)))
    return null;
  return {
    summary:
      link.how === 'accumulate'
        ? `accumulate the plain value in ${detail.use.label} at line ${link.line} instead of an object that refers to its operands`
        : `wrap the original each time, not the wrapper of the time before, in ${link.function}() at line ${link.line}`,
    patch: null,
  };
}

/** Listeners: return or offer a way to unsubscribe; where one exists, say where to call it. */
function unsubscribe(project: Project, detail: UseDetail, root?: string): Fix | null {
  const store = detail.operations.find(o => o.act === 'store');
  if (store === undefined) return null;
  const scope = functionScope(project, store.node);
  const removers = detail.use.removals.map(r => r.function).filter(f => f !== scope.qualname);
  const callers = (project.calls.get(scope.name) ?? []).filter(c => functionScope(project, c.node).kind === 'function');
  const caller = callers[0];
  const owner = scope.parent?.kind === 'class' ? scope.parent : null;
  const container = containerText(store.node);
  const parameter =
    store.value === null
      ? undefined
      : descendants(store.value, 'identifier').find(i => scope.parameters.some(p => p.name === textOf(i)));
  const where =
    caller === undefined
      ? ''
      : ` (registered in ${functionScope(project, caller.node).qualname}() at line ${caller.node.line})`;
  if (removers.length > 0)
    return {
      summary: `call ${removers[0]}() for what ${scope.qualname}() registers when it is no longer wanted${where}`,
      patch: null,
    };
  if (
    owner === null ||
    container === null ||
    parameter === undefined ||
    bare(store.value!).kind !== 'identifier' ||
    enclosing(store.node, 'if_statement') !== null
  )
    return {
      summary: `take what ${scope.qualname}() registers out of ${detail.use.label} again when it is no longer wanted, or hold it weakly${where}`,
      patch: null,
    };
  const file = fileOf(project, store.node);
  const indent = indentOf(file, scope.node.line);
  const unit = indentUnit(file);
  const opposite = /^connect/.test(scope.name)
    ? 'disconnect'
    : /^add_/.test(scope.name)
      ? scope.name.replace(/^add_/, 'remove_')
      : /^register/.test(scope.name)
        ? 'unregister'
        : /^subscribe/.test(scope.name)
          ? 'unsubscribe'
          : `un${scope.name}`;
  if (owner.bindings.has(opposite) || (store.how !== 'append' && store.how !== 'add'))
    return {
      summary: `call ${owner.name}.${opposite}() when the registration is no longer wanted${where}`,
      patch: null,
    };
  const last = parts(scope.body).at(-1)!;
  const lines = [
    '',
    `${indent}def ${opposite}(${scope.parameters[0]!.name}, ${textOf(parameter)}):`,
    `${indent}${unit}if ${textOf(parameter)} in ${container}:`,
    `${indent}${unit}${unit}${container}.remove(${textOf(parameter)})`,
  ];
  return {
    summary: `add ${owner.name}.${opposite}() (patch) and call it when the registration is no longer wanted${where}`,
    patch: patchOf(file, [insertLines(file, endLine(last) + 1, lines)], root),
  };
}
