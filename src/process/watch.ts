/**
 * Watching words of a live process: each write stops the thread that made it, right after the instruction, for as long
 * as a callback looks at it. The other threads run on.
 *
 * Threads are seized by ptrace, which stops none of them, and the points are armed as perf events (see
 * hardware-breakpoints.ts). New threads are ours from birth (PTRACE_O_TRACECLONE) and armed before their first
 * instruction; processes that the target forks are not touched. Signals for the target are handed on as they come.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { quietChildSignals } from './child-signals.ts';
import { ExitCode, LeakscopeError } from './errors.ts';
import { collectEnded } from './freeze.ts';
import { Breakpoints, MOST_POINTS, pointOfSignal, type WatchPoint } from './hardware-breakpoints.ts';
import { repairInterrupted, restartsExactly, type Slept, sleepOf } from './interrupted-calls.ts';
import { LiveReader } from './live.ts';
import { processStatus } from './maps.ts';
import type { Reader } from './memory.ts';
import {
  awaitStop,
  checkTarget,
  Ptrace,
  PtraceEvent,
  PtraceOption,
  Reg,
  Registers,
  seize,
  seizeError,
  stopEvent,
  stopSignal,
} from './ptrace.ts';
import {
  addressOf,
  Errno,
  NO_STOP,
  NO_TRACEE,
  nap,
  peekExit,
  pollStop,
  ptrace,
  ptraceBuffer,
  Signal,
} from './syscalls.ts';
import { blockedCall, threadIds, threadState } from './threads.ts';
import { ignoreTraps } from './trap-signal.ts';

export type { WatchPoint } from './hardware-breakpoints.ts';

/** The registers of a thread at a hit; `rip` is the instruction after the one that wrote. */
export interface HitRegisters {
  readonly rip: number;
  readonly rsp: number;
  readonly rbp: number;
  /** pthread_self(). */
  readonly fsBase: number;
}

export interface WatchHit {
  readonly tid: number;
  /** Index of the point that was written to. */
  readonly point: number;
  readonly registers: HitRegisters;
  /** Reads the target; what it gives is valid during the callback. */
  readonly reader: Reader;
}

/** `remove` disarms the point that was hit and goes on with the others; `stop` ends the watch. */
export type HitAnswer = 'continue' | 'remove' | 'stop';

export interface WatchOptions {
  /** Ends the watch after this many milliseconds. */
  readonly maxMs: number;
  /** Ends the watch after this many hits. */
  readonly maxHits?: number;
  readonly onHit: (hit: WatchHit) => HitAnswer;
  /** Called once, when every point is armed in every thread. */
  readonly onArmed?: () => void;
  /** Called about every 20 ms while the target runs; false ends the watch. */
  readonly onWait?: () => boolean | undefined;
  /** Stops the other threads too while `onHit` runs. */
  readonly stopAll?: boolean;
}

export interface WatchResult {
  readonly hits: number;
  /** How often a thread of the target was stopped for us. */
  readonly stops: number;
  /** The longest time a thread stood still at a hit, seen from outside: from the last look at which it still ran. */
  readonly longestStopMs: number;
  /** time: `maxMs` is over; hits: `maxHits` reached; answer: `onHit` or `onWait` said so; ended: the target did, or executed another program. */
  readonly reason: 'time' | 'hits' | 'answer' | 'ended';
  /** When the target ended: its exit status, or minus the signal that ended it. */
  readonly exitStatus: number | undefined;
}

/**
 * Watches at most four points. Nothing stays armed and every thread is let go when the promise settles. Throws a
 * LeakscopeError when tracing or watching is not allowed.
 */
export async function watch(pid: number, points: readonly WatchPoint[], options: WatchOptions): Promise<WatchResult> {
  checkTarget(pid);
  for (const { address, length } of points) {
    if (address % length !== 0) throw new Error(`a point of ${length} bytes at ${address.toString(16)} is not aligned`);
  }
  if (points.length === 0 || points.length > MOST_POINTS) throw new Error(`${points.length} points to watch`);
  using _quiet = quietChildSignals();
  // A SIGCHLD from a capture just before may still wait in the event loop, which would then take a stop of a target that
  // is its child for an end: two turns, for one may begin behind the place where signals are read.
  await turn();
  await turn();
  using _harmless = ignoreTraps(pid);
  const session = new WatchSession(pid, points, options);
  try {
    session.begin();
    options.onArmed?.();
    await session.run();
  } finally {
    await session.end();
  }
  return session.result();
}

/** Between two looks at the threads. */
const LOOK_EVERY_US = 100;
/** The event loop gets a turn, and ended threads are looked for, this often. */
const TURN_EVERY_MS = 20;
/** How long the other threads may take to stop for a hit. */
const STOP_OTHERS_MS = 20;
/** How long the end of a watch waits for a thread that would notice being stopped now. */
const PATIENCE_MS = 200;
/** System call stops within which a new thread has unblocked its signals, and how long one may take. */
const FIRST_CALL_STOPS = 16;
const FIRST_CALL_LIMIT_MS = 5;
const OPTIONS = PtraceOption.TRACECLONE | PtraceOption.TRACEEXEC | PtraceOption.TRACESYSGOOD;
const STOP_SIGNALS: readonly number[] = [Signal.SIGSTOP, Signal.SIGTSTP, Signal.SIGTTIN, Signal.SIGTTOU];
const TRAP_PERF = 6;
const PEEKSIGINFO = 0x4209;
const SIGINFO_BYTES = 128;
const SIGTRAP_BIT = 1n << BigInt(Signal.SIGTRAP - 1);
const SYSCALL_STOP = Signal.SIGTRAP | 0x80;

/** stopped: at a stop that we have seen and not ended; listening: in a group stop of its own. */
type ThreadMode = 'running' | 'born' | 'stopped' | 'listening';

class WatchSession {
  private readonly pid: number;
  private readonly options: WatchOptions;
  private readonly threads = new Map<number, ThreadMode>();
  private readonly breakpoints: Breakpoints;
  private readonly reader: LiveReader;
  private readonly registers = new Registers();
  private readonly siginfo = new Uint8Array(SIGINFO_BYTES);
  /** Hits that turned up while the others were being stopped for another hit. */
  private readonly deferred: { tid: number; stop: number }[] = [];
  private lastLookMs = 0;
  private hits = 0;
  private stops = 0;
  private longestStopMs = 0;
  private reason: WatchResult['reason'] | undefined;
  private exitStatus: number | undefined;

  constructor(pid: number, points: readonly WatchPoint[], options: WatchOptions) {
    this.pid = pid;
    this.options = options;
    this.breakpoints = new Breakpoints(points);
    this.reader = new LiveReader(pid);
  }

  /** Seizes every thread, then arms the points in each. */
  begin(): void {
    for (let again = true; again; ) {
      again = false;
      for (const tid of threadIds(this.pid)) {
        if (this.threads.has(tid)) continue;
        const result = seize(tid, OPTIONS);
        if (result === 0) {
          this.threads.set(tid, 'running');
          again = true;
        } else if (
          result !== -Errno.ESRCH &&
          !['Z', 'X', ''].includes(threadState(this.pid, tid)) &&
          !this.bornUnder(tid)
        ) {
          throw seizeError(this.pid, result);
        }
      }
    }
    if (this.threads.size === 0) throw seizeError(this.pid, -Errno.ESRCH);
    for (const tid of [...this.threads.keys()]) this.arm(tid);
  }

  /** A thread that a thread seized already has made in the meantime is ours by now. */
  private bornUnder(tid: number): boolean {
    if (processStatus(tid)?.tracer !== process.pid || this.threads.size === 0) return false;
    this.threads.set(tid, 'born');
    return true;
  }

  /**
   * Arms a thread, unless it blocks SIGTRAP: the kernel would keep the signal of a hit for later, and a signal that is
   * kept cannot be taken back when leakscope dies.
   */
  private arm(tid: number): void {
    const blocked = BigInt(`0x${processStatus(tid)?.blockedSignals || '0'}`);
    if ((blocked & SIGTRAP_BIT) === 0n) this.breakpoints.arm(tid);
  }

  async run(): Promise<void> {
    const endMs = performance.now() + this.options.maxMs;
    let turnMs = performance.now() + TURN_EVERY_MS;
    this.lastLookMs = performance.now();
    while (!this.reason) {
      const found = this.look();
      const now = performance.now();
      this.lastLookMs = now;
      if (this.reason) return;
      if (now >= endMs) this.reason = 'time';
      else if (now >= turnMs) {
        this.collectEnded();
        if (this.options.onWait?.() === false) this.reason ??= 'answer';
        await turn();
        turnMs = performance.now() + TURN_EVERY_MS;
      } else if (!found) nap(LOOK_EVERY_US);
    }
  }

  /** Takes every stop there is; true when there was one. */
  private look(): boolean {
    let found = false;
    for (const tid of this.threads.keys()) {
      const stop = pollStop(tid);
      if (stop === NO_STOP) continue;
      found = true;
      if (stop === NO_TRACEE) this.takeEnd(tid);
      else this.handle(tid, stop);
      if (this.reason) return true;
    }
    while (this.deferred.length > 0 && !this.reason) {
      const { tid, stop } = this.deferred.shift()!;
      this.handle(tid, stop);
    }
    return found;
  }

  private forget(tid: number): void {
    this.threads.delete(tid);
    this.breakpoints.forget(tid);
    if (tid === this.pid || this.threads.size === 0) this.reason ??= 'ended';
  }

  /** Collects threads that have ended, and finds out that the process has. */
  private collectEnded(): void {
    for (const tid of [...this.threads.keys()]) if (peekExit(tid)) this.takeEnd(tid);
  }

  private takeEnd(tid: number): void {
    const exit = peekExit(tid);
    if (exit && tid === this.pid) this.exitStatus = exit.exited ? exit.status : -exit.status;
    collectEnded(this.pid, tid);
    this.forget(tid);
  }

  private resume(tid: number, signal = 0): void {
    const born = this.threads.get(tid) === 'born';
    if (!born) this.threads.set(tid, 'running');
    ptrace(born ? Ptrace.SYSCALL : Ptrace.CONT, tid, 0, signal);
  }

  /** Answers one stop of a thread, so that it goes on. */
  private handle(tid: number, stop: number): void {
    const event = stopEvent(stop);
    const signal = stopSignal(stop);
    if (event === PtraceEvent.CLONE) {
      this.adopt(this.eventMessage(tid));
      this.resume(tid);
    } else if (event === PtraceEvent.EXEC) {
      // Another program: the events are gone (remove_on_exec), and so are the other threads.
      this.threads.set(tid, 'stopped');
      this.reason = 'ended';
    } else if (event === PtraceEvent.STOP) {
      if (this.threads.get(tid) === 'born' && !this.bringUp(tid)) return;
      if (STOP_SIGNALS.includes(signal)) {
        this.threads.set(tid, 'listening');
        ptrace(Ptrace.LISTEN, tid);
      } else this.resume(tid);
    } else if (stop === SYSCALL_STOP) {
      if (this.threads.get(tid) !== 'born' || this.bringUp(tid)) this.resume(tid);
    } else if (event === 0) this.handleSignal(tid, signal);
    else this.resume(tid);
  }

  /**
   * Arms a new thread, which stands at its birth or at one of its first system calls. glibc starts a thread with all
   * signals blocked and unblocks them a few calls later, before the thread's own code: it is led up to there. False
   * when it is on its way, and will stop again.
   */
  private bringUp(tid: number): boolean {
    for (let calls = this.firstCalls.get(tid) ?? 0; calls < FIRST_CALL_STOPS && blocksTrap(tid); calls++) {
      this.firstCalls.set(tid, calls + 1);
      ptrace(Ptrace.SYSCALL, tid);
      const stop = awaitStop(tid, FIRST_CALL_LIMIT_MS);
      if (stop === SYSCALL_STOP) continue;
      if (stop === NO_TRACEE) this.takeEnd(tid);
      else if (stop !== NO_STOP) this.handle(tid, stop);
      return false;
    }
    this.firstCalls.delete(tid);
    this.threads.set(tid, 'running');
    this.arm(tid);
    return true;
  }

  private readonly firstCalls = new Map<number, number>();

  private eventMessage(tid: number): number {
    const message = new BigUint64Array(16);
    ptraceBuffer(Ptrace.GETEVENTMSG, tid, 0, new Uint8Array(message.buffer));
    return Number(message[0]);
  }

  /** Takes in a new thread of the target. A process made by clone is let go as soon as it stops. */
  private adopt(tid: number): void {
    if (this.threads.has(tid)) return;
    if (processStatus(tid)?.threadGroup === this.pid) this.threads.set(tid, 'born');
    else letGo(tid);
  }

  private handleSignal(tid: number, signal: number): void {
    const point = signal === Signal.SIGTRAP ? this.pointHit(tid) : undefined;
    if (point === undefined) {
      // A call that returns EINTR even for a signal nobody handles shall not do so because of us.
      if (this.registers.load(tid) && repairInterrupted(this.pid, tid, this.registers, undefined))
        this.registers.store(tid);
      this.resume(tid, signal);
    } else if (this.reason) this.resume(tid);
    else this.handleHit(tid, point);
  }

  /** The point whose hit a SIGTRAP is, or undefined when the signal is the target's own. */
  private pointHit(tid: number): number | undefined {
    if (ptraceBuffer(Ptrace.GETSIGINFO, tid, 0, this.siginfo) < 0) return undefined;
    return pointOf(this.siginfo, 0);
  }

  private handleHit(tid: number, point: number): void {
    this.threads.set(tid, 'stopped');
    if (this.options.stopAll) this.stopOthers(tid);
    this.registers.load(tid);
    this.reader.refresh();
    const { registers } = this;
    this.hits++;
    this.stops++;
    let answer: HitAnswer = 'stop';
    try {
      answer = this.options.onHit({
        tid,
        point,
        registers: {
          rip: registers.number(Reg.rip),
          rsp: registers.number(Reg.rsp),
          rbp: registers.number(Reg.rbp),
          fsBase: registers.number(Reg.fsBase),
        },
        reader: this.reader,
      });
    } finally {
      if (answer === 'remove') this.breakpoints.remove(point);
      if (answer === 'stop') this.reason = 'answer';
      else if (this.hits >= (this.options.maxHits ?? Number.POSITIVE_INFINITY)) this.reason = 'hits';
      this.resume(tid);
      if (this.options.stopAll) this.resumeOthers();
      this.longestStopMs = Math.max(this.longestStopMs, performance.now() - this.lastLookMs);
    }
  }

  private readonly heldForHit = new Set<number>();

  /** Stops the threads other than `tid`. */
  private stopOthers(tid: number): void {
    const waiting = new Set<number>();
    for (const [other, mode] of this.threads) {
      // One that hangs in the kernel (a vfork's parent, say) runs nothing, nor does one that sleeps in a call which
      // would notice.
      if (other === tid || mode !== 'running' || this.bestLeftAsleep(other)) continue;
      if (ptrace(Ptrace.INTERRUPT, other) === 0) waiting.add(other);
    }
    const limit = performance.now() + STOP_OTHERS_MS;
    while (waiting.size > 0 && performance.now() < limit) {
      for (const other of waiting) {
        const stop = pollStop(other);
        if (stop === NO_STOP) {
          if (peekExit(other)) waiting.delete(other);
          continue;
        }
        waiting.delete(other);
        if (stop === NO_TRACEE) continue;
        if (stopEvent(stop) === PtraceEvent.STOP && !STOP_SIGNALS.includes(stopSignal(stop)))
          this.heldForHit.add(other);
        else this.deferred.push({ tid: other, stop });
        this.threads.set(other, 'stopped');
        this.stops++;
      }
    }
  }

  private bestLeftAsleep(tid: number): boolean {
    const state = threadState(this.pid, tid);
    const call = state === 'S' ? blockedCall(this.pid, tid) : undefined;
    return state === 'D' || (call !== undefined && !restartsExactly(this.pid, call));
  }

  private resumeOthers(): void {
    for (const other of this.heldForHit) {
      if (this.registers.load(other) && repairInterrupted(this.pid, other, this.registers, 'hardly'))
        this.registers.store(other);
      this.resume(other);
    }
    this.heldForHit.clear();
  }

  /** Disarms everything, then lets every thread go without leaving it a trap of ours. */
  async end(): Promise<void> {
    this.breakpoints[Symbol.dispose]();
    for (const { tid, stop } of this.deferred.splice(0)) this.settle(tid, stop);
    this.resumeOthers();
    const patientUntilMs = performance.now() + PATIENCE_MS;
    const interrupted = new Set<number>();
    let turnMs = performance.now() + TURN_EVERY_MS;
    for (;;) {
      for (const [tid, mode] of this.threads) {
        const stop = mode === 'stopped' ? NO_STOP : pollStop(tid);
        if (mode === 'stopped') {
          ptrace(Ptrace.DETACH, tid);
          this.threads.delete(tid);
        } else if (stop === NO_TRACEE) this.takeEnd(tid);
        else if (stop !== NO_STOP) {
          if (this.settle(tid, stop)) this.threads.delete(tid);
          else interrupted.delete(tid);
        } else if (!interrupted.has(tid)) {
          if (this.interruptGently(tid, performance.now() > patientUntilMs)) interrupted.add(tid);
        } else if (peekExit(tid)) {
          this.takeEnd(tid);
        }
      }
      if (this.threads.size === 0) return;
      if (performance.now() > turnMs) {
        await turn();
        turnMs = performance.now() + TURN_EVERY_MS;
      } else nap(LOOK_EVERY_US);
    }
  }

  /** Of threads asked to stop at the end: how long they had slept, where that is known. */
  private readonly slept = new Map<number, Slept | undefined>();

  /** Interrupts a thread; not yet, when it sleeps in a call that would notice and there is patience left. */
  private interruptGently(tid: number, impatient: boolean): boolean {
    const slept = sleepOf(this.pid, tid);
    if (slept === undefined && !impatient) return false;
    this.slept.set(tid, slept);
    ptrace(Ptrace.INTERRUPT, tid);
    return true;
  }

  /** Brings a stopped thread towards being let go; true when it has been. */
  private settle(tid: number, stop: number): boolean {
    const event = stopEvent(stop);
    if (event === PtraceEvent.CLONE) {
      const born = this.eventMessage(tid);
      if (!this.threads.has(born)) letGo(born);
      ptrace(Ptrace.CONT, tid);
      return false;
    }
    if (stop === SYSCALL_STOP) {
      ptrace(Ptrace.CONT, tid);
      return false;
    }
    if (event === 0) {
      const ours = stopSignal(stop) === Signal.SIGTRAP && this.pointHit(tid) !== undefined;
      ptrace(Ptrace.CONT, tid, 0, ours ? 0 : stopSignal(stop));
      return false;
    }
    if (this.hasPendingTrap(tid)) {
      // It comes as the next stop, and is suppressed there.
      ptrace(Ptrace.CONT, tid);
      return false;
    }
    if (this.registers.load(tid) && repairInterrupted(this.pid, tid, this.registers, this.slept.get(tid)))
      this.registers.store(tid);
    ptrace(Ptrace.DETACH, tid);
    return true;
  }

  /** Has the thread a hit of ours among its pending signals? */
  private hasPendingTrap(tid: number): boolean {
    const most = 32;
    const query = new DataView(new ArrayBuffer(128));
    query.setInt32(12, most, true);
    const signals = new Uint8Array(most * SIGINFO_BYTES);
    const count = ptraceBuffer(PEEKSIGINFO, tid, addressOf(new Uint8Array(query.buffer)), signals);
    for (let i = 0; i < count; i++) if (pointOf(signals, i * SIGINFO_BYTES) !== undefined) return true;
    return false;
  }

  result(): WatchResult {
    const { hits, stops, longestStopMs, exitStatus } = this;
    return { hits, stops, longestStopMs, reason: this.reason ?? 'ended', exitStatus };
  }
}

/** Does a stopped thread block SIGTRAP? */
function blocksTrap(tid: number): boolean {
  const mask = new BigUint64Array(16);
  return ptraceBuffer(Ptrace.GETSIGMASK, tid, 8, new Uint8Array(mask.buffer)) >= 0 && (mask[0] & SIGTRAP_BIT) !== 0n;
}

/** The point named by a siginfo that is a hit of ours: signal and code, then si_perf_data at 24. */
function pointOf(bytes: Uint8Array, at: number): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, SIGINFO_BYTES);
  if (view.getInt32(0, true) !== Signal.SIGTRAP || view.getInt32(8, true) !== TRAP_PERF) return undefined;
  return pointOfSignal(view.getBigUint64(24, true));
}

/** Detaches a process that is ours only because it was made by clone; it stops at its birth. */
function letGo(tid: number): void {
  for (let i = 0; i < 100_000; i++) {
    const stop = pollStop(tid);
    if (stop === NO_TRACEE || (stop === NO_STOP && peekExit(tid))) return;
    if (stop !== NO_STOP) {
      ptrace(Ptrace.DETACH, tid);
      return;
    }
    if (i > 100) nap(20);
  }
  throw new LeakscopeError(`process ${tid}, made by the target, could not be let go`, ExitCode.unsupportedTarget);
}
