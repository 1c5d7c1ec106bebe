/**
 * Dominators and retained sizes. A node dominates another when every way from the roots to the other leads through it;
 * what a node dominates would be freed with it.
 *
 * Semi-NCA (Georgiadis 2005): semidominators with path compression, then each immediate dominator as the nearest
 * common ancestor in the tree grown so far. Its second step can be quadratic on long chains with many shortcuts; it
 * has a budget of steps, and past it the immediate dominators are found from the same semidominators as Lengauer and
 * Tarjan do (1979, the simple version: O(m log n)). Everything is iterative and in walk order (flow-order.ts).
 */
import type { NodeIndex } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { type FlowOrder, type Predecessors, walkHeap } from './flow-order.ts';

export interface DominatorTree {
  readonly graph: HeapGraph;
  /** Stands for native code that holds objects the roots do not reach; index nodeCount. Its immediate dominator is the root. */
  readonly nativeRoot: NodeIndex;
  /** Stands for garbage not collected yet; index nodeCount + 1. Its immediate dominator is the root. */
  readonly garbageRoot: NodeIndex;
  /** Per node, and the two above: its immediate dominator; the root's is the root. */
  readonly idom: Uint32Array;
  /** Per node, and the two above: shallow bytes of everything it dominates, itself included. */
  readonly retained: Float64Array;
  /** All of them so that a dominator comes before what it dominates; the root first. */
  readonly order: Uint32Array;
  /** How many of `order` are alive; the rest is garbage, its root first. */
  readonly aliveCount: number;
  readonly nativeEntries: Uint32Array;
  readonly garbageEntries: Uint32Array;
  /** By label kind, whether edges of the kind retained. */
  readonly retains: Uint8Array;
}

export interface DominatorOptions {
  /** Whether references found by scanning memory of unknown layout retain. Default true. */
  readonly includeInferred?: boolean;
  /** Steps a node that Semi-NCA may spend before Lengauer-Tarjan takes over; for tests. Default 16. */
  readonly stepsPerNode?: number;
}

const trees = new WeakMap<HeapGraph, DominatorTree>();

/** The dominator tree with inferred references, made once a graph. */
export function dominatorsOf(graph: HeapGraph): DominatorTree {
  let tree = trees.get(graph);
  if (tree === undefined) {
    tree = computeDominators(graph);
    trees.set(graph, tree);
  }
  return tree;
}

/** The dominator tree of the whole heap. Weak and borrowed edges do not retain. */
export function computeDominators(
  graph: HeapGraph,
  { includeInferred = true, stepsPerNode = 16 }: DominatorOptions = {},
): DominatorTree {
  const { nodeCount } = graph.columns;
  const { order, predecessors } = walkHeap(graph, includeInferred);
  const { count, nodeAt } = order;
  const semi = semidominators(order, predecessors);
  // What is done with is given back at once, not when the collector comes by: this is where memory peaks.
  release(predecessors.list);
  const idomAt = nearestCommonAncestors(order, semi, stepsPerNode * count) ?? lengauerTarjan(order, semi);
  release(order.parent);

  // Sums in walk order, where a dominator is near what it dominates; then by node.
  const sums = new Float64Array(predecessors.spare.buffer, 0, count);
  const { size } = graph.columns;
  for (let at = 0; at < count; at++) sums[at] = nodeAt[at]! < nodeCount ? size[nodeAt[at]!]! : 0;
  for (let at = count - 1; at > 0; at--) sums[idomAt[at]!]! += sums[at]!;
  const retained = new Float64Array(count);
  const idom = semi; // no longer needed: reused
  for (let at = 0; at < count; at++) {
    const node = nodeAt[at]!;
    retained[node] = sums[at]!;
    idom[node] = nodeAt[idomAt[at]!]!;
  }
  release(predecessors.spare);
  return {
    graph,
    nativeRoot: nodeCount,
    garbageRoot: nodeCount + 1,
    idom,
    retained,
    order: nodeAt,
    aliveCount: order.firstGarbage,
    nativeEntries: order.nativeEntries,
    garbageEntries: order.garbageEntries,
    retains: order.retains,
  };
}

/** Frees an array's memory now. The array is empty from here on. */
function release(array: Uint32Array<ArrayBuffer>): void {
  array.buffer.transfer(0);
}

/** Position -> position of the semidominator: the earliest node with a path to it through later nodes only. */
function semidominators(
  { count, parent, firstGarbage }: FlowOrder,
  { head, list, spare }: Predecessors,
): Uint32Array<ArrayBuffer> {
  // Of each linked node, side by side: an ancestor as far up as compressed so far, and the smallest semidominator below
  // that ancestor.
  const link = spare;
  for (let at = 0; at < count; at++) link[2 * at] = parent[at]!;
  // A list that was read is not read again: the semidominator takes its head's place.
  const semi = head;
  for (let at = count - 1; at > 0; at--) {
    let best = parent[at]!;
    // Garbage comes last in the walk, and does not hold what is alive.
    const limit = at < firstGarbage ? firstGarbage : count;
    for (let entry = head[at]!; entry !== 0 && best > 0; entry = list[2 * entry + 1]!) {
      const from = list[2 * entry]!;
      if (from <= at) {
        if (from < best) best = from;
        continue;
      }
      if (from >= limit) continue;
      // Everything after `at` is linked: the smallest semidominator on the tree path from `from` up to below `at`'s subtree.
      let above = link[2 * from]!;
      let low = link[2 * from + 1]!;
      if (above > at) {
        // Compress: go up to the last linked ancestor, turning the links round; then hand minima down the same way.
        let node = from;
        let below = at;
        do {
          link[2 * node] = below;
          below = node;
          node = above;
          above = link[2 * node]!;
        } while (above > at);
        let minimum = link[2 * node + 1]!;
        while (below !== at) {
          node = below;
          below = link[2 * node]!;
          if (link[2 * node + 1]! < minimum) minimum = link[2 * node + 1]!;
          else link[2 * node + 1] = minimum;
          link[2 * node] = above;
        }
        low = minimum;
      }
      if (low < best) best = low;
    }
    semi[at] = best;
    link[2 * at + 1] = best;
  }
  semi[0] = 0;
  return semi;
}

/** Semi-NCA's second step; undefined when it would take more than `budget` steps. */
function nearestCommonAncestors(
  { count, parent }: FlowOrder,
  semi: Uint32Array,
  budget: number,
): Uint32Array<ArrayBuffer> | undefined {
  const idom = parent.slice();
  let steps = budget;
  for (let at = 1; at < count; at++) {
    const limit = semi[at]!;
    let above = idom[at]!;
    while (above > limit) {
      above = idom[above]!;
      if (--steps < 0) return undefined;
    }
    idom[at] = above;
  }
  return idom;
}

/**
 * Immediate dominators from semidominators: for v, let u be the node of smallest semidominator on the tree path from
 * v up to below semi(v); idom(v) = semi(v) if semi(u) = semi(v), else idom(u).
 */
function lengauerTarjan({ count, parent }: FlowOrder, semi: Uint32Array): Uint32Array<ArrayBuffer> {
  const ancestor = parent.slice();
  const label = new Uint32Array(count);
  const idom = new Uint32Array(count);
  const bucketHead = new Uint32Array(count); // 0 is never in a bucket: it stands for none
  const bucketNext = new Uint32Array(count);
  const stack = new Uint32Array(count);
  for (let at = 0; at < count; at++) label[at] = at;
  for (let at = count - 1; at > 0; at--) {
    bucketNext[at] = bucketHead[semi[at]!]!;
    bucketHead[semi[at]!] = at;
    // Now `at` is linked under its parent; what waits there lies below `at`, and its path to the parent is complete.
    const above = parent[at]!;
    for (let v = bucketHead[above]!; v !== 0; v = bucketNext[v]!) {
      const u = evaluate(v, at);
      idom[v] = semi[u]! < semi[v]! ? u : above;
    }
    bucketHead[above] = 0;
  }
  for (let at = 1; at < count; at++) if (idom[at] !== semi[at]) idom[at] = idom[idom[at]!]!;
  return idom;

  function evaluate(v: number, linked: number): number {
    let depth = 0;
    let node = v;
    while (ancestor[node]! >= linked) {
      stack[depth++] = node;
      node = ancestor[node]!;
    }
    const top = ancestor[node]!;
    let best = label[node]!;
    while (depth > 0) {
      node = stack[--depth]!;
      if (semi[label[node]!]! <= semi[best]!) best = label[node]!;
      else label[node] = best;
      ancestor[node] = top;
    }
    return best;
  }
}
