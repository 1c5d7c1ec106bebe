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
import type { BlockedCall } from './threads.ts';

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
function remainingMs(tid: number, limitMs: number, { since, now }: Slept): number {
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

/** The sleep that a stop ended, in `performance.now()`. */
export interface Slept {
  readonly since: number;
  readonly now: number;
}

/**
 * Repairs the registers of a thread that a stop threw out of a call with EINTR; true when they were changed. `slept` is
 * undefined when that is not known: then a call with a time limit keeps its EINTR, which says the truth, instead of
 * sleeping for too long.
 */
export function repairInterrupted(tid: number, registers: Registers, slept: Slept | undefined): boolean {
  if (registers.signed(Reg.rax) !== EINTR) return false;
  switch (registers.signed(Reg.origRax)) {
    case Sys.epoll_wait:
    case Sys.epoll_pwait: {
      const limitMs = Number(BigInt.asIntN(32, registers.words[Reg.r10]));
      if (limitMs < 0) break;
      if (!slept) return false;
      registers.set(Reg.r10, remainingMs(tid, limitMs, slept));
      break;
    }
    case Sys.epoll_pwait2:
      if (registers.words[Reg.r10] !== 0n) return false;
      break;
    case Sys.rt_sigtimedwait:
      if (registers.words[Reg.rdx] !== 0n) return false;
      break;
    case Sys.semop:
      break;
    default:
      return false;
  }
  registers.set(Reg.rax, Restart.NOHAND);
  return true;
}
