/**
 * Retained sizes of types and of any set of nodes, without counting what is nested twice: of a set, only the members
 * count that no other member dominates.
 */
import type { NodeIndex } from '../cpython/index.ts';
import type { DominatorTree } from './dominators.ts';

/** Nodes by their immediate dominator: those that `d` dominates immediately are node[start[d] … start[d + 1] - 1]. */
export interface DominatorChildren {
  readonly start: Uint32Array;
  readonly node: Uint32Array;
}

const childrenOfTree = new WeakMap<DominatorTree, DominatorChildren>();

/** The tree from the top down; built once a tree, 8 bytes a node. */
export function dominatorChildren(tree: DominatorTree): DominatorChildren {
  let children = childrenOfTree.get(tree);
  if (children === undefined) {
    const { idom, order } = tree;
    const count = order.length;
    const start = new Uint32Array(count + 1);
    for (let node = 1; node < count; node++) start[idom[node]!]!++;
    let sum = 0;
    for (let at = 0; at <= count; at++) {
      sum += start[at]!;
      start[at] = sum;
    }
    const node = new Uint32Array(count - 1);
    for (let child = count - 1; child > 0; child--) node[--start[idom[child]!]!] = child;
    children = { start, node };
    childrenOfTree.set(tree, children);
  }
  return children;
}

/** The nodes that `node` dominates immediately, biggest retained size first; at most `limit`. */
export function biggestDominated(tree: DominatorTree, node: NodeIndex, limit: number): NodeIndex[] {
  const { start, node: child } = dominatorChildren(tree);
  return largest(child.subarray(start[node]!, start[node + 1]!), tree.retained, limit);
}

/** The nodes of biggest retained size, root and synthetic ones left out; at most `limit`, biggest first. */
export function biggestRetained(
  tree: DominatorTree,
  limit: number,
  accept: (node: NodeIndex) => boolean = () => true,
): NodeIndex[] {
  const nodes = new Uint32Array(tree.graph.nodeCount - 1);
  let used = 0;
  for (let node = 1; node <= nodes.length; node++) if (accept(node)) nodes[used++] = node;
  return largest(nodes.subarray(0, used), tree.retained, limit);
}

/** A bounded insertion: one comparison a node for all but the few that belong to the answer. */
function largest(nodes: Uint32Array, weight: Float64Array, limit: number): NodeIndex[] {
  if (limit <= 0) return [];
  if (limit >= 1000 || limit >= nodes.length) {
    return Array.from(
      nodes
        .slice()
        .sort((a, b) => weight[b]! - weight[a]! || a - b)
        .subarray(0, limit),
    );
  }
  const best: number[] = [];
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i]!;
    if (best.length === limit && weight[node]! <= weight[best[limit - 1]!]!) continue;
    let at = best.length < limit ? best.length : limit - 1;
    while (at > 0 && weight[best[at - 1]!]! < weight[node]!) {
      best[at] = best[at - 1]!;
      at--;
    }
    best[at] = node;
  }
  return best;
}

/** Per type: retained bytes of all its instances, those inside another instance of the type counted once. */
export function retainedByType(tree: DominatorTree): Float64Array {
  return retainedByGroup(tree, tree.graph.columns.type, tree.graph.columns.types.length);
}

/** As retainedByType, for any grouping of the nodes: `group[node]` is below `groupCount`. */
export function retainedByGroup(tree: DominatorTree, group: ArrayLike<number>, groupCount: number): Float64Array {
  const { graph, idom, retained, order } = tree;
  const { nodeCount } = graph;
  const sums = new Float64Array(groupCount);
  // Down the tree with a count of open members of each group; a node counts when its group has none open.
  const { start, node: child } = dominatorChildren(tree);
  const open = new Uint32Array(groupCount);
  const cursor = start.slice(0, order.length);
  let node = 0;
  const enter = (at: number): void => {
    if (at >= nodeCount) return;
    const g = group[at]!;
    if (open[g]!++ === 0) sums[g]! += retained[at]!;
  };
  enter(0);
  for (;;) {
    const next = cursor[node]!++;
    if (next < start[node + 1]!) {
      const below = child[next]!;
      if (start[below] === start[below + 1]) {
        // A leaf: nothing opens under it.
        if (below < nodeCount && open[group[below]!] === 0) sums[group[below]!]! += retained[below]!;
        continue;
      }
      node = below;
      enter(node);
      continue;
    }
    if (node < nodeCount) open[group[node]!]!--;
    if (node === 0) return sums;
    node = idom[node]!;
  }
}

/**
 * What a set retains at least: the retained sizes of its topmost members. What two members hold together, and neither
 * alone, is missing; retainedExactly has it.
 */
export function retainedAtLeast(tree: DominatorTree, members: Iterable<NodeIndex>): number {
  let bytes = 0;
  for (const node of topmost(tree, members)) bytes += tree.retained[node]!;
  return bytes;
}

/** The members that no other member dominates. */
export function topmost(tree: DominatorTree, members: Iterable<NodeIndex>): NodeIndex[] {
  const { idom, order } = tree;
  const inSet = new Uint8Array(order.length);
  const nodes: number[] = [];
  for (const node of members) {
    if (inSet[node] === 0) nodes.push(node);
    inSet[node] = 1;
  }
  // 2: no member above; 3: a member at or above. Each node above is settled once.
  const settled = new Uint8Array(order.length);
  settled[0] = inSet[0] ? 3 : 2;
  const path: number[] = [];
  return nodes.filter(node => {
    if (node === 0) return true;
    let at = idom[node]!;
    path.length = 0;
    while (settled[at] === 0) {
      path.push(at);
      at = idom[at]!;
    }
    let state = settled[at]!;
    for (let i = path.length - 1; i >= 0; i--) {
      if (inSet[path[i]!]) state = 3;
      settled[path[i]!] = state;
    }
    return state === 2;
  });
}

/** What would be freed with the whole set: bytes that no root reaches any more without it. Looks at the whole heap. */
export function retainedExactly(tree: DominatorTree, members: Iterable<NodeIndex>): number {
  const { graph, order, aliveCount, nativeEntries, garbageEntries, retains } = tree;
  const { nodeCount, edgeStart, edgeTarget, edgeLabel, size } = graph.columns;
  // 1: not to be walked (removed, or reached before).
  const seen = new Uint8Array(nodeCount);
  for (const node of members) if (node < nodeCount) seen[node] = 1;
  const stack = new Uint32Array(nodeCount + 1);
  let kept = 0;
  const walk = (entry: number): void => {
    if (seen[entry] !== 0) return;
    seen[entry] = 1;
    let depth = 0;
    stack[depth++] = entry;
    while (depth > 0) {
      const node = stack[--depth]!;
      kept += size[node]!;
      for (let edge = edgeStart[node]!, end = edgeStart[node + 1]!; edge < end; edge++) {
        const target = edgeTarget[edge]!;
        if (seen[target] !== 0 || retains[edgeLabel[edge]! >>> 28] === 0) continue;
        seen[target] = 1;
        stack[depth++] = target;
      }
    }
  };
  walk(0);
  for (const node of nativeEntries) walk(node);
  // Garbage keeps garbage, and nothing that is alive.
  for (let at = 0; at < aliveCount; at++) if (order[at]! < nodeCount) seen[order[at]!] = 1;
  for (const node of garbageEntries) walk(node);
  return tree.retained[0]! - kept;
}
