/**
 * How each candidate stands: leaking, growing with or without a bound, waiting for the collector, or over. This is where
 * heap and source are weighed against each other.
 */
import { growthHolders, swellingObjects } from '../analysis/index.ts';
import { itemBound, LabelKind, labelKind, NodeFlag, type NodeIndex, type StackLine } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { LiveReader } from '../process/index.ts';
import { type Candidate, candidatesOf } from './candidate.ts';
import { type Cause, causeOf } from './cause.ts';
import type { Moment, Observation } from './observation.ts';
import { type Place, placeOf } from './place.ts';
import { filesOf, type ProjectFiles } from './project-files.ts';
import type { Site } from './verdict.ts';

/** How a candidate stands. */
export type Standing =
  /** Grows steadily and nothing bounds it. */
  | 'leaking'
  /** Grows steadily; whether something will bound it is not known yet. */
  | 'growing'
  /** Grows, but has a bound. */
  | 'bounded'
  /** Garbage that the next collection frees. */
  | 'collectable'
  | 'stopped'
  | 'unclear';

export interface Judged {
  readonly candidate: Candidate;
  readonly place: Place;
  readonly cause: Cause;
  readonly standing: Standing;
  /** The most items it can hold, where that is known. */
  readonly bound: number | undefined;
  stores: Site[];
  creations: Site[];
  /** Python stacks of watched insertions. */
  storeStacks: StackLine[][];
  /** Why its lines could not be watched; '' when they could. */
  unwatched: string;
  /** Watched insertions and removals at the holder. */
  inserted: number;
  removed: number;
}

/** Seconds of growth before a container is called a leak on the word of the source: long enough for keys that come back to do so. */
const LONG_FOR_KEYS_S = 7;
/** Candidates that are looked at closely. */
const CLOSE_LOOKS = 4;

export function judge(
  observation: Observation,
  files: ProjectFiles,
  causes: Map<string, Cause>,
  cwd: string,
): Judged[] {
  const { moments } = observation;
  const last = observation.latest;
  const holders = growthHolders(
    moments.map(m => m.graph),
    moments.map(m => m.tree),
  );
  const swelling = swellingObjects(
    moments.map(m => m.graph),
    new Set(
      holders.filter(h => h.kind === 'object' && h.slot === undefined && h.items.some(n => n > 0)).map(h => h.node),
    ),
  );
  const candidates = candidatesOf(
    last.graph,
    [...holders, ...swelling],
    moments.map(m => m.seconds),
  ).slice(0, CLOSE_LOOKS * 2);
  const sources = files.all(filesOf(last.graph));
  const handlesGrow = growsSteadily(observation.readings.map(r => r.handles));
  const reader = new LiveReader(observation.pid);
  const judged: Judged[] = [];
  const caches = new Set<number>();
  for (const candidate of candidates) {
    if (judged.length >= CLOSE_LOOKS) break;
    if (candidate.trend === 'stopped' && judged.length > 0 && candidate.bytesPerSecond <= 0) continue;
    const place = placeOf(last.graph, candidate);
    // The parts of one lru_cache (its dict, its links) are one thing.
    const cache = lruCacheOn(last.graph, candidate);
    if (cache !== 0 && caches.has(cache)) continue;
    if (cache !== 0) caches.add(cache);
    const stuck = candidate.growth.kind === 'garbage' ? whyGarbageStays(last, candidate, moments) : '';
    const known = causes.get(candidate.fingerprint);
    const cause =
      known !== undefined && known.category !== 'circular-reference'
        ? known
        : causeOf({
            candidate,
            place,
            collector: last.collector,
            sites: [],
            files: sources,
            root: cwd,
            stuck,
            handlesGrow,
          });
    causes.set(candidate.fingerprint, cause);
    const bound =
      observation.runtime !== undefined && candidate.growth.kind === 'object' && candidate.growth.slot === undefined
        ? itemBound(reader, observation.runtime, last.graph.columns, cache === 0 ? candidate.growth.node : cache)
        : undefined;
    const standing = standingOf(candidate, cause, bound, last, stuck !== '');
    judged.push({
      candidate,
      place,
      cause,
      standing,
      bound,
      stores: [],
      creations: [],
      storeStacks: [],
      unwatched: '',
      inserted: 0,
      removed: 0,
    });
  }
  return judged;
}

function standingOf(
  candidate: Candidate,
  cause: Cause,
  bound: number | undefined,
  moment: Moment,
  stuck: boolean,
): Standing {
  if (candidate.trend === 'stopped') return 'stopped';
  if (candidate.growth.kind === 'garbage' && !stuck) return 'collectable';
  // Shared by so much that no one holder can be named: the holders of its parts are candidates of their own.
  if (candidate.growth.node === 0 && candidate.growth.kind === 'object') return 'unclear';
  if (bound !== undefined) return 'bounded';
  if (cause.source === 'bounded') return 'bounded';
  if (candidate.trend === 'slowing') return 'growing';
  if (candidate.trend !== 'steady') return 'unclear';
  // Keys that come back: there may be no more than so many of them.
  const gained = candidate.series[candidate.series.length - 1] - candidate.series[0];
  if (candidate.growth.replaced > 0.08 * gained) return 'growing';
  if (cause.source !== 'unbounded') return 'growing';
  const container = candidate.growth.slot === undefined && candidate.growth.kind === 'object';
  return container && moment.seconds < LONG_FOR_KEYS_S ? 'growing' : 'leaking';
}

/** Rises in every step and by more than a few. */
export function growsSteadily(values: readonly number[]): boolean {
  if (values.length < 4 || values[values.length - 1] - values[0] < 4) return false;
  let rises = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[i - 1]) rises++;
  return rises >= (values.length - 1) * 0.75;
}

/** The lru_cache wrapper that a candidate's growth belongs to; 0 when it is none. */
function lruCacheOn(graph: HeapGraph, candidate: Candidate): NodeIndex {
  if (candidate.growth.kind !== 'object') return 0;
  const nodes = [candidate.growth.node, ...candidate.steps.map(step => step.node).reverse()];
  return nodes.find(node => graph.layout(node) === 'functools._lru_cache_wrapper') ?? 0;
}

/** Why the collector does not free garbage; '' when it will. */
export type StuckGarbage = '' | 'disabled' | 'threshold' | 'hidden' | 'frozen';

/** A collection that is further off than this never comes, for a service that is killed for memory, seconds. */
const NEVER_S = 300;

/**
 * Will a collection free the garbage? Not when collection is off, or so many objects away that it does not come; not
 * when an untracked object of an extension type hides the cycle from it; and frozen objects are never looked at.
 */
export function whyGarbageStays(last: Moment, candidate: Candidate, moments: readonly Moment[]): StuckGarbage {
  const [young] = last.collector.generations;
  if (!last.collector.enabled || young?.threshold === 0) return 'disabled';
  const elapsed = Math.max(1, last.seconds - moments[0].seconds);
  const perSecond = candidate.growth.born.reduce((a, b) => a + b, 0) / elapsed;
  if (young !== undefined && (young.threshold - young.count) / Math.max(1, perSecond) > NEVER_S) return 'threshold';
  const { columns } = last.graph;
  const garbage = last.tree.order.subarray(last.tree.aliveCount);
  let hidden = 0;
  let frozen = 0;
  for (const node of garbage) {
    if (node >= columns.nodeCount) continue;
    const flags = columns.flags[node];
    if ((flags & NodeFlag.tracked) !== 0) {
      if ((flags & NodeFlag.generationMask) >> NodeFlag.generationShift === 3) frozen++;
      continue;
    }
    const layout = columns.types[columns.type[node]].layout;
    if (/^(tuple|dict|str|int|float|bytes|bool|NoneType|complex|bytearray|instance|code|frozenset|list)$/.test(layout))
      continue;
    for (let e = columns.edgeStart[node]; e < columns.edgeStart[node + 1]; e++) {
      const kind = labelKind(columns.edgeLabel[e]);
      if (
        kind !== LabelKind.weak &&
        kind !== LabelKind.borrowed &&
        (columns.flags[columns.edgeTarget[e]] & NodeFlag.tracked) !== 0
      ) {
        hidden++;
        break;
      }
    }
  }
  return hidden > 20 ? 'hidden' : frozen > 50 ? 'frozen' : '';
}
