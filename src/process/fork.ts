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
import { Freeze, ThreadDidNotStop } from './freeze.ts';
import { findGadgets, type Gadgets } from './gadgets.ts';
import type { LoadedModule, Mapping, ProcessImage, ThreadImage } from './image.ts';
import { InjectionFailed, inject, suitability } from './injection.ts';
import { commandLine, executablePath, processStatus, readMaps, statFields } from './maps.ts';
import { loadedModules } from './modules.ts';
import { awaitStop } from './ptrace.ts';
import { __WALL, collectExit, kill, NO_STOP, nap, peekExit, readMemory, Signal, Sys, WNOHANG } from './syscalls.ts';

/** CLONE_FILES; exit signal 0. Not CLONE_FS: a target that shares it may not execute set-user-id programs. */
const CLONE_FLAGS = 0x400;

/** The kernel refused the clone. */
export class ForkRefused extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(`clone failed with errno ${errno}`);
    this.errno = errno;
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
export function planFork(pid: number): ForkPlan | undefined {
  const mappings = readMaps(pid);
  const gadgets = findGadgets(pid, mappings);
  return gadgets && { gadgets, mappings, leftBehind: leftBehindBy(pid) };
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
      if (!fields || fields[0] !== 'Z' || Number(fields[1]) !== pid || Number(fields[35]) !== 0) return false;
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
  let failure: InjectionFailed | undefined;
  for (const thread of bySuitability(freeze, plan.mappings)) {
    try {
      const { result, child } = inject(pid, thread, plan.gadgets, Sys.clone, [CLONE_FLAGS]);
      if (child === 0) throw new ForkRefused(-result);
      for (const zombie of plan.leftBehind)
        inject(pid, thread, plan.gadgets, Sys.wait4, [zombie, 0, WNOHANG | __WALL, 0]);
      return child;
    } catch (error) {
      if (!(error instanceof InjectionFailed)) throw error;
      failure = error;
    }
  }
  throw failure ?? new InjectionFailed('no thread stands where a call could be made');
}

function bySuitability(freeze: Freeze, mappings: readonly Mapping[]) {
  return freeze.threads
    .map(thread => ({ thread, rank: suitability(freeze.pid, thread, mappings) }))
    .filter(({ rank }) => rank !== undefined)
    .sort((a, b) => a.rank! - b.rank!)
    .map(({ thread }) => thread);
}

/** Tries at collecting a twin, when threads do not stop or signals come in between. */
const COLLECT_TRIES = 20;

/** Kills a twin and has the target collect it. Returns false when it stays as a zombie for now. */
export function endTwin(pid: number, twin: number): boolean {
  const inTarget = pidInTarget(twin);
  kill(twin, Signal.SIGKILL);
  while (!peekExit(twin)) if (awaitStop(twin, 1000) === NO_STOP) break;
  collectExit(twin);
  for (let attempt = 1; attempt <= COLLECT_TRIES; attempt++) {
    if (!isZombieOf(pid, twin)) return true;
    try {
      if (collectIn(pid, inTarget)) return true;
    } catch (error) {
      if (!(error instanceof InjectionFailed) && !(error instanceof ThreadDidNotStop)) return false;
    }
    nap(1000);
  }
  return !isZombieOf(pid, twin);
}

function isZombieOf(pid: number, twin: number): boolean {
  const fields = statFields(`/proc/${twin}/stat`);
  return fields !== undefined && fields[0] === 'Z' && Number(fields[1]) === pid;
}

/** Stops one thread that can take it, and makes it collect a zombie. */
function collectIn(pid: number, zombie: number): boolean {
  const plan = planFork(pid);
  if (!plan) return false;
  using freeze = Freeze.of(pid, { leaveAsleep: true });
  let failure: InjectionFailed | undefined;
  for (const thread of bySuitability(freeze, plan.mappings)) {
    try {
      return inject(pid, thread, plan.gadgets, Sys.wait4, [zombie, 0, WNOHANG | __WALL, 0]).result === zombie;
    } catch (error) {
      if (!(error instanceof InjectionFailed)) throw error;
      failure = error;
    }
  }
  throw failure ?? new InjectionFailed('no thread stands where a call could be made');
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
    if (!endTwin(this.pid, twin)) {
      this.notes.push(
        `the twin (pid ${twin}) could not be collected yet; the next capture of process ${this.pid} will do it`,
      );
    }
  }
}
