/**
 * A Python file as a plain tree. tree-sitter's own nodes live in WebAssembly memory and cost a call
 * for every property, so the tree is copied out once and freed; everything after this works on these
 * nodes. Broken Python still gives a tree: the parts that could not be parsed are `ERROR` nodes.
 */
import { createRequire } from 'node:module';
import { Language, Parser } from 'web-tree-sitter';

/** A node of the tree; kinds and fields are those of tree-sitter-python's grammar. */
export interface SyntaxNode {
  readonly kind: string;
  /** The role in the parent (`left`, `body`, `condition`, …), or null. */
  readonly field: string | null;
  readonly named: boolean;
  /** UTF-16 offsets into the text. */
  readonly start: number;
  readonly end: number;
  /** Lines count from 1, columns from 0. */
  readonly line: number;
  readonly endLine: number;
  readonly column: number;
  readonly parent: SyntaxNode | null;
  readonly children: SyntaxNode[];
  /** What the whole tree was parsed from. */
  readonly tree: { readonly text: string; readonly broken: boolean };
}

let parser: Parser | null = null;
let loading: Promise<void> | null = null;

/** Loads the parser; must have been awaited once before `openSource`. Cheap when called again. */
export function prepareSource(): Promise<void> {
  loading ??= load();
  return loading;
}

async function load(): Promise<void> {
  const require = createRequire(import.meta.url);
  await Parser.init();
  const python = await Language.load(require.resolve('tree-sitter-python/tree-sitter-python.wasm'));
  const made = new Parser();
  made.setLanguage(python);
  parser = made;
}

/** Parses Python text. Throws only when `prepareSource` has not been awaited. */
export function parsePython(text: string): SyntaxNode {
  if (parser === null) throw new Error('prepareSource() must be awaited before Python is parsed');
  const parsed = parser.parse(text);
  if (parsed === null) throw new Error('the Python parser gave no tree');
  const tree = { text, broken: parsed.rootNode.hasError };
  const cursor = parsed.walk();
  const copy = (parent: SyntaxNode | null): SyntaxNode => {
    const node: SyntaxNode = {
      // A file broken from its start has an ERROR at its root; it is a module all the same.
      kind: parent === null ? 'module' : cursor.nodeType,
      field: cursor.currentFieldName,
      named: cursor.nodeIsNamed,
      start: cursor.startIndex,
      end: cursor.endIndex,
      line: cursor.startPosition.row + 1,
      endLine: cursor.endPosition.row + 1,
      column: cursor.startPosition.column,
      parent,
      children: [],
      tree,
    };
    return node;
  };
  const root = copy(null);
  // No recursion: a chain of a thousand `+` is a thousand levels deep.
  const open: SyntaxNode[] = [root];
  let descend = true;
  for (;;) {
    if (descend && cursor.gotoFirstChild()) {
      const parent = open[open.length - 1]!;
      const node = copy(parent);
      parent.children.push(node);
      open.push(node);
    } else if (cursor.gotoNextSibling()) {
      open.pop();
      const parent = open[open.length - 1]!;
      const node = copy(parent);
      parent.children.push(node);
      open.push(node);
      descend = true;
    } else if (cursor.gotoParent()) {
      open.pop();
      descend = false;
    } else break;
  }
  cursor.delete();
  parsed.delete();
  return root;
}

/** The source text of a node. */
export function textOf(node: SyntaxNode): string {
  return node.tree.text.slice(node.start, node.end);
}

/** The child in a role, or null. */
export function child(node: SyntaxNode, field: string): SyntaxNode | null {
  for (const c of node.children) if (c.field === field) return c;
  return null;
}

/** All children in a role (a subscript with several indexes, a `for` with several targets). */
export function childrenIn(node: SyntaxNode, field: string): SyntaxNode[] {
  return node.children.filter(c => c.field === field);
}

/** The children that are not punctuation or comments. */
export function parts(node: SyntaxNode): SyntaxNode[] {
  return node.children.filter(c => c.named && c.kind !== 'comment');
}

/** Visits a node and everything below it, in the order of the text. Returning false skips what is below. */
export function visit(node: SyntaxNode, see: (node: SyntaxNode) => boolean | undefined): void {
  const stack = [node];
  while (stack.length > 0) {
    const next = stack.pop()!;
    if (see(next) === false) continue;
    for (let i = next.children.length - 1; i >= 0; i--) stack.push(next.children[i]!);
  }
}

/** Every node of the given kinds at or below a node. */
export function descendants(node: SyntaxNode, ...kinds: string[]): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  visit(node, n => {
    if (n.named && kinds.includes(n.kind)) found.push(n);
    return true;
  });
  return found;
}

/** The nearest enclosing node of one of the kinds (not the node itself), or null. */
export function enclosing(node: SyntaxNode, ...kinds: string[]): SyntaxNode | null {
  for (let n = node.parent; n !== null; n = n.parent) if (kinds.includes(n.kind)) return n;
  return null;
}

/** True when `inner` is `outer` or lies below it. */
export function within(inner: SyntaxNode, outer: SyntaxNode): boolean {
  for (let n: SyntaxNode | null = inner; n !== null; n = n.parent) if (n === outer) return true;
  return false;
}

/** Looks through parentheses and `await`, which do not change which object it is. */
export function bare(node: SyntaxNode): SyntaxNode {
  let n = node;
  while (n.kind === 'parenthesized_expression' || n.kind === 'await') {
    const inner = parts(n)[0];
    if (inner === undefined) return n;
    n = inner;
  }
  return n;
}

/** `a.b.c` as ['a','b','c'], null for anything but a chain of names. */
export function dotted(node: SyntaxNode): string[] | null {
  const n = bare(node);
  if (n.kind === 'identifier') return [textOf(n)];
  if (n.kind === 'dotted_name') return parts(n).map(textOf);
  if (n.kind !== 'attribute') return null;
  const object = child(n, 'object');
  const attribute = child(n, 'attribute');
  if (object === null || attribute === null) return null;
  const head = dotted(object);
  return head === null ? null : [...head, textOf(attribute)];
}

/** The statement a node belongs to: the ancestor that stands directly in a block or the module. */
export function statementOf(node: SyntaxNode): SyntaxNode {
  let n = node;
  while (n.parent !== null && n.parent.kind !== 'block' && n.parent.kind !== 'module') n = n.parent;
  return n;
}

/** Positional and keyword arguments of a call. */
export function argumentsOf(call: SyntaxNode): { positional: SyntaxNode[]; keywords: Map<string, SyntaxNode> } {
  const positional: SyntaxNode[] = [];
  const keywords = new Map<string, SyntaxNode>();
  const list = child(call, 'arguments');
  if (list !== null) {
    if (list.kind === 'generator_expression') positional.push(list);
    else
      for (const part of parts(list)) {
        if (part.kind === 'keyword_argument') {
          const name = child(part, 'name');
          const value = child(part, 'value');
          if (name !== null && value !== null) keywords.set(textOf(name), value);
        } else positional.push(part);
      }
  }
  return { positional, keywords };
}

/** Whether two expressions read the same, white space aside. */
export function sameText(a: SyntaxNode, b: SyntaxNode): boolean {
  return textOf(a).replace(/\s+/g, '') === textOf(b).replace(/\s+/g, '');
}
