/**
 * The best way from the root to every node, at once: a shortest-path forest in which steps cost by how well a person
 * could name them. Modules come before threads, threads before registries and interpreter state; a reference from an
 * object to its class, from a function to its globals, or one inferred by a scan is taken only when there is no other.
 *
 * Dial's algorithm (1969): costs are small integers, so the queue is a ring of buckets. Linear.
 */
import { LabelKind } from '../cpython/index.ts';
import { type HeapGraph, labelStringOf } from '../heap/index.ts';

export interface PathForest {
  /** Per node: the edge the best way to it ends with; NO_EDGE for the root and for what the root does not reach. */
  readonly edge: Uint32Array;
  /** Per node: the node before it on the way; undefined where there is no edge. */
  readonly from: Uint32Array;
  /** Per node: cost of the way; NO_EDGE where there is none. */
  readonly cost: Uint32Array;
}

export const NO_EDGE = 0xffff_ffff;

const ROOT_MODULE = 4;
const ROOT_THREAD = 100;
const ROOT_OTHER = 180;
/** Larger than any step's cost. */
const RING = 256;

const COST_OF_KIND: Readonly<Record<number, number>> = {
  [LabelKind.internal]: 6,
  [LabelKind.attribute]: 4,
  [LabelKind.key]: 4,
  [LabelKind.keyNode]: 5,
  [LabelKind.index]: 5,
  [LabelKind.local]: 4,
  [LabelKind.cell]: 1,
  [LabelKind.keyObject]: 6,
  [LabelKind.inferred]: 40,
};

/** Words of labels that cost otherwise: those collapsed in print little, those that lead back to what everything refers to much. */
const COST_OF_WORD: Readonly<Record<string, number>> = {
  __dict__: 1,
  __closure__: 3,
  type: 60,
  __class__: 60,
  __base__: 60,
  __bases__: 60,
  __mro__: 60,
  __cache__: 60,
  __subclasses__: 60,
  __builtins__: 60,
  builtins: 60,
  __globals__: 60,
  f_globals: 60,
  f_builtins: 60,
  f_back: 60,
  __module__: 60,
  module: 60,
  'shared key': 60,
  'value stack': 30,
  'sys.modules': 30,
  'modules by index': 60,
  sys: 60,
  importlib: 60,
  'interpreter dict': 30,
};

export interface ForestOptions {
  /** Nodes that no way may lead through or to. */
  readonly avoid?: ReadonlySet<number>;
  /** Stop as soon as the best way to this node is known. */
  readonly until?: number;
}

const forests = new WeakMap<HeapGraph, PathForest>();

/** The forest of the whole graph; made once a graph, 12 bytes a node. */
export function pathForest(graph: HeapGraph): PathForest {
  let forest = forests.get(graph);
  if (forest === undefined) {
    forest = growForest(graph, {});
    forests.set(graph, forest);
  }
  return forest;
}

/** A forest of its own, with nodes to avoid. */
export function growForest(graph: HeapGraph, { avoid, until = -1 }: ForestOptions): PathForest {
  const { columns } = graph;
  const { nodeCount, edgeStart, edgeTarget, edgeLabel, strings } = columns;
  const costOfWord = Uint8Array.from(strings, word => COST_OF_WORD[word] ?? 0);
  const costOfKind = Uint8Array.from({ length: 16 }, (_, kind) => COST_OF_KIND[kind] ?? 0);
  const edgeTo = new Uint32Array(nodeCount).fill(NO_EDGE);
  const from = new Uint32Array(nodeCount);
  const cost = new Uint32Array(nodeCount).fill(NO_EDGE);
  if (avoid !== undefined) for (const node of avoid) cost[node] = 0;
  const ring = Array.from({ length: RING }, () => new Uint32Array(64));
  const filled = new Uint32Array(RING);
  let waiting = 0;
  const push = (node: number, total: number): void => {
    const slot = total % RING;
    let bucket = ring[slot]!;
    if (filled[slot] === bucket.length) {
      const grown = new Uint32Array(bucket.length * 2);
      grown.set(bucket);
      ring[slot] = bucket = grown;
    }
    bucket[filled[slot]!++] = node;
    waiting++;
  };
  cost[0] = 0;
  push(0, 0);
  for (let now = 0; waiting > 0; now++) {
    const slot = now % RING;
    // No step is free, so nothing is added to this bucket while it is emptied.
    const bucket = ring[slot]!;
    const count = filled[slot]!;
    filled[slot] = 0;
    waiting -= count;
    for (let i = 0; i < count; i++) {
      const node = bucket[i]!;
      if (cost[node] !== now) continue;
      if (node === until) return { edge: edgeTo, from, cost };
      for (let edge = edgeStart[node]!, end = edgeStart[node + 1]!; edge < end; edge++) {
        const label = edgeLabel[edge]!;
        const kind = label >>> 28;
        let step = costOfKind[kind]!;
        if (kind === LabelKind.internal || kind === LabelKind.attribute)
          step = costOfWord[label & 0x0fff_ffff]! || step;
        else if (kind === LabelKind.root) step = costOfRoot(labelStringOf(columns, label));
        if (step === 0) continue;
        const target = edgeTarget[edge]!;
        if (now + step >= cost[target]!) continue;
        cost[target] = now + step;
        edgeTo[target] = edge;
        from[target] = node;
        push(target, now + step);
      }
    }
    // Large buckets are not kept once their turn is over.
    if (bucket.length > 1 << 20) ring[slot] = new Uint32Array(64);
  }
  return { edge: edgeTo, from, cost };
}

function costOfRoot(name: string): number {
  // The main program's own names first, where two ways are the same.
  if (name === 'module __main__') return ROOT_MODULE - 1;
  if (name.startsWith('module ')) return ROOT_MODULE;
  if (name.startsWith('thread ')) return ROOT_THREAD;
  return ROOT_OTHER;
}
