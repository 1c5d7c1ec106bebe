/** The edit that bounds a container where it is filled. */
import type { UseDetail } from './container-use.ts';
import { indentOf, indentUnit, insertLines, patchOf } from './diff.ts';
import type { Fix } from './patterns/match.ts';
import { fileOf, functionScope, importedPath, type Project } from './project.ts';
import { bare, child, parts, type SyntaxNode, statementOf, textOf } from './syntax.ts';

/** How many entries the proposed bounds keep. */
export const proposedBound = '10_000';

/** Drops the oldest entries after the insert that fills the container; a deque gets a maxlen instead. */
export function boundAfterInsert(project: Project, detail: UseDetail, root?: string, atLine?: number | null): Fix {
  const { use, operations } = detail;
  const stores = operations.filter(
    o => o.act === 'store' && !o.nested && o.how !== 'accumulate' && o.how !== 'wrap' && o.how !== 'setattr',
  );
  const store =
    stores.find(o => atLine != null && Math.abs(o.node.line - atLine) <= 1) ??
    stores.find(o => functionScope(project, o.node).kind === 'function') ??
    stores[0];
  if (store === undefined)
    return { summary: `remove entries from ${use.label} when they are no longer needed`, patch: null };
  const file = fileOf(project, store.node);
  const expression = containerText(store.node);
  const where = `${use.stores.find(s => s.line === store.node.line)?.function ?? ''}() at line ${store.node.line}`;
  const summary = `bound ${use.label}: drop the oldest entries after the insert in ${where}, or remove each entry when it is done with`;
  if (expression === null) return { summary, patch: null };
  const create = operations.find(o => o.act === 'create' && o.value !== null);
  const made = create?.value == null ? null : bare(create.value);
  const path = made?.kind === 'call' ? importedPath(project, child(made, 'function') ?? made) : null;
  if (path === 'collections.deque' && made !== null) {
    const list = child(made, 'arguments');
    const home = fileOf(project, made);
    if (list !== null) {
      const given = parts(list);
      const text =
        given.length === 0
          ? `([], maxlen=${proposedBound})`
          : `(${given.map(textOf).join(', ')}, maxlen=${proposedBound})`;
      return {
        summary: `give the deque ${use.label} a maxlen where it is made, at line ${made.line}`,
        patch: patchOf(home, [{ start: list.start, end: list.end, text }], root),
      };
    }
  }
  const kind = made === null ? guessKind(store.how) : kindOf(made, path);
  const trim = trimming(kind, expression);
  if (trim === null) return { summary, patch: null };
  // After the whole statement; a statement on one line with its `if` or with others has no place of its own.
  const statement = statementOf(store.node);
  const block = statement.parent;
  if (statement.kind === 'if_statement' || block === null || functionScope(project, store.node).kind === 'module')
    return { summary, patch: null };
  const startsLine = file.lines[statement.line - 1]!.slice(0, statement.column).trim() === '';
  if (!startsLine || ['return_statement', 'raise_statement'].includes(statement.kind))
    return beforeReturn(file, statement, trim, summary, root);
  const indent = indentOf(file, statement.line);
  const constant = constantName(use.label, file.text);
  const lines = trim.map(l => `${indent}${l.replaceAll('LIMIT', constant).replaceAll('    ', indentUnit(file))}`);
  const patch = patchOf(
    file,
    [
      insertLines(file, definitionLine(file.root), [`${constant} = ${proposedBound}`, '']),
      insertLines(file, endLine(statement) + 1, lines),
    ],
    root,
  );
  return { summary, patch };
}

function beforeReturn(
  file: ReturnType<typeof fileOf>,
  statement: SyntaxNode,
  trim: string[],
  summary: string,
  root?: string,
): Fix {
  const startsLine = file.lines[statement.line - 1]!.slice(0, statement.column).trim() === '';
  if (!startsLine) return { summary, patch: null };
  const indent = indentOf(file, statement.line);
  const constant = constantName('', file.text);
  const lines = trim.map(l => `${indent}${l.replaceAll('LIMIT', constant).replaceAll('    ', indentUnit(file))}`);
  return {
    summary,
    patch: patchOf(
      file,
      [
        insertLines(file, definitionLine(file.root), [`${constant} = ${proposedBound}`, '']),
        insertLines(file, statement.line, lines),
      ],
      root,
    ),
  };
}

function trimming(kind: string, expression: string): string[] | null {
  switch (kind) {
    case 'dict':
      return [`while len(${expression}) > LIMIT:`, `    del ${expression}[next(iter(${expression}))]`];
    case 'list':
    case 'bytearray':
      return [`del ${expression}[:-LIMIT]`];
    case 'set':
      return [`while len(${expression}) > LIMIT:`, `    ${expression}.pop()`];
    default:
      return null;
  }
}

function kindOf(made: SyntaxNode, path: string | null): string {
  if (made.kind.startsWith('dictionary')) return 'dict';
  if (made.kind.startsWith('list')) return 'list';
  if (made.kind.startsWith('set')) return 'set';
  const name = path?.split('.').at(-1) ?? '';
  if (['dict', 'defaultdict', 'OrderedDict', 'Counter'].includes(name)) return 'dict';
  return ['list', 'set', 'bytearray'].includes(name) ? name : '';
}

function guessKind(how: string): string {
  if (how === 'append' || how === 'extend' || how === '+=') return 'list';
  if (how === 'add') return 'set';
  return how === 'item' || how === 'setdefault' ? 'dict' : '';
}

/** The container as the storing statement writes it. */
export function containerText(store: SyntaxNode): string | null {
  if (store.kind === 'call') {
    const callee = child(store, 'function');
    const object = callee?.kind === 'attribute' ? child(callee, 'object') : null;
    return object === null || object.kind === 'call' ? null : textOf(object);
  }
  const left = child(store, 'left');
  if (left === null) return null;
  if (left.kind !== 'subscript') return left.kind === 'identifier' || left.kind === 'attribute' ? textOf(left) : null;
  const base = child(left, 'value');
  return base === null || (base.kind !== 'identifier' && base.kind !== 'attribute') ? null : textOf(base);
}

/** A constant's name after the container's, not yet used in the file. */
function constantName(label: string, text: string): string {
  const stem = (label.split('.').at(-1) ?? '')
    .replace(/^_+/, '')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/\W/g, '_')
    .toUpperCase();
  let name = `MAX_${stem === '' ? 'ENTRIES' : stem}`;
  while (new RegExp(`\\b${name}\\b`).test(text)) name += '_KEPT';
  return name;
}

/** The line before which a module constant can be put: after the imports and the docstring, where no definition is split. */
export function definitionLine(root: SyntaxNode): number {
  let line = 1;
  const statements = parts(root);
  for (const s of statements) {
    const text = s.kind === 'expression_statement' && parts(s)[0]?.kind === 'string';
    if (
      s.kind === 'import_statement' ||
      s.kind === 'import_from_statement' ||
      s.kind === 'future_import_statement' ||
      text
    )
      line = endLine(s) + 1;
    else break;
  }
  const next = statements.find(s => s.line >= line);
  return next?.line ?? line;
}

/** Last line a statement has text on. */
export function endLine(node: SyntaxNode): number {
  const text = textOf(node);
  const trailing = text.slice(text.trimEnd().length);
  return node.endLine - (trailing.match(/\n/g)?.length ?? 0);
}
