/**
 * Instructions that a target already has and that an injected system call needs: nothing is ever written to its code.
 *
 * `syscall; ret` is the end of getpid() and its like in every libc. `mov $15, %eax; syscall` is the C library's
 * __restore_rt, to which the kernel returns from a signal handler.
 */
import type { Mapping } from './image.ts';
import { readMemory } from './syscalls.ts';

/** Addresses in the target. */
export interface Gadgets {
  readonly syscallReturn: number;
  readonly sigreturn: number;
}

const SYSCALL_RETURN = Buffer.from([0x0f, 0x05, 0xc3]);
const SIGRETURNS = [
  Buffer.from([0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]), // glibc: mov $15, %rax
  Buffer.from([0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]), // mov $15, %eax
];
/** More than any libc's code; the code of a larger module is searched up to here. */
const LARGEST_SEARCH = 16 * 2 ** 20;

/** Offsets in a mapping, by the file and place that it maps: the code of a file does not change. */
const offsets = new Map<string, { syscallReturn: number; sigreturn: number }>();

/** Finds the instructions, in the C library first; undefined when the target has none (then nothing can be injected). */
export function findGadgets(pid: number, mappings: readonly Mapping[]): Gadgets | undefined {
  const code = mappings.filter(m => m.executable && m.readable && !m.writable && m.inode !== 0);
  code.sort((a, b) => rank(a) - rank(b) || a.start - b.start);
  let syscallReturn: number | undefined;
  let sigreturn: number | undefined;
  for (const m of code) {
    const found = inMapping(pid, m);
    if (found.syscallReturn >= 0) syscallReturn ??= m.start + found.syscallReturn;
    if (found.sigreturn >= 0) sigreturn ??= m.start + found.sigreturn;
    if (syscallReturn !== undefined && sigreturn !== undefined) return { syscallReturn, sigreturn };
  }
  return undefined;
}

function rank(m: Mapping): number {
  return /\/(libc[.-]|ld-musl|libpthread[.-])/.test(m.path) ? 0 : 1;
}

function inMapping(pid: number, m: Mapping): { syscallReturn: number; sigreturn: number } {
  const key = `${m.inode}:${m.offset}:${m.end - m.start}:${m.path}`;
  const known = offsets.get(key);
  if (known && holds(pid, m.start, known)) return known;
  const bytes = Buffer.alloc(Math.min(LARGEST_SEARCH, m.end - m.start));
  const code = bytes.subarray(0, Math.max(0, readMemory(pid, m.start, bytes)));
  const found = {
    syscallReturn: code.indexOf(SYSCALL_RETURN),
    sigreturn: SIGRETURNS.map(s => code.indexOf(s)).find(at => at >= 0) ?? -1,
  };
  offsets.set(key, found);
  return found;
}

/** Is what was found in this file before really there in this process (the same inode may be another file elsewhere)? */
function holds(pid: number, start: number, found: { syscallReturn: number; sigreturn: number }): boolean {
  const check = (offset: number, patterns: readonly Buffer[]) => {
    if (offset < 0) return true;
    const bytes = Buffer.alloc(patterns[0].length);
    if (readMemory(pid, start + offset, bytes) !== bytes.length) return false;
    return patterns.some(p => p.equals(bytes.subarray(0, p.length)));
  };
  return check(found.syscallReturn, [SYSCALL_RETURN]) && check(found.sigreturn, SIGRETURNS);
}
