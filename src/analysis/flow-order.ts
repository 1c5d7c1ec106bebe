/**
 * The heap as a flow graph from its roots: nodes in the order of a depth-first walk, and for each the edges that
 * do not belong to the walk's tree, turned round. Everything the dominator algorithms read, in walk order, so that
 * neighbours in the walk are neighbours in memory.
 *
 * Not everything hangs under the root. What the root does not reach is one of two things:
 * - held by native code: an object whose reference count exceeds the references found, an immortal or static one,
 *   or one that is no Python object. Each is an entry of its own under a synthetic node, `nativeRoot`.
 * - garbage: the rest, cycles that the collector has not met yet and what hangs on them. For every cycle that nothing
 *   else refers to, one member is an entry under the synthetic node `garbageRoot`. What garbage refers to outside
 *   of itself it does not hold: the next collection frees it.
 */
import { IMMORTAL_REFCOUNT, NodeFlag } from '../cpython/index.ts';
import { type HeapGraph, retainingKinds } from '../heap/index.ts';

export interface FlowOrder {
  /** nodeCount + 2: all nodes, the native root and the garbage root. */
  readonly count: number;
  /** Position in the walk -> node; nodeCount stands for the native root, nodeCount + 1 for the garbage root. */
  readonly nodeAt: Uint32Array;
  /** Position -> position of its parent in the walk's tree; the root's is 0. */
  readonly parent: Uint32Array<ArrayBuffer>;
  /** Positions from here on are garbage (the first of them is the garbage root). */
  readonly firstGarbage: number;
  /** Objects under the native root, in walk order. */
  readonly nativeEntries: Uint32Array;
  /** Objects under the garbage root, in walk order. */
  readonly garbageEntries: Uint32Array;
  /** Label kinds that retain, see retainingKinds. */
  readonly retains: Uint8Array;
}

/**
 * The walk's cross, forward and back edges by target, as lists: `head[position]` is the first entry, or 0; entry e says
 * the source's position in `list[2 * e]` and the next entry in `list[2 * e + 1]`. Lists, and not rows, because they are
 * made while walking: rows need a second pass with four cache misses an edge (measured: 3.3 s became 1.9 s).
 */
export interface Predecessors {
  readonly head: Uint32Array<ArrayBuffer>;
  readonly list: Uint32Array<ArrayBuffer>;
  /** An array of the walk's that is done with, two numbers a position, to be used again. */
  readonly spare: Uint32Array<ArrayBuffer>;
}

/** Walks the heap depth first from the root, then from what native code holds, then through garbage. Linear. */
export function walkHeap(graph: HeapGraph, includeInferred: boolean): { order: FlowOrder; predecessors: Predecessors } {
  const { nodeCount, edgeCount } = graph.columns;
  const count = nodeCount + 2;
  const nodeAt = new Uint32Array(count);
  const parent = new Uint32Array(count);
  const dropped = graph.droppedEdges(includeInferred);
  const seen = new Uint32Array(2 * count);
  const cursor = new Uint32Array(count);
  const walk: Walk = {
    graph,
    dropped,
    nodeAt,
    seen,
    parent,
    cursor,
    // At least nodeCount - 1 edges of a heap are in its walk's tree, unless much of it is an entry.
    list: new Uint32Array(2 * (edgeCount + 1)),
    entries: 1,
  };
  let walked = 0;
  const enter = (node: number): number => {
    nodeAt[walked] = node;
    seen[2 * node] = walked + 1;
    return walked++;
  };
  const walkFrom = (entry: number, from: number): void => {
    walked = walkDepthFirst(walk, entry, from, walked);
  };

  walkFrom(0, 0);
  const native = enter(nodeCount);
  const nativeEntries: number[] = [];
  if (walked < nodeCount + 1) {
    for (const node of heldByNativeCode(graph, seen)) {
      if (seen[2 * node] === 0) walkFrom(node, native);
      // Reached from an earlier entry too: held by both.
      else addPredecessor(walk, node, native);
      nativeEntries.push(node);
    }
  }
  const firstGarbage = walked;
  const garbage = enter(nodeCount + 1);
  const garbageEntries: number[] = [];
  if (walked < count) {
    for (const node of cycleEntries(graph, seen, dropped)) {
      if (seen[2 * node] === 0) {
        walkFrom(node, garbage);
        garbageEntries.push(node);
      }
    }
  }

  // Where each edge goes on is done with; heads of lists take its place, in walk order.
  const head = cursor;
  for (let at = 0; at < count; at++) head[at] = seen[2 * nodeAt[at]! + 1]!;
  return {
    order: {
      count,
      nodeAt,
      parent,
      firstGarbage,
      retains: retainingKinds(includeInferred),
      nativeEntries: Uint32Array.from(nativeEntries),
      garbageEntries: Uint32Array.from(garbageEntries),
    },
    predecessors: { head, list: walk.list, spare: seen },
  };
}

interface Walk {
  readonly graph: HeapGraph;
  /** A bit per edge: set for those that do not retain. */
  readonly dropped: Uint32Array;
  readonly nodeAt: Uint32Array;
  /**
   * Two numbers a node, side by side so that an edge costs one cache miss: one more than its position, 0 as long as it
   * has none; and the head of its list of predecessors.
   */
  readonly seen: Uint32Array;
  readonly parent: Uint32Array<ArrayBuffer>;
  /** Per position: the next edge to look at. */
  readonly cursor: Uint32Array;
  readonly list: Uint32Array<ArrayBuffer>;
  /** Entries of `list` in use; entry 0 stands for none. */
  entries: number;
}

function addPredecessor(walk: Walk, node: number, source: number): void {
  const entry = walk.entries++;
  walk.list[2 * entry] = source;
  walk.list[2 * entry + 1] = walk.seen[2 * node + 1]!;
  walk.seen[2 * node + 1] = entry;
}

/** Walks what `entry` reaches and no walk has; returns how many positions are taken then. */
function walkDepthFirst(walk: Walk, entry: number, from: number, taken: number): number {
  const { graph, dropped, nodeAt, seen, parent, cursor, list } = walk;
  const { edgeStart, edgeTarget } = graph.columns;
  let entries = walk.entries;
  const first = taken;
  let walked = taken + 1;
  nodeAt[first] = entry;
  seen[2 * entry] = first + 1;
  parent[first] = from;
  let at = first;
  let edge = edgeStart[entry]!;
  let end = edgeStart[entry + 1]!;
  for (;;) {
    if (edge === end) {
      if (at === first) break;
      at = parent[at]!;
      edge = cursor[at]!;
      end = edgeStart[nodeAt[at]! + 1]!;
      continue;
    }
    const target = edgeTarget[edge]!;
    const drop = (dropped[edge >>> 5]! >>> (edge & 31)) & 1;
    edge++;
    if (drop !== 0) continue;
    if (seen[2 * target] !== 0) {
      list[2 * entries] = at;
      list[2 * entries + 1] = seen[2 * target + 1]!;
      seen[2 * target + 1] = entries++;
      continue;
    }
    const below = walked++;
    nodeAt[below] = target;
    seen[2 * target] = walked;
    parent[below] = at;
    const start = edgeStart[target]!;
    const stop = edgeStart[target + 1]!;
    // A node without references is done at once.
    if (start === stop) continue;
    cursor[at] = edge;
    at = below;
    edge = start;
    end = stop;
  }
  walk.entries = entries;
  return walked;
}

/** Nodes not reached so far that something outside of the heap must hold. */
function heldByNativeCode(graph: HeapGraph, walked: Uint32Array): number[] {
  const { nodeCount, edgeCount, edgeTarget, refcount, flags } = graph.columns;
  const dropped = graph.droppedEdges(true);
  // References found to nodes not reached, from anywhere, as CPython counts them. They have no predecessors yet: the
  // count stands in that place as long as it is needed.
  for (let edge = 0; edge < edgeCount; edge++) {
    const target = edgeTarget[edge]!;
    if (walked[2 * target] === 0 && ((dropped[edge >>> 5]! >>> (edge & 31)) & 1) === 0) walked[2 * target + 1]!++;
  }
  const outside = NodeFlag.immortal | NodeFlag.static | NodeFlag.synthetic | NodeFlag.nativeBlock;
  const held: number[] = [];
  for (let node = 0; node < nodeCount; node++) {
    if (walked[2 * node] !== 0) continue;
    const found = walked[2 * node + 1]!;
    walked[2 * node + 1] = 0;
    const count = refcount[node]!;
    if (count === IMMORTAL_REFCOUNT || count > found || ((flags[node]! & outside) !== 0 && found === 0))
      held.push(node);
  }
  return held;
}

/**
 * Of what is left, the fewest nodes from which all of it is reached: walk it in any order; then the nodes in reverse
 * order of completion, leaving out what earlier ones reach (each is in a component without referrers; Kosaraju 1978).
 */
function cycleEntries(graph: HeapGraph, walked: Uint32Array, dropped: Uint32Array): number[] {
  const { nodeCount, edgeStart, edgeTarget } = graph.columns;
  let left = 0;
  for (let node = 0; node < nodeCount; node++) if (walked[2 * node] === 0) left++;
  const completed = new Uint32Array(left);
  let done = 0;
  const seen = new Uint8Array(nodeCount);
  const stack = new Uint32Array(left);
  const cursors = new Uint32Array(left);
  for (let first = 0; first < nodeCount; first++) {
    if (walked[2 * first] !== 0 || seen[first] !== 0) continue;
    seen[first] = 1;
    let depth = 0;
    stack[0] = first;
    cursors[0] = edgeStart[first]!;
    while (depth >= 0) {
      const node = stack[depth]!;
      if (cursors[depth]! < edgeStart[node + 1]!) {
        const edge = cursors[depth]!++;
        const target = edgeTarget[edge]!;
        if (((dropped[edge >>> 5]! >>> (edge & 31)) & 1) !== 0 || seen[target] !== 0 || walked[2 * target] !== 0)
          continue;
        seen[target] = 1;
        depth++;
        stack[depth] = target;
        cursors[depth] = edgeStart[target]!;
      } else {
        completed[done++] = node;
        depth--;
      }
    }
  }
  const entries: number[] = [];
  const reached = seen.fill(0);
  for (let i = done - 1; i >= 0; i--) {
    const entry = completed[i]!;
    if (reached[entry] !== 0) continue;
    entries.push(entry);
    reached[entry] = 1;
    let depth = 0;
    stack[depth++] = entry;
    while (depth > 0) {
      const node = stack[--depth]!;
      for (let edge = edgeStart[node]!, end = edgeStart[node + 1]!; edge < end; edge++) {
        const target = edgeTarget[edge]!;
        if (((dropped[edge >>> 5]! >>> (edge & 31)) & 1) !== 0 || reached[target] !== 0 || walked[2 * target] !== 0)
          continue;
        reached[target] = 1;
        stack[depth++] = target;
      }
    }
  }
  return entries;
}
