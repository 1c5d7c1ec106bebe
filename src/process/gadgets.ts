/**
 * Instructions that a target already has and that an injected system call needs: nothing is ever written to its code.
 *
 * `syscall; ret` is the end of getpid() and its like in every libc. `mov $15, %eax; syscall` is the C library's
 * __restore_rt, to which the kernel returns from a signal handler.
 *
 * Code is searched in its file. To read or run a page of it in the target would make the page resident there, and 15
 * around it, so of the many places one is taken whose page the target has at hand.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Mapping } from './image.ts';
import { bytesOfMapped } from './modules.ts';
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
const PAGE = 4096;
/** The top bit of a pagemap entry's last byte: the page is in the process's page table. */
const PRESENT = 0x80;

/** Offsets in a mapping, ascending. */
interface Places {
  readonly syscallReturns: readonly number[];
  readonly sigreturns: readonly number[];
}

/** By the file and place that is mapped: the code of a file does not change. */
const places = new Map<string, Places>();

/** Finds the instructions, in the C library first; undefined when the target has none (then nothing can be injected). */
export function findGadgets(pid: number, mappings: readonly Mapping[]): Gadgets | undefined {
  const code = mappings.filter(m => m.executable && m.readable && !m.writable && m.inode !== 0);
  code.sort((a, b) => rank(a) - rank(b) || a.start - b.start);
  let syscallReturn: number | undefined;
  let sigreturn: number | undefined;
  for (const m of code) {
    const found = inMapping(pid, m);
    syscallReturn ??= atHand(pid, m, found.syscallReturns, [SYSCALL_RETURN]);
    sigreturn ??= atHand(pid, m, found.sigreturns, SIGRETURNS);
    if (syscallReturn !== undefined && sigreturn !== undefined) return { syscallReturn, sigreturn };
  }
  return undefined;
}

function rank(m: Mapping): number {
  return /\/(libc[.-]|ld-musl|libpthread[.-])/.test(m.path) ? 0 : 1;
}

function inMapping(pid: number, m: Mapping): Places {
  const key = `${m.inode}:${m.offset}:${m.end - m.start}:${m.path}`;
  const known = places.get(key);
  if (known) return known;
  const code = Buffer.from((bytesOfMapped(pid, m) ?? memoryOf(pid, m)).subarray(0, LARGEST_SEARCH));
  const found = { syscallReturns: all(code, [SYSCALL_RETURN]), sigreturns: all(code, SIGRETURNS) };
  places.set(key, found);
  return found;
}

function memoryOf(pid: number, m: Mapping): Uint8Array {
  const bytes = new Uint8Array(Math.min(LARGEST_SEARCH, m.end - m.start));
  return bytes.subarray(0, Math.max(0, readMemory(pid, m.start, bytes)));
}

function all(code: Buffer, patterns: readonly Buffer[]): number[] {
  const found: number[] = [];
  for (const pattern of patterns) {
    for (let at = code.indexOf(pattern); at >= 0; at = code.indexOf(pattern, at + 1)) found.push(at);
  }
  return found;
}

/**
 * The address of one of several instructions, on a page that is at hand where there is one. It is looked at in the
 * target's memory before it is believed: the same inode may be another file elsewhere.
 */
function atHand(pid: number, m: Mapping, offsets: readonly number[], patterns: readonly Buffer[]): number | undefined {
  if (offsets.length === 0) return undefined;
  const present = presentPages(pid, m);
  const ordered = present ? [...offsets].sort((a, b) => Number(present(b)) - Number(present(a)) || a - b) : offsets;
  return ordered.map(offset => m.start + offset).find(address => holds(pid, address, patterns));
}

function holds(pid: number, address: number, patterns: readonly Buffer[]): boolean {
  return patterns.some(pattern => {
    const bytes = Buffer.alloc(pattern.length);
    return readMemory(pid, address, bytes) === bytes.length && pattern.equals(bytes);
  });
}

/** Which pages of a mapping are in the process's page table; undefined when the kernel does not tell. */
function presentPages(pid: number, m: Mapping): ((offset: number) => boolean) | undefined {
  const entries = new Uint8Array(Math.ceil((m.end - m.start) / PAGE) * 8);
  try {
    const file = openSync(`/proc/${pid}/pagemap`, 'r');
    try {
      if (readSync(file, entries, 0, entries.length, (m.start / PAGE) * 8) !== entries.length) return undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
  return offset => (entries[Math.floor(offset / PAGE) * 8 + 7] & PRESENT) !== 0;
}
