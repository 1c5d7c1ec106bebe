/** The threads of a process as /proc shows them, without stopping any. */
import { readdirSync } from 'node:fs';
import { procText, statFields } from './maps.ts';

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

/**
 * When the thread was last put on or taken off a processor, in ms of the scheduler's clock (`se.exec_start`);
 * undefined where the kernel does not show it. The difference of two values around a sleep is the time slept.
 */
export function lastRunMs(pid: number, tid: number): number | undefined {
  const text = procText(`/proc/${pid}/task/${tid}/sched`);
  const m = text === undefined ? undefined : /^se\.exec_start\s*:\s*([\d.]+)/m.exec(text);
  return m ? Number(m[1]) : undefined;
}
