/** Python programs that the tests of this room look into. */
import { readdirSync } from 'node:fs';
import { statFields } from '../../src/process/maps.ts';
import { interpreters, startTarget, type Target } from './interpreters.ts';

/** The interpreter most tests use. */
export function anyPython(): string {
  const python = interpreters().at(-1);
  if (!python) throw new Error('no CPython 3.8 or newer was found; install python3');
  return python;
}

/** Starts a program that prints a line when it is ready. */
export function pythonTarget(program: string, args: readonly string[] = [], python = anyPython()): Promise<Target> {
  return startTarget(python, ['-u', '-c', program, ...args]);
}

/** Pids whose parent is this process, zombies too. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(p => p > 0 && Number(statFields(`/proc/${p}/stat`)?.[1]) === pid);
}

/** Resolves when a thread is asleep; looks again with each turn of the event loop. */
export async function untilAsleep(pid: number, tid = pid): Promise<void> {
  while (statFields(`/proc/${pid}/task/${tid}/stat`)?.[0] !== 'S') await new Promise(r => setImmediate(r));
}
