/**
 * What the collector would find now: objects that nothing alive holds, the cycles that keep them, the reference that
 * closes each, and who of them has a finalizer.
 */
import { type EdgeIndex, NodeFlag, type NodeIndex } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { labelTextOf } from '../heap/index.ts';
import { componentsOf, OUTSIDE } from './components.ts';
import { type DominatorTree, dominatorsOf } from './dominators.ts';

export interface GarbageCycle {
  /** Nodes of one cycle through the component, from the first one's view: each refers to the next, the last to the first. */
  readonly nodes: readonly NodeIndex[];
  /** The references of that cycle; the last one closes it. */
  readonly edges: readonly EdgeIndex[];
  /** All objects that hold each other, those of `nodes` among them. */
  readonly members: number;
  /** Bytes of the members. */
  readonly bytes: number;
  /** How many cycles of this form there are: same types, same references. */
  readonly count: number;
  /** Bytes of the members of all of them. */
  readonly totalBytes: number;
  readonly finalizers: number;
}

export interface Garbage {
  /** Everything no root and no native code holds: cycles and what hangs on them. */
  readonly objects: number;
  readonly bytes: number;
  /** Components with a cycle. */
  readonly cycles: number;
  /** Forms of cycles, most bytes first. */
  readonly forms: readonly GarbageCycle[];
  /** Garbage objects whose class has a finalizer. */
  readonly finalizers: readonly NodeIndex[];
}

/** Garbage not collected yet. At most `limit` forms of cycles. Linear in the heap, and for each cycle in its members. */
export function findGarbage(graph: HeapGraph, limit = 20, tree: DominatorTree = dominatorsOf(graph)): Garbage {
  const { nodeCount, size, flags } = graph.columns;
  const inside = new Uint8Array(nodeCount);
  let objects = 0;
  let bytes = 0;
  const finalizers: number[] = [];
  for (let at = tree.aliveCount; at < tree.order.length; at++) {
    const node = tree.order[at]!;
    if (node >= nodeCount) continue;
    inside[node] = 1;
    objects++;
    bytes += size[node]!;
    if ((flags[node]! & NodeFlag.finalizer) !== 0) finalizers.push(node);
  }
  return { objects, bytes, finalizers, ...cyclesWithin(graph, inside, tree.retains, limit) };
}

/** Cycles among live objects: what would become garbage that only the collector frees once their holder lets go. */
export function findLiveCycles(
  graph: HeapGraph,
  limit = 20,
  accept: (node: NodeIndex) => boolean = () => true,
  tree: DominatorTree = dominatorsOf(graph),
): { cycles: number; forms: readonly GarbageCycle[] } {
  const { nodeCount, flags } = graph.columns;
  const inside = new Uint8Array(nodeCount);
  for (let at = 0; at < tree.aliveCount; at++) {
    const node = tree.order[at]!;
    if (node > 0 && node < nodeCount && (flags[node]! & NodeFlag.tracked) !== 0 && accept(node)) inside[node] = 1;
  }
  return cyclesWithin(graph, inside, tree.retains, limit);
}

function cyclesWithin(
  graph: HeapGraph,
  inside: Uint8Array,
  retains: Uint8Array,
  limit: number,
): { cycles: number; forms: GarbageCycle[] } {
  const { nodeCount, edgeStart, edgeTarget, edgeLabel, size, type, flags } = graph.columns;
  const { count, of } = componentsOf(graph, inside, retains);
  const members = new Uint32Array(count);
  const bytes = new Float64Array(count);
  const finalizers = new Uint32Array(count);
  const cyclic = new Uint8Array(count);
  const head = new Uint32Array(count).fill(OUTSIDE);
  for (let node = 0; node < nodeCount; node++) {
    const component = of[node]!;
    if (component === OUTSIDE) continue;
    if (head[component] === OUTSIDE) head[component] = node;
    bytes[component]! += size[node]!;
    if ((flags[node]! & NodeFlag.finalizer) !== 0) finalizers[component]!++;
    if (++members[component]! === 2) cyclic[component] = 1;
    for (let edge = edgeStart[node]!, end = edgeStart[node + 1]!; edge < end; edge++) {
      if (edgeTarget[edge] === node && retains[edgeLabel[edge]! >>> 28] !== 0) cyclic[component] = 1;
    }
  }
  // One shortest cycle of each component, and the components of one form together.
  const forms = new Map<
    string,
    { edges: number[]; nodes: number[]; component: number; count: number; totalBytes: number; finalizers: number }
  >();
  const cameBy = new Uint32Array(nodeCount).fill(OUTSIDE);
  const cameFrom = new Uint32Array(nodeCount);
  let cycles = 0;
  for (let component = 0; component < count; component++) {
    if (cyclic[component] === 0) continue;
    cycles++;
    const { nodes, edges } = shortestCycle(graph, head[component]!, of, retains, cameBy, cameFrom);
    const key = `${canonical(nodes.map((node, i) => `${type[node]}:${labelTextOf(graph.columns, edgeLabel[edges[i]!]!).replace(/^\[\d+\]$/, '[…]')}`))}`;
    const form = forms.get(key);
    if (form === undefined)
      forms.set(key, {
        nodes,
        edges,
        component,
        count: 1,
        totalBytes: bytes[component]!,
        finalizers: finalizers[component]!,
      });
    else {
      form.count++;
      form.totalBytes += bytes[component]!;
      form.finalizers += finalizers[component]!;
    }
  }
  const biggest = [...forms.values()].sort((a, b) => b.totalBytes - a.totalBytes).slice(0, limit);
  return {
    cycles,
    forms: biggest.map(({ nodes, edges, component, count: alike, totalBytes, finalizers: final }) => ({
      nodes,
      edges,
      members: members[component]!,
      bytes: bytes[component]!,
      count: alike,
      totalBytes,
      finalizers: final,
    })),
  };
}

/** A shortest cycle through `start`, by breadth within its component. `cameBy` is OUTSIDE for all nodes, and left so. */
function shortestCycle(
  graph: HeapGraph,
  start: number,
  of: Uint32Array,
  retains: Uint8Array,
  cameBy: Uint32Array,
  cameFrom: Uint32Array,
): { nodes: number[]; edges: number[] } {
  const { edgeStart, edgeTarget, edgeLabel } = graph.columns;
  const queue = [start];
  let closing = OUTSIDE;
  let last = start;
  for (let i = 0; i < queue.length && closing === OUTSIDE; i++) {
    const node = queue[i]!;
    for (let edge = edgeStart[node]!, end = edgeStart[node + 1]!; edge < end; edge++) {
      const target = edgeTarget[edge]!;
      if (of[target] !== of[start] || retains[edgeLabel[edge]! >>> 28] === 0) continue;
      if (target === start) {
        closing = edge;
        last = node;
        break;
      }
      if (cameBy[target] !== OUTSIDE) continue;
      cameBy[target] = edge;
      cameFrom[target] = node;
      queue.push(target);
    }
  }
  const nodes: number[] = [];
  const edges: number[] = [closing];
  for (let node = last; ; node = cameFrom[node]!) {
    nodes.push(node);
    if (node === start) break;
    edges.push(cameBy[node]!);
  }
  for (const node of queue) cameBy[node] = OUTSIDE;
  return { nodes: nodes.reverse(), edges: edges.reverse() };
}

/** The same text for a cycle wherever it begins. */
function canonical(parts: readonly string[]): string {
  if (parts.length > 64) return `${parts.length}:${[...parts].sort().slice(0, 64).join()}`;
  return parts.map((_, i) => [...parts.slice(i), ...parts.slice(0, i)].join()).sort()[0]!;
}
