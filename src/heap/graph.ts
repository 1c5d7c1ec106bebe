/**
 * The heap graph of one moment: the columns, where they come from, and what can be derived from them once:
 * who refers to whom (the same edges by target), names of nodes, nodes by address.
 *
 * Everything derived is built on first use and kept; a graph is never changed.
 */
import {
  type EdgeIndex,
  type HeapColumns,
  type HeapOrigin,
  LabelKind,
  labelKind,
  labelPayload,
  type NodeIndex,
} from '../cpython/index.ts';

/** The edges by target: the edges that lead to node n are start[n] … start[n + 1] - 1 of `source` and `edge`. */
export interface Referrers {
  /** nodeCount + 1 positions. */
  readonly start: Uint32Array;
  /** Per position: the node the edge comes from. */
  readonly source: Uint32Array;
  /** Per position: the edge, an index into edgeTarget and edgeLabel. */
  readonly edge: Uint32Array;
}

export class HeapGraph {
  readonly columns: HeapColumns;
  readonly origin: HeapOrigin;
  /** What else whoever took the snapshot noted, as JSON; null when nothing. */
  readonly facts: unknown;
  #referrers: Referrers | undefined;
  #byAddress: Uint32Array | undefined;
  #kinds: EdgeKindBits | undefined;

  constructor(columns: HeapColumns, origin: HeapOrigin, facts: unknown = null, kinds?: EdgeKindBits) {
    this.columns = columns;
    this.origin = origin;
    this.facts = facts;
    this.#kinds = kinds;
  }

  get nodeCount(): number {
    return this.columns.nodeCount;
  }
  get edgeCount(): number {
    return this.columns.edgeCount;
  }

  /** All edges by target, weak and borrowed ones included. 8 bytes an edge; built on first use. */
  get referrers(): Referrers {
    this.#referrers ??= buildReferrers(this.columns);
    return this.#referrers;
  }

  /**
   * A bit per edge (edge e is bit e & 31 of word e >>> 5), set for those that do not keep their target alive, as
   * retainingKinds says. Who needs no more of an edge than this leaves its label column packed.
   */
  droppedEdges(includeInferred: boolean): Uint32Array {
    if (this.#kinds === undefined) {
      this.#kinds = noEdgeKinds(this.edgeCount);
      noteEdgeKinds(this.#kinds, this.columns.edgeLabel, 0, this.edgeCount);
    }
    const { unowned, inferred } = this.#kinds;
    return includeInferred ? unowned : unowned.map((bits, word) => bits | inferred[word]!);
  }

  /** `module.qualname` of the node's type, as TypeInfo.name. */
  typeName(node: NodeIndex): string {
    return this.columns.types[this.columns.type[node]!]?.name ?? '<unknown>';
  }

  /** The layout family of the node's type ('dict', 'instance', …). */
  layout(node: NodeIndex): string {
    return this.columns.types[this.columns.type[node]!]?.layout ?? 'unknown';
  }

  /** The name of a module, function, class, frame, code or thread; '' for nodes without one. */
  nameOf(node: NodeIndex): string {
    const { namedNode, nodeName, strings } = this.columns;
    const at = lowerBound(namedNode, node);
    return at < namedNode.length && namedNode[at] === node ? (strings[nodeName[at]!] ?? '') : '';
  }

  /** The node at an address of the target, or -1. The first call sorts all addresses (4 bytes a node). */
  nodeAt(address: number): NodeIndex {
    if (address === 0) return -1;
    const order = this.nodesByAddress;
    const column = this.columns.address;
    let low = 0;
    let high = order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (column[order[middle]!]! < address) low = middle + 1;
      else high = middle;
    }
    return low < order.length && column[order[low]!] === address ? order[low]! : -1;
  }

  /** Nodes that have an address, in ascending order of it. */
  get nodesByAddress(): Uint32Array {
    this.#byAddress ??= sortByAddress(this.columns);
    return this.#byAddress;
  }

  /** The node that edge `edge` comes from. */
  sourceOf(edge: EdgeIndex): NodeIndex {
    const start = this.columns.edgeStart;
    let low = 0;
    let high = this.columns.nodeCount;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (start[middle]! <= edge) low = middle;
      else high = middle;
    }
    return low;
  }

  /** The string of an edge's label, '' for kinds whose payload is not a string. */
  labelString(edge: EdgeIndex): string {
    return labelStringOf(this.columns, this.columns.edgeLabel[edge]!);
  }
}

/** The string that a label carries; '' for kinds whose payload is not a string. */
export function labelStringOf(columns: HeapColumns, label: number): string {
  switch (labelKind(label)) {
    case LabelKind.internal:
    case LabelKind.attribute:
    case LabelKind.key:
    case LabelKind.local:
    case LabelKind.cell:
    case LabelKind.borrowed:
    case LabelKind.root:
      return columns.strings[labelPayload(label)] ?? '';
    default:
      return '';
  }
}

/** An edge's label as people read it: `.attr`, `['key']`, `['…']`, `[3]`, `<frame local y>`, `<closure cell x>`, … */
export function labelText(graph: HeapGraph, edge: EdgeIndex): string {
  return labelTextOf(graph.columns, graph.columns.edgeLabel[edge]!);
}

export function labelTextOf(columns: HeapColumns, label: number): string {
  const name = labelStringOf(columns, label);
  switch (labelKind(label)) {
    case LabelKind.attribute:
      return `.${name}`;
    case LabelKind.key:
      return `['${name}']`;
    case LabelKind.keyNode:
      return "['…']";
    case LabelKind.index:
      return `[${labelPayload(label)}]`;
    case LabelKind.local:
      return `<frame local ${name}>`;
    case LabelKind.cell:
      return `<closure cell ${name}>`;
    case LabelKind.keyObject:
      return '<key>';
    case LabelKind.inferred:
      return `<+0x${labelPayload(label).toString(16)}>`;
    case LabelKind.weak:
      return '<weak>';
    case LabelKind.root:
      return name;
    default:
      return `<${name}>`;
  }
}

/**
 * Whether edges of a kind keep their target alive, as a table by label kind (16 entries, 1 or 0): weak and borrowed
 * ones never do; those inferred by a pointer scan may be left out.
 */
export function retainingKinds(includeInferred: boolean): Uint8Array {
  const retains = new Uint8Array(16).fill(1);
  retains[LabelKind.weak] = 0;
  retains[LabelKind.borrowed] = 0;
  retains[LabelKind.inferred] = includeInferred ? 1 : 0;
  return retains;
}

/** A bit per edge. */
export interface EdgeKindBits {
  /** Weak and borrowed ones. */
  readonly unowned: Uint32Array;
  /** Those found by a pointer scan. */
  readonly inferred: Uint32Array;
}

export function noEdgeKinds(edgeCount: number): EdgeKindBits {
  const words = (edgeCount >>> 5) + 1;
  return { unowned: new Uint32Array(words), inferred: new Uint32Array(words) };
}

/** Sets the bits of edges first … end - 1, whose labels begin at labels[0]. */
export function noteEdgeKinds(
  { unowned, inferred }: EdgeKindBits,
  labels: Uint32Array,
  first: number,
  end: number,
): void {
  for (let edge = first; edge < end; edge++) {
    const kind = labels[edge - first]! >>> 28;
    if (kind === LabelKind.weak || kind === LabelKind.borrowed) unowned[edge >>> 5]! |= 1 << (edge & 31);
    else if (kind === LabelKind.inferred) inferred[edge >>> 5]! |= 1 << (edge & 31);
  }
}

/** The first position whose value is not below `value`; the array ascends. */
export function lowerBound(ascending: Uint32Array, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function buildReferrers(columns: HeapColumns): Referrers {
  const { nodeCount, edgeCount, edgeStart, edgeTarget } = columns;
  const start = new Uint32Array(nodeCount + 1);
  for (let edge = 0; edge < edgeCount; edge++) start[edgeTarget[edge]!]!++;
  // Running sums give each node's end; filling from the last edge backwards turns ends into starts.
  let sum = 0;
  for (let node = 0; node <= nodeCount; node++) {
    sum += start[node]!;
    start[node] = sum;
  }
  const source = new Uint32Array(edgeCount);
  const edgeOf = new Uint32Array(edgeCount);
  for (let node = nodeCount - 1; node >= 0; node--) {
    for (let edge = edgeStart[node + 1]! - 1, first = edgeStart[node]!; edge >= first; edge--) {
      const at = --start[edgeTarget[edge]!]!;
      source[at] = node;
      edgeOf[at] = edge;
    }
  }
  return { start, source, edge: edgeOf };
}

/** Least significant digit radix sort over the 48 bits of an address, 16 at a time; three passes, linear. */
function sortByAddress(columns: HeapColumns): Uint32Array {
  const { nodeCount, address } = columns;
  let count = 0;
  for (let node = 0; node < nodeCount; node++) if (address[node] !== 0) count++;
  let from = new Uint32Array(count);
  let ascending = true;
  for (let node = 0, at = 0, last = -1; node < nodeCount; node++) {
    const value = address[node]!;
    if (value === 0) continue;
    if (value < last) ascending = false;
    last = value;
    from[at++] = node;
  }
  if (ascending) return from;
  let to = new Uint32Array(count);
  const bucket = new Uint32Array(65_537);
  for (const divisor of [1, 65_536, 65_536 * 65_536, 65_536 * 65_536 * 65_536]) {
    bucket.fill(0);
    for (let i = 0; i < count; i++) bucket[digit(address[from[i]!]!, divisor) + 1]!++;
    if (bucket.includes(count)) continue;
    for (let i = 1; i <= 65_536; i++) bucket[i] = bucket[i]! + bucket[i - 1]!;
    for (let i = 0; i < count; i++) to[bucket[digit(address[from[i]!]!, divisor)]!++] = from[i]!;
    [from, to] = [to, from];
  }
  return from;
}

function digit(value: number, divisor: number): number {
  return Math.floor(value / divisor) % 65_536;
}
