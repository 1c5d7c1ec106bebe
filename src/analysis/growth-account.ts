/**
 * An account of growth: every object that is not in all of the snapshots, in each snapshot put to the account of one
 * object that is in all of them. What an account gained between the first and the last is new objects less gone ones,
 * so that a cache that renews its entries gains nothing, and an object mistaken for another at the same address does
 * no harm. Over all accounts it adds up to the growth of the heap.
 *
 * Whose account: the nearest surviving dominator, when the object (or the non-survivor at the top of its part of the
 * dominator tree) is referred to by it. Where two survivors share the object, their common dominator says nothing;
 * then the one of its direct referrers, survivors or held by one, under which most such objects came to be.
 *
 * Accounts are then joined by path, keys and positions aside: a thousand sessions that each gain an entry are one row.
 */
import { LabelKind, type NodeIndex } from '../cpython/index.ts';
import { type HeapGraph, labelTextOf } from '../heap/index.ts';
import { type DominatorTree, dominatorsOf } from './dominators.ts';
import { secondsOf } from './growth.ts';
import { NOBODY, type Survivors, survivorsOf } from './identity.ts';
import { expressionOf, fingerprintOf, normalLabel, type PathStep, pathElements } from './path-text.ts';
import { pathTo } from './paths.ts';
import { type Slope, slopeOf } from './slope.ts';

export interface TypeShare {
  readonly name: string;
  readonly count: number;
  readonly bytes: number;
}

export interface HolderGrowth {
  /** 'object': a node. 'native': native code holds it. 'garbage': cycles that no collection has met. 'root': the root itself. */
  readonly kind: 'object' | 'native' | 'garbage' | 'root';
  /** The survivor, in the last graph; of several with the same path, the one that gained most bytes. */
  readonly node: NodeIndex;
  /** How many survivors of this path gained or lost anything. */
  readonly members: number;
  /** Per snapshot: objects on the account, and their shallow bytes. */
  readonly objects: readonly number[];
  readonly bytes: readonly number[];
  readonly objectSlope: Slope;
  readonly bytesSlope: Slope;
  /** Per snapshot: `len()` of `node`. */
  readonly lengths: readonly number[];
  /** How the objects hang on `node` in the last snapshot: labels without keys and positions, most frequent first. */
  readonly through: readonly { readonly label: string; readonly count: number }[];
  /** What hangs on it directly, last less first, most gained first. */
  readonly direct: readonly TypeShare[];
  /** All types on the account, last less first, most gained bytes first. */
  readonly types: readonly TypeShare[];
  readonly steps: readonly PathStep[];
  readonly expression: string;
  readonly path: readonly string[];
  readonly fingerprint: string;
}

export interface GrowthAccountOptions {
  /** Rows at most; the biggest gains and no losses. Default 20. */
  readonly limit?: number;
}

/** Who holds the growth, biggest gain of bytes first. Needs two snapshots or more of one process. Linear. */
export function growthByHolder(
  graphs: readonly HeapGraph[],
  { limit = 20 }: GrowthAccountOptions = {},
): HolderGrowth[] {
  if (graphs.length < 2) return [];
  const survivors = survivorsOf(graphs);
  const owners = ownersOf(graphs, survivors);
  const last = graphs.length - 1;
  const objects = graphs.map(() => new Float64Array(survivors.count));
  const bytes = graphs.map(() => new Float64Array(survivors.count));
  graphs.forEach((graph, k) => {
    const { size, nodeCount } = graph.columns;
    const owner = owners[k]!.owner;
    const numberOf = survivors.numberOf[k]!;
    for (let node = 0; node < nodeCount; node++) {
      if (numberOf[node] === NOBODY) {
        objects[k]![owner[node]!]!++;
        bytes[k]![owner[node]!]! += size[node]!;
      } else bytes[k]![numberOf[node]!]! += size[node]!;
    }
  });

  // Join by path. A survivor whose account did not change is left out.
  const rows = new Map<string, { numbers: number[]; gain: number }>();
  for (let s = 0; s < survivors.count; s++) {
    const gain = bytes[last]![s]! - bytes[0]![s]!;
    if (gain === 0 && objects[last]![s] === objects[0]![s]) continue;
    const key = rowKey(graphs[last]!, survivors, s, last);
    const row = rows.get(key);
    if (row === undefined) rows.set(key, { numbers: [s], gain });
    else {
      row.numbers.push(s);
      row.gain += gain;
    }
  }
  const biggest = [...rows.values()]
    .filter(row => row.gain > 0)
    .sort((a, b) => b.gain - a.gain)
    .slice(0, limit);
  return describe(graphs, survivors, owners, objects, bytes, biggest);
}

interface Owners {
  /** Per node that does not survive: number of the survivor on whose account it is. */
  readonly owner: Uint32Array;
  /** Per node: 1 when it hangs on its owner directly. */
  readonly top: Uint8Array;
}

/** Whose account each object of each graph is on. */
function ownersOf(graphs: readonly HeapGraph[], survivors: Survivors): Owners[] {
  const parts = graphs.map((graph, k) => divide(graph, dominatorsOf(graph), survivors.numberOf[k]!));
  const claims = parts.map((part, k) => claimsOf(graphs[k]!, part, survivors, k));
  const gained = new Float64Array(survivors.count);
  for (let s = 0; s < survivors.count; s++) gained[s] = claims.at(-1)![s]! - claims[0]![s]!;
  return parts.map((part, k) => settle(graphs[k]!, part, survivors.numberOf[k]!, gained));
}

/** A graph divided along its dominator tree: parts under nodes whose immediate dominator survives. */
interface Parts {
  readonly tree: DominatorTree;
  /** Per node that does not survive: the node at the top of its part. Survivors: NOBODY. */
  readonly topOf: Uint32Array;
  /** Per top: 1 when its dominator itself refers to it. */
  readonly direct: Uint8Array;
}

function divide(graph: HeapGraph, tree: DominatorTree, numberOf: Uint32Array): Parts {
  const { nodeCount, edgeStart, edgeTarget, edgeLabel } = graph.columns;
  const { idom, order, retains } = tree;
  const topOf = new Uint32Array(nodeCount + 2).fill(NOBODY);
  for (let at = 1; at < order.length; at++) {
    const node = order[at]!;
    if (numberOf[node] !== NOBODY) continue;
    const above = idom[node]!;
    topOf[node] = topOf[above] === NOBODY ? node : topOf[above]!;
  }
  const direct = new Uint8Array(nodeCount);
  for (let node = 0; node < nodeCount; node++) {
    if (numberOf[node] === NOBODY) continue;
    for (let edge = edgeStart[node]!, end = edgeStart[node + 1]!; edge < end; edge++) {
      const target = edgeTarget[edge]!;
      if (topOf[target] === target && idom[target] === node && retains[edgeLabel[edge]! >>> 28] !== 0)
        direct[target] = 1;
    }
  }
  // What native code or garbage holds hangs on their stand-ins directly.
  for (let node = 0; node < nodeCount; node++) if (topOf[node] === node && idom[node]! >= nodeCount) direct[node] = 1;
  return { tree, topOf, direct };
}

/** Per survivor: tops it refers to, itself or through a part of its own, that their dominator does not refer to. */
function claimsOf(graph: HeapGraph, { tree, topOf, direct }: Parts, survivors: Survivors, k: number): Float64Array {
  const numberOf = survivors.numberOf[k]!;
  const claims = new Float64Array(survivors.count);
  eachClaim(graph, tree, topOf, direct, (node, target) => {
    const number = claimant(node, tree, topOf, direct, numberOf);
    if (number !== NOBODY && number > 2) claims[number]! += tree.retained[target]!;
  });
  return claims;
}

function eachClaim(
  graph: HeapGraph,
  { retains }: DominatorTree,
  topOf: Uint32Array,
  direct: Uint8Array,
  visit: (node: number, target: number) => void,
): void {
  const { nodeCount, edgeStart, edgeTarget, edgeLabel } = graph.columns;
  for (let node = 0; node < nodeCount; node++) {
    for (let edge = edgeStart[node]!, end = edgeStart[node + 1]!; edge < end; edge++) {
      const target = edgeTarget[edge]!;
      if (topOf[target] !== target || direct[target] !== 0 || retains[edgeLabel[edge]! >>> 28] === 0) continue;
      visit(node, target);
    }
  }
}

/** The survivor that `node` speaks for: itself, or the one its part hangs on directly. */
function claimant(
  node: number,
  { idom }: DominatorTree,
  topOf: Uint32Array,
  direct: Uint8Array,
  numberOf: Uint32Array,
): number {
  if (numberOf[node] !== NOBODY) return numberOf[node]!;
  const top = topOf[node]!;
  return direct[top] !== 0 ? numberOf[idom[top]!]! : NOBODY;
}

function settle(graph: HeapGraph, { tree, topOf, direct }: Parts, numberOf: Uint32Array, gained: Float64Array): Owners {
  const { nodeCount } = graph;
  const { idom, order } = tree;
  const owner = new Uint32Array(nodeCount).fill(NOBODY);
  const top = new Uint8Array(nodeCount);
  eachClaim(graph, tree, topOf, direct, (node, target) => {
    const number = claimant(node, tree, topOf, direct, numberOf);
    if (number === NOBODY || gained[number]! <= 0) return;
    const known = owner[target]!;
    if (known === NOBODY || gained[number]! > gained[known]! || (gained[number] === gained[known] && number < known)) {
      owner[target] = number;
      top[target] = numberOf[node] === number ? 1 : 0;
    }
  });
  for (let at = 1; at < order.length; at++) {
    const node = order[at]!;
    if (node >= nodeCount || topOf[node] === NOBODY) continue;
    if (topOf[node] !== node) owner[node] = owner[topOf[node]!]!;
    else if (owner[node] === NOBODY) {
      owner[node] = numberOf[idom[node]!]!;
      top[node] = direct[node]!;
    }
  }
  return { owner, top };
}

function rowKey(graph: HeapGraph, survivors: Survivors, number: number, last: number): string {
  if (number <= 2) return `${number}`;
  const node = survivors.nodeOf[last]![number]!;
  const steps = pathTo(graph, node);
  // Survivors without a path: by type.
  return steps.length === 0 ? `unreached ${graph.typeName(node)}` : fingerprintOf(graph, steps);
}

function describe(
  graphs: readonly HeapGraph[],
  survivors: Survivors,
  owners: readonly Owners[],
  objects: readonly Float64Array[],
  bytes: readonly Float64Array[],
  rows: readonly { numbers: number[] }[],
): HolderGrowth[] {
  const seconds = secondsOf(graphs);
  const last = graphs.length - 1;
  const rowOf = new Int32Array(survivors.count).fill(-1);
  rows.forEach((row, r) => {
    for (const s of row.numbers) rowOf[s] = r;
  });
  // Types by row: first snapshot subtracted, last added.
  const all = rows.map(() => new Map<string, { count: number; bytes: number }>());
  const direct = rows.map(() => new Map<string, { count: number; bytes: number }>());
  for (const [k, sign] of [
    [0, -1],
    [last, 1],
  ] as const) {
    const { types, type, size, nodeCount } = graphs[k]!.columns;
    const { owner, top } = owners[k]!;
    const add = (to: Map<string, { count: number; bytes: number }>, node: number): void => {
      const { name } = types[type[node]!]!;
      let share = to.get(name);
      if (share === undefined) {
        share = { count: 0, bytes: 0 };
        to.set(name, share);
      }
      share.count += sign;
      share.bytes += sign * size[node]!;
    };
    for (let node = 0; node < nodeCount; node++) {
      if (owner[node] === NOBODY) continue;
      const r = rowOf[owner[node]!]!;
      if (r < 0) continue;
      add(all[r]!, node);
      if (top[node] !== 0) add(direct[r]!, node);
    }
  }
  const graph = graphs[last]!;
  return rows.map((row, r) => {
    const gain = (s: number): number => bytes[last]![s]! - bytes[0]![s]!;
    const best = row.numbers.reduce((a, b) => (gain(b) > gain(a) ? b : a));
    const node = survivors.nodeOf[last]![best]!;
    const sum = (series: readonly Float64Array[]): number[] =>
      series.map(values => row.numbers.reduce((total, s) => total + values[s]!, 0));
    const objectSeries = sum(objects);
    const byteSeries = sum(bytes);
    const kind = best === 0 ? 'root' : best === 1 ? 'native' : best === 2 ? 'garbage' : 'object';
    const steps = kind === 'object' ? pathTo(graph, node) : [];
    const directTypes = shares(direct[r]!, share => share.count);
    return {
      kind,
      node,
      members: row.numbers.length,
      objects: objectSeries,
      bytes: byteSeries,
      objectSlope: slopeOf(seconds, objectSeries),
      bytesSlope: slopeOf(seconds, byteSeries),
      lengths: graphs.map((each, k) => (kind === 'object' ? each.columns.length[survivors.nodeOf[k]![best]!]! : 0)),
      through: kind === 'object' ? throughOf(graph, node, steps, survivors.numberOf[last]!) : [],
      direct: directTypes,
      types: shares(all[r]!, share => share.bytes),
      steps,
      expression: kind === 'object' ? expressionOf(graph, steps) : '',
      path: pathElements(graph, steps),
      fingerprint: fingerprintOf(graph, steps, kind, directTypes[0]?.name ?? ''),
    };
  });
}

function shares(
  types: Map<string, { count: number; bytes: number }>,
  weight: (share: TypeShare) => number,
): TypeShare[] {
  return Array.from(types, ([name, { count, bytes }]) => ({ name, count, bytes }))
    .filter(share => share.count !== 0 || share.bytes !== 0)
    .sort((a, b) => weight(b) - weight(a) || (a.name < b.name ? -1 : 1));
}

/** Labels of the references from a holder to what does not survive. */
function throughOf(
  graph: HeapGraph,
  node: NodeIndex,
  steps: readonly PathStep[],
  numberOf: Uint32Array,
): { label: string; count: number }[] {
  const { columns } = graph;
  const { edgeStart, edgeTarget, edgeLabel } = columns;
  const counts = new Map<number, number>();
  const before = steps.at(-1)?.edge ?? -1;
  for (let edge = edgeStart[node]!, end = edgeStart[node + 1]!; edge < end; edge++) {
    const kind = edgeLabel[edge]! >>> 28;
    if (numberOf[edgeTarget[edge]!] !== NOBODY || kind === LabelKind.weak || kind === LabelKind.borrowed) continue;
    const label = normalLabel(graph, edge, before);
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const text = (label: number): string =>
    label >>> 28 === LabelKind.index
      ? '[…]'
      : label >>> 28 === LabelKind.inferred
        ? '<scan>'
        : labelTextOf(columns, label);
  return Array.from(counts, ([label, count]) => ({ label: text(label), count })).sort((a, b) => b.count - a.count);
}
