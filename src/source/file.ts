/** One Python file of the target: its functions, classes, imports and lines. */
import { readFileSync } from 'node:fs';
import { assignedValue, buildScopes, type ImportedName, importsIn, type Scope } from './scopes.ts';
import { child, descendants, dotted, parsePython, parts, type SyntaxNode, textOf } from './syntax.ts';

export interface FunctionInfo {
  readonly name: string;
  readonly qualname: string;
  readonly line: number;
  readonly endLine: number;
  /** Qualified name of the class it is a method of, or null. */
  readonly className: string | null;
  readonly decorators: readonly string[];
  readonly async: boolean;
  readonly generator: boolean;
}

export interface ClassInfo {
  readonly name: string;
  readonly qualname: string;
  readonly bases: readonly string[];
  readonly line: number;
  readonly endLine: number;
  readonly decorators: readonly string[];
}

export interface AttributeAssignment {
  readonly className: string;
  readonly attribute: string;
  readonly function: string;
  readonly line: number;
  readonly value: string;
}

export interface SourceFile {
  /** As given to `openSource`; this is what comes back in every answer. */
  readonly file: string;
  /** Dotted module name guessed from the path: `app/cache.py` is `app.cache`. */
  readonly module: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly root: SyntaxNode;
  readonly scopes: readonly Scope[];
  readonly moduleScope: Scope;
  readonly opened: Map<SyntaxNode, Scope>;
  readonly functions: readonly FunctionInfo[];
  readonly classes: readonly ClassInfo[];
  readonly imports: readonly ImportedName[];
  readonly moduleNames: readonly string[];
  readonly attributes: readonly AttributeAssignment[];
  /** True when part of the file could not be parsed. */
  readonly broken: boolean;
}

/** Parses a file's text. `prepareSource()` must have been awaited once. Never throws for bad Python. */
export function openSource(file: string, text: string): SourceFile {
  const root = parsePython(text);
  const { module, all, opened } = buildScopes(root);
  const attributes: AttributeAssignment[] = [];
  for (const scope of all) {
    if (scope.kind !== 'function' || scope.parent?.kind !== 'class') continue;
    const self = scope.parameters[0]?.name;
    if (self === undefined) continue;
    for (const node of descendants(scope.body, 'assignment')) {
      const left = child(node, 'left');
      const chain = left === null ? null : dotted(left);
      if (chain === null || chain.length !== 2 || chain[0] !== self) continue;
      const value = assignedValue(node);
      attributes.push({
        className: scope.parent.qualname,
        attribute: chain[1]!,
        function: scope.qualname,
        line: node.line,
        value: value === null ? '' : textOf(value),
      });
    }
  }
  return {
    file,
    module: moduleName(file),
    text,
    lines: text.split(/\r\n|\r|\n/),
    root,
    scopes: all,
    moduleScope: module,
    opened,
    functions: all.filter(s => s.kind === 'function').map(describeFunction),
    classes: all.filter(s => s.kind === 'class').map(describeClass),
    imports: descendants(root, 'import_statement', 'import_from_statement').flatMap(importsIn),
    moduleNames: [...module.bindings.keys()],
    attributes,
    broken: root.tree.broken,
  };
}

/** Reads and opens a file; null when it cannot be read. */
export function readSource(file: string, path: string = file): SourceFile | null {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch {
    return null;
  }
  return openSource(file, decodeSource(bytes));
}

/** Python source bytes to text: byte order mark, then the coding cookie (PEP 263), then UTF-8, then Latin-1. Never throws. */
export function decodeSource(bytes: Uint8Array): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    return new TextDecoder('utf-8').decode(bytes.subarray(3));
  const head = Buffer.from(bytes.subarray(0, 400))
    .toString('latin1')
    .split(/\r\n|\r|\n/, 2);
  for (const line of head) {
    const cookie = /^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)/.exec(line);
    if (cookie === null) continue;
    try {
      return new TextDecoder(
        cookie[1]!
          .toLowerCase()
          .replaceAll('_', '-')
          .replace(/^latin-?1$/, 'iso-8859-1'),
      ).decode(bytes);
    } catch {
      break;
    }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes).toString('latin1');
  }
}

/** The innermost function a line lies in, or null at module level. */
export function functionAt(file: SourceFile, line: number): FunctionInfo | null {
  let best: FunctionInfo | null = null;
  for (const f of file.functions)
    if (f.line <= line && line <= f.endLine && (best === null || f.line >= best.line)) best = f;
  return best;
}

/** The lines around a line; fewer at the file's ends, none when the line is outside the file. */
export function excerpt(file: SourceFile, line: number, context = 2): { number: number; text: string }[] {
  if (line < 1 || line > file.lines.length) return [];
  const found: { number: number; text: string }[] = [];
  const last = Math.min(file.lines.length, line + context);
  for (let n = Math.max(1, line - context); n <= last; n++) found.push({ number: n, text: file.lines[n - 1]! });
  return found;
}

function moduleName(file: string): string {
  return file
    .replace(/\\/g, '/')
    .replace(/^.*?:\/\//, '')
    .replace(/\.pyw?$/, '')
    .replace(/\/__init__$/, '')
    .split('/')
    .filter(part => part !== '' && part !== '.' && part !== '..')
    .join('.');
}

function describeFunction(scope: Scope): FunctionInfo {
  let generator = false;
  for (const y of descendants(scope.body, 'yield')) {
    let n: SyntaxNode | null = y.parent;
    while (n !== null && n !== scope.node && n.kind !== 'function_definition' && n.kind !== 'lambda') n = n.parent;
    if (n === scope.node) generator = true;
  }
  return {
    name: scope.name,
    qualname: scope.qualname,
    line: scope.node.line,
    endLine: endOf(scope.node),
    className: scope.parent?.kind === 'class' ? scope.parent.qualname : null,
    decorators: scope.decorators.map(d => textOf(parts(d)[0] ?? d)),
    async: scope.node.children[0]?.kind === 'async',
    generator,
  };
}

function describeClass(scope: Scope): ClassInfo {
  const bases = child(scope.node, 'superclasses');
  return {
    name: scope.name,
    qualname: scope.qualname,
    bases: bases === null ? [] : parts(bases).map(textOf),
    line: scope.node.line,
    endLine: endOf(scope.node),
    decorators: scope.decorators.map(d => textOf(parts(d)[0] ?? d)),
  };
}

/** A block's node may end at the start of the next line; the last line with text counts. */
function endOf(node: SyntaxNode): number {
  const text = textOf(node);
  const trailing = text.length - text.trimEnd().length;
  return node.endLine - (text.slice(text.length - trailing).match(/\n/g)?.length ?? 0);
}
