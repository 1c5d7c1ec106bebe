/**
 * One system call made by a thread of the target, on our behalf, that leaves no trace and cannot go wrong when
 * leakscope dies in the middle.
 *
 * The thread stands at a ptrace stop. Below its red zone (the 128 bytes under rsp that the ABI lets it use) goes a
 * signal frame with all of its state, then its registers are set to a `syscall; ret` that its libc has, with the stack
 * pointer at that frame. From then on the thread needs nobody: left alone it makes the call, returns into
 * rt_sigreturn, and goes on where it was. While we live we do not let it come that far: after the call it is stopped
 * again and given its registers back, with the kernel's restart code in rax, so that an interrupted call is restarted
 * by the kernel itself. The bytes below the red zone need no restoring: any signal would overwrite them too.
 *
 * All signals are blocked in the thread meanwhile, so that none is handled on the borrowed stack; what arrives stays
 * pending and is delivered after.
 */
import type { FrozenThread } from './freeze.ts';
import type { Gadgets } from './gadgets.ts';
import type { Mapping } from './image.ts';
import { isRestart, Restart } from './interrupted-calls.ts';
import { awaitStop, Ptrace, PtraceEvent, PtraceOption, Reg, Registers, stopEvent, stopSignal } from './ptrace.ts';
import { FRAME_BYTES, floatingPointFrame, resolveRestart, writeFrame } from './signal-frame.ts';
import {
  addressOf,
  collectExit,
  kill,
  NO_STOP,
  NO_TRACEE,
  ptrace,
  ptraceBuffer,
  readMemory,
  Signal,
  Sys,
  writeMemory,
} from './syscalls.ts';

/** For tests: called between any two steps of an injection, so that a test can end leakscope right there. */
export const injectionProbe: { step?: (name: string) => void } = {};

const RED_ZONE = 128;
/** NT_X86_XSTATE of PTRACE_GETREGSET. */
const X86_XSTATE = 0x202;
/** More than the xsave area of any processor so far (11 KiB with AMX). */
const LARGEST_XSTATE = 16 * 1024;
/** A thread's stack must reach at least this far below what an injection needs. */
const STACK_RESERVE = 16 * 1024;
/** Further than this from its thread control block a stack pointer is not on the thread's own stack. */
const LARGEST_STACK = 2 ** 30;
/** Far longer than a fork of the largest process takes. */
const STEP_LIMIT_MS = 60_000;
/** The stop of PTRACE_SYSCALL with PTRACE_O_TRACESYSGOOD. */
const SYSCALL_STOP = Signal.SIGTRAP | 0x80;

/** What the call returned, and the process it made when it was a clone. */
export interface Injected {
  readonly result: number;
  /** A stopped tracee of ours that ends with us, or 0. */
  readonly child: number;
  /** Where `data` lies in the target; it may be read until the thread is let go. */
  readonly dataAt: number;
}

/** The thread could not make the call just now; it is at a stop with its own registers. */
export class InjectionFailed extends Error {}

/** How well a stopped thread suits for an injection: smaller is better, undefined not at all. */
export function suitability(pid: number, thread: FrozenThread, mappings: readonly Mapping[]): number | undefined {
  const { registers } = thread;
  if (thread.signal !== 0 || !registers.is64Bit) return undefined;
  // Only a thread's own stack will do: a small alternate stack may have other data right below it.
  const sp = registers.number(Reg.rsp);
  const stack = mappings.find(m => sp >= m.start && sp < m.end);
  if (!stack?.writable || sp - stack.start < STACK_RESERVE) return undefined;
  const tcb = registers.number(Reg.fsBase);
  const own = stack.path === '[stack]' || (tcb > sp && tcb < stack.end && tcb - sp < LARGEST_STACK);
  if (!own) return undefined;
  if (registers.signed(Reg.origRax) < 0) return inRestartableSequence(pid, thread.tid) ? undefined : 1;
  const result = registers.signed(Reg.rax);
  if (!isRestart(result)) return 2;
  return result === Restart.BLOCK ? 3 : 0;
}

/** A thread inside a restartable sequence (rseq) would lose its place when it runs anything else. */
function inRestartableSequence(pid: number, tid: number): boolean {
  const configuration = new BigUint64Array(16);
  const bytes = new Uint8Array(configuration.buffer);
  if (ptraceBuffer(Ptrace.GET_RSEQ_CONFIGURATION, tid, 24, bytes) < 0 || configuration[0] === 0n) return false;
  const word = new Uint8Array(new ArrayBuffer(128), 0, 8);
  // struct rseq: cpu_id_start, cpu_id, then the pointer to the critical section.
  if (readMemory(pid, Number(configuration[0]) + 8, word) !== 8) return false;
  return word.some(byte => byte !== 0);
}

interface Prepared {
  readonly dataAt: number;
  readonly signalMask: Uint8Array;
  readonly registers: Registers;
}

const NOTHING = new Uint8Array(0);

/**
 * Makes a stopped thread do one system call. `data` is put below the frames for the call to point to. `clone` as the
 * call gives its child, stopped; child 0 with a result above 0 means that it was made and ended before it stopped.
 * Throws InjectionFailed when it did not come to the call; the thread then has its own registers, and is at a stop, as
 * it is when this returns.
 */
export function inject(
  pid: number,
  thread: FrozenThread,
  gadgets: Gadgets,
  call: number,
  args: readonly number[] | ((dataAt: number) => readonly number[]),
  data: Uint8Array = NOTHING,
): Injected {
  const prepared = prepare(pid, thread, gadgets, call, args, data);
  const { dataAt } = prepared;
  const isClone = call === Sys.clone;
  const { tid } = thread;
  const probe = injectionProbe.step;
  probe?.('prepared');
  ptrace(Ptrace.SETOPTIONS, tid, 0, PtraceOption.TRACESYSGOOD | (isClone ? PtraceOption.TRACECLONE : 0));
  if (!prepared.registers.store(tid)) throw new InjectionFailed('its registers could not be set');
  probe?.('registers set');
  const allBlocked = new Uint8Array(128).fill(0xff);
  ptraceBuffer(Ptrace.SETSIGMASK, tid, 8, allBlocked);
  probe?.('signals blocked');
  let child = 0;
  try {
    ptrace(Ptrace.SYSCALL, tid);
    expect(thread, awaitStep(tid), SYSCALL_STOP);
    probe?.('at the call');
    ptrace(Ptrace.SYSCALL, tid);
    let stop = awaitStep(tid);
    if (isClone && stop === (Signal.SIGTRAP | (PtraceEvent.CLONE << 8))) {
      probe?.('cloned');
      child = takeChild(tid);
      probe?.('child taken');
      ptrace(Ptrace.SYSCALL, tid);
      stop = awaitStep(tid);
    }
    expect(thread, stop, SYSCALL_STOP);
    const after = Registers.of(tid);
    probe?.('after the call');
    // Once more into a stop of the kind at which the kernel looks at restart codes afterwards.
    ptrace(Ptrace.INTERRUPT, tid);
    ptrace(Ptrace.CONT, tid);
    const last = awaitStep(tid);
    if (stopEvent(last) !== PtraceEvent.STOP) expect(thread, last, -1);
    return { result: after?.signed(Reg.rax) ?? -1, child, dataAt };
  } catch (error) {
    // A stop signal arrived in between (nothing else can be delivered): the clone may have been made all the same.
    if (child !== 0 && error instanceof InjectionFailed) return { result: child, child, dataAt };
    throw error;
  } finally {
    probe?.('restoring');
    ptraceBuffer(Ptrace.SETSIGMASK, tid, 8, prepared.signalMask);
    probe?.('signals restored');
    thread.registers.store(tid);
    probe?.('registers restored');
    ptrace(Ptrace.SETOPTIONS, tid, 0, 0);
  }
}

function awaitStep(tid: number): number {
  return awaitStop(tid, STEP_LIMIT_MS);
}

function expect(thread: FrozenThread, stop: number, wanted: number): void {
  if (stop === wanted) return;
  if (stop === NO_TRACEE) throw new InjectionFailed('the thread ended');
  if (stop === NO_STOP) throw new InjectionFailed('the thread did not stop again');
  // A signal that cannot be blocked (SIGSTOP): the thread has to get it when it goes on.
  if (stopEvent(stop) === 0 && stop !== SYSCALL_STOP) thread.signal = stopSignal(stop);
  throw new InjectionFailed(`a signal (${stopSignal(stop)}) came first`);
}

/** Waits for the clone's child, which is our tracee from its first moment, and binds its life to ours; 0 when something killed it. */
function takeChild(tid: number): number {
  const message = new BigUint64Array(16);
  ptraceBuffer(Ptrace.GETEVENTMSG, tid, 0, new Uint8Array(message.buffer));
  const child = Number(message[0]);
  if (awaitStop(child, STEP_LIMIT_MS) < 0) {
    // Its parent can collect it only when its tracer has.
    kill(child, Signal.SIGKILL);
    collectExit(child);
    return 0;
  }
  ptrace(Ptrace.SETOPTIONS, child, 0, PtraceOption.EXITKILL);
  return child;
}

/** Writes the frames below the thread's stack. Nothing of the thread itself is changed. */
function prepare(
  pid: number,
  thread: FrozenThread,
  gadgets: Gadgets,
  call: number,
  args: readonly number[] | ((dataAt: number) => readonly number[]),
  data: Uint8Array,
): Prepared {
  const { tid } = thread;
  const signalMask = new Uint8Array(128);
  if (ptraceBuffer(Ptrace.GETSIGMASK, tid, 8, signalMask) < 0) throw new InjectionFailed('the thread ended');
  const floatingPoint = floatingPointFrame(xstateOf(tid));
  const sp = thread.registers.number(Reg.rsp);
  const floatingPointAt = align(sp - RED_ZONE - floatingPoint.length, 64);
  const ownFrame = align(floatingPointAt - FRAME_BYTES, 64);
  const childFrame = align(ownFrame - FRAME_BYTES, 64);
  const dataAt = align(childFrame - data.length, 64);
  const bytes = new Uint8Array(floatingPointAt + floatingPoint.length - dataAt);
  bytes.set(data);
  bytes.set(floatingPoint, floatingPointAt - dataAt);
  writeFrame(bytes.subarray(ownFrame - dataAt), {
    sigreturn: gadgets.sigreturn,
    registers: resolveRestart(thread.registers),
    signalMask,
    floatingPoint: floatingPointAt,
  });
  const inCall = thread.registers.copy();
  inCall.set(Reg.rip, gadgets.syscallReturn);
  inCall.set(Reg.origRax, -1);
  // A child that is let go before we could bind it to us ends at once instead of being a second copy of the program.
  const childEnd = inCall.copy();
  childEnd.set(Reg.rax, Sys.exit_group);
  childEnd.set(Reg.rdi, 0);
  childEnd.set(Reg.rsp, childFrame);
  const childBytes = bytes.subarray(childFrame - dataAt);
  writeFrame(childBytes, { sigreturn: gadgets.sigreturn, registers: childEnd, signalMask, floatingPoint: 0 });
  if (writeMemory(pid, dataAt, bytes) !== bytes.length) throw new InjectionFailed('its stack could not be written');

  inCall.set(Reg.rsp, ownFrame);
  inCall.set(Reg.rax, call);
  // clone(flags, stack, …): the second argument is where the child's stack pointer starts.
  const registers = [Reg.rdi, Reg.rsi, Reg.rdx, Reg.r10, Reg.r8, Reg.r9];
  const given = typeof args === 'function' ? args(dataAt) : args;
  const values = call === Sys.clone ? [given[0], childFrame, 0, 0, 0, 0] : given;
  registers.forEach((register, i) => {
    inCall.set(register, values[i] ?? 0);
  });
  return { dataAt, signalMask, registers: inCall };
}

function xstateOf(tid: number): Uint8Array {
  const bytes = new Uint8Array(LARGEST_XSTATE);
  const vector = new BigUint64Array(16);
  vector[0] = BigInt(addressOf(bytes));
  vector[1] = BigInt(bytes.length);
  if (ptraceBuffer(Ptrace.GETREGSET, tid, X86_XSTATE, new Uint8Array(vector.buffer)) < 0) {
    throw new InjectionFailed('its floating point state could not be read');
  }
  return bytes.slice(0, Number(vector[1]));
}

function align(address: number, to: number): number {
  return Math.floor(address / to) * to;
}
