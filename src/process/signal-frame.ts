/**
 * A signal frame as the kernel of x86-64 writes one (arch/x86/include/asm/sigframe.h, struct rt_sigframe), from which
 * the system call rt_sigreturn restores a thread. leakscope puts one below a thread's stack before it makes the thread
 * do anything, so that the thread finds back by itself when leakscope dies.
 */
import { Restart } from './interrupted-calls.ts';
import { Reg, type Registers } from './ptrace.ts';
import { Sys } from './syscalls.ts';

/** The frame: the address to return to, `struct ucontext` (304 bytes), room for `struct siginfo` (128), which is not read. */
export const FRAME_BYTES = 8 + 304 + 128;
const CONTEXT = 8;
const MACHINE_CONTEXT = CONTEXT + 40;
const SIGNAL_MASK = CONTEXT + 296;
/** UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS. */
const CONTEXT_FLAGS = 7n;
/**
 * A mode that sigaltstack() refuses. rt_sigreturn sets the alternate stack from the frame and passes over a refusal,
 * so this leaves the thread's alternate stack as it is, which ptrace cannot read.
 */
const NO_ALTERNATE_STACK_CHANGE = 8;

/** Order of `struct sigcontext_64` up to the flags. */
const CONTEXT_ORDER = [
  Reg.r8,
  Reg.r9,
  Reg.r10,
  Reg.r11,
  Reg.r12,
  Reg.r13,
  Reg.r14,
  Reg.r15,
  Reg.rdi,
  Reg.rsi,
  Reg.rbp,
  Reg.rbx,
  Reg.rdx,
  Reg.rax,
  Reg.rcx,
  Reg.rsp,
  Reg.rip,
  Reg.eflags,
];

export interface SignalFrame {
  /** Address of `mov $15, %eax; syscall`. */
  readonly sigreturn: number;
  readonly registers: Registers;
  /** Blocked signals to restore, 8 bytes as the kernel has them. */
  readonly signalMask: Uint8Array;
  /** Address of the floating point state, 0 to reset it. */
  readonly floatingPoint: number;
}

/** Writes a frame into `into` (FRAME_BYTES). A `ret` with the stack pointer at its start runs it. */
export function writeFrame(into: Uint8Array, frame: SignalFrame): void {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  const { words } = frame.registers;
  view.setBigUint64(0, BigInt(frame.sigreturn), true);
  view.setBigUint64(CONTEXT, CONTEXT_FLAGS, true);
  view.setInt32(CONTEXT + 24, NO_ALTERNATE_STACK_CHANGE, true);
  CONTEXT_ORDER.forEach((register, i) => {
    view.setBigUint64(MACHINE_CONTEXT + i * 8, words[register], true);
  });
  view.setUint16(MACHINE_CONTEXT + 144, Number(words[Reg.cs]), true);
  view.setUint16(MACHINE_CONTEXT + 150, Number(words[Reg.ss]), true);
  view.setBigUint64(MACHINE_CONTEXT + 184, BigInt(frame.floatingPoint), true);
  into.set(frame.signalMask.subarray(0, 8), SIGNAL_MASK);
}

const FP_XSTATE_MAGIC1 = 0x46505853;
const FP_XSTATE_MAGIC2 = 0x46505845;
/** Where `struct _fpx_sw_bytes` lies in the legacy area. */
const SOFTWARE_BYTES = 464;

/**
 * The floating point state of a signal frame, from what PTRACE_GETREGSET(NT_X86_XSTATE) gave: the same bytes with the
 * kernel's marks (struct _fpx_sw_bytes, and the second magic after the state). To be placed at a multiple of 64.
 */
export function floatingPointFrame(xstate: Uint8Array): Uint8Array {
  const out = new Uint8Array(xstate.length + 4);
  out.set(xstate);
  const view = new DataView(out.buffer);
  // ptrace keeps the mask of enabled features where the frame has its software bytes.
  const features = view.getBigUint64(SOFTWARE_BYTES, true);
  out.fill(0, SOFTWARE_BYTES, 512);
  view.setUint32(SOFTWARE_BYTES, FP_XSTATE_MAGIC1, true);
  view.setUint32(SOFTWARE_BYTES + 4, xstate.length + 4, true);
  view.setBigUint64(SOFTWARE_BYTES + 8, features, true);
  view.setUint32(SOFTWARE_BYTES + 16, xstate.length, true);
  view.setUint32(xstate.length, FP_XSTATE_MAGIC2, true);
  return out;
}

const FUTEX_OPERATION = 0x7f;
const FUTEX_WAIT = 0;
const SYSCALL_INSTRUCTION_BYTES = 2n;

/**
 * The registers with which a thread goes on when nobody can ask the kernel to restart its call: rt_sigreturn does not
 * look at the restart codes, so what the kernel would do is done here. The one difference: rt_sigreturn also forgets
 * how to restart a relative time limit, so nanosleep() and poll() return EINTR. A futex is waited for again, because
 * its time limit is absolute (all of glibc's are).
 */
export function resolveRestart(registers: Registers): Registers {
  const call = registers.signed(Reg.origRax);
  const result = registers.signed(Reg.rax);
  const resolved = registers.copy();
  if (call < 0) return resolved;
  if (result === Restart.SYS || result === Restart.NOINTR || result === Restart.NOHAND) {
    resolved.words[Reg.rax] = registers.words[Reg.origRax];
  } else if (result === Restart.BLOCK) {
    const absolute = call === Sys.futex && (registers.number(Reg.rsi) & FUTEX_OPERATION) !== FUTEX_WAIT;
    resolved.set(Reg.rax, absolute ? call : Sys.restart_syscall);
  } else {
    return resolved;
  }
  resolved.words[Reg.rip] -= SYSCALL_INSTRUCTION_BYTES;
  return resolved;
}
