/** What grew over N snapshots of one process, by type and by container. Who holds the growth: growth-holders.ts. */
import type { NodeIndex } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { survivorsOf } from './identity.ts';
import { fingerprintOf, type PathStep } from './path-text.ts';
import { pathTo } from './paths.ts';
import { type Slope, slopeOf } from './slope.ts';

/** Seconds of each snapshot after the first. */
export function secondsOf(graphs: readonly HeapGraph[]): number[] {
  return graphs.map(graph => (graph.origin.capturedAtMs - graphs[0]!.origin.capturedAtMs) / 1000);
}

export interface TypeGrowth {
  readonly name: string;
  /** Per snapshot: instances, and their shallow bytes. */
  readonly counts: readonly number[];
  readonly bytes: readonly number[];
  readonly countSlope: Slope;
  readonly bytesSlope: Slope;
}

/** Every type of any snapshot, the one that gained most bytes first. Classes of one name count as one type. */
export function growthByType(graphs: readonly HeapGraph[]): TypeGrowth[] {
  const seconds = secondsOf(graphs);
  const rows = new Map<string, { counts: number[]; bytes: number[] }>();
  graphs.forEach((graph, k) => {
    const { types, type, size, nodeCount } = graph.columns;
    const counts = new Float64Array(types.length);
    const bytes = new Float64Array(types.length);
    for (let node = 0; node < nodeCount; node++) {
      counts[type[node]!]!++;
      bytes[type[node]!]! += size[node]!;
    }
    types.forEach(({ name }, t) => {
      if (counts[t] === 0) return;
      let row = rows.get(name);
      if (row === undefined) {
        row = { counts: graphs.map(() => 0), bytes: graphs.map(() => 0) };
        rows.set(name, row);
      }
      row.counts[k]! += counts[t]!;
      row.bytes[k]! += bytes[t]!;
    });
  });
  const growth = Array.from(rows, ([name, { counts, bytes }]) => ({
    name,
    counts,
    bytes,
    countSlope: slopeOf(seconds, counts),
    bytesSlope: slopeOf(seconds, bytes),
  }));
  return growth.sort((a, b) => gain(b.bytes) - gain(a.bytes) || gain(b.counts) - gain(a.counts));
}

function gain(series: readonly number[]): number {
  return series.at(-1)! - series[0]!;
}

export interface ContainerGrowth {
  /** In the last graph. Of several with the same path, the one that grew most. */
  readonly node: NodeIndex;
  /** The same object in each graph. */
  readonly nodes: readonly NodeIndex[];
  /** How many containers of this path grew. */
  readonly members: number;
  /** Per snapshot: entries of all of them. */
  readonly lengths: readonly number[];
  readonly lengthSlope: Slope;
  readonly type: string;
  readonly steps: readonly PathStep[];
  readonly fingerprint: string;
}

/** Layouts whose `length` a program changes by adding to them. */
const CONTAINERS = new Set([
  'dict',
  'list',
  'set',
  'bytearray',
  'collections.deque',
  'collections.OrderedDict',
  'collections.defaultdict',
  'StgDict',
]);

/** Containers that all snapshots have and that are longer in the last than in the first; those of one path together. */
export function growthByContainer(graphs: readonly HeapGraph[]): ContainerGrowth[] {
  const last = graphs.at(-1)!;
  const first = graphs[0]!;
  const seconds = secondsOf(graphs);
  const survivors = survivorsOf(graphs);
  const isContainer = Uint8Array.from(last.columns.types, type => (CONTAINERS.has(type.layout) ? 1 : 0));
  const groups = new Map<
    string,
    { node: number; nodes: number[]; best: number; members: number; lengths: number[]; steps: PathStep[] }
  >();
  for (let s = 3; s < survivors.count; s++) {
    const node = survivors.nodeOf.at(-1)![s]!;
    if (isContainer[last.columns.type[node]!] === 0) continue;
    const grown = last.columns.length[node]! - first.columns.length[survivors.nodeOf[0]![s]!]!;
    if (grown <= 0) continue;
    const steps = pathTo(last, node);
    const key = steps.length === 0 ? `unreached ${last.typeName(node)}` : fingerprintOf(last, steps);
    const nodes = survivors.nodeOf.map(nodeOf => nodeOf[s]!);
    const lengths = nodes.map((at, k) => graphs[k]!.columns.length[at]!);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { node, nodes, best: grown, members: 1, lengths, steps });
    else {
      group.members++;
      lengths.forEach((length, k) => {
        group.lengths[k]! += length;
      });
      if (grown > group.best) Object.assign(group, { node, nodes, best: grown, steps });
    }
  }
  return Array.from(groups, ([fingerprint, { node, nodes, members, lengths, steps }]) => ({
    node,
    nodes,
    members,
    lengths,
    lengthSlope: slopeOf(seconds, lengths),
    type: last.typeName(node),
    steps,
    fingerprint,
  })).sort((a, b) => gain(b.lengths) - gain(a.lengths));
}
