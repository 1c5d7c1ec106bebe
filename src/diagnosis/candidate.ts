/**
 * From growth to candidates: which holders gained steadily, which have stopped, which only churn.
 */

import {
  expressionOf,
  fingerprintOf,
  type GrowingType,
  type GrowthHolder,
  type PathStep,
  pathElements,
  pathTo,
} from '../analysis/index.ts';
import { LabelKind, labelKind } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';

export type Trend =
  /** Gained in every interval, and no less in the last ones than in the first. */
  | 'steady'
  /** Gained in every interval, but less and less. */
  | 'slowing'
  /** Gained, but not in the last intervals. */
  | 'stopped'
  /** Too little or too irregular to say. */
  | 'unclear';

/** A holder that gained, with what a person needs to know of it. */
export interface Candidate {
  readonly growth: GrowthHolder;
  readonly trend: Trend;
  /** What grows, per snapshot: the holder's length, or the bytes it retains. */
  readonly series: readonly number[];
  /** Objects and bytes gained per second, net. */
  readonly objectsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Gained bytes in all, net. */
  readonly bytes: number;
  readonly steps: readonly PathStep[];
  /** `app.cache.SESSIONS`. */
  readonly expression: string;
  readonly path: readonly string[];
  readonly fingerprint: string;
  /** Types that grew, the most telling first. */
  readonly types: readonly GrowingType[];
}

/** Objects that must have stayed before anything is said. */
const FEWEST = 5;

/** The candidates among growth holders, most bytes first. `seconds` are the snapshots' times. */
export function candidatesOf(
  graph: HeapGraph,
  holders: readonly GrowthHolder[],
  seconds: readonly number[],
): Candidate[] {
  const candidates: Candidate[] = [];
  for (const growth of holders) {
    // Objects of the last interval may be passing through; what was born before it has proved that it stays.
    const stayed = sum(growth.born.slice(0, -1));
    const replacedByBigger = growth.slot !== undefined && growth.kind === 'object' && swells(growth.retained);
    if (stayed < FEWEST && !growth.swelling && !replacedByBigger) continue;
    const series = seriesOf(growth);
    const trend = trendOf(growth, series, seconds);
    const elapsed = seconds[seconds.length - 1] - seconds[0];
    const steps = growth.kind === 'object' ? placeOf(graph, growth) : [];
    const bytes = growth.retained[growth.retained.length - 1] - growth.retained[0];
    const net = netShare(growth, series);
    const types = growth.swelling || stayed < FEWEST ? growth.types : byTelling(growth.types, stayed);
    candidates.push({
      growth,
      trend,
      series,
      objectsPerSecond: (sum(growth.born) * net) / elapsed,
      bytesPerSecond: stayed < FEWEST ? bytes / elapsed : (sum(growth.bornBytes) * net) / elapsed,
      bytes: bytes > 0 ? bytes : sum(growth.bornBytes) * net,
      steps,
      expression: growth.kind === 'object' ? expressionOf(graph, steps) : '',
      path: growth.kind === 'object' ? pathElements(graph, steps) : [],
      fingerprint:
        growth.kind === 'object'
          ? fingerprintOf(graph, steps, types[0]?.type ?? '')
          : `${growth.kind}:${types[0]?.type ?? ''}`,
      types,
    });
  }
  return candidates.sort((a, b) => b.bytesPerSecond - a.bytesPerSecond);
}

/** Bytes that a value gained, being replaced by a bigger one each time. */
const SWOLLEN = 16_384;

function swells(bytes: readonly number[]): boolean {
  if (bytes[bytes.length - 1] - bytes[0] < SWOLLEN) return false;
  return bytes.every((value, i) => i === 0 || value > bytes[i - 1]);
}

/** The path to what a person would change: the holder, and the attribute of it through which the growth hangs. */
function placeOf(graph: HeapGraph, growth: GrowthHolder): PathStep[] {
  const steps = [...pathTo(graph, growth.node)];
  if (growth.slot === undefined) return steps;
  const kind = labelKind(growth.slot);
  if (kind === LabelKind.root || kind === LabelKind.keyNode || kind === LabelKind.index || kind === LabelKind.keyObject)
    return steps;
  const { edgeStart, edgeLabel, edgeTarget } = graph.columns;
  for (let e = edgeStart[growth.node]; e < edgeStart[growth.node + 1]; e++) {
    if (edgeLabel[e] === growth.slot) return [...steps, { edge: e, node: edgeTarget[e] }];
  }
  return steps;
}

export function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** A container's length is exact; otherwise the bytes it retains; for garbage and native code what stayed. */
function seriesOf(growth: GrowthHolder): number[] {
  if (growth.slot === undefined && growth.lengths.some(n => n > 0)) return [...growth.lengths];
  return [...growth.retained];
}

/** The part of what was born that is a gain, and not the replacement of something that went. */
function netShare(growth: GrowthHolder, series: readonly number[]): number {
  const gained = series[series.length - 1] - series[0];
  if (gained <= 0) return 0;
  if (growth.slot === undefined && growth.lengths.some(n => n > 0)) {
    const items = sum(growth.items);
    // A dict's new entry is up to two items, its key and its value.
    return items === 0 ? 1 : Math.min(1, (gained * (items >= 1.5 * gained ? items / gained : 1)) / items);
  }
  return Math.min(1, gained / Math.max(1, sum(growth.bornBytes)));
}

/**
 * Steady: the series rose in every interval, by no less than a fifth of the mean rate in any, and no slower towards the
 * end. Stopped: it hardly rises any more.
 */
function trendOf(growth: GrowthHolder, series: readonly number[], seconds: readonly number[]): Trend {
  const rates: number[] = [];
  for (let i = 1; i < series.length; i++)
    rates.push((series[i] - series[i - 1]) / Math.max(1e-3, seconds[i] - seconds[i - 1]));
  const mean = sum(rates) / rates.length;
  if (mean <= 0) return 'stopped';
  if (rates.length < 2) return 'unclear';
  const part = Math.max(1, Math.floor(rates.length / 3));
  const before = rateOf(series, seconds, 0, part);
  const after = rateOf(series, seconds, rates.length - part, rates.length);
  if (after < 0.08 * before || (rates.length >= 4 && after < 0.2 * before)) return 'stopped';
  // What swells is moved to a bigger place now and then: its length rises evenly, its bytes in steps.
  if (
    growth.swelling
      ? rates.filter(rate => rate > 0).length < 0.6 * rates.length
      : !rates.every(rate => rate > 0.2 * mean)
  ) {
    return 'unclear';
  }
  // Each interval left survivors, not only the latest.
  const replaced = growth.slot !== undefined && swells(growth.retained);
  if (!growth.swelling && !replaced && !growth.born.every(n => n > 0)) return 'unclear';
  const half = Math.floor(rates.length / 2);
  return rateOf(series, seconds, rates.length - half, rates.length) < 0.75 * rateOf(series, seconds, 0, half)
    ? 'slowing'
    : 'steady';
}

/** Gain per second from one snapshot to another. */
function rateOf(series: readonly number[], seconds: readonly number[], from: number, to: number): number {
  return (series[to] - series[from]) / Math.max(1e-3, seconds[to] - seconds[from]);
}

const TELLING = new Set([
  'traceback',
  'frame',
  'generator',
  'coroutine',
  'async_generator',
  'socket.socket',
  '_io.TextIOWrapper',
  '_io.BufferedReader',
  '_io.FileIO',
]);
const PLAIN = new Set(['str', 'int', 'float', 'bytes', 'NoneType', 'bool', 'tuple', 'cell']);

/** Classes of the program before what they are made of; among equals the more numerous first. */
export function byTelling(types: readonly GrowingType[], stayed: number): GrowingType[] {
  const score = (t: GrowingType): number => {
    const count = sum(t.born);
    let weight = count / Math.max(1, stayed);
    if (PLAIN.has(t.type)) weight *= 0.01;
    else if (TELLING.has(t.type)) weight *= 4;
    else if (t.heapType) weight *= t.layout === 'instance' || t.layout === 'type' ? 8 : 4;
    else if (t.type === 'dict' || t.type === 'list' || t.type === 'set' || t.type === 'collections.deque')
      weight *= 0.2;
    return weight;
  };
  return types.filter(t => sum(t.born) >= 2).sort((a, b) => score(b) - score(a));
}
