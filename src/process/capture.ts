/** Taking an image of a live process: by fork where that works, by freezing it otherwise. */
import { ExitCode, LeakscopeError } from './errors.ts';
import { endTwin, ForkImage, type ForkPlan, ForkRefused, forkTwin, planFork } from './fork.ts';
import { forkObstacle } from './fork-obstacles.ts';
import { Freeze, ThreadDidNotStop } from './freeze.ts';
import { FrozenCopy } from './frozen-copy.ts';
import type { LoadedModule, Mapping, ProcessImage, ThreadImage } from './image.ts';
import { InjectionFailed } from './injection.ts';
import { commandLine, executablePath, processStatus, readMaps } from './maps.ts';
import { isData } from './memory.ts';
import { loadedModules } from './modules.ts';
import { checkTarget } from './ptrace.ts';
import { nap, readMemory } from './syscalls.ts';
import { tidyTraps } from './trap-signal.ts';

export interface CaptureOptions {
  /** How; by default what disturbs the target least and works. */
  readonly via?: 'auto' | 'fork' | 'freeze';
  /**
   * Judges the image: true when its moment is a bad one (a collection is running, say) and another should be tried a
   * few milliseconds later. The last try is taken whatever this says. For a freeze capture the target is running again
   * when this is called.
   */
  readonly tryAgain?: (image: ProcessImage) => boolean;
}

/** Tries at a consistent moment before an image is taken as it is, and the wait between two. */
const MOMENTS = 4;
const BETWEEN_MOMENTS_MS = 3;
/** Tries at a freeze that a thread in an uninterruptible sleep prevented. */
const FREEZE_TRIES = 5;

/**
 * An image of a live process; close it with `using`. Throws a LeakscopeError: usage for a pid that does not exist,
 * targetEnded when the process ended meanwhile, notPermitted, unsupportedTarget.
 */
export function capture(pid: number, options: CaptureOptions = {}): ProcessImage {
  checkTarget(pid);
  for (let moment = 1; ; moment++) {
    const image = captureOnce(pid, options.via ?? 'auto');
    if (!options.tryAgain?.(image)) return image;
    if (moment === MOMENTS) {
      return noted(image, `each of ${MOMENTS} moments tried was in the middle of something; this is the last of them`);
    }
    image[Symbol.dispose]();
    nap(BETWEEN_MOMENTS_MS * 1000);
  }
}

function captureOnce(pid: number, via: 'auto' | 'fork' | 'freeze'): ProcessImage {
  if (via === 'freeze') return byFreeze(pid, []);
  const obstacle = via === 'fork' ? undefined : obstacleToFork(pid);
  if (obstacle !== undefined) return byFreeze(pid, [`copied while frozen instead of forked: ${obstacle}`]);
  const failed = (reason: string): ProcessImage => {
    if (via === 'auto') return byFreeze(pid, [`copied while frozen instead of forked: ${reason}`]);
    throw new LeakscopeError(
      `process ${pid} could not be forked: ${reason}`,
      ExitCode.unsupportedTarget,
      'Let leakscope choose (--via auto), or use --via freeze.',
    );
  };
  tidyTraps(pid);
  const plan = planFork(pid);
  if (!plan) return failed('its code has no instruction that a system call could be made with');
  try {
    return byFork(pid, plan);
  } catch (error) {
    if (error instanceof ForkRefused) return failed(`the kernel refused the fork (${error.reason})`);
    if (error instanceof InjectionFailed) return failed(error.message);
    throw error;
  }
}

const WOKE = 'a thread that could not be stopped unnoticed was left asleep and woke while the image was taken';
/** Tries at a fork or copy whose moment a thread that was left asleep spoilt by waking. */
const QUIET_TRIES = 3;

function byFork(pid: number, plan: ForkPlan): ProcessImage {
  for (let attempt = 1; ; attempt++) {
    const moment = whileFrozen(pid, attempt < QUIET_TRIES, freeze => {
      const twin = forkTwin(freeze, plan);
      const woke = freeze.sleepersWoke();
      freeze.resume();
      const pauseMs = performance.now() - freeze.startedAtMs;
      return { freeze, twin, woke, pauseMs };
    });
    const { freeze, twin, woke, pauseMs } = moment;
    if (woke && attempt < QUIET_TRIES) {
      endTwin(pid, twin);
      continue;
    }
    const notes = woke ? [WOKE] : [];
    return new ForkImage(pid, { twin, threads: freeze.images(), pauseMs, capturedAtMs: freeze.startedAtMs, notes });
  }
}

function noted(image: ProcessImage, note: string): ProcessImage {
  (image.notes as string[]).push(note);
  return image;
}

/** Why a fork should not be tried, or undefined. */
function obstacleToFork(pid: number): string | undefined {
  const status = processStatus(pid);
  if (!status) return undefined;
  if (status.state === 'T') return 'the process is stopped, so a pause costs it nothing';
  return forkObstacle(pid, status);
}

/** Runs `work` on the frozen process; again when a thread could not be stopped. */
function whileFrozen<T>(pid: number, leaveAsleep: boolean, work: (freeze: Freeze) => T): T {
  for (let attempt = 1; ; attempt++) {
    try {
      using freeze = Freeze.of(pid, { leaveAsleep });
      return work(freeze);
    } catch (error) {
      if (!(error instanceof ThreadDidNotStop)) throw error;
      if (attempt === FREEZE_TRIES) {
        throw new LeakscopeError(
          `thread ${error.tid} of process ${pid} hangs in the kernel and could not be stopped`,
          ExitCode.unsupportedTarget,
          'It probably waits for a disk or a network file system; try again when that answers.',
        );
      }
      nap(BETWEEN_MOMENTS_MS * 1000);
    }
  }
}

function byFreeze(pid: number, notes: string[]): ProcessImage {
  for (let attempt = 1; ; attempt++) {
    const { image, woke } = whileFrozen(pid, attempt < QUIET_TRIES, freeze => {
      const mappings = readMaps(pid);
      const copy = FrozenCopy.of(pid, mappings, m => isData(m) || (m.writable && m.private));
      const woke = freeze.sleepersWoke();
      const capturedAtMs = freeze.startedAtMs;
      freeze.resume();
      const pauseMs = performance.now() - capturedAtMs;
      const threads = freeze.images();
      return { image: new FreezeImage(pid, { mappings, threads, copy, pauseMs, capturedAtMs, notes }), woke };
    });
    if (!woke) return image;
    if (attempt === QUIET_TRIES) return noted(image, WOKE);
    image[Symbol.dispose]();
  }
}

interface FrozenState {
  readonly mappings: readonly Mapping[];
  readonly threads: readonly ThreadImage[];
  readonly copy: FrozenCopy;
  readonly pauseMs: number;
  readonly capturedAtMs: number;
  readonly notes: string[];
}

/** A copy in our memory; what cannot change (read-only mappings) is read from the running process when asked for. */
class FreezeImage implements ProcessImage {
  readonly pid: number;
  readonly via = 'freeze';
  readonly executable: string;
  readonly command: readonly string[];
  readonly mappings: readonly Mapping[];
  readonly threads: readonly ThreadImage[];
  readonly pauseMs: number;
  readonly capturedAtMs: number;
  readonly notes: string[];
  private copy: FrozenCopy | undefined;
  private loaded: LoadedModule[] | undefined;

  constructor(pid: number, state: FrozenState) {
    this.pid = pid;
    this.executable = executablePath(pid);
    this.command = commandLine(pid);
    this.mappings = state.mappings;
    this.threads = state.threads;
    this.copy = state.copy;
    this.pauseMs = state.pauseMs;
    this.capturedAtMs = state.capturedAtMs;
    this.notes = state.notes;
  }

  get modules(): readonly LoadedModule[] {
    this.loaded ??= loadedModules(this.pid, this.mappings, { executable: this.executable });
    return this.loaded;
  }

  read(address: number, into: Uint8Array): number {
    if (!this.copy) return 0;
    return this.copy.read(address, into) ?? Math.max(0, readMemory(this.pid, address, into));
  }

  [Symbol.dispose](): void {
    this.copy = undefined;
  }
}
