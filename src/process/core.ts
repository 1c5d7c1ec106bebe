/**
 * ELF cores as images: from gcore, from the kernel, from systemd-coredump (zstd, lz4), whole or truncated.
 *
 * The kernel leaves out pages that are the same in a file (coredump_filter 0x33), gcore leaves out whole mappings. Such
 * pages are read from the executable or library, once its build id has been compared with the one in the core's memory.
 */
import { type CoreFile, openCoreFile, peek } from './core-file.ts';
import { CoreFiles } from './core-modules.ts';
import { Auxv, type CoreNotes, parseCoreNotes } from './core-notes.ts';
import { Elf, type ElfSegment, ElfType, isElfHeader, MACHINE_AARCH64, MACHINE_X86_64, SegmentType } from './elf.ts';
import { ExitCode, LeakscopeError } from './errors.ts';
import type { Mapping, ProcessImage } from './image.ts';
import { modulesOf } from './modules.ts';

export interface CoreOptions {
  /** Directory with the files of the machine the core is from: laid out as there, or simply all in one folder. */
  readonly sysroot?: string | undefined;
}

/** A piece of address space whose bytes are in the core file. */
interface Piece {
  readonly start: number;
  /** First address after what the program header promises. */
  readonly end: number;
  /** First address after what is really in the file. */
  readonly present: number;
  readonly offset: number;
}

const ADDRESS_LIMIT = 2 ** 48;
const NOTES_LIMIT = 256 * 2 ** 20;
const STACK_SEARCH = 8 * 2 ** 20;
const STACK_TOP = 1024;
const MIB = 2 ** 20;
const UNREADABLE = 'The file may be damaged, or be something else with the name of a core.';

/** Is this file an ELF core, perhaps a compressed one? False for everything else, and for files that cannot be read. */
export function isCore(path: string): boolean {
  const head = peek(path, 64);
  return head.length >= 18 && isElfHeader(head) && head[16] === ElfType.core && head[17] === 0;
}

/**
 * Opens a core. What is missing from it is said in the image's notes.
 * Throws LeakscopeError when the file is not a core, or is damaged so far that nothing can be said about it.
 */
export function openCore(path: string, options: CoreOptions = {}): ProcessImage {
  const file = openCoreFile(path);
  try {
    return imageOf(path, file, options);
  } catch (error) {
    file[Symbol.dispose]();
    if (error instanceof LeakscopeError) throw error;
    throw new LeakscopeError(
      `the core file ${path} is damaged and cannot be read`,
      ExitCode.unsupportedTarget,
      UNREADABLE,
    );
  }
}

function imageOf(path: string, file: CoreFile, options: CoreOptions): ProcessImage {
  const elf = parse(path, file);
  const notes: string[] = [];
  const coreNotes = readNotes(file, elf);
  const { loads, pieces } = layOut(elf, file.size);
  if (pieces.length === 0) {
    throw new LeakscopeError(
      `the core file ${path} holds no memory of the process`,
      ExitCode.unsupportedTarget,
      'It was probably cut off while it was written: look for a full disk or a size limit (ulimit -c).',
    );
  }
  const truncated = noteTruncation(pieces, file, notes);

  const readCore = (address: number, into: Uint8Array): number => {
    let got = 0;
    while (got < into.length) {
      const piece = pieceAt(pieces, address + got);
      if (!piece || address + got >= piece.present) break;
      const n = Math.min(into.length - got, piece.present - (address + got));
      const read = file.read(piece.offset + (address + got - piece.start), into.subarray(got, got + n));
      got += read;
      if (read < n) break;
    }
    return got;
  };
  const files = new CoreFiles(loads, at => pieceAt(pieces, at)?.present ?? at, coreNotes, readCore, options.sysroot);
  const { mappings, executable } = files;
  const read = (address: number, into: Uint8Array): number => {
    let got = 0;
    while (got < into.length) {
      const n = readCore(address + got, into.subarray(got)) || readMissing(address + got, into.subarray(got));
      if (n === 0) break;
      got += n;
    }
    return got;
  };
  /** Up to the next byte that the core has: what a file says about an address the core leaves out. */
  const readMissing = (address: number, into: Uint8Array): number => {
    const piece = pieceAt(pieces, address);
    // Bytes that should be in the core and were cut off may differ from the file.
    if (piece && address < piece.end) return 0;
    const next = pieces[firstAfter(pieces, address)]?.start ?? Number.POSITIVE_INFINITY;
    return files.read(address, into.subarray(0, Math.min(into.length, next - address)));
  };
  const modules = modulesOf(mappings, executable, group => files.elf(group)).filter(m => !files.isData(m.mappings));
  files.check(modules, notes);
  if (coreNotes.files.length === 0)
    notes.push('the core does not say which files were mapped (gcore writes that last): symbols cannot be found');
  noteLostStacks(coreNotes, read, truncated, notes);
  if (coreNotes.threads.length === 0) notes.push('the core says nothing about threads: their stacks are not known');

  return {
    pid: coreNotes.pid,
    via: 'core',
    executable,
    command: commandLine(coreNotes, mappings, read),
    mappings,
    threads: coreNotes.threads,
    modules,
    pauseMs: 0,
    capturedAtMs: file.modifiedMs - performance.timeOrigin,
    notes,
    read,
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

function parse(path: string, file: CoreFile): Elf {
  const what = (reason: string, remedy = '') =>
    new LeakscopeError(`${path} is not a core file that can be read: ${reason}`, ExitCode.unsupportedTarget, remedy);
  if (file.size === 0) throw what('it is empty');
  const elf = Elf.parse({
    kind: 'file',
    atOffset: (at, length) => {
      const into = new Uint8Array(Math.max(0, Math.min(length, file.size - at)));
      return into.subarray(0, file.read(at, into));
    },
  });
  if (!elf) {
    const head = new Uint8Array(5);
    file.read(0, head);
    if (head[0] === 0x7f && head[1] === 0x45 && head[4] === 1) throw what('it is of a 32-bit process');
    if (file.damage) throw what(file.damage);
    throw what('it is not an ELF file', 'Make one with: gcore PID');
  }
  if (elf.type !== ElfType.core)
    throw what('it is an ELF program or library', 'Give a core of the process, or its pid.');
  if (elf.machine !== MACHINE_X86_64 && elf.machine !== MACHINE_AARCH64)
    throw what(`it is of another machine (ELF machine ${elf.machine})`);
  if (elf.segments.length === 0) throw what('it ends before its list of memory segments');
  return elf;
}

function readNotes(file: CoreFile, elf: Elf): CoreNotes {
  const segment = elf.segments.find(s => s.type === SegmentType.note);
  const size = segment ? Math.max(0, Math.min(segment.fileSize, file.size - segment.offset, NOTES_LIMIT)) : 0;
  const bytes = new Uint8Array(size);
  return parseCoreNotes(bytes.subarray(0, segment ? file.read(segment.offset, bytes) : 0), elf.machine);
}

/** The memory segments in ascending order, and which of their bytes are in the file. What overlaps or is not user space is left out. */
function layOut(elf: Elf, fileSize: number): { loads: ElfSegment[]; pieces: Piece[] } {
  const loads: ElfSegment[] = [];
  const pieces: Piece[] = [];
  let reached = 0;
  let total = 0;
  const ascending = elf.segments
    .filter(s => s.type === SegmentType.load && s.memorySize > 0)
    .sort((a, b) => a.address - b.address);
  for (const s of ascending) {
    if (s.address < reached || s.address + s.memorySize > ADDRESS_LIMIT) continue;
    reached = s.address + s.memorySize;
    loads.push(s);
    const promised = Math.min(s.fileSize, s.memorySize);
    // No honest core says the same bytes twice; a damaged one must not make a small file a huge memory.
    const present = Math.max(0, Math.min(promised, fileSize - s.offset, fileSize - total));
    total += present;
    if (promised > 0)
      pieces.push({ start: s.address, end: s.address + promised, present: s.address + present, offset: s.offset });
  }
  return { loads, pieces };
}

/** Says how much of the memory is missing; whether any is. */
function noteTruncation(pieces: readonly Piece[], file: CoreFile, notes: string[]): boolean {
  let promised = 0;
  let present = 0;
  for (const p of pieces) {
    promised += p.end - p.start;
    present += p.present - p.start;
  }
  if (present === promised && !file.damage) return false;
  const why = file.damage ? ` (${file.damage})` : '';
  notes.push(
    `the core is truncated${why}: ${mib(present)} of ${mib(promised)} MiB of memory are there; objects in the rest are missing`,
  );
  return true;
}

/** Threads whose stack pointer points at nothing, or at a page of zeros, which no running thread's does. */
function noteLostStacks(coreNotes: CoreNotes, read: ProcessImage['read'], truncated: boolean, notes: string[]): void {
  const top = new Uint8Array(STACK_TOP);
  const lost = coreNotes.threads.filter(t => !top.subarray(0, read(t.stackPointer, top)).some(byte => byte !== 0));
  if (lost.length === 0) return;
  // gdb gives up a mapping at its first unreadable page, which with glibc 2.42 is at the start of each thread's stack.
  const why = truncated ? '' : ' (gcore stops at guard pages; a core from the kernel has them)';
  const which = lost.length === 1 ? 'the stack of one thread is' : `the stacks of ${lost.length} threads are`;
  notes.push(`${which} missing from the core${why}, so some frames may be unknown`);
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}

/** Index of the first piece that begins after the address. */
function firstAfter(pieces: readonly Piece[], address: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pieces[middle].start <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

function pieceAt(pieces: readonly Piece[], address: number): Piece | undefined {
  const piece = pieces[firstAfter(pieces, address) - 1];
  return piece && address < piece.end ? piece : undefined;
}

/**
 * The exact arguments, which the kernel put below the auxiliary vector on the main thread's stack (argc, argv, NULL,
 * envp, NULL, auxv); or else what NT_PRPSINFO kept of them.
 */
function commandLine(notes: CoreNotes, mappings: readonly Mapping[], read: ProcessImage['read']): string[] {
  const fallback = notes.args.split(' ').filter(a => a !== '');
  const anchor = notes.auxv.get(Auxv.executableName) ?? notes.auxv.get(Auxv.random) ?? 0;
  const stack = mappings.find(m => anchor >= m.start && anchor < m.end);
  if (!stack) return fallback;
  const start = Math.max(stack.start, anchor - STACK_SEARCH);
  const bytes = new Uint8Array(anchor - start - ((anchor - start) % 8));
  if (read(anchor - bytes.length, bytes) < bytes.length) return fallback;
  const base = anchor - bytes.length;
  const words = new DataView(bytes.buffer);
  const word = (at: number) => words.getUint32(at, true) + words.getUint32(at + 4, true) * 0x1_0000_0000;
  const [firstType, firstValue] = [...notes.auxv][0] ?? [0, 0];
  // The vector's place is 16-byte aligned or not; addresses on the stack are 8-byte aligned, so align by the address.
  let at = bytes.length - 16 - ((base + bytes.length) % 8);
  while (at >= 8 && !(word(at) === firstType && word(at + 8) === firstValue && word(at - 8) === 0)) at -= 8;
  for (at -= 16; at >= 0 && word(at) !== 0; ) at -= 8;
  const end = at;
  for (at -= 8; at >= 0 && word(at) !== (end - at) / 8 - 1; ) at -= 8;
  if (at < 0) return fallback;
  const args: string[] = [];
  for (let i = at + 8; i < end; i += 8) {
    const from = word(i) - base;
    const text = new Uint8Array(4096);
    const got = from >= 0 ? read(word(i), text) : 0;
    const stop = text.subarray(0, got).indexOf(0);
    args.push(Buffer.from(text.subarray(0, stop < 0 ? got : stop)).toString('utf8'));
  }
  return args.length > 0 && args.length < 1 << 16 ? args : fallback;
}
