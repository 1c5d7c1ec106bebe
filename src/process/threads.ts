/** The threads of a process as /proc shows them, without stopping any. */
import { readdirSync } from 'node:fs';
import { procText, statFields } from './maps.ts';
import { addressOf, nap, Sys, systemCall } from './syscalls.ts';

/** Thread ids, ascending; empty when the process is gone. */
export function threadIds(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map(Number)
      .sort((a, b) => a - b);
  } catch {
    return [];
  }
}

/** One letter as in `ps`: R, S, D, T, t, Z, X; '' when the thread is gone. */
export function threadState(pid: number, tid: number): string {
  return statFields(`/proc/${pid}/task/${tid}/stat`)?.[0] ?? '';
}

/** Where a thread waits in the kernel. */
export interface BlockedCall {
  readonly number: number;
  readonly args: readonly number[];
  readonly stackPointer: number;
  readonly instructionPointer: number;
}

/**
 * The system call a sleeping thread waits in (`/proc/PID/task/TID/syscall`); undefined when it runs, when it is not in
 * a system call, or when the kernel does not tell.
 */
export function blockedCall(pid: number, tid: number): BlockedCall | undefined {
  const text = procText(`/proc/${pid}/task/${tid}/syscall`);
  if (text === undefined || text.startsWith('running')) return undefined;
  const fields = text.trim().split(' ').map(Number);
  if (fields.length < 9 || fields[0] < 0) return undefined;
  return { number: fields[0], args: fields.slice(1, 7), stackPointer: fields[7], instructionPointer: fields[8] };
}

/**
 * A text that changes whenever the thread was given a processor: its run time and number of time slices, or where the
 * kernel keeps no such statistics, its context switches. Equal texts and a sleeping state at both ends mean that the
 * thread has not run in between.
 */
export function runMark(pid: number, tid: number): string {
  const schedule = procText(`/proc/${pid}/task/${tid}/schedstat`);
  if (schedule !== undefined && !/^0 0 0/.test(schedule)) return schedule;
  const status = procText(`/proc/${pid}/task/${tid}/status`) ?? '';
  return /^voluntary_ctxt_switches:.*\n.*$/m.exec(status)?.[0] ?? '';
}

/** How often a thread has gone to sleep by itself. */
export function voluntarySwitches(pid: number, tid: number): number {
  const status = procText(`/proc/${pid}/task/${tid}/status`) ?? '';
  return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1] ?? 0);
}

/** `se.exec_start` of a `/proc/…/sched`: when the thread was last put on or taken off a processor, in ms of that processor's clock. */
function lastRunMs(path: string): number | undefined {
  const text = procText(path);
  const m = text === undefined ? undefined : /^se\.exec_start\s*:\s*([\d.]+)/m.exec(text);
  return m ? Number(m[1]) : undefined;
}

const affinity = new Uint8Array(1024);
const oneProcessor = new Uint8Array(1024);

/**
 * Since when a sleeping thread sleeps, as `performance.now()`; undefined where the kernel does not show it. Never
 * earlier than it was: at most late by some 100 µs, and by the time that a hypervisor took away.
 *
 * The scheduler keeps that time in the clock of the processor the thread was on. Those clocks differ from one processor
 * to the next (they leave out interrupts and stolen time), so ours is moved there for a moment and read beside it.
 */
export function asleepSinceMs(pid: number, tid: number): number | undefined {
  const processor = Number(statFields(`/proc/${pid}/task/${tid}/stat`)?.[36] ?? -1);
  const slept = lastRunMs(`/proc/${pid}/task/${tid}/sched`);
  if (slept === undefined || processor < 0 || processor >= oneProcessor.length * 8) return undefined;
  const saved = systemCall(Sys.sched_getaffinity, 0, affinity.length, addressOf(affinity));
  if (saved < 0) return undefined;
  oneProcessor.fill(0);
  oneProcessor[processor >> 3] = 1 << (processor & 7);
  if (systemCall(Sys.sched_setaffinity, 0, oneProcessor.length, addressOf(oneProcessor)) < 0) return undefined;
  try {
    // Sleeping for a moment makes the scheduler note when we were put on the processor again.
    nap(1);
    const then = lastRunMs('/proc/thread-self/sched');
    return then === undefined ? undefined : performance.now() - (then - slept);
  } finally {
    systemCall(Sys.sched_setaffinity, 0, saved, addressOf(affinity));
  }
}
