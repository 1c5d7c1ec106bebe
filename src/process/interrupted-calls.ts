/**
 * System calls that a stop interrupts, and how they go on as if nothing had been.
 *
 * A thread that ptrace stops inside a blocking call leaves the call with one of the kernel's own codes in rax, and when
 * the thread is let go without a signal to handle, the kernel restarts the call: exactly, because the code says how
 * (include/linux/errno.h; arch/x86/kernel/signal.c, arch_do_signal_or_restart). Some calls do not take part in that:
 * epoll_wait, sigtimedwait and semop return EINTR, a blocking write that has written something returns a short count, a
 * socket with SO_RCVTIMEO returns EINTR. Threads waiting in those are best left asleep: they change no memory of the
 * program. When one has to be stopped all the same, EINTR is turned into "restart unless a handler runs", and a time
 * limit is shortened by the time already slept.
 */
import { readlinkSync } from 'node:fs';
import { Reg, type Registers } from './ptrace.ts';
import { hasReceiveTimeout, Sys } from './syscalls.ts';
import { asleepSinceMs, type BlockedCall, blockedCall, threadState, voluntarySwitches } from './threads.ts';

/** Kernel-internal results (include/linux/errno.h): never seen by a program, only at a ptrace stop. */
export const Restart = { SYS: -512, NOINTR: -513, NOHAND: -514, BLOCK: -516 } as const;
const EINTR = -4;

/** Is a result one of the kernel's own codes for "make this call again"? */
export function isRestart(result: number): boolean {
  return result === Restart.SYS || result === Restart.NOINTR || result === Restart.NOHAND || result === Restart.BLOCK;
}

const EXACT = new Set<number>([
  Sys.futex,
  Sys.futex_waitv,
  Sys.nanosleep,
  Sys.clock_nanosleep,
  Sys.poll,
  Sys.ppoll,
  Sys.select,
  Sys.pselect6,
  Sys.wait4,
  Sys.waitid,
  Sys.pause,
  Sys.rt_sigsuspend,
  Sys.restart_syscall,
  Sys.flock,
]);

/** Receive all that was asked for: what has arrived so far would be given back early. */
const MSG_WAITALL = 0x100;

function isSocket(pid: number, descriptor: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/${descriptor}`).startsWith('socket:');
  } catch {
    return true;
  }
}

/** Can a thread waiting in this call be stopped and let go without the program noticing? */
export function restartsExactly(pid: number, call: BlockedCall): boolean {
  if (EXACT.has(call.number)) return true;
  switch (call.number) {
    case Sys.epoll_wait:
    case Sys.epoll_pwait:
      return (call.args[3] | 0) < 0;
    case Sys.epoll_pwait2:
      return call.args[3] === 0;
    case Sys.rt_sigtimedwait:
      return call.args[2] === 0;
    case Sys.recvfrom:
      return (call.args[3] & MSG_WAITALL) === 0 && hasReceiveTimeout(pid, call.args[0]) === false;
    case Sys.recvmsg:
      return (call.args[2] & MSG_WAITALL) === 0 && hasReceiveTimeout(pid, call.args[0]) === false;
    case Sys.accept:
    case Sys.accept4:
      return hasReceiveTimeout(pid, call.args[0]) === false;
    case Sys.read:
    case Sys.readv:
      return !isSocket(pid, call.args[0]) || hasReceiveTimeout(pid, call.args[0]) === false;
    default:
      return false;
  }
}

/** Can a thread waiting in this call, which does not restart exactly, be repaired when how long it slept is known? */
export function repairable(call: BlockedCall): boolean {
  return call.number === Sys.epoll_wait || call.number === Sys.epoll_pwait;
}

/** Until when threads wait whose time limit was shortened before, as `performance.now()`: so that roundings do not add up. */
const deadlines = new Map<number, number>();
const SAME_DEADLINE_MS = 3;

/** How many milliseconds a thread still has to wait, when at `now` it has slept since `since` with a limit. */
function remainingMs(tid: number, limitMs: number, { since, now }: Sleep): number {
  let deadline = since + limitMs;
  const earlier = deadlines.get(tid);
  if (earlier !== undefined && Math.abs(deadline - earlier) < SAME_DEADLINE_MS) deadline = earlier;
  else {
    for (const [other, at] of deadlines) if (at < now) deadlines.delete(other);
    deadlines.set(tid, deadline);
  }
  // Rounded up: a wait may end late by less than a millisecond, never early.
  return Math.max(0, Math.ceil(deadline - now));
}

interface Sleep {
  /** When it began, and when it was looked at, in `performance.now()`. */
  readonly since: number;
  readonly now: number;
  /** The thread's voluntary context switches when it was looked at. */
  readonly switches: number;
}

/**
 * The sleep that a stop ended; or that the thread was not asleep in such a call when it was looked at just before, so
 * that it has waited for no longer than the stop took.
 */
export type Slept = Sleep | 'hardly';

/** Looks at a thread that sleeps and is about to be stopped: undefined when it waits in a call with EINTR and nobody knows since when. */
export function sleepOf(pid: number, tid: number): Slept | undefined {
  const switches = voluntarySwitches(pid, tid);
  const call = threadState(pid, tid) === 'S' ? blockedCall(pid, tid) : undefined;
  if (!call || restartsExactly(pid, call)) return 'hardly';
  const since = repairable(call) ? asleepSinceMs(pid, tid) : undefined;
  return since === undefined ? undefined : { since, now: performance.now(), switches };
}

/** Did the thread wake between the look and the stop? Then the call that the stop ended is a later one. To stop is one switch. */
function wokeSince(pid: number, tid: number, { switches }: Sleep): boolean {
  return voluntarySwitches(pid, tid) > switches + 1;
}

/** Calls that return EINTR only when they have done nothing, so that one just begun can be made again as it was. */
const REPEATABLE = new Set<number>([
  Sys.epoll_wait,
  Sys.epoll_pwait,
  Sys.epoll_pwait2,
  Sys.rt_sigtimedwait,
  Sys.semop,
  Sys.semtimedop,
  Sys.read,
  Sys.readv,
  Sys.recvfrom,
  Sys.recvmsg,
  Sys.accept,
  Sys.accept4,
]);

/**
 * Repairs the registers, just read, of a thread that a stop threw out of a call with EINTR; true when they were changed. `slept` is
 * undefined when that is not known: then a call with a time limit keeps its EINTR, which says the truth, instead of
 * sleeping for too long.
 */
export function repairInterrupted(pid: number, tid: number, registers: Registers, slept: Slept | undefined): boolean {
  if (registers.signed(Reg.rax) !== EINTR) return false;
  const call = registers.signed(Reg.origRax);
  const begun = slept !== undefined && slept !== 'hardly' && wokeSince(pid, tid, slept) ? 'hardly' : slept;
  if (begun === 'hardly' ? !REPEATABLE.has(call) : !shortened(tid, registers, call, begun)) return false;
  registers.set(Reg.rax, Restart.NOHAND);
  return true;
}

/** Can the call be made again, now that its time limit, if it has one, is shortened? */
function shortened(tid: number, registers: Registers, call: number, slept: Sleep | undefined): boolean {
  switch (call) {
    case Sys.epoll_wait:
    case Sys.epoll_pwait: {
      const limitMs = Number(BigInt.asIntN(32, registers.words[Reg.r10]));
      if (limitMs < 0) return true;
      if (!slept) return false;
      registers.set(Reg.r10, remainingMs(tid, limitMs, slept));
      return true;
    }
    case Sys.epoll_pwait2:
      return registers.words[Reg.r10] === 0n;
    case Sys.rt_sigtimedwait:
      return registers.words[Reg.rdx] === 0n;
    case Sys.semop:
      return true;
    default:
      return false;
  }
}
