/**
 * Forgotten references over time: objects that nothing in the process refers to and that live on all the same, because
 * their reference count says that somebody does. One snapshot always has some (C variables, running code); a type of which
 * they become more and more is what an extension loses that forgets a `Py_DECREF`.
 *
 * The other mark of it is a single object, still referred to, whose surplus of counts keeps rising.
 */
import { IMMORTAL_REFCOUNT, LabelKind, labelKind, NodeFlag, type NodeIndex } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { type DominatorTree, dominatorsOf } from './dominators.ts';
import { secondsOf } from './growth.ts';
import { referencesFound } from './reconcile.ts';
import { type Slope, slopeOf } from './slope.ts';

export interface SurplusGrowth {
  readonly type: string;
  /** Per snapshot: objects that no root reaches and that have more counts than references. */
  readonly lost: readonly number[];
  readonly lostSlope: Slope;
  /** Per snapshot: bytes that those objects retain. */
  readonly bytes: readonly number[];
  readonly bytesSlope: Slope;
  /** Per snapshot: counts without a reference, summed over all objects of the type, also those that are reached. */
  readonly surplus: readonly number[];
  readonly surplusSlope: Slope;
  /** In the last snapshot, addresses of lost objects that the first did not have, ascending: to check creation sites against. */
  readonly addresses: Float64Array;
  /** One of them, or the object of the greatest surplus. */
  readonly example: NodeIndex;
  /** What the new lost objects refer to, by type, most first; at most 5. */
  readonly contents: readonly { readonly type: string; readonly count: number }[];
}

interface Tally {
  lost: number[];
  bytes: number[];
  surplus: number[];
  example: NodeIndex;
  greatest: number;
}

const OUTSIDE = NodeFlag.immortal | NodeFlag.static | NodeFlag.synthetic | NodeFlag.nativeBlock;

/** Types whose lost objects, or whose surplus, rise from the first snapshot to the last; most bytes a second first. */
export function surplusGrowth(
  graphs: readonly HeapGraph[],
  trees: readonly DominatorTree[] = graphs.map(dominatorsOf),
): SurplusGrowth[] {
  if (graphs.length < 2) return [];
  const seconds = secondsOf(graphs);
  const rows = new Map<string, Tally>();
  const rowOf = (type: string): Tally => {
    let row = rows.get(type);
    if (row === undefined) {
      const zeros = () => graphs.map(() => 0);
      row = { lost: zeros(), bytes: zeros(), surplus: zeros(), example: 0, greatest: 0 };
      rows.set(type, row);
    }
    return row;
  };
  graphs.forEach((graph, k) => {
    const { type, types, refcount, flags, nodeCount } = graph.columns;
    const found = referencesFound(graph, true);
    const sums = new Float64Array(types.length);
    const greatest = new Float64Array(types.length);
    const examples = new Uint32Array(types.length);
    for (let node = 1; node < nodeCount; node++) {
      const surplus = refcount[node]! - found[node]!;
      if (surplus <= 0 || refcount[node] === IMMORTAL_REFCOUNT || (flags[node]! & OUTSIDE) !== 0) continue;
      sums[type[node]!]! += surplus;
      if (surplus > greatest[type[node]!]!) {
        greatest[type[node]!] = surplus;
        examples[type[node]!] = node;
      }
    }
    sums.forEach((sum, t) => {
      if (sum === 0) return;
      const row = rowOf(types[t]!.name);
      row.surplus[k] = row.surplus[k]! + sum;
      if (k === graphs.length - 1 && greatest[t]! > row.greatest) {
        row.greatest = greatest[t]!;
        row.example = examples[t]!;
      }
    });
    const { retained } = trees[k]!;
    for (const node of lostNodes(graph, trees[k]!, found)) {
      const row = rowOf(graph.typeName(node));
      row.lost[k] = row.lost[k]! + 1;
      row.bytes[k] = row.bytes[k]! + retained[node]!;
    }
  });
  const growing = [...rows].filter(([, row]) => gained(row.lost) > 0 || gained(row.surplus) > 0);
  const news = newlyLost(
    graphs,
    trees,
    new Set(growing.filter(([, row]) => gained(row.lost) > 0).map(([type]) => type)),
  );
  return growing
    .map(([type, row]) => {
      const lostNow = news.get(type) ?? [];
      return {
        type,
        lost: row.lost,
        lostSlope: slopeOf(seconds, row.lost),
        bytes: row.bytes,
        bytesSlope: slopeOf(seconds, row.bytes),
        surplus: row.surplus,
        surplusSlope: slopeOf(seconds, row.surplus),
        addresses: Float64Array.from(lostNow, node => graphs.at(-1)!.columns.address[node]!).sort(),
        example: lostNow.at(-1) ?? row.example,
        contents: contentsOf(graphs.at(-1)!, lostNow),
      };
    })
    .sort(
      (a, b) => b.bytesSlope.perSecond - a.bytesSlope.perSecond || b.surplusSlope.perSecond - a.surplusSlope.perSecond,
    );
}

/**
 * Objects that nothing known holds: decoding puts them under its node for native code with no more than that name (those
 * that a C variable was found for have the variable's), and dominators put what no root reaches under theirs.
 */
function lostNodes(graph: HeapGraph, tree: DominatorTree, found: Uint32Array): NodeIndex[] {
  const { refcount, flags, nodeCount, types, type, edgeStart, edgeTarget, edgeLabel } = graph.columns;
  const native = types.findIndex(t => t.name === '<native code>');
  const nodes = new Set<NodeIndex>(tree.nativeEntries);
  for (let node = native < 0 ? nodeCount : 0; node < nodeCount; node++) {
    if (type[node] !== native) continue;
    for (let edge = edgeStart[node]!; edge < edgeStart[node + 1]!; edge++) {
      if (labelKind(edgeLabel[edge]!) === LabelKind.root) nodes.add(edgeTarget[edge]!);
    }
  }
  return [...nodes].filter(
    node =>
      node < nodeCount &&
      refcount[node] !== IMMORTAL_REFCOUNT &&
      (flags[node]! & OUTSIDE) === 0 &&
      refcount[node]! > found[node]!,
  );
}

function gained(series: readonly number[]): number {
  return series.at(-1)! - series[0]!;
}

/** Lost objects of the last graph, of some types, whose address was not that of a lost one in the first. */
function newlyLost(
  graphs: readonly HeapGraph[],
  trees: readonly DominatorTree[],
  types: ReadonlySet<string>,
): Map<string, NodeIndex[]> {
  const first = graphs[0]!;
  const last = graphs.at(-1)!;
  const before = new Set(lostNodes(first, trees[0]!, referencesFound(first, true)).map(n => first.columns.address[n]!));
  const news = new Map<string, NodeIndex[]>();
  for (const node of lostNodes(last, trees.at(-1)!, referencesFound(last, true))) {
    if (before.has(last.columns.address[node]!)) continue;
    const type = last.typeName(node);
    if (!types.has(type)) continue;
    const nodes = news.get(type);
    if (nodes === undefined) news.set(type, [node]);
    else nodes.push(node);
  }
  return news;
}

const MOST_CONTENTS = 5;

function contentsOf(graph: HeapGraph, nodes: readonly NodeIndex[]): { type: string; count: number }[] {
  const { edgeStart, edgeTarget, type, types } = graph.columns;
  const counts = new Map<string, number>();
  for (const node of nodes) {
    for (let edge = edgeStart[node]!; edge < edgeStart[node + 1]!; edge++) {
      const target = edgeTarget[edge]!;
      // Every instance refers to its class; that is no content.
      if (types[type[target]!]!.layout === 'type') continue;
      const name = graph.typeName(target);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return [...counts]
    .map(([name, count]) => ({ type: name, count }))
    .sort((a, b) => b.count - a.count)
    .slice(0, MOST_CONTENTS);
}
