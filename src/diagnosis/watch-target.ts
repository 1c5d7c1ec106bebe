/**
 * The main job: watch a process until it is clear whether it leaks, and say what, who holds it, and which line.
 *
 * Snapshots at growing intervals show what grows. What grows is put to its holder and judged with the source; as soon
 * as a growth is steady and nothing bounds it, watchpoints catch the lines that feed it. What is bounded, or waits for
 * the collector, is watched until it stops or the time is over.
 */
import { readlinkSync } from 'node:fs';
import { growthHolders, swellingObjects } from '../analysis/index.ts';
import {
  attributeWord,
  itemBound,
  itemWord,
  LabelKind,
  labelKind,
  labelPayload,
  NodeFlag,
  type NodeIndex,
  type StackLine,
  sizeWord,
} from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { type ElfModule, ExitCode, LeakscopeError, LiveReader } from '../process/index.ts';
import { containerUse, type SourceFile } from '../source/index.ts';
import { type Candidate, candidatesOf } from './candidate.ts';
import { type Cause, causeOf } from './cause.ts';
import { cyclePath, makeVerdict } from './make-verdict.ts';
import { nativeLeak, nativeSites, nativeSuspect } from './native-suspect.ts';
import { type Moment, Observation } from './observation.ts';
import { type Place, placeOf } from './place.ts';
import { filesOf, ownerOf, ProjectFiles } from './project-files.ts';
import { observeSites, observeTracked, sitesOf, type WatchRequest } from './sites.ts';
import type { Site, Suspect, Verdict } from './verdict.ts';

export interface WatchTargetOptions {
  /** Watch at most this long, ms. */
  readonly forMs: number;
  readonly via?: 'auto' | 'fork' | 'freeze';
  /** Called with a few words whenever something else begins. */
  readonly onProgress?: (text: string) => void;
  /** Ends the watching early: the verdict is what is known so far. */
  readonly signal?: AbortSignal;
}

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
  /** Watched insertions and removals at the holder. */
  inserted: number;
  removed: number;
}

const FIRST_INTERVAL_MS = 1000;
const LONGEST_INTERVAL_MS = 8000;
/** Snapshots before anything is called a leak: three intervals in which it grew. */
const ENOUGH_SNAPSHOTS = 4;
/** Seconds of growth before a dict is called a leak on the word of the source: long enough for keys that come back to do so. */
const LONG_FOR_KEYS_S = 7;
const WATCH_MS = 5000;
/** Kept of the time that is given, for the watchpoints. */
const RESERVED_MS = 4000;
const ENOUGH_HITS = 20;
/** Candidates that are looked at closely. */
const CLOSE_LOOKS = 4;

/**
 * Watches the process `pid` to a verdict. Throws a LeakscopeError: not permitted, not a Python that can be read, or
 * ended before there was an answer (exit code 5).
 */
export async function watchTarget(pid: number, options: WatchTargetOptions): Promise<Verdict> {
  const progress = options.onProgress ?? (() => {});
  const observation = new Observation(pid, options.via ?? 'auto');
  const began = performance.now();
  const spent = () => performance.now() - began;
  // Keep time for the watchpoints and for writing it all up.
  const deadline = options.forMs - Math.min(RESERVED_MS, options.forMs * 0.2);
  let cwd = '/';
  try {
    cwd = readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // gone or not permitted: `take` says it better
  }
  const files = await ProjectFiles.open(pid, true, cwd);
  let judged: Judged[] = [];
  let interval = FIRST_INTERVAL_MS;
  const causes = new Map<string, { cause: Cause; at: number }>();
  progress('first snapshot');
  attempt(pid, observation, () => observation.take());
  for (;;) {
    const left = deadline - spent();
    if (left <= 0 || options.signal?.aborted) break;
    // Another snapshot of a big heap may take longer than there is.
    if (observation.moments.length >= 3 && left < observation.lastCostMs * 0.8) break;
    progress(waitingFor(observation, judged, interval));
    await sleep(Math.min(left, Math.max(interval, observation.lastCostMs * 0.25)), options.signal);
    if (options.signal?.aborted) break;
    attempt(pid, observation, () => observation.take());
    if (observation.moments.length < 3) continue;
    judged = judge(observation, files, causes, cwd);
    if (observation.snapshots >= ENOUGH_SNAPSHOTS) {
      if (judged.some(j => j.standing === 'leaking')) break;
      if (observation.snapshots > ENOUGH_SNAPSHOTS && nativeLeak(observation) !== undefined) break;
    }
    if (observation.snapshots >= 5) interval = Math.min(LONGEST_INTERVAL_MS, interval * 1.3);
  }
  if (observation.moments.length >= 3) judged = judge(observation, files, causes, cwd);
  // What grew steadily to the end, and of which neither heap nor source knows a bound, leaks as well.
  const all = judged.filter(
    j => j.standing === 'leaking' || (j.standing === 'growing' && j.candidate.trend === 'steady'),
  );
  // What grows by a fraction of the first is mostly its shadow: weak references to it, indexes of it.
  const leaks = all.filter(j => j.candidate.bytesPerSecond >= 0.15 * all[0].candidate.bytesPerSecond);
  let stops = 0;
  if (leaks.length > 0 && !options.signal?.aborted) {
    progress(`watching what stores into ${leaks[0].candidate.expression || leaks[0].candidate.types[0]?.type}`);
    stops = await findSites(pid, observation, leaks, judged, files, cwd);
  }
  const lost = nativeLeak(observation);
  let native: Suspect | undefined;
  // A little native memory beside a big leak of objects is mostly a part of it.
  if (lost !== undefined && lost.bytesPerSecond >= 0.15 * (leaks[0]?.candidate.bytesPerSecond ?? 0)) {
    progress('watching who allocates the native memory that is lost');
    const seen = await attempt(pid, observation, () => nativeSites(pid, observation, lost, WATCH_MS / 2));
    stops += seen.stops;
    const sources = files.all(
      filesOf(observation.latest.graph),
      seen.sites.map(site => site.file),
    );
    native = nativeSuspect(lost, seen.sites, 1, files, sources, cwd);
  }
  return makeVerdict({
    observation,
    judged,
    leaks,
    native: native === undefined ? undefined : { suspect: native, bytesPerSecond: lost!.bytesPerSecond },
    stops,
  });
}

/** Runs a step that needs the target; when the target has ended, says so with the exit code for it. */
function attempt<T>(pid: number, observation: Observation, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (observation.snapshots === 0 || !(error instanceof LeakscopeError)) throw error;
    let alive = true;
    try {
      process.kill(pid, 0);
    } catch {
      alive = false;
    }
    if (alive && error.exitCode !== ExitCode.usage && error.exitCode !== ExitCode.targetEnded) throw error;
    throw new LeakscopeError(
      `the process ${pid} ended before there was an answer, after ${observation.elapsedSeconds.toFixed(0)} s and ${observation.snapshots} snapshots`,
      ExitCode.targetEnded,
      'start it under `leakscope run -- …` to watch it from its beginning, or give a longer-lived process',
    );
  }
}

function waitingFor(observation: Observation, judged: readonly Judged[], intervalMs: number): string {
  const top = judged.find(j => j.standing !== 'stopped' && j.standing !== 'unclear');
  const next = `next snapshot in ${(intervalMs / 1000).toFixed(0)} s`;
  if (top === undefined) return `${observation.snapshots} snapshots, nothing grows steadily yet; ${next}`;
  const what = top.candidate.expression || top.candidate.types[0]?.type;
  return `${observation.snapshots} snapshots, ${what} is ${top.standing}; ${next}`;
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
  });
}

// ---- judging ----

function judge(
  observation: Observation,
  files: ProjectFiles,
  causes: Map<string, { cause: Cause; at: number }>,
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
      known !== undefined && known.cause.category !== 'circular-reference'
        ? known.cause
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
    causes.set(candidate.fingerprint, { cause, at: observation.snapshots });
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
function whyGarbageStays(last: Moment, candidate: Candidate, moments: readonly Moment[]): StuckGarbage {
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

// ---- the lines ----

async function findSites(
  pid: number,
  observation: Observation,
  leaks: Judged[],
  judged: Judged[],
  files: ProjectFiles,
  cwd: string,
): Promise<number> {
  const runtime = observation.runtime;
  if (runtime === undefined) return 0;
  const last = observation.latest;
  const { graph } = last;
  const requests: WatchRequest[] = [];
  const reader = new LiveReader(pid);
  const wanted = leaks.slice(0, 2);
  // Four words at a time: the first four are the first suspect's.
  for (const leak of wanted) {
    const suspect = judged.indexOf(leak);
    const store = storeWord(reader, observation, leak);
    if (store !== undefined) requests.push({ ...store, suspect } as WatchRequest);
    const classes = leak.candidate.types.filter(t => t.heapType && t.address !== 0);
    for (const type of classes.slice(0, store === undefined ? 4 : 3))
      requests.push({ kind: 'class', suspect, address: type.address });
  }
  const loop = (runtime.module as ElfModule).elf?.()?.symbol('_PyEval_EvalFrameDefault');
  const start = runtime.module.symbol('_PyEval_EvalFrameDefault');
  let stops = 0;
  if (requests.length > 0) {
    const seen = await observeSites(pid, runtime, requests, {
      maxMs: WATCH_MS,
      enough: ENOUGH_HITS,
      evaluationLoop:
        loop !== undefined && start !== undefined && loop.size > 0 ? { start, end: start + loop.size } : undefined,
    });
    stops += seen.stops;
    for (const { request, added, removed } of seen.observed) {
      const leak = judged[request.suspect];
      if (request.kind === 'class') leak.creations.push(...sitesOf(added, 'watchpoint'));
      else {
        leak.stores.push(...sitesOf(added, 'watchpoint'));
        leak.storeStacks.push(...added);
        leak.inserted += added.length;
        leak.removed += removed.length;
      }
    }
  }
  for (const leak of wanted) {
    // Types of C do not count their instances: their objects are seen when the collector begins to track them.
    const tracked = leak.candidate.types.filter(t => t.address !== 0 && isTracked(t.layout));
    const wantedTypes =
      leak.creations.length > 0 ? tracked.slice(0, 4).filter(t => CALLABLE.test(t.type)) : tracked.slice(0, 3);
    if (wantedTypes.length > 0) {
      const types = new Map(wantedTypes.map(t => [t.address, /^(generator|coroutine|async_generator)$/.test(t.type)]));
      const seen = await observeTracked(pid, runtime, types, { maxMs: 1500, enough: ENOUGH_HITS, maxHits: 3000 });
      stops += seen.stops;
      leak.creations.push(...sitesOf(seen.stacks, 'watchpoint'));
    }
    // What is not tracked (str, bytes) is mostly made where it is stored, or by the caller.
    if (leak.creations.length === 0) leak.creations.push(...creationsNear(leak.storeStacks));
  }
  // With the lines known, the source can say more.
  const also = leaks.flatMap(l => [...l.stores, ...l.creations].map(s => s.file));
  const sources = files.all(filesOf(graph), also);
  for (const leak of leaks) {
    const index = judged.indexOf(leak);
    const stuck =
      leak.candidate.growth.kind === 'garbage' ? whyGarbageStays(last, leak.candidate, observation.moments) : '';
    const cause = causeOf({
      candidate: leak.candidate,
      place: leak.place,
      collector: last.collector,
      sites: [...leak.stores, ...leak.creations],
      files: sources,
      root: cwd,
      stuck,
      handlesGrow: growsSteadily(observation.readings.map(r => r.handles)),
    });
    if (leak.candidate.growth.kind === 'garbage')
      leak.stores.push(...cycleStores(cyclePath(observation, leak.candidate), sources));
    const better: Judged = { ...leak, cause };
    judged[index] = better;
    leaks[leaks.indexOf(leak)] = better;
  }
  return stops;
}

/** The word that is written when the suspect gains something. */
function storeWord(
  reader: LiveReader,
  observation: Observation,
  leak: Judged,
): { kind: 'size' | 'slot'; address: number; length: 4 | 8 } | undefined {
  const runtime = observation.runtime!;
  const { columns } = observation.latest.graph;
  const { growth } = leak.candidate;
  if (growth.kind !== 'object') return undefined;
  if (growth.slot === undefined) {
    const word = sizeWord(runtime, columns, growth.node);
    return word === undefined ? undefined : { kind: 'size', ...word };
  }
  const kind = labelKind(growth.slot);
  const name = columns.strings[labelPayload(growth.slot)];
  const layout = columns.types[columns.type[growth.node]].layout;
  const address = columns.address[growth.node];
  const word =
    layout === 'dict' && (kind === LabelKind.key || kind === LabelKind.attribute)
      ? itemWord(reader, runtime, address, name)
      : kind === LabelKind.attribute
        ? attributeWord(reader, runtime, address, name)
        : undefined;
  return word === undefined ? undefined : { kind: 'slot', ...word };
}

/** Where the source makes the references of a cycle: `['Room', '.doors', 'list', '[0]', 'Door', '.room', 'Room']`. */
function cycleStores(path: readonly string[], sources: readonly SourceFile[]): Site[] {
  const sites: Site[] = [];
  for (let i = 0; i + 1 < path.length; i++) {
    const attribute = /^\.(\w+)$/.exec(path[i + 1]);
    if (attribute === null || path[i].startsWith('.')) continue;
    const use = containerUse(sources, { className: path[i], attribute: attribute[1] });
    for (const { file, line, function: name } of [...use.stores, ...use.creations]) {
      if (!sites.some(s => s.file === file && s.line === line))
        sites.push({ file, line, function: name, hits: 0, evidence: 'static' });
    }
  }
  return sites.slice(0, 6);
}

const CALLABLE = /^(function|method|generator|coroutine|async_generator|functools\.partial)$/;

/** The two innermost lines of the program in each stack of a store, as an inference. */
function creationsNear(stacks: readonly StackLine[][]): Site[] {
  const own = stacks.map(stack => stack.filter(line => ownerOf(line.file) === 'program'));
  const inner = sitesOf(
    own.map(stack => stack.slice(0, 1)),
    'inferred',
    2,
  );
  const outer = sitesOf(
    own.map(stack => stack.slice(1, 2)),
    'inferred',
    2,
  );
  return [...inner, ...outer];
}

function isTracked(layout: string): boolean {
  return !/^(str|int|float|bytes|bool|NoneType|complex|bytearray)$/.test(layout);
}
