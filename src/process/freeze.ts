/**
 * Stopping every thread of a process, and letting all of them go again.
 *
 * Threads are seized (which stops nothing) and then interrupted together, until no thread turns up that was not there
 * before. A thread that sleeps in a call which would notice a stop is left asleep (see interrupted-calls.ts): while it
 * sleeps it changes nothing, and `sleepersWoke` tells whether it still does.
 */
import type { ThreadImage } from './image.ts';
import { repairInterrupted, restartsExactly, type Slept, sleepOf } from './interrupted-calls.ts';
import { processStatus, threadName } from './maps.ts';
import { awaitStop, Ptrace, PtraceEvent, Reg, Registers, seize, seizeError, stopEvent, stopSignal } from './ptrace.ts';
import {
  collectExit,
  Errno,
  NO_STOP,
  NO_TRACEE,
  peekExit,
  pollStop,
  ptrace,
  readMemory,
  robustListHead,
} from './syscalls.ts';
import { type BlockedCall, blockedCall, runMark, threadIds, threadState } from './threads.ts';

/** A thread that is stopped by us. */
export interface FrozenThread {
  readonly tid: number;
  /** As the thread shall go on; changed when an interrupted call needs a repair. */
  readonly registers: Registers;
  /** A signal that is on its way to the thread and has to be handed over, or 0. */
  signal: number;
}

/** A thread that was asleep and was left alone. */
export interface SleepingThread {
  readonly tid: number;
  readonly call: BlockedCall | undefined;
  readonly mark: string;
}

export interface FreezeOptions {
  /** Leave threads asleep whose call would notice a stop. Otherwise every thread is stopped. */
  readonly leaveAsleep: boolean;
  /** Stop this many of the threads only (for work that needs one); all by default. */
  readonly only?: (tid: number) => boolean;
}

/** How long a thread may take to stop. It is longer than this only in an uninterruptible sleep in the kernel. */
const STOP_LIMIT_MS = 100;

/** A thread did not stop in time: everything has been let go, and it may be tried again. */
export class ThreadDidNotStop extends Error {
  readonly tid: number;
  constructor(tid: number) {
    super(`thread ${tid} did not stop`);
    this.tid = tid;
  }
}

/** Threads seized by us that had not stopped when they were let go: only a stopped one can be detached, so that is done when they do. */
const stragglers = new Set<number>();

function detachStragglers(): void {
  for (const tid of stragglers) {
    const stop = pollStop(tid);
    if (stop === NO_STOP) {
      if (peekExit(tid)) collectExit(tid);
      else continue;
    } else if (stop !== NO_TRACEE) {
      ptrace(Ptrace.DETACH, tid, 0, stopEvent(stop) === 0 ? stopSignal(stop) : 0);
    }
    stragglers.delete(tid);
  }
  if (stragglers.size > 0) setTimeout(detachStragglers, 1).unref();
}

/** All threads of a process, stopped or left asleep. Disposing lets every one of them go. */
export class Freeze implements Disposable {
  readonly pid: number;
  /** Those still stopped. */
  readonly threads: FrozenThread[] = [];
  readonly sleepers: SleepingThread[] = [];
  /** `performance.now()` when the first thread was asked to stop. */
  startedAtMs = 0;
  private readonly options: FreezeOptions;
  private readonly stopped: FrozenThread[] = [];
  /** Seized, and not yet stopped; with the sleep that this ends, where it is needed and known. */
  private readonly pending = new Map<number, Slept | undefined>();

  private constructor(pid: number, options: FreezeOptions) {
    this.pid = pid;
    this.options = options;
  }

  /**
   * Stops the threads. Throws a LeakscopeError when the process may not be traced or has ended, ThreadDidNotStop when a
   * thread hangs in the kernel; in both cases nothing stays stopped.
   */
  static of(pid: number, options: FreezeOptions): Freeze {
    const freeze = new Freeze(pid, options);
    try {
      freeze.stopAll();
      return freeze;
    } catch (error) {
      freeze.resume();
      throw error;
    }
  }

  private stopAll(): void {
    const known = new Set<number>();
    let arrived = this.seizeNew(known);
    this.startedAtMs = performance.now();
    while (arrived.length > 0) {
      for (const tid of arrived) ptrace(Ptrace.INTERRUPT, tid);
      for (const tid of arrived) this.awaitFrozen(tid);
      // A sleeper that woke while the others were being stopped is looked at afresh.
      for (let i = this.sleepers.length - 1; i >= 0; i--) {
        if (!woke(this.pid, this.sleepers[i])) continue;
        known.delete(this.sleepers[i].tid);
        this.sleepers.splice(i, 1);
      }
      arrived = this.seizeNew(known);
    }
    if (this.threads.length === 0 && this.sleepers.length === 0) throw seizeError(this.pid, -Errno.ESRCH);
  }

  private seizeNew(known: Set<number>): number[] {
    const arrived: number[] = [];
    for (const tid of threadIds(this.pid)) {
      if (known.has(tid)) continue;
      known.add(tid);
      if (this.options.only && !this.options.only(tid)) continue;
      const state = threadState(this.pid, tid);
      if (state === 'Z' || state === 'X' || state === '') continue;
      if (state === 'D' || (state === 'S' && this.options.leaveAsleep)) {
        const mark = runMark(this.pid, tid);
        const call = blockedCall(this.pid, tid);
        const leave = state === 'D' || (call !== undefined && !restartsExactly(this.pid, call));
        if (leave && threadState(this.pid, tid) === state) {
          this.sleepers.push({ tid, call, mark });
          continue;
        }
      }
      const slept = state === 'S' && !this.options.leaveAsleep ? sleepOf(this.pid, tid) : 'hardly';
      if (stragglers.delete(tid)) {
        this.pending.set(tid, undefined);
        arrived.push(tid);
        continue;
      }
      const result = seize(tid);
      if (result === 0) {
        this.pending.set(tid, slept);
        arrived.push(tid);
      } else if (result !== -Errno.ESRCH && !['Z', 'X', ''].includes(threadState(this.pid, tid))) {
        throw seizeError(this.pid, result);
      }
    }
    return arrived;
  }

  private awaitFrozen(tid: number): void {
    for (;;) {
      const stop = awaitStop(tid, STOP_LIMIT_MS);
      if (stop === NO_STOP) throw new ThreadDidNotStop(tid);
      if (stop === NO_TRACEE) {
        this.pending.delete(tid);
        collectEnded(this.pid, tid);
        return;
      }
      if (stopEvent(stop) !== PtraceEvent.STOP) {
        // A signal that was on its way before our interruption: the thread gets it, and stops again at once.
        ptrace(Ptrace.CONT, tid, 0, stopEvent(stop) === 0 ? stopSignal(stop) : 0);
        continue;
      }
      const registers = Registers.of(tid);
      const slept = this.pending.get(tid);
      this.pending.delete(tid);
      const thread: FrozenThread = { tid, registers: registers ?? new Registers(), signal: 0 };
      this.threads.push(thread);
      this.stopped.push(thread);
      if (registers && repairInterrupted(this.pid, tid, registers, slept)) registers.store(tid);
      return;
    }
  }

  /** Stops a thread that was left asleep; undefined when how long it slept is not known, it ended or could not be seized. */
  stopSleeper(sleeper: SleepingThread): FrozenThread | undefined {
    const slept = sleepOf(this.pid, sleeper.tid);
    if (slept === undefined || woke(this.pid, sleeper) || seize(sleeper.tid) !== 0) return undefined;
    this.sleepers.splice(this.sleepers.indexOf(sleeper), 1);
    this.pending.set(sleeper.tid, slept);
    ptrace(Ptrace.INTERRUPT, sleeper.tid);
    this.awaitFrozen(sleeper.tid);
    return this.threads.find(({ tid }) => tid === sleeper.tid);
  }

  /** Has a thread that was left asleep run since? Then what was read may mix two moments. */
  sleepersWoke(): boolean {
    return this.sleepers.some(sleeper => woke(this.pid, sleeper));
  }

  /** The threads as they were when they stopped, sleeping ones as far as /proc tells. Best asked for when they run again: it reads /proc. */
  images(): ThreadImage[] {
    const images = this.stopped.map(({ tid, registers }) => ({
      tid,
      name: threadName(this.pid, tid),
      stackPointer: registers.number(Reg.rsp),
      instructionPointer: registers.number(Reg.rip),
      threadPointer: registers.number(Reg.fsBase),
    }));
    for (const { tid, call } of this.sleepers) {
      images.push({
        tid,
        name: threadName(this.pid, tid),
        stackPointer: call?.stackPointer ?? 0,
        instructionPointer: call?.instructionPointer ?? 0,
        threadPointer: threadPointerOf(this.pid, tid),
      });
    }
    return images.sort((a, b) => a.tid - b.tid);
  }

  /** Lets one thread go. */
  release(thread: FrozenThread): void {
    const at = this.threads.indexOf(thread);
    if (at < 0) return;
    this.threads.splice(at, 1);
    if (ptrace(Ptrace.DETACH, thread.tid, 0, thread.signal) < 0) collectEnded(this.pid, thread.tid);
  }

  /** Lets every thread go; may be called again. */
  resume(): void {
    while (this.threads.length > 0) this.release(this.threads[this.threads.length - 1]);
    for (const tid of this.pending.keys()) stragglers.add(tid);
    this.pending.clear();
    if (stragglers.size > 0) detachStragglers();
  }

  [Symbol.dispose](): void {
    this.resume();
  }
}

function woke(pid: number, { tid, mark }: SleepingThread): boolean {
  const state = threadState(pid, tid);
  return (state !== 'S' && state !== 'D') || runMark(pid, tid) !== mark;
}

/**
 * Collects a traced thread that ended, so that the program's own parent learns of it. Our own child is left for Node
 * to collect, which reports its exit.
 */
export function collectEnded(pid: number, tid: number): void {
  if (!peekExit(tid)) return;
  if (tid !== pid || processStatus(pid)?.parent !== process.pid) collectExit(tid);
}

/** Offset of `robust_head` in glibc's `struct pthread` on x86-64 (nptl/descr.h, 2.5 to 2.41). */
const ROBUST_HEAD = 0x2e0;
const threadBlock = new BigUint64Array(16);

/** pthread_self() of a thread that is not stopped, from where its robust list lies; 0 when that gives nothing sound. */
function threadPointerOf(pid: number, tid: number): number {
  const head = robustListHead(tid);
  if (head === 0) return 0;
  const candidate = head - ROBUST_HEAD;
  const bytes = new Uint8Array(threadBlock.buffer, 0, 24);
  // The thread control block starts with its own address, and has it again as `self` at 16 (tcbhead_t).
  if (readMemory(pid, candidate, bytes) !== 24) return 0;
  return Number(threadBlock[0]) === candidate && Number(threadBlock[2]) === candidate ? candidate : 0;
}
