/** What `doctor` finds out by doing it: tracing a child of our own, setting a debug register in it, and perf's way to one. */
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { awaitStop, Ptrace, seize } from './ptrace.ts';
import { addressOf, perfEventOpen, ptrace } from './syscalls.ts';

/** Outcome of one try: it worked, or why not. */
export interface Try {
  readonly worked: boolean;
  /** One clause. */
  readonly why: string;
}

export interface Tries {
  /** ptrace (SEIZE, INTERRUPT) of a child of our own. */
  readonly ptrace: Try;
  /** A hardware watchpoint through ptrace, in that child. */
  readonly debugRegister: Try;
  /** A hardware watchpoint through perf_event_open, in ourselves. */
  readonly perfBreakpoint: Try;
}

const POKEUSER = 6;
/** offsetof(struct user, u_debugreg) of x86-64, sys/user.h. */
const DEBUG_REGISTERS = 848;
/** DR7: watch 4 bytes at DR0 for writes, locally enabled. */
const WATCH_WRITES = 1 + (1 << 16) + (3 << 18);
const STOP_LIMIT_MS = 2000;
const PERF_TYPE_BREAKPOINT = 5;
const HW_BREAKPOINT_W = 2;
const PERF_FLAG_FD_CLOEXEC = 8;

/** Tries everything that can be tried without touching anybody else's process. */
export function tryEverything(): Tries {
  return { ...tryOnChild(), perfBreakpoint: tryPerf() };
}

function tryOnChild(): Pick<Tries, 'ptrace' | 'debugRegister'> {
  const both = (why: string) => ({ ptrace: { worked: false, why }, debugRegister: { worked: false, why } });
  // A child that waits for a line which never comes.
  const child = spawn('/bin/sh', ['-c', 'read line'], { stdio: ['pipe', 'ignore', 'ignore'] });
  child.on('error', () => undefined);
  child.unref();
  const { pid } = child;
  if (pid === undefined) return both('no child process could be started to try it on');
  try {
    const seized = seize(pid);
    if (seized < 0) return both(`ptrace of a child of our own was refused (${errorName(seized)})`);
    const interrupted = ptrace(Ptrace.INTERRUPT, pid);
    if (interrupted < 0 || awaitStop(pid, STOP_LIMIT_MS) < 0) return both('a traced child of our own did not stop');
    const address = ptrace(POKEUSER, pid, DEBUG_REGISTERS, 0x1000);
    const armed = address < 0 ? address : ptrace(POKEUSER, pid, DEBUG_REGISTERS + 7 * 8, WATCH_WRITES);
    if (armed >= 0) ptrace(POKEUSER, pid, DEBUG_REGISTERS + 7 * 8, 0);
    ptrace(Ptrace.DETACH, pid);
    return {
      ptrace: { worked: true, why: 'a child of our own was traced and stopped' },
      debugRegister:
        armed < 0
          ? { worked: false, why: `setting a debug register was refused (${errorName(armed)})` }
          : { worked: true, why: 'a debug register was set in a child of our own' },
    };
  } finally {
    child.kill('SIGKILL');
  }
}

function tryPerf(): Try {
  const attr = new Uint8Array(112);
  const view = new DataView(attr.buffer);
  view.setUint32(0, PERF_TYPE_BREAKPOINT, true);
  view.setUint32(4, attr.length, true);
  view.setBigUint64(16, 1n, true);
  // disabled, exclude_kernel, exclude_hv
  view.setBigUint64(40, 1n | (1n << 5n) | (1n << 6n), true);
  view.setUint32(52, HW_BREAKPOINT_W, true);
  view.setBigUint64(56, BigInt(addressOf(attr)), true);
  view.setBigUint64(64, 4n, true);
  const fd = perfEventOpen(attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  if (fd < 0) return { worked: false, why: `perf_event_open of a breakpoint was refused (${errorName(fd)})` };
  closeSync(fd);
  return { worked: true, why: 'perf gave a breakpoint on ourselves' };
}

const ERROR_NAMES: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  3: 'ESRCH',
  5: 'EIO',
  13: 'EACCES',
  16: 'EBUSY',
  19: 'ENODEV',
  22: 'EINVAL',
  28: 'ENOSPC',
  38: 'ENOSYS',
  95: 'EOPNOTSUPP',
};

function errorName(result: number): string {
  return ERROR_NAMES[-result] ?? `errno ${-result}`;
}
