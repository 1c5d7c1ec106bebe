/**
 * Linux system calls through koffi: the only file that calls into libc. Everything goes through libc's `syscall`,
 * declared once per shape of arguments; a call costs about 0.3 µs. Numbers are those of x86-64
 * (arch/x86/entry/syscalls/syscall_64.tbl), flags those of the kernel's uapi headers.
 */
import koffi from 'koffi';
import { ExitCode, LeakscopeError } from './errors.ts';

/** System call numbers of x86-64 that leakscope makes itself or recognises in a target. */
export const Sys = {
  read: 0,
  write: 1,
  close: 3,
  poll: 7,
  rt_sigaction: 13,
  rt_sigreturn: 15,
  select: 23,
  pause: 34,
  nanosleep: 35,
  getpid: 39,
  clone: 56,
  wait4: 61,
  kill: 62,
  semop: 65,
  accept: 43,
  recvfrom: 45,
  recvmsg: 47,
  getsockopt: 55,
  readv: 19,
  accept4: 288,
  pidfd_open: 434,
  pidfd_getfd: 438,
  flock: 73,
  ptrace: 101,
  rt_sigtimedwait: 128,
  rt_sigsuspend: 130,
  futex: 202,
  sched_setaffinity: 203,
  sched_getaffinity: 204,
  restart_syscall: 219,
  semtimedop: 220,
  clock_nanosleep: 230,
  exit_group: 231,
  epoll_wait: 232,
  tgkill: 234,
  waitid: 247,
  pselect6: 270,
  ppoll: 271,
  get_robust_list: 274,
  epoll_pwait: 281,
  perf_event_open: 298,
  process_vm_readv: 310,
  process_vm_writev: 311,
  epoll_pwait2: 441,
  futex_waitv: 449,
} as const;

export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EINVAL: 22,
  EMFILE: 24,
  ENOSPC: 28,
  ENOSYS: 38,
} as const;

export const Signal = {
  SIGTRAP: 5,
  SIGKILL: 9,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
} as const;

export const __WALL = 0x4000_0000;
export const __WCLONE = 0x8000_0000;
export const WNOHANG = 1;
const WSTOPPED = 2;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const P_PID = 1;

type Plain = (n: number, a: number, b: number, c: number, d: number, e: number) => number;
type TwoPointers = (n: number, a: number, b: Uint8Array, c: number, d: Uint8Array, e: number, f: number) => number;
type PointerFourth = (n: number, a: number, b: number, c: number, d: Uint8Array, e: number) => number;
type PointerThird = (n: number, a: number, b: number, c: Uint8Array, d: number, e: number) => number;
type PointerFirst = (n: number, a: Uint8Array, b: number, c: number, d: number, e: number) => number;

interface Calls {
  readonly plain: Plain;
  readonly twoPointers: TwoPointers;
  readonly pointerFourth: PointerFourth;
  readonly pointerThird: PointerThird;
  readonly pointerFirst: PointerFirst;
  readonly addressOf: (a: Uint8Array, b: Uint8Array, length: number) => number;
  readonly usleep: (microseconds: number) => number;
  readonly sigaction: (signal: number, action: Uint8Array | null, old: Uint8Array | null) => number;
}

let loaded: Calls | undefined;

/** The bound calls; bound when first needed, so that reading a core or a snapshot needs neither Linux nor koffi. */
function calls(): Calls {
  if (loaded) return loaded;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new LeakscopeError(
      `leakscope can look into running processes on 64-bit x86 Linux only; this is ${process.platform} on ${process.arch}`,
      ExitCode.unsupportedTarget,
      'Take a core file or a snapshot with the agent and look at that.',
    );
  }
  const libc = koffi.load(null);
  loaded = {
    plain: libc.func('syscall', 'int64', ['int64', 'int64', 'int64', 'int64', 'int64', 'int64']) as Plain,
    twoPointers: libc.func('syscall', 'int64', [
      'int64',
      'int64',
      'void *',
      'int64',
      'void *',
      'int64',
      'int64',
    ]) as TwoPointers,
    pointerFourth: libc.func('syscall', 'int64', [
      'int64',
      'int64',
      'int64',
      'int64',
      'void *',
      'int64',
    ]) as PointerFourth,
    pointerThird: libc.func('syscall', 'int64', [
      'int64',
      'int64',
      'int64',
      'void *',
      'int64',
      'int64',
    ]) as PointerThird,
    pointerFirst: libc.func('syscall', 'int64', [
      'int64',
      'void *',
      'int64',
      'int64',
      'int64',
      'int64',
    ]) as PointerFirst,
    addressOf: libc.func('memmove', 'uint64', ['void *', 'void *', 'size_t']) as Calls['addressOf'],
    usleep: libc.func('usleep', 'int', ['uint32']) as Calls['usleep'],
    sigaction: libc.func('sigaction', 'int', ['int', 'void *', 'void *']) as Calls['sigaction'],
  };
  return loaded;
}

/** `errno` of the call just made. */
export function errno(): number {
  return koffi.errno();
}

/** Any system call whose arguments are numbers. Returns its result, or minus errno. */
export function systemCall(number: number, a = 0, b = 0, c = 0, d = 0, e = 0): number {
  const result = calls().plain(number, a, b, c, d, e);
  return result === -1 ? -koffi.errno() : result;
}

/** ptrace with a number as data. Returns 0 or minus errno. */
export function ptrace(request: number, tid: number, address = 0, data = 0): number {
  return systemCall(Sys.ptrace, request, tid, address, data);
}

/** ptrace with a buffer as data. Returns the request's result or minus errno. */
export function ptraceBuffer(request: number, tid: number, address: number, data: Uint8Array): number {
  const result = calls().pointerFourth(Sys.ptrace, request, tid, address, data, 0);
  return result === -1 ? -koffi.errno() : result;
}

const robustListOut = new BigUint64Array(16);

/** `get_robust_list(tid)`: address of the head that the thread registered, or 0. */
export function robustListHead(tid: number): number {
  const out = addressOf(new Uint8Array(robustListOut.buffer));
  return systemCall(Sys.get_robust_list, tid, out, out + 8) === 0 ? Number(robustListOut[0]) : 0;
}

/** perf_event_open(attr, tid, cpu, group, flags): the file descriptor or minus errno. */
export function perfEventOpen(attr: Uint8Array, tid: number, cpu: number, group: number, flags: number): number {
  const result = calls().pointerFirst(Sys.perf_event_open, attr, tid, cpu, group, flags);
  return result === -1 ? -koffi.errno() : result;
}

/** Where a buffer lies in our own memory. The buffer must be more than 64 bytes long, or it may move. */
export function addressOf(buffer: Uint8Array): number {
  return calls().addressOf(buffer, buffer, 0);
}

/** Sleeps for a number of microseconds without giving the event loop a turn. */
export function nap(microseconds: number): void {
  calls().usleep(microseconds);
}

/** `pollStop` found nothing. */
export const NO_STOP = -1;
/** `pollStop`: there is no such tracee any more. */
export const NO_TRACEE = -2;

const siginfo = new Uint8Array(128);
const siginfoWords = new Int32Array(siginfo.buffer);

/**
 * Takes one ptrace stop of a tracee, if there is one: the stop signal in bits 0-7, a PTRACE_EVENT in bits 8-15.
 * Exits are never taken here, so that Node still sees the exit of a target that is its own child.
 */
export function pollStop(tid: number): number {
  siginfoWords[0] = 0;
  const result = calls().pointerThird(Sys.waitid, P_PID, tid, siginfo, WSTOPPED | WNOHANG | __WALL, 0);
  if (result === -1) return NO_TRACEE;
  return siginfoWords[0] === 0 ? NO_STOP : siginfoWords[6];
}

/** How a tracee ended, without collecting it: undefined while it lives, otherwise code and status of `siginfo`. */
export function peekExit(tid: number): { exited: boolean; status: number } | undefined {
  siginfoWords[0] = 0;
  const result = calls().pointerThird(Sys.waitid, P_PID, tid, siginfo, WEXITED | WNOWAIT | WNOHANG | __WALL, 0);
  if (result === -1) return { exited: false, status: 0 };
  // CLD_EXITED, CLD_KILLED, CLD_DUMPED. A stop of a tracee shows up here too (CLD_TRAPPED), and is left where it is.
  if (siginfoWords[0] === 0 || siginfoWords[2] > 3) return undefined;
  return { exited: siginfoWords[2] === 1, status: siginfoWords[6] };
}

/** Collects a tracee that ended. Returns whether there was one. */
export function collectExit(tid: number): boolean {
  siginfoWords[0] = 0;
  const result = calls().pointerThird(Sys.waitid, P_PID, tid, siginfo, WEXITED | WNOHANG | __WALL, 0);
  return result !== -1 && siginfoWords[0] !== 0;
}

/** Bytes asked for in one process_vm_readv; the kernel moves at most 2 GiB in one. */
const LARGEST_READ = 2 ** 30;
const vectors = new BigUint64Array(16);
const localVector = new Uint8Array(vectors.buffer, 0, 16);
const remoteVector = new Uint8Array(vectors.buffer, 64, 16);

function moveMemory(number: number, pid: number, address: number, local: Uint8Array): number {
  const length = local.byteLength;
  if (length === 0) return 0;
  const { twoPointers } = calls();
  // A buffer of at most 64 bytes may lie in V8's heap; taking its address moves it out for good.
  const base = addressOf(local);
  let done = 0;
  while (done < length) {
    const wanted = Math.min(LARGEST_READ, length - done);
    vectors[0] = BigInt(base + done);
    vectors[1] = BigInt(wanted);
    vectors[8] = BigInt(address + done);
    vectors[9] = BigInt(wanted);
    const got = twoPointers(number, pid, localVector, 1, remoteVector, 1, 0);
    if (got <= 0) return done > 0 ? done : got < 0 ? -koffi.errno() : 0;
    done += got;
    if (got < wanted) break;
  }
  return done;
}

/**
 * Copies memory of another process. Returns the bytes copied from the start on, which are fewer than asked for when
 * the range has a hole, or minus errno when not even the first could be read.
 */
export function readMemory(pid: number, address: number, into: Uint8Array): number {
  return moveMemory(Sys.process_vm_readv, pid, address, into);
}

/** Copies into memory of another process; the same result as `readMemory`. */
export function writeMemory(pid: number, address: number, from: Uint8Array): number {
  return moveMemory(Sys.process_vm_writev, pid, address, from);
}

const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;

/**
 * Has a socket of another process a time limit for receiving? Undefined when it cannot be found out (before Linux 5.6).
 * The socket is looked at through a duplicate of ours, which changes nothing for its owner.
 */
export function hasReceiveTimeout(pid: number, descriptor: number): boolean | undefined {
  const process = systemCall(Sys.pidfd_open, pid, 0);
  if (process < 0) return undefined;
  const duplicate = systemCall(Sys.pidfd_getfd, process, descriptor, 0);
  systemCall(Sys.close, process);
  if (duplicate < 0) return undefined;
  // struct timeval, then its length.
  const out = new BigUint64Array(16);
  out[2] = 16n;
  const address = addressOf(new Uint8Array(out.buffer));
  const result = systemCall(Sys.getsockopt, duplicate, SOL_SOCKET, SO_RCVTIMEO, address, address + 16);
  systemCall(Sys.close, duplicate);
  return result < 0 ? undefined : out[0] !== 0n || out[1] !== 0n;
}

/** Sends a signal to a process; 0 or minus errno. */
export function kill(pid: number, signal: number): number {
  return systemCall(Sys.kill, pid, signal);
}

/** Sends a signal to one thread; 0 or minus errno. */
export function tgkill(pid: number, tid: number, signal: number): number {
  return systemCall(Sys.tgkill, pid, tid, signal);
}

/** libc's sigaction with raw buffers of at least 152 bytes; returns whether it worked. */
export function sigaction(signal: number, action: Uint8Array | null, old: Uint8Array | null): boolean {
  return calls().sigaction(signal, action, old) === 0;
}
