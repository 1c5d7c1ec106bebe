/**
 * A heap as a V8 `.heapsnapshot`, which Chrome DevTools, VS Code and memlab open.
 *
 * The format is one JSON document of flat arrays of numbers (V8's heap-snapshot-generator.cc). It is written piece by
 * piece: at 8 M nodes it is a gigabyte, which is more than one string can be. What the root does not reach hangs under two nodes of its own,
 * as in our dominator tree, for readers drop or guess about what is not reachable.
 */
import { closeSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { dominatorsOf } from '../analysis/index.ts';
import { LabelKind } from '../cpython/index.ts';
import { type HeapGraph, labelTextOf } from '../heap/index.ts';
import { ExitCode, LeakscopeError } from '../process/index.ts';

const META = {
  node_fields: ['type', 'name', 'id', 'self_size', 'edge_count', 'trace_node_id', 'detachedness'],
  node_types: [
    [
      'hidden',
      'array',
      'string',
      'object',
      'code',
      'closure',
      'regexp',
      'number',
      'native',
      'synthetic',
      'concatenated string',
      'sliced string',
      'symbol',
      'bigint',
      'object shape',
    ],
    'string',
    'number',
    'number',
    'number',
    'number',
    'number',
  ],
  edge_fields: ['type', 'name_or_index', 'to_node'],
  edge_types: [
    ['context', 'element', 'property', 'internal', 'hidden', 'shortcut', 'weak'],
    'string_or_number',
    'node',
  ],
  trace_function_info_fields: ['function_id', 'name', 'script_name', 'script_id', 'line', 'column'],
  trace_node_fields: ['id', 'function_info_index', 'count', 'size', 'children'],
  sample_fields: ['timestamp_us', 'last_assigned_id'],
  location_fields: ['object_index', 'script_id', 'line', 'column'],
};
const FIELDS = META.node_fields.length;
const NODE = { array: 1, string: 2, object: 3, code: 4, closure: 5, number: 7, native: 8, synthetic: 9 } as const;
const EDGE = { context: 0, element: 1, property: 2, internal: 3, weak: 6 } as const;

const TYPE_OF_LAYOUT: Readonly<Record<string, number>> = {
  str: NODE.string,
  bytes: NODE.string,
  int: NODE.number,
  float: NODE.number,
  bool: NODE.number,
  list: NODE.array,
  tuple: NODE.array,
  dict: NODE.object,
  code: NODE.code,
  function: NODE.closure,
  method: NODE.closure,
  root: NODE.synthetic,
  thread: NODE.synthetic,
  interpreter: NODE.synthetic,
};

/** Writes the file; its length in bytes. Throws a LeakscopeError when it cannot, and leaves nothing behind. */
export function exportHeapSnapshot(graph: HeapGraph, file: string): number {
  const part = join(dirname(file), `.${basename(file)}.${process.pid}.part`);
  let descriptor = -1;
  try {
    descriptor = openSync(part, 'wx');
    const out = new Output(descriptor);
    writeHeap(graph, out);
    out.flush();
    closeSync(descriptor);
    descriptor = -1;
    renameSync(part, file);
    return out.written;
  } catch (error) {
    if (descriptor >= 0) closeSync(descriptor);
    try {
      unlinkSync(part);
    } catch {
      // It was never made.
    }
    throw new LeakscopeError(
      `cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`,
      ExitCode.unsupportedTarget,
      '',
    );
  }
}

function writeHeap(graph: HeapGraph, out: Output): void {
  const { columns } = graph;
  const { nodeCount, edgeCount, edgeStart, edgeTarget, edgeLabel, type, types, size, namedNode, nodeName, strings } =
    columns;
  const tree = dominatorsOf(graph);
  const names = new Strings();
  const nameOfType = Uint32Array.from(types, info => names.add(info.name));
  const kindOfType = Uint8Array.from(
    types,
    info =>
      TYPE_OF_LAYOUT[info.layout] ??
      (info.name.startsWith('<native') ? NODE.native : info.name.startsWith('<') ? NODE.synthetic : NODE.object),
  );
  const edgesOfRoot = edgeStart[1]! + 2;

  out.text(
    `{"snapshot":{"meta":${JSON.stringify(META)},"node_count":${nodeCount + 2},"edge_count":${edgeCount + 2 + tree.nativeEntries.length + tree.garbageEntries.length},"trace_function_count":0,"root_index":0,"extra_native_bytes":0},\n"nodes":[`,
  );
  let named = 0;
  const node = (kind: number, name: number, index: number, bytes: number, edges: number): void => {
    if (index > 0) out.byte(COMMA);
    out.number(kind);
    out.byte(COMMA);
    out.number(name);
    out.byte(COMMA);
    out.number(2 * index + 1);
    out.byte(COMMA);
    out.number(bytes);
    out.byte(COMMA);
    out.number(edges);
    out.text(',0,0\n');
  };
  for (let i = 0; i < nodeCount; i++) {
    let name = nameOfType[type[i]!]!;
    if (namedNode[named] === i) name = names.add(`${types[type[i]!]!.name} ${strings[nodeName[named++]!]}`);
    node(
      i === 0 ? NODE.synthetic : kindOfType[type[i]!]!,
      i === 0 ? names.add('') : name,
      i,
      size[i]!,
      i === 0 ? edgesOfRoot : edgeStart[i + 1]! - edgeStart[i]!,
    );
  }
  node(NODE.synthetic, names.add('(native code)'), nodeCount, 0, tree.nativeEntries.length);
  node(NODE.synthetic, names.add('(garbage not collected yet)'), nodeCount + 1, 0, tree.garbageEntries.length);

  out.text('],\n"edges":[');
  let first = true;
  const edge = (kind: number, name: number, target: number): void => {
    if (!first) out.byte(COMMA);
    first = false;
    out.number(kind);
    out.byte(COMMA);
    out.number(name);
    out.byte(COMMA);
    out.number(target * FIELDS);
    out.byte(NEWLINE);
  };
  const labels = new Map<number, number>();
  for (let i = 0; i < nodeCount; i++) {
    for (let at = edgeStart[i]!, end = edgeStart[i + 1]!; at < end; at++) {
      const label = edgeLabel[at]!;
      const kind = label >>> 28;
      if (kind === LabelKind.index) {
        edge(EDGE.element, label & 0x0fff_ffff, edgeTarget[at]!);
        continue;
      }
      // The key does not matter for a key that is a node: one name for all of them.
      const key = kind === LabelKind.keyNode ? kind << 28 : label;
      let name = labels.get(key);
      if (name === undefined) {
        name = names.add(
          kind === LabelKind.attribute ? labelTextOf(columns, label).slice(1) : labelTextOf(columns, label),
        );
        labels.set(key, name);
      }
      edge(EDGE_OF_KIND[kind] ?? EDGE.internal, name, edgeTarget[at]!);
    }
    if (i === 0) {
      edge(EDGE.element, edgeStart[1]! + 1, nodeCount);
      edge(EDGE.element, edgeStart[1]! + 2, nodeCount + 1);
    }
  }
  tree.nativeEntries.forEach((entry, i) => {
    edge(EDGE.element, i, entry);
  });
  tree.garbageEntries.forEach((entry, i) => {
    edge(EDGE.element, i, entry);
  });
  out.text('],\n"trace_function_infos":[],\n"trace_tree":[],\n"samples":[],\n"locations":[],\n"strings":[');
  names.texts.forEach((text, i) => {
    out.text(`${i === 0 ? '' : ',\n'}${JSON.stringify(text)}`);
  });
  out.text(']}\n');
}

const EDGE_OF_KIND: Readonly<Record<number, number>> = {
  [LabelKind.attribute]: EDGE.property,
  [LabelKind.key]: EDGE.property,
  [LabelKind.keyNode]: EDGE.property,
  [LabelKind.local]: EDGE.context,
  [LabelKind.cell]: EDGE.context,
  [LabelKind.root]: EDGE.property,
  [LabelKind.weak]: EDGE.weak,
  [LabelKind.borrowed]: EDGE.weak,
};

/** The strings of the file, each once. */
class Strings {
  readonly texts: string[] = [];
  readonly #index = new Map<string, number>();
  add(text: string): number {
    let index = this.#index.get(text);
    if (index === undefined) {
      index = this.texts.push(text) - 1;
      this.#index.set(text, index);
    }
    return index;
  }
}

const COMMA = 44;
const NEWLINE = 10;
const ZERO = 48;
const BUFFER_BYTES = 1 << 20;
/** Longest number: 2^53. */
const LONGEST_NUMBER = 16;

/** Numbers and text into a file, through one buffer; numbers without a string each. */
class Output {
  written = 0;
  readonly #descriptor: number;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  readonly #digits = new Uint8Array(LONGEST_NUMBER);
  #used = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }
  byte(code: number): void {
    if (this.#used === BUFFER_BYTES) this.flush();
    this.#buffer[this.#used++] = code;
  }
  number(value: number): void {
    if (this.#used > BUFFER_BYTES - LONGEST_NUMBER) this.flush();
    if (value > 0x7fff_ffff) {
      this.text(String(value));
      return;
    }
    let count = 0;
    let rest = value;
    do {
      const tenth = (rest / 10) | 0;
      this.#digits[count++] = ZERO + rest - tenth * 10;
      rest = tenth;
    } while (rest > 0);
    while (count > 0) this.#buffer[this.#used++] = this.#digits[--count]!;
  }
  text(text: string): void {
    const bytes = Buffer.from(text);
    if (this.#used + bytes.length > BUFFER_BYTES) this.flush();
    if (bytes.length > BUFFER_BYTES) this.#write(bytes, bytes.length);
    else {
      bytes.copy(this.#buffer, this.#used);
      this.#used += bytes.length;
    }
  }
  flush(): void {
    this.#write(this.#buffer, this.#used);
    this.#used = 0;
  }
  #write(bytes: Uint8Array, length: number): void {
    for (let done = 0; done < length; ) done += writeSync(this.#descriptor, bytes, done, length - done);
    this.written += length;
  }
}
