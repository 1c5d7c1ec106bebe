/**
 * The main job: watch a process until it is clear whether it leaks, and say what, who holds it, and which line.
 *
 * Snapshots at growing intervals show what grows. What grows is put to its holder and judged with the source; as soon
 * as a growth is steady and nothing bounds it, watchpoints catch the lines that feed it. What is bounded, or waits for
 * the collector, is watched until it stops or the time is over.
 */
import { readlinkSync } from 'node:fs';
import { ExitCode, LeakscopeError } from '../process/index.ts';
import type { Cause } from './cause.ts';
import { findSites } from './find-lines.ts';
import { type Judged, judge } from './judge.ts';
import { makeVerdict } from './make-verdict.ts';
import { nativeLeak, nativeSites, nativeSuspect } from './native-suspect.ts';
import { Observation } from './observation.ts';
import { filesOf, ProjectFiles } from './project-files.ts';
import type { Suspect, Verdict } from './verdict.ts';

export interface WatchTargetOptions {
  /** Watch at most this long, ms. */
  readonly forMs: number;
  readonly via?: 'auto' | 'fork' | 'freeze';
  /** Called with a few words whenever something else begins. */
  readonly onProgress?: (text: string) => void;
  /** Ends the watching early: the verdict is what is known so far. */
  readonly signal?: AbortSignal;
}

const FIRST_INTERVAL_MS = 1000;
const LONGEST_INTERVAL_MS = 8000;
/** Snapshots before anything is called a leak: three intervals in which it grew. */
const ENOUGH_SNAPSHOTS = 4;
/** Milliseconds for which malloc is watched at most. */
const NATIVE_WATCH_MS = 2500;
/** Kept of the time that is given, for the watchpoints. */
const RESERVED_MS = 4000;

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
  const causes = new Map<string, Cause>();
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
    const seen = await attempt(pid, observation, () => nativeSites(pid, observation, lost, NATIVE_WATCH_MS));
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
