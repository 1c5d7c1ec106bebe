/** Ways from the root to a node: the best one, several that share nothing, and those of many nodes merged. */
import type { NodeIndex } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { growForest, NO_EDGE, type PathForest, pathForest } from './path-forest.ts';
import { elementsOf, LONGEST_REPEAT, normalLabel, type PathStep } from './path-text.ts';

export interface PathOptions {
  /** Nodes the path must not lead through. Makes a walk of the whole heap necessary. */
  readonly avoid?: ReadonlySet<NodeIndex>;
}

/** The best path from the root to `node`; empty for the root itself and for what the root does not reach. */
export function pathTo(graph: HeapGraph, node: NodeIndex, { avoid }: PathOptions = {}): PathStep[] {
  return stepsTo(avoid === undefined ? pathForest(graph) : growForest(graph, { avoid, until: node }), node);
}

function stepsTo(forest: PathForest, node: NodeIndex): PathStep[] {
  const steps: PathStep[] = [];
  for (let at = node; forest.edge[at] !== NO_EDGE; at = forest.from[at]!)
    steps.push({ edge: forest.edge[at]!, node: at });
  return steps.reverse();
}

/**
 * Up to `count` paths to `node`, best first, that share no node between the root and it. Each is the best one left
 * without the nodes of those before it.
 */
export function disjointPaths(graph: HeapGraph, node: NodeIndex, count: number): PathStep[][] {
  const paths: PathStep[][] = [];
  const avoid = new Set<NodeIndex>();
  while (paths.length < count) {
    const steps = pathTo(graph, node, paths.length === 0 ? {} : { avoid });
    if (steps.length === 0) break;
    paths.push(steps);
    // Straight from the root: it would be found for ever.
    if (steps.length === 1) break;
    for (const step of steps) if (step.node !== node) avoid.add(step.node);
  }
  return paths;
}

export interface MergedPath {
  /** How many of the nodes are reached this way. */
  readonly count: number;
  /** Part of all nodes asked for, 0 to 1. */
  readonly share: number;
  /** The way to one of them; where steps repeat, as in a chain, those in between are left out. */
  readonly example: PathStep[];
  /** Elements without positions and keys; the key of the merge. */
  readonly normal: readonly string[];
}

/**
 * The best paths of many nodes, the same ones merged, most frequent first. `unreached` counts nodes without a path.
 * Linear in the nodes asked for and those on their ways.
 */
export function mergedPaths(graph: HeapGraph, nodes: Iterable<NodeIndex>): { paths: MergedPath[]; unreached: number } {
  const ways = waysOf(graph);
  const counts = new Map<number, number>();
  let total = 0;
  let unreached = 0;
  for (const node of nodes) {
    total++;
    const way = ways.of(node);
    if (way === 0) unreached++;
    else counts.set(way, (counts.get(way) ?? 0) + 1);
  }
  const merged = new Map<string, { count: number; example: PathStep[]; normal: string[] }>();
  for (const [way, count] of counts) {
    const example = ways.steps(way);
    const normal = elementsOf(graph, example).map(element => element.normal);
    const key = normal.join('\u0000');
    const known = merged.get(key);
    if (known === undefined) merged.set(key, { count, example, normal });
    else known.count += count;
  }
  const paths = [...merged.values()]
    .sort((a, b) => b.count - a.count)
    .map(path => ({ ...path, share: path.count / total }));
  return { paths, unreached };
}

/** Nodes numbered by the way they are reached: the same number for the same path, keys, positions and repeats aside. */
interface Ways {
  /** The way to a node; 0 for the root and what it does not reach. */
  readonly of: (node: NodeIndex) => number;
  /** One path of that way. */
  readonly steps: (way: number) => PathStep[];
}

const waysOfGraph = new WeakMap<HeapGraph, Ways>();

function waysOf(graph: HeapGraph): Ways {
  let ways = waysOfGraph.get(graph);
  if (ways === undefined) {
    ways = makeWays(graph, pathForest(graph));
    waysOfGraph.set(graph, ways);
  }
  return ways;
}

function makeWays(graph: HeapGraph, forest: PathForest): Ways {
  const { type } = graph.columns;
  // A trie of normal steps. Entry 0 is the root.
  const above: number[] = [0];
  const depth: number[] = [0];
  const key: string[] = [''];
  const step: PathStep[] = [{ edge: NO_EDGE, node: 0 }];
  const below: (Map<string, number> | undefined)[] = [undefined];
  const wayOf = new Uint32Array(graph.nodeCount);
  const pending: NodeIndex[] = [];
  const extend = (way: number, node: NodeIndex): number => {
    const edge = forest.edge[node]!;
    const beforeNode = forest.from[node]!;
    const before = beforeNode === 0 ? -1 : forest.edge[beforeNode]!;
    const stepKey = `${normalLabel(graph, edge, before)}:${type[node]}`;
    const known = below[way]?.get(stepKey);
    if (known !== undefined) return known;
    for (let at = way, back = 0; depth[at]! > 1 && back < LONGEST_REPEAT; at = above[at]!, back++) {
      if (key[at] === stepKey) {
        below[way] ??= new Map();
        below[way].set(stepKey, at);
        return at;
      }
    }
    const made = above.length;
    above.push(way);
    depth.push(depth[way]! + 1);
    key.push(stepKey);
    step.push({ edge, node });
    below.push(undefined);
    below[way] ??= new Map();
    below[way].set(stepKey, made);
    return made;
  };
  return {
    of: node => {
      let at = node;
      while (wayOf[at] === 0 && forest.edge[at] !== NO_EDGE) {
        pending.push(at);
        at = forest.from[at]!;
      }
      let way = wayOf[at]!;
      while (pending.length > 0) {
        const next = pending.pop()!;
        way = extend(way, next);
        wayOf[next] = way;
      }
      return way;
    },
    steps: way => {
      const steps: PathStep[] = [];
      for (let at = way; at !== 0; at = above[at]!) steps.push(step[at]!);
      return steps.reverse();
    },
  };
}
