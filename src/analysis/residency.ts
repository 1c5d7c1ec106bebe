/**
 * Where every resident byte of the target is. The parts are disjoint and add up to `resident` exactly:
 *
 * - Mappings are cut into pymalloc's arenas, malloc's heaps and mapped blocks, and the rest. The rest of a mapping goes
 *   to stacks when a thread's stack pointer is in it, to files when a file is mapped there, to other otherwise.
 * - In an arena of pymalloc, blocks in use count for Python objects; what else is resident in it is free.
 * - In a heap of malloc, the resident pages of blocks in use count for Python objects or for native blocks; what else
 *   is resident (free blocks, the top, headers of heaps) is free.
 *
 * Only resident pages count. A page that is resident counts for each byte of it that lies in a range; which pages are, is
 * known exactly for mappings that are resident in part (pagemap). A block of pymalloc in use is taken to be resident: it has
 * been written to. What has been swapped out is not resident and so in no part.
 */
import type { AllocatorFacts } from '../cpython/index.ts';
import { type MallocWalk, MMAPPED, type ResidentMapping, type ResidentMemory } from '../process/index.ts';

export const MEMORY_KINDS = [
  'python-objects',
  'native-blocks',
  'free-pymalloc',
  'free-malloc',
  'stacks',
  'files',
  'other',
] as const;
export type MemoryKind = (typeof MEMORY_KINDS)[number];

export interface MemoryPart {
  readonly kind: MemoryKind;
  readonly bytes: number;
  /** One sentence for people. */
  readonly detail: string;
}

/** The account of one moment. All in bytes. */
export interface MemoryReport {
  readonly resident: number;
  /** One of each kind, in the order of MEMORY_KINDS; they add up to `resident`. */
  readonly parts: readonly MemoryPart[];
  /** Monotonic ms of the observer. */
  readonly atMs: number;
  /** What the two allocators hold, resident or not: for fragmentation and for native leaks. */
  readonly pymalloc: {
    readonly arenas: number;
    readonly arenaBytes: number;
    readonly usedBytes: number;
    readonly residentBytes: number;
  };
  readonly malloc: {
    readonly inUseBytes: number;
    readonly inUseBlocks: number;
    /** Of those in use, the ones that are no part of Python objects. */
    readonly nativeBytes: number;
    readonly nativeBlocks: number;
    readonly freeBytes: number;
    readonly residentBytes: number;
  };
  /** Sentences about what limits the account. */
  readonly notes: readonly string[];
}

/** Everything that must be gathered at one moment for the account. */
export interface ResidencyFacts {
  readonly resident: ResidentMemory;
  readonly allocator: AllocatorFacts;
  readonly malloc: MallocWalk;
  /** Per block of `malloc.blocks`, 1 when it is Python's: `pythonBlocks()`. */
  readonly pythonBlocks: Uint8Array;
  /** Stack pointers of all threads; 0 for those that are not known. */
  readonly stackPointers: readonly number[];
  readonly atMs: number;
}

interface Range {
  readonly start: number;
  readonly end: number;
  readonly owner: 'pymalloc' | 'malloc';
}

/** Puts every resident byte into exactly one part. */
export function residency(facts: ResidencyFacts): MemoryReport {
  const { resident, allocator, malloc } = facts;
  const bytes: Record<MemoryKind, number> = {
    'python-objects': 0,
    'native-blocks': 0,
    'free-pymalloc': 0,
    'free-malloc': 0,
    stacks: 0,
    files: 0,
    other: 0,
  };
  const ranges = allocatorRanges(allocator, malloc);
  let pymallocResident = 0;
  let mallocResident = 0;
  let libraries = 0;
  for (const range of ranges) {
    const here = resident.bytes(range.start, range.end);
    if (range.owner === 'pymalloc') pymallocResident += here;
    else mallocResident += here;
  }
  let next = 0;
  let stacks = 0;
  for (const m of resident.mappings) {
    let rest = m.resident;
    while (next < ranges.length && ranges[next]!.end <= m.start) next++;
    let allocatorsHere = false;
    for (let i = next; i < ranges.length && ranges[i]!.start < m.end; i++) {
      allocatorsHere = true;
      rest -= resident.bytes(Math.max(m.start, ranges[i]!.start), Math.min(m.end, ranges[i]!.end));
    }
    const kind = kindOfRest(m, allocatorsHere, facts.stackPointers);
    if (kind === 'stacks') stacks++;
    if (kind === 'files') libraries++;
    bytes[kind] += rest;
  }

  const inPools = Math.min(allocator.usedBlockBytes, pymallocResident);
  const blocks = residentBlocks(facts);
  // Never more than is resident in the heaps: nothing to correct unless the target ran on between two readings.
  const scale = blocks.python + blocks.native > mallocResident ? mallocResident / (blocks.python + blocks.native) : 1;
  bytes['python-objects'] = inPools + blocks.python * scale;
  bytes['native-blocks'] = blocks.native * scale;
  bytes['free-pymalloc'] = pymallocResident - inPools;
  bytes['free-malloc'] = mallocResident - (blocks.python + blocks.native) * scale;

  const freeBytes = malloc.arenas.reduce(
    (sum, a) => sum + a.binBytes + a.fastBinBytes + a.threadCacheBytes + a.topBytes,
    0,
  );
  const text = sizeText;
  const details: Record<MemoryKind, string> = {
    'python-objects': `${text(inPools)} in Python's own pools, ${text(blocks.python * scale)} in ${count(blocks.pythonCount, 'block')} of malloc that are objects or parts of objects`,
    'native-blocks':
      malloc.allocator === 'glibc'
        ? `${count(blocks.nativeCount, 'block')} in use that ${blocks.nativeCount === 1 ? 'is no part' : 'are no parts'} of Python objects: C libraries, extension modules and the interpreter itself`
        : 'not known: malloc is not served by glibc here, its blocks are in "other"',
    'free-pymalloc': `free blocks, free pools and pool headers in ${count(allocator.arenas, 'arena')} of Python's allocator, ${percent(allocator.usedBlockBytes, allocator.arenaBytes)} of which is in use`,
    'free-malloc':
      malloc.allocator === 'glibc'
        ? `resident part of the ${text(freeBytes)} that are free in ${count(malloc.arenas.length, 'arena')} of malloc`
        : 'not known: malloc is not served by glibc here',
    stacks: count(stacks, 'thread stack'),
    files: `code and data of ${count(libraries, 'mapping')} of files and shared memory`,
    other: otherDetail(malloc),
  };
  return {
    resident: resident.resident,
    parts: wholeParts(bytes, resident.resident, details),
    atMs: facts.atMs,
    pymalloc: {
      arenas: allocator.arenas,
      arenaBytes: allocator.arenaBytes,
      usedBytes: allocator.usedBlockBytes,
      residentBytes: Math.round(pymallocResident),
    },
    malloc: {
      inUseBytes: blocks.pythonAll + blocks.nativeAll,
      inUseBlocks: malloc.blocks.count,
      nativeBytes: blocks.nativeAll,
      nativeBlocks: blocks.nativeCount,
      freeBytes,
      residentBytes: Math.round(mallocResident),
    },
    notes: [
      ...(resident.from === 'dumped' ? ['a core does not say what was resident: the bytes it holds are counted'] : []),
      ...malloc.notes,
    ],
  };
}

/** Arenas of pymalloc, heaps and mapped blocks of malloc: ascending, disjoint. */
function allocatorRanges(allocator: AllocatorFacts, malloc: MallocWalk): Range[] {
  const ranges: Range[] = [];
  for (const start of allocator.arenaAddresses)
    ranges.push({ start, end: start + allocator.arenaSize, owner: 'pymalloc' });
  for (const arena of malloc.arenas) for (const r of arena.regions) ranges.push({ ...r, owner: 'malloc' });
  const { blocks } = malloc;
  for (let i = 0; i < blocks.count; i++) {
    if (blocks.arena[i] !== MMAPPED) continue;
    const start = blocks.address[i]! - 16;
    ranges.push({ start, end: start + blocks.bytes[i]!, owner: 'malloc' });
  }
  ranges.sort((a, b) => a.start - b.start);
  const disjoint: Range[] = [];
  for (const range of ranges) {
    const last = disjoint.at(-1);
    if (last === undefined || last.end <= range.start) disjoint.push(range);
    else if (last.end < range.end) disjoint.push({ ...range, start: last.end });
  }
  return disjoint;
}

interface ResidentBlocks {
  python: number;
  native: number;
  pythonAll: number;
  nativeAll: number;
  pythonCount: number;
  nativeCount: number;
}

function residentBlocks({ resident, malloc, pythonBlocks }: ResidencyFacts): ResidentBlocks {
  const sums: ResidentBlocks = { python: 0, native: 0, pythonAll: 0, nativeAll: 0, pythonCount: 0, nativeCount: 0 };
  const { count: n, address, bytes } = malloc.blocks;
  for (let i = 0; i < n; i++) {
    const start = address[i]! - 16;
    const here = resident.bytes(start, start + bytes[i]!);
    if (pythonBlocks[i] === 1) {
      sums.python += here;
      sums.pythonAll += bytes[i]!;
      sums.pythonCount++;
    } else {
      sums.native += here;
      sums.nativeAll += bytes[i]!;
      sums.nativeCount++;
    }
  }
  return sums;
}

function kindOfRest(
  m: ResidentMapping,
  allocators: boolean,
  stackPointers: readonly number[],
): 'stacks' | 'files' | 'other' {
  if (m.path.startsWith('[stack')) return 'stacks';
  if (m.path !== '' && !m.path.startsWith('[')) return 'files';
  // A coroutine library may run a thread on memory from malloc: then that is no stack of the kernel's or of pthreads.
  if (!allocators && m.path === '' && stackPointers.some(p => p !== 0 && m.start <= p && p < m.end)) return 'stacks';
  return 'other';
}

function otherDetail(malloc: MallocWalk): string {
  const names = malloc.otherAllocators.map(path => path.slice(path.lastIndexOf('/') + 1)).join(' and ');
  if (names !== '') return `anonymous memory of no known allocator, among it the heap of ${names}, which is mapped`;
  if (malloc.allocator !== 'glibc') return 'anonymous memory, the heap of malloc included: it is not that of glibc';
  return "anonymous memory of no known allocator: mmap, libraries' zeroed data, the kernel's own pages";
}

/** Whole bytes that still add up: the rounding goes to the largest part. */
function wholeParts(
  bytes: Record<MemoryKind, number>,
  resident: number,
  details: Record<MemoryKind, string>,
): MemoryPart[] {
  const parts = MEMORY_KINDS.map(kind => ({
    kind,
    bytes: Math.max(0, Math.round(bytes[kind])),
    detail: details[kind],
  }));
  const largest = parts.reduce((a, b) => (b.bytes > a.bytes ? b : a));
  largest.bytes += resident - parts.reduce((sum, part) => sum + part.bytes, 0);
  return parts;
}

function count(n: number, word: string): string {
  return `${n.toLocaleString('en-US')} ${word}${n === 1 ? '' : 's'}`;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${Math.round((100 * part) / whole)} %`;
}

/** Bytes in IEC units, for sentences. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
