/** Twins of the graph algorithms that are slow and plain: sets, recursion, removal of each node in turn. */
import { IMMORTAL_REFCOUNT, LabelKind, NodeFlag } from '../../src/cpython/index.ts';
import type { HeapGraph } from '../../src/heap/index.ts';

export function retainingEdges(graph: HeapGraph, includeInferred: boolean): [number, number][] {
  const { edgeStart, edgeTarget, edgeLabel } = graph.columns;
  const edges: [number, number][] = [];
  for (let node = 0; node < graph.nodeCount; node++) {
    for (let edge = edgeStart[node]!; edge < edgeStart[node + 1]!; edge++) {
      const kind = edgeLabel[edge]! >>> 28;
      if (kind === LabelKind.weak || kind === LabelKind.borrowed || (kind === LabelKind.inferred && !includeInferred))
        continue;
      edges.push([node, edgeTarget[edge]!]);
    }
  }
  return edges;
}

export function reach(
  edges: readonly [number, number][],
  from: Iterable<number>,
  without: ReadonlySet<number> = new Set(),
): Set<number> {
  const seen = new Set([...from].filter(node => !without.has(node)));
  for (let grew = true; grew; ) {
    grew = false;
    for (const [a, b] of edges) {
      if (seen.has(a) && !seen.has(b) && !without.has(b)) {
        seen.add(b);
        grew = true;
      }
    }
  }
  return seen;
}

export interface Life {
  readonly alive: Set<number>;
  readonly held: Set<number>;
  readonly garbage: Set<number>;
  /** Strongly connected components of garbage that nothing else in garbage refers to. */
  readonly garbageComponents: number;
  readonly total: number;
}

export function bruteForceLife(graph: HeapGraph, includeInferred: boolean): Life {
  const edges = retainingEdges(graph, includeInferred);
  const counted = retainingEdges(graph, true);
  const { refcount, flags, size } = graph.columns;
  const fromRoot = reach(edges, [0]);
  const outside = NodeFlag.immortal | NodeFlag.static | NodeFlag.synthetic | NodeFlag.nativeBlock;
  const held = new Set<number>();
  for (let node = 0; node < graph.nodeCount; node++) {
    if (fromRoot.has(node)) continue;
    const found = counted.filter(([, to]) => to === node).length;
    if (
      refcount[node] === IMMORTAL_REFCOUNT ||
      refcount[node]! > found ||
      ((flags[node]! & outside) !== 0 && found === 0)
    )
      held.add(node);
  }
  const alive = reach(edges, [0, ...held]);
  const garbage = new Set<number>();
  for (let node = 0; node < graph.nodeCount; node++) if (!alive.has(node)) garbage.add(node);
  const reachOf = new Map([...garbage].map(node => [node, reach(edges, [node])]));
  const sources = new Set<string>();
  for (const node of garbage) {
    const component = [...garbage].filter(other => reachOf.get(node)!.has(other) && reachOf.get(other)!.has(node));
    const reached = [...garbage].some(other => !component.includes(other) && reachOf.get(other)!.has(node));
    if (!reached) sources.add(component.sort((a, b) => a - b).join());
  }
  return { alive, held, garbage, garbageComponents: sources.size, total: size.reduce((a, b) => a + b, 0) };
}

export function bruteForceDominators(
  graph: HeapGraph,
  includeInferred: boolean,
  life: Life,
  garbageEntries: Iterable<number>,
): { idom: number[]; retained: number[] } {
  const n = graph.nodeCount;
  const native = n;
  const garbageRoot = n + 1;
  const edges: [number, number][] = [
    ...retainingEdges(graph, includeInferred).filter(([a, b]) => life.alive.has(a) || !life.alive.has(b)),
    [0, native],
    [0, garbageRoot],
    ...[...life.held].map((node): [number, number] => [native, node]),
    ...[...garbageEntries].map((node): [number, number] => [garbageRoot, node]),
  ];
  const all = reach(edges, [0]);
  const dominated = Array.from({ length: n + 2 }, (_, node) => {
    const left = reach(edges, [0], new Set([node]));
    return new Set([...all].filter(other => !left.has(other)));
  });
  const size = (node: number): number => (node < n ? graph.columns.size[node]! : 0);
  const idom = Array.from({ length: n + 2 }, (_, node) => {
    if (node === 0) return 0;
    // Of its proper dominators, the one that dominates the fewest.
    let best = 0;
    for (let d = 0; d < n + 2; d++)
      if (d !== node && dominated[d]!.has(node) && dominated[d]!.size < dominated[best]!.size) best = d;
    return best;
  });
  return { idom, retained: dominated.map(set => [...set].reduce((sum, node) => sum + size(node), 0)) };
}

/** Bytes that stay when `removed` is taken away. */
export function chainOfSets(
  graph: HeapGraph,
  includeInferred: boolean,
  life: Life,
  garbageEntries: Iterable<number>,
  removed: Set<number>,
): number {
  const edges = retainingEdges(graph, includeInferred);
  const kept = reach(edges, [0, ...life.held], removed);
  const garbageEdges = edges.filter(([a, b]) => life.garbage.has(a) && life.garbage.has(b));
  const keptGarbage = reach(garbageEdges, garbageEntries, removed);
  return [...new Set([...kept, ...keptGarbage])].reduce((sum, node) => sum + graph.columns.size[node]!, 0);
}
