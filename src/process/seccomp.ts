/**
 * Would a target's seccomp filters let a system call pass? A filter may kill the process for one call too many, so it
 * is asked before anything is injected: read through ptrace (which needs CAP_SYS_ADMIN) and run here.
 */
import { Freeze, ThreadDidNotStop } from './freeze.ts';
import { Ptrace } from './ptrace.ts';
import { ptrace, ptraceBuffer } from './syscalls.ts';

/** AUDIT_ARCH_X86_64. */
const ARCHITECTURE = 0xc000003e;
const RET_ALLOW = 0x7fff0000;
/** `struct seccomp_data`: number, architecture, instruction pointer, six arguments. */
const DATA_BYTES = 64;

/** True when every filter of the target allows every one of these calls; false also when the filters cannot be read. */
export function seccompAllows(pid: number, calls: readonly number[]): boolean {
  const filters = readFilters(pid);
  if (!filters) return false;
  return calls.every(call => filters.every(filter => runFilter(filter, seccompData(call)) === RET_ALLOW));
}

/** The filters of the process's first thread that can be stopped, or undefined. */
function readFilters(pid: number): Uint8Array[] | undefined {
  try {
    using freeze = Freeze.of(pid, { leaveAsleep: true });
    const thread = freeze.threads[0];
    if (!thread) return undefined;
    const filters: Uint8Array[] = [];
    for (;;) {
      const length = ptrace(Ptrace.SECCOMP_GET_FILTER, thread.tid, filters.length, 0);
      // ENOENT: there are no more.
      if (length === -2) return filters;
      if (length <= 0) return undefined;
      const filter = new Uint8Array(Math.max(128, length * 8));
      if (ptraceBuffer(Ptrace.SECCOMP_GET_FILTER, thread.tid, filters.length, filter) !== length) return undefined;
      filters.push(filter.slice(0, length * 8));
    }
  } catch (error) {
    if (error instanceof ThreadDidNotStop) return undefined;
    throw error;
  }
}

function seccompData(call: number): DataView {
  const data = new DataView(new ArrayBuffer(DATA_BYTES));
  data.setUint32(0, call, true);
  data.setUint32(4, ARCHITECTURE, true);
  return data;
}

/**
 * Runs a classic BPF program as seccomp does (include/uapi/linux/filter.h, kernel/seccomp.c): loads are of whole words
 * of `data`. Returns its verdict; 0, which kills, for a program that is not sound.
 */
export function runFilter(program: Uint8Array, data: DataView): number {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const scratch = new Uint32Array(16);
  let a = 0;
  let x = 0;
  for (let pc = 0; pc * 8 + 8 <= program.length; pc++) {
    const op = code.getUint16(pc * 8, true);
    const k = code.getUint32(pc * 8 + 4, true);
    const operand = op & 0x08 ? x : k;
    switch (op & 0x07) {
      case 0x00: // BPF_LD
        if (op === 0x20 && k + 4 <= DATA_BYTES) a = data.getUint32(k, true);
        else if (op === 0x80) a = DATA_BYTES;
        else if (op === 0x00) a = k;
        else if (op === 0x60) a = scratch[k & 15];
        else return 0;
        break;
      case 0x01: // BPF_LDX
        if (op === 0x01) x = k;
        else if (op === 0x81) x = DATA_BYTES;
        else if (op === 0x61) x = scratch[k & 15];
        else return 0;
        break;
      case 0x02:
        scratch[k & 15] = a;
        break;
      case 0x03:
        scratch[k & 15] = x;
        break;
      case 0x04:
        a = compute(op & 0xf0, a, operand);
        break;
      case 0x05: {
        const jump = op & 0xf0;
        if (jump === 0x00) pc += k;
        else pc += code.getUint8(pc * 8 + (taken(jump, a, operand) ? 2 : 3));
        break;
      }
      case 0x06:
        return (op & 0x18) === 0x10 ? a : k;
      default:
        if ((op & 0xf8) === 0x80) a = x;
        else x = a;
    }
  }
  return 0;
}

function compute(operation: number, a: number, b: number): number {
  switch (operation) {
    case 0x00:
      return (a + b) >>> 0;
    case 0x10:
      return (a - b) >>> 0;
    case 0x20:
      return Math.imul(a, b) >>> 0;
    case 0x30:
      return b === 0 ? 0 : Math.floor(a / b);
    case 0x40:
      return (a | b) >>> 0;
    case 0x50:
      return (a & b) >>> 0;
    case 0x60:
      return b > 31 ? 0 : (a << b) >>> 0;
    case 0x70:
      return b > 31 ? 0 : a >>> b;
    case 0x80:
      return -a >>> 0;
    case 0x90:
      return b === 0 ? 0 : a % b;
    case 0xa0:
      return (a ^ b) >>> 0;
    default:
      return 0;
  }
}

function taken(jump: number, a: number, b: number): boolean {
  switch (jump) {
    case 0x10:
      return a === b;
    case 0x20:
      return a > b;
    case 0x30:
      return a >= b;
    case 0x40:
      return (a & b) !== 0;
    default:
      return false;
  }
}
