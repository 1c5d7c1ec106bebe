/** Strongly connected components (Tarjan 1972), iterative, of any part of a heap. */
import type { HeapGraph } from '../heap/index.ts';

export interface Components {
  readonly count: number;
  /** Per node: number of its component, or OUTSIDE. A component's number is greater than those of what it leads to. */
  readonly of: Uint32Array;
}

export const OUTSIDE = 0xffff_ffff;

/** Components of the nodes for which `inside[node]` is not 0, along edges whose label kind has 1 in `retains`. Linear. */
export function componentsOf(graph: HeapGraph, inside: Uint8Array, retains: Uint8Array): Components {
  const { nodeCount, edgeStart, edgeTarget, edgeLabel } = graph.columns;
  const of = new Uint32Array(nodeCount).fill(OUTSIDE);
  const order = new Uint32Array(nodeCount);
  const low = new Uint32Array(nodeCount);
  const cursor = new Uint32Array(nodeCount);
  // Nodes of components not complete yet, and the path walked.
  const open = new Uint32Array(nodeCount);
  const path = new Uint32Array(nodeCount);
  let openCount = 0;
  let clock = 0;
  let count = 0;
  for (let first = 0; first < nodeCount; first++) {
    if (inside[first] === 0 || order[first] !== 0) continue;
    let depth = 0;
    path[0] = first;
    order[first] = low[first] = ++clock;
    cursor[first] = edgeStart[first]!;
    open[openCount++] = first;
    while (depth >= 0) {
      const node = path[depth]!;
      if (cursor[node]! < edgeStart[node + 1]!) {
        const edge = cursor[node]!++;
        const target = edgeTarget[edge]!;
        if (inside[target] === 0 || retains[edgeLabel[edge]! >>> 28] === 0) continue;
        if (order[target] === 0) {
          order[target] = low[target] = ++clock;
          cursor[target] = edgeStart[target]!;
          open[openCount++] = target;
          path[++depth] = target;
        } else if (of[target] === OUTSIDE && order[target]! < low[node]!) low[node] = order[target]!;
        continue;
      }
      if (low[node] === order[node]) {
        let member: number;
        do {
          member = open[--openCount]!;
          of[member] = count;
        } while (member !== node);
        count++;
      }
      depth--;
      if (depth >= 0 && low[node]! < low[path[depth]!]!) low[path[depth]!] = low[node]!;
    }
  }
  return { count, of };
}
