/** ptrace, a little above the system call: registers, stops, and the errors a person should read. */
import { ExitCode, LeakscopeError } from './errors.ts';
import { processStatus } from './maps.ts';
import { denialError, explainPermission, standInTheWay } from './permission.ts';
import { Errno, NO_STOP, NO_TRACEE, nap, peekExit, pollStop, ptrace, ptraceBuffer } from './syscalls.ts';

/** Requests and events of include/uapi/linux/ptrace.h. */
export const Ptrace = {
  CONT: 7,
  GETREGS: 12,
  SETREGS: 13,
  DETACH: 17,
  SYSCALL: 24,
  SETOPTIONS: 0x4200,
  GETEVENTMSG: 0x4201,
  GETSIGINFO: 0x4202,
  GETREGSET: 0x4204,
  SEIZE: 0x4206,
  INTERRUPT: 0x4207,
  LISTEN: 0x4208,
  GETSIGMASK: 0x420a,
  SETSIGMASK: 0x420b,
  SECCOMP_GET_FILTER: 0x420c,
  GET_RSEQ_CONFIGURATION: 0x420f,
} as const;

export const PtraceOption = {
  TRACESYSGOOD: 1,
  TRACECLONE: 8,
  TRACEEXEC: 0x10,
  TRACEEXIT: 0x40,
  EXITKILL: 0x10_0000,
} as const;
export const PtraceEvent = { CLONE: 3, EXEC: 4, EXIT: 6, STOP: 128 } as const;

/** Position of a register in `struct user_regs_struct` of x86-64, in 64-bit words. */
export const Reg = {
  r15: 0,
  r14: 1,
  r13: 2,
  r12: 3,
  rbp: 4,
  rbx: 5,
  r11: 6,
  r10: 7,
  r9: 8,
  r8: 9,
  rax: 10,
  rcx: 11,
  rdx: 12,
  rsi: 13,
  rdi: 14,
  origRax: 15,
  rip: 16,
  cs: 17,
  eflags: 18,
  rsp: 19,
  ss: 20,
  fsBase: 21,
  gsBase: 22,
} as const;
const REGISTER_WORDS = 27;
/** `cs` of 64-bit code. */
const CODE_SEGMENT_64 = 0x33n;

/** The registers of a stopped thread, as the kernel keeps them. */
export class Registers {
  readonly words: BigUint64Array;
  private readonly bytes: Uint8Array;

  constructor(words: BigUint64Array = new BigUint64Array(REGISTER_WORDS)) {
    this.words = words;
    this.bytes = new Uint8Array(words.buffer);
  }

  /** The registers of a stopped tracee, or undefined when it is gone. */
  static of(tid: number): Registers | undefined {
    const registers = new Registers();
    return registers.load(tid) ? registers : undefined;
  }

  load(tid: number): boolean {
    return ptraceBuffer(Ptrace.GETREGS, tid, 0, this.bytes) >= 0;
  }

  /** Gives these registers to a stopped tracee; whether it took them. */
  store(tid: number): boolean {
    return ptraceBuffer(Ptrace.SETREGS, tid, 0, this.bytes) >= 0;
  }

  copy(): Registers {
    return new Registers(this.words.slice());
  }

  /** A register as an address; exact below 2^53. */
  number(register: number): number {
    return Number(this.words[register]);
  }

  signed(register: number): number {
    return Number(BigInt.asIntN(64, this.words[register]));
  }

  set(register: number, value: number): void {
    this.words[register] = BigInt.asUintN(64, BigInt(value));
  }

  get is64Bit(): boolean {
    return this.words[Reg.cs] === CODE_SEGMENT_64;
  }
}

/** The longest rest between two looks at a tracee that takes its time, as a fork does. */
const LONGEST_NAP_US = 150;

/**
 * Waits until a tracee stops: spins first, because a stop usually takes some 10 µs, then looks ever more rarely, for on a
 * busy machine each look takes the processor away from it. NO_STOP after `limitMs`, NO_TRACEE when it ended.
 */
export function awaitStop(tid: number, limitMs: number): number {
  for (let i = 0; i < 40; i++) {
    const stop = pollStop(tid);
    if (stop !== NO_STOP) return stop;
  }
  const limit = performance.now() + limitMs;
  for (let rest = 20; ; rest = Math.min(LONGEST_NAP_US, rest * 1.2)) {
    const stop = pollStop(tid);
    if (stop !== NO_STOP) return stop;
    if (peekExit(tid)) return NO_TRACEE;
    if (performance.now() > limit) return NO_STOP;
    nap(rest);
  }
}

/** The signal of a stop, and the ptrace event (0 when it is a signal on its way to the thread). */
export function stopSignal(stop: number): number {
  return stop & 0xff;
}
export function stopEvent(stop: number): number {
  return (stop >> 8) & 0xff;
}

/** PTRACE_SEIZE, which does not stop the thread. 0 or minus errno. */
export function seize(tid: number, options = 0): number {
  return ptrace(Ptrace.SEIZE, tid, 0, options);
}

/** Is there a process to look at? Throws what a person should read otherwise; says nothing about permission. */
export function checkTarget(pid: number): void {
  const denial = standInTheWay(pid);
  if (denial) throw denialError(pid, denial);
}

/** What to say when a thread could not be seized, with the remedy for the reason that /proc shows. */
export function seizeError(pid: number, code: number): LeakscopeError {
  const status = processStatus(pid);
  if (code === -Errno.ESRCH || !status) {
    return new LeakscopeError(`process ${pid} has ended`, ExitCode.targetEnded, 'Start the program again.');
  }
  if (status.tracer === process.pid) {
    return new LeakscopeError(`process ${pid} is already being watched by this leakscope`, ExitCode.notPermitted);
  }
  if (code === -Errno.EPERM) return explainPermission(pid);
  return new LeakscopeError(`process ${pid} could not be traced (errno ${-code})`, ExitCode.unsupportedTarget);
}
