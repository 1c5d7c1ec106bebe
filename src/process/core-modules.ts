/**
 * The address space of a core with names: which mapping is of which file, which of it is not in the core, and the files
 * on this machine that can fill the gaps, each believed only when its build id is the one in the core.
 */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Auxv, type CoreNotes, type MappedFile } from './core-notes.ts';
import { type Elf, type ElfSegment, SegmentType } from './elf.ts';
import type { Mapping, ProcessImage } from './image.ts';
import { type ElfModule, memoryElf, openElf } from './modules.ts';

const DELETED = / \(deleted\)$/;
const LIKE_A_PROGRAM = /\.so(\.|$)|\/s?bin\//;
const FILE_LIMIT = 4 * 2 ** 30;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;

/** `data`: there is a file, and it is no ELF; nothing in it is wanted. */
type Finding = 'same' | 'unchecked' | 'other' | 'absent' | 'data';

interface Found {
  readonly elf: Elf | undefined;
  readonly finding: Finding;
  /** Where the file that was looked at is, or would be. */
  readonly path: string;
}

export class CoreFiles {
  /** Ascending. */
  readonly mappings: readonly Mapping[];
  readonly executable: string;
  private readonly readCore: ProcessImage['read'];
  private readonly sysroot: string | undefined;
  private readonly inCore: (mapping: Mapping) => boolean;
  private readonly groups = new Map<Mapping, readonly Mapping[]>();
  private readonly found = new Map<string, Found>();

  /** `presentEnd` says up to which address the memory segment at an address has its bytes in the core. */
  constructor(
    loads: readonly ElfSegment[],
    presentEnd: (address: number) => number,
    notes: CoreNotes,
    readCore: ProcessImage['read'],
    sysroot: string | undefined,
  ) {
    this.readCore = readCore;
    this.sysroot = sysroot;
    const program = notes.auxv.get(Auxv.programHeaders) ?? 0;
    const file = notes.files.find(f => program >= f.start && program < f.end);
    this.executable = file?.path.replace(DELETED, '') ?? '';
    this.inCore = m => presentEnd(m.start) >= m.end;
    const whole = joined(loads, notes.files, group => this.flagsInMemory(group));
    const parts = whole.flatMap(m => readableParts(m, presentEnd(m.start)));
    this.mappings = named(parts, notes, this.executable);
  }

  /** The ELF of a module: the file here when it is the same, else what the core has of it in memory. */
  elf(group: readonly Mapping[]): Elf | undefined {
    return this.lookUp(group).elf ?? this.inMemory(group);
  }

  /** Mapped files of which it is not known whether they are code, and which turn out not to be. */
  isData(group: readonly Mapping[]): boolean {
    return this.lookUp(group).finding === 'data';
  }

  /** What a verified file says about an address that the core leaves out. Returns how many bytes. */
  read(address: number, into: Uint8Array): number {
    const mapping = this.mappings.find(m => address >= m.start && address < m.end);
    const group = mapping && this.groups.get(mapping);
    const elf = group && this.lookUp(group).elf;
    if (!elf) return 0;
    const bytes = elf.fileBytes(
      mapping.offset + (address - mapping.start),
      Math.min(into.length, mapping.end - address),
    );
    into.set(bytes);
    return bytes.length;
  }

  /** Says which modules the core does not have in full and no file here can complete. */
  check(modules: readonly ElfModule[], notes: string[]): void {
    const byPath = new Map(modules.map(m => [m.path, m.mappings]));
    for (const m of this.mappings) {
      const group = byPath.get(m.path);
      if (group) this.groups.set(m, group);
    }
    for (const m of modules) for (const mapping of m.mappings) this.groups.set(mapping, m.mappings);
    const absent: string[] = [];
    const other: string[] = [];
    const unchecked: string[] = [];
    for (const m of modules) {
      if (m.mappings.every(this.inCore)) continue;
      const { finding } = this.lookUp(m.mappings);
      if (finding === 'absent' && (LIKE_A_PROGRAM.test(m.path) || this.inMemory(m.mappings))) absent.push(m.path);
      else if (finding === 'other') other.push(m.path);
      else if (finding === 'unchecked') unchecked.push(m.path);
    }
    const remedy = 'give the files of the machine it is from with --sysroot DIRECTORY';
    if (absent.length > 0) notes.push(`the core needs files that are not here: ${list(absent)}; ${remedy}`);
    if (other.length > 0)
      notes.push(`files here are other builds than the core's and are not used: ${list(other)}; ${remedy}`);
    if (unchecked.length > 0)
      notes.push(`files whose build id could not be compared with the core's are used as they are: ${list(unchecked)}`);
  }

  private lookUp(group: readonly Mapping[]): Found {
    const key = `${group[0].path} ${group[0].start}`;
    let found = this.found.get(key);
    if (!found) {
      found = this.find(group);
      this.found.set(key, found);
    }
    return found;
  }

  private find(group: readonly Mapping[]): Found {
    const { path } = group[0];
    const candidates =
      this.sysroot === undefined ? [path] : [join(this.sysroot, path), join(this.sysroot, basename(path))];
    const memory = this.inMemory(group);
    const wanted = memory?.buildId();
    let other: string | undefined;
    for (const candidate of candidates) {
      if (!existsSync(candidate)) continue;
      const elf = openElf(candidate);
      if (!elf && !memory) return { elf: undefined, finding: 'data', path: candidate };
      if (!elf) continue;
      const id = elf.buildId();
      if (wanted !== undefined && id === wanted) return { elf, finding: 'same', path: candidate };
      if (wanted === undefined && plausible(elf, memory, group)) return { elf, finding: 'unchecked', path: candidate };
      other ??= candidate;
    }
    return { elf: undefined, finding: other === undefined ? 'absent' : 'other', path: other ?? path };
  }

  private inMemory(group: readonly Mapping[]): Elf | undefined {
    return memoryElf(group, (at, length) => {
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, this.readCore(at, bytes));
    });
  }

  /** Segments of a file as the core's memory describes them: for mappings that have no program header in the core. */
  private flagsInMemory(group: readonly Mapping[]): ((mapping: Mapping) => number) | undefined {
    const elf = this.inMemory(group);
    const bias = elf?.bias(group[0].start, group[0].offset);
    if (!elf || bias === undefined) return undefined;
    const loads = elf.segments.filter(s => s.type === SegmentType.load);
    return m => loads.find(s => m.end > bias + s.address && m.start < bias + s.address + s.memorySize)?.flags ?? PF_R;
  }
}

/** Without a build id: the same number and places of segments, or nothing to compare with. */
function plausible(elf: Elf, memory: Elf | undefined, group: readonly Mapping[]): boolean {
  if (elf.bias(group[0].start, group[0].offset) === undefined || elf.buildId() !== undefined)
    return memory === undefined;
  const shape = (e: Elf) => e.segments.map(s => `${s.type} ${s.address} ${s.memorySize} ${s.offset}`).join();
  return memory === undefined || shape(memory) === shape(elf);
}

/** Program headers cut at the borders of mapped files, and mapped files that have no program header. */
function joined(
  loads: readonly ElfSegment[],
  files: readonly MappedFile[],
  flagsOf: (group: readonly Mapping[]) => ((mapping: Mapping) => number) | undefined,
): Mapping[] {
  const mappings: Mapping[] = [];
  const guessed = new Set<Mapping>();
  const add = (start: number, end: number, flags: number | undefined, file: MappedFile | undefined) => {
    const path = file?.path ?? '';
    const mapping: Mapping = {
      start,
      end,
      readable: flags === undefined || (flags & PF_R) !== 0,
      writable: flags !== undefined && (flags & PF_W) !== 0,
      executable: flags !== undefined && (flags & PF_X) !== 0,
      private: true,
      offset: file ? file.offset + (start - file.start) : 0,
      inode: 0,
      path: path.replace(DELETED, ''),
      deleted: DELETED.test(path),
    };
    if (flags === undefined) guessed.add(mapping);
    mappings.push(mapping);
  };
  let next = 0;
  let at = 0;
  const upTo = (end: number, flags: number | undefined) => {
    while (at < end) {
      while (next < files.length && files[next].end <= at) next++;
      const file = next < files.length && files[next].start < end ? files[next] : undefined;
      const inside = file !== undefined && file.start <= at;
      const stop = file === undefined ? end : inside ? Math.min(end, file.end) : file.start;
      if (inside || flags !== undefined) add(at, stop, flags, inside ? file : undefined);
      at = stop;
    }
  };
  for (const load of loads) {
    upTo(load.address, undefined);
    at = load.address;
    upTo(load.address + load.memorySize, load.flags);
  }
  upTo(Math.max(at, files.at(-1)?.end ?? 0), undefined);
  return mappings.map(m => (guessed.has(m) ? { ...m, executable: isCode(m, mappings, flagsOf) } : m));
}

/**
 * Anonymous memory that is not in the core cannot be read; neither can a mapping too large to be a program's. So what is
 * said to be readable is bounded by the files' sizes, whatever a damaged header claims.
 */
function readableParts(m: Mapping, presentEnd: number): Mapping[] {
  const present = Math.max(m.start, Math.min(m.end, presentEnd));
  if (!m.readable || present === m.end) return [m];
  if (m.path !== '') return [m.end - m.start > FILE_LIMIT ? { ...m, readable: false } : m];
  const rest = { ...m, start: present, readable: false };
  return present > m.start ? [{ ...m, end: present }, rest] : [rest];
}

function isCode(
  mapping: Mapping,
  all: readonly Mapping[],
  flagsOf: (group: readonly Mapping[]) => ((mapping: Mapping) => number) | undefined,
): boolean {
  const first = all.findLast(m => m.path === mapping.path && m.offset === 0 && m.start <= mapping.start);
  const flags = first && flagsOf([first]);
  // Not to be seen in the core: a file that is no program is found out when it is opened.
  return flags
    ? (flags(mapping) & PF_X) !== 0
    : first === undefined || !all.some(m => m.path === mapping.path && m.executable);
}

/** Names the heap, the main thread's stack and the vdso, which a core has no names for. */
function named(mappings: readonly Mapping[], notes: CoreNotes, executable: string): Mapping[] {
  const main = notes.threads.find(t => t.tid === notes.pid) ?? notes.threads[0];
  const onStack = notes.auxv.get(Auxv.executableName) ?? notes.auxv.get(Auxv.random) ?? main?.stackPointer ?? 0;
  const vdso = notes.auxv.get(Auxv.vdso) ?? 0;
  const last = mappings.findLastIndex(m => m.path === executable && executable !== '');
  // The program break begins after the executable's data: adjacent to its last mapping lies what .bss needs beyond it.
  let heap =
    last < 0
      ? -1
      : mappings.findIndex((m, i) => i > last && m.path === '' && m.writable && m.start > mappings[last].end);
  if (heap > 0 && mappings.slice(last + 1, heap).some(m => m.path !== '')) heap = -1;
  return mappings.map((m, i) => {
    if (m.path !== '') return m;
    if (onStack >= m.start && onStack < m.end) return { ...m, path: '[stack]' };
    if (vdso > 0 && vdso >= m.start && vdso < m.end) return { ...m, path: '[vdso]' };
    return i === heap ? { ...m, path: '[heap]' } : m;
  });
}

function list(paths: readonly string[]): string {
  const names = [...new Set(paths)];
  return names.length <= 4 ? names.join(', ') : `${names.slice(0, 4).join(', ')} and ${names.length - 4} more`;
}
