/**
 * A frozen twin of the target: its memory at one moment, shared with it page by page until it writes (copy on write).
 *
 * The twin is a child of the target with exit signal 0, which no wait() without __WCLONE or __WALL sees, and which
 * raises no SIGCHLD. It shares the target's table of open files, so that a file the target closes is closed. It never
 * runs an instruction: it is our tracee from its first moment, and dies with us (PTRACE_O_EXITKILL). Killed, it would
 * stay as a zombie, because with exit signal 0 the kernel collects it only for a wait4() of its parent: so one is
 * injected into the target.
 */
import { readdirSync } from 'node:fs';
import { LeakscopeError } from './errors.ts';
import { Freeze, type FrozenThread, ThreadDidNotStop } from './freeze.ts';
import { findGadgets, type Gadgets } from './gadgets.ts';
import type { LoadedModule, Mapping, ProcessImage, ThreadImage } from './image.ts';
import { InjectionFailed, inject, suitability } from './injection.ts';
import { isRestart, repairable } from './interrupted-calls.ts';
import { commandLine, executablePath, processStatus, readMaps, statFields } from './maps.ts';
import { loadedModules } from './modules.ts';
import { awaitStop } from './ptrace.ts';
import {
  __WALL,
  collectExit,
  Errno,
  kill,
  NO_STOP,
  nap,
  peekExit,
  readMemory,
  Signal,
  Sys,
  WNOHANG,
} from './syscalls.ts';

/** CLONE_FILES; exit signal 0. Not CLONE_FS: a target that shares it may not execute set-user-id programs. */
const CLONE_FLAGS = 0x400;

const REFUSALS = new Map<number, string>([
  [Errno.EAGAIN, 'the limit on the number of processes is reached: RLIMIT_NPROC or pids.max'],
  [Errno.ENOMEM, 'the machine does not promise that much memory twice: vm.overcommit_memory'],
  [Errno.EPERM, 'a security policy forbids clone'],
]);

/** The kernel refused the clone. */
export class ForkRefused extends Error {
  /** For people. */
  readonly reason: string;
  constructor(errno: number) {
    super(`clone failed with errno ${errno}`);
    this.reason = REFUSALS.get(errno) ?? `errno ${errno}`;
  }
}

/** What a fork needs to know beforehand, gathered while the target runs. */
export interface ForkPlan {
  readonly gadgets: Gadgets;
  readonly mappings: readonly Mapping[];
  /** Zombies that an earlier leakscope left when it was killed; pids as the target sees them. */
  readonly leftBehind: readonly number[];
}

/** Plans a fork; undefined when the target's code has no instruction to use. */
export function planFork(pid: number, tidyUp = true): ForkPlan | undefined {
  const mappings = readMaps(pid);
  const gadgets = findGadgets(pid, mappings);
  return gadgets && { gadgets, mappings, leftBehind: tidyUp ? leftBehindBy(pid) : [] };
}

/** PF_FORKNOEXEC of `/proc/PID/stat`'s flags: forked, and has not executed a program. */
const FORKED_WITHOUT_EXEC = 0x40;

/** Zombies of the target that only a leakscope that was killed can have left: with exit signal 0, and its own name. */
function leftBehindBy(pid: number): number[] {
  const name = processStatus(pid)?.name;
  return readdirSync('/proc')
    .map(Number)
    .filter(other => {
      if (!(other > 0)) return false;
      const fields = statFields(`/proc/${other}/stat`);
      if (fields?.[0] !== 'Z' || Number(fields[1]) !== pid || Number(fields[35]) !== 0) return false;
      return (Number(fields[6]) & FORKED_WITHOUT_EXEC) !== 0 && processStatus(other)?.name === name;
    })
    .map(pidInTarget);
}

/** A process's id in the innermost pid namespace it is in. */
function pidInTarget(pid: number): number {
  return processStatus(pid)?.namespacePids.at(-1) ?? pid;
}

/** Forks a frozen target: the twin's pid. Throws ForkRefused, InjectionFailed. */
export function forkTwin(freeze: Freeze, plan: ForkPlan): number {
  const { pid } = freeze;
  return inSomeThread(freeze, plan, thread => {
    const { result, child } = inject(pid, thread, plan.gadgets, Sys.clone, [CLONE_FLAGS]);
    if (child === 0) {
      // Asked to start again, because somebody else interrupts the thread as well.
      if (isRestart(result)) throw new InjectionFailed('the fork was interrupted');
      if (result < 0) throw new ForkRefused(-result);
      // Killed by somebody before we had it: its entry is left, by its pid in the target's own namespace.
      collectWith(pid, thread, plan, result);
      throw new InjectionFailed('the frozen twin ended at its birth');
    }
    for (const zombie of plan.leftBehind) collectWith(pid, thread, plan, zombie);
    return child;
  });
}

/** Does `work` with the stopped thread that suits best, with the next when that fails. */
export function inSomeThread<T>(freeze: Freeze, plan: ForkPlan, work: (thread: FrozenThread) => T): T {
  let failure: InjectionFailed | undefined;
  for (const thread of suitableThreads(freeze, plan.mappings)) {
    try {
      return work(thread);
    } catch (error) {
      if (!(error instanceof InjectionFailed)) throw error;
      failure = error;
    }
  }
  throw failure ?? new InjectionFailed('no thread stands where a call could be made');
}

/** The stopped threads that suit, the best first; after them those asleep that can be stopped and repaired. */
function* suitableThreads(freeze: Freeze, mappings: readonly Mapping[]): Generator<FrozenThread> {
  yield* freeze.threads
    .map(thread => ({ thread, rank: suitability(freeze.pid, thread, mappings) }))
    .filter(({ rank }) => rank !== undefined)
    .sort((a, b) => a.rank! - b.rank!)
    .map(({ thread }) => thread);
  for (const sleeper of [...freeze.sleepers]) {
    if (!sleeper.call || !repairable(sleeper.call)) continue;
    const thread = freeze.stopSleeper(sleeper);
    if (thread && suitability(freeze.pid, thread, mappings) !== undefined) yield thread;
  }
}

function collectWith(pid: number, thread: FrozenThread, plan: ForkPlan, zombie: number): boolean {
  return inject(pid, thread, plan.gadgets, Sys.wait4, [zombie, 0, WNOHANG | __WALL, 0]).result === zombie;
}

/** Tries at collecting a twin at once, when threads do not stop or signals come in between. */
const COLLECT_TRIES = 10;
/** After that, in the background, every so many milliseconds. */
const COLLECT_LATER_MS = 20;

/** Kills a twin and has the target collect it. Where no thread can do that just now, it is tried again in the background. */
export function endTwin(pid: number, twin: number): void {
  const inTarget = pidInTarget(twin);
  kill(twin, Signal.SIGKILL);
  while (!peekExit(twin)) if (awaitStop(twin, 1000) === NO_STOP) break;
  collectExit(twin);
  for (let attempt = 1; attempt <= COLLECT_TRIES; attempt++) {
    if (collect(pid, twin, inTarget)) return;
    nap(1000);
  }
  collectLater(pid, twin, inTarget);
}

function collectLater(pid: number, twin: number, inTarget: number): void {
  setTimeout(() => {
    if (!collect(pid, twin, inTarget)) collectLater(pid, twin, inTarget);
  }, COLLECT_LATER_MS).unref();
}

/** Has the target collect a twin that has ended; true when it is gone. */
function collect(pid: number, twin: number, inTarget: number): boolean {
  const gone = () => {
    const fields = statFields(`/proc/${twin}/stat`);
    return fields?.[0] !== 'Z' || Number(fields[1]) !== pid;
  };
  if (gone()) return true;
  const plan = planFork(pid, false);
  if (!plan) return false;
  try {
    using freeze = Freeze.of(pid, { leaveAsleep: true });
    return inSomeThread(freeze, plan, thread => collectWith(pid, thread, plan, inTarget));
  } catch (error) {
    if (error instanceof InjectionFailed || error instanceof ThreadDidNotStop) return false;
    // Not ours to trace any more: it has ended (its twin was given to init), or somebody else debugs it now.
    if (error instanceof LeakscopeError) return gone();
    throw error;
  }
}

export interface ForkMoment {
  readonly twin: number;
  readonly threads: readonly ThreadImage[];
  readonly pauseMs: number;
  readonly capturedAtMs: number;
  readonly notes: string[];
}

/** The image that a twin is; readable until it is disposed. */
export class ForkImage implements ProcessImage {
  readonly pid: number;
  readonly via = 'fork';
  readonly executable: string;
  readonly command: readonly string[];
  readonly mappings: readonly Mapping[];
  readonly threads: readonly ThreadImage[];
  readonly pauseMs: number;
  readonly capturedAtMs: number;
  readonly notes: string[];
  private twin: number;
  private loaded: LoadedModule[] | undefined;

  constructor(pid: number, moment: ForkMoment) {
    this.pid = pid;
    this.twin = moment.twin;
    this.executable = executablePath(pid);
    this.command = commandLine(pid);
    this.mappings = readMaps(moment.twin);
    this.threads = moment.threads;
    this.pauseMs = moment.pauseMs;
    this.capturedAtMs = moment.capturedAtMs;
    this.notes = moment.notes;
  }

  get modules(): readonly LoadedModule[] {
    this.loaded ??= loadedModules(this.twin || this.pid, this.mappings, { executable: this.executable });
    return this.loaded;
  }

  read(address: number, into: Uint8Array): number {
    return this.twin === 0 ? 0 : Math.max(0, readMemory(this.twin, address, into));
  }

  [Symbol.dispose](): void {
    if (this.twin === 0) return;
    const twin = this.twin;
    this.twin = 0;
    endTwin(this.pid, twin);
  }
}
