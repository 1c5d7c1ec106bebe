/**
 * Native blocks and who holds them, found by a conservative scan as LeakSanitizer does: every word of memory that could
 * be a pointer to a block, or into one, is taken for one. The scan starts from everything that is no block of malloc
 * (data of libraries, stacks, Python's pools, blocks that are Python's) and goes on through the blocks it reaches. What
 * it does not reach, nothing in the process can ever free.
 *
 * Only counts, sizes and kinds of content are kept; no value of the program.
 */
import { poolBlockInUse, type RawBlocks, type Runtime } from '../cpython/index.ts';
import { type Mapping, type Memory, MMAPPED, type ProcessImage, usableBytes } from '../process/index.ts';
import type { ResidencyFacts } from './residency.ts';

/** From where a block is reached first; `none`: from nowhere. The order is that of the search, the best name first. */
export const NATIVE_HOLDERS = ['none', 'python', 'library', 'stack', 'other'] as const;
export type NativeHolder = (typeof NATIVE_HOLDERS)[number];
const Holder = { none: 0, python: 1, library: 2, stack: 3, other: 4 } as const;

/** What the bytes of a block look like. */
export const NATIVE_CONTENTS = ['zero', 'text', 'pointers', 'other'] as const;
export type NativeContent = (typeof NATIVE_CONTENTS)[number];

/** Native blocks of one allocator, holder and size. */
export interface NativeGroup {
  /** `pymalloc`: a small block that C code got from PyMem_Malloc; only when the survey was given those. */
  readonly from: 'malloc' | 'pymalloc';
  readonly holder: NativeHolder;
  /** The library whose data the search reached them from; '' when it was no library's. */
  readonly library: string;
  /** Bytes of one block in the heap, header included. */
  readonly blockBytes: number;
  readonly blocks: number;
  readonly bytes: number;
  /** Of a sample of at most 64 blocks, what most look like. */
  readonly content: NativeContent;
  /** A library that most of the sample point to with their first words (a table of virtual functions, say); '' for none. */
  readonly pointsInto: string;
}

/** The native blocks of one moment. */
export interface NativeSurvey {
  readonly atMs: number;
  /** Blocks in use that are not Python's: all of them, and those nothing reaches. */
  readonly blocks: number;
  readonly bytes: number;
  readonly unreachableBlocks: number;
  readonly unreachableBytes: number;
  readonly groups: readonly NativeGroup[];
  /** Addresses of unreachable blocks, ascending, and bytes of each: to tell those that stay from passing ones. */
  readonly unreachableAddress: Float64Array;
  readonly unreachableSize: Float64Array;
  /** Shared objects that belong neither to Python nor to the system: extension modules worth suspecting, in map order. */
  readonly extensions: readonly string[];
  /** False when nothing could be said, because malloc is not glibc's. */
  readonly known: boolean;
}

/**
 * Finds the holder of every native block. `memory` is the copy that the facts come from. With `rawBlocks`
 * (`rawPoolBlocks()`), also looks for small blocks of pymalloc that are lost; of those only the lost ones are reported,
 * since the others are parts of Python objects.
 */
export function surveyNative(
  image: ProcessImage,
  memory: Memory,
  runtime: Runtime,
  facts: ResidencyFacts,
  rawBlocks?: RawBlocks,
): NativeSurvey {
  const found = candidates(facts, rawBlocks);
  const scan = new PointerScan(memory, found);
  const libraries = libraryTable(image.mappings);
  searchFromPython(scan, memory, runtime, facts);
  for (const range of rootRanges(image, memory, facts)) {
    const library = range.holder === Holder.library ? libraries.numberAt(range.start) : 0;
    scan.range(range.start, range.end, range.holder, library);
    scan.flood(range.holder, library);
  }
  return collect(image, memory, facts, scan, libraries);
}

const Kind = { native: 0, python: 1, raw: 2 } as const;

/** Blocks that are looked for, ascending: malloc's, and raw ones of pymalloc. */
interface Candidates {
  readonly count: number;
  readonly address: Float64Array;
  /** Bytes that the program can use, and bytes in the heap. */
  readonly usable: Float64Array;
  readonly bytes: Float64Array;
  /** `Kind`: python is a block of malloc that is Python's. */
  readonly kind: Uint8Array;
}

function candidates({ malloc: { blocks }, pythonBlocks }: ResidencyFacts, raw: RawBlocks | undefined): Candidates {
  const count = blocks.count + (raw?.count ?? 0);
  const found = {
    count,
    address: new Float64Array(count),
    usable: new Float64Array(count),
    bytes: new Float64Array(count),
    kind: new Uint8Array(count),
  };
  for (let at = 0, i = 0, k = 0; at < count; at++) {
    if (raw === undefined || k === raw.count || (i < blocks.count && blocks.address[i]! < raw.address[k]!)) {
      found.address[at] = blocks.address[i]!;
      found.usable[at] = usableBytes(blocks, i);
      found.bytes[at] = blocks.bytes[i]!;
      found.kind[at] = pythonBlocks[i] === 1 ? Kind.python : Kind.native;
      i++;
    } else {
      found.address[at] = raw.address[k]!;
      found.usable[at] = raw.bytes[k]!;
      found.bytes[at] = raw.bytes[k]!;
      found.kind[at] = Kind.raw;
      k++;
    }
  }
  return found;
}

/** Finds blocks that words point to; `reach` is called for each block found the first time. */
class PointerScan {
  private readonly memory: Memory;
  readonly blocks: Candidates;
  /** Upper halves of block addresses, and for each a table of 64 KiB granules: 1 + the first block that reaches into it. */
  private readonly tables = new Map<number, Int32Array>();
  private lastHigh = -1;
  private lastTable: Int32Array | undefined;
  /** Per block: holder and library it was reached from; 0 none. */
  readonly holder: Uint8Array;
  readonly library: Uint16Array;
  private readonly pending: number[] = [];

  constructor(memory: Memory, blocks: Candidates) {
    this.memory = memory;
    this.blocks = blocks;
    this.holder = new Uint8Array(blocks.count);
    this.library = new Uint16Array(blocks.count);
    for (let i = blocks.count - 1; i >= 0; i--) {
      const first = Math.floor(blocks.address[i]! / 65_536);
      const last = Math.floor((blocks.address[i]! + blocks.usable[i]!) / 65_536);
      for (let granule = first; granule <= last; granule++) {
        const high = Math.floor(granule / 65_536);
        let table = this.tables.get(high);
        if (table === undefined) {
          table = new Int32Array(65_536);
          this.tables.set(high, table);
        }
        table[granule % 65_536] = i + 1;
      }
    }
  }

  /** The block that the word (low, high) points to or into, or -1. */
  blockAt(low: number, high: number): number {
    if (high !== this.lastHigh) {
      this.lastHigh = high;
      this.lastTable = this.tables.get(high);
    }
    if (this.lastTable === undefined) return -1;
    let index = this.lastTable[low >>> 16]! - 1;
    if (index < 0) return -1;
    const address = low + high * 0x1_0000_0000;
    const { address: starts, usable, count } = this.blocks;
    // The last block that starts at or before the address: a few steps of doubling, then halving.
    let step = 1;
    while (index + step < count && starts[index + step]! <= address) {
      index += step;
      step *= 2;
    }
    for (; step >= 1; step = Math.floor(step / 2)) {
      if (index + step < count && starts[index + step]! <= address) index += step;
    }
    return address >= starts[index]! && address < starts[index]! + usable[index]! ? index : -1;
  }

  /** Scans the aligned words of a range. `accept` may refuse the place a pointer was found at. */
  range(start: number, end: number, holder: number, library: number, accept?: (at: number) => boolean): void {
    const { words } = this.memory;
    let at = start + ((8 - (start % 8)) % 8);
    while (at + 8 <= end) {
      if (!this.memory.has(at)) {
        at = (Math.floor(at / 2 ** 20) + 1) * 2 ** 20;
        continue;
      }
      // Granules of 1 MiB are contiguous in the copy.
      const stop = Math.min(end - 7, (Math.floor(at / 2 ** 20) + 1) * 2 ** 20);
      const base = this.memory.offsetOf(at) / 4;
      const count = Math.ceil((stop - at) / 8) * 2;
      for (let w = 0; w < count; w += 2) {
        const high = words[base + w + 1]!;
        if (high >= 0x8000) continue;
        if (high !== this.lastHigh) {
          this.lastHigh = high;
          this.lastTable = this.tables.get(high);
        }
        if (this.lastTable === undefined) continue;
        const low = words[base + w]!;
        if (this.lastTable[low >>> 16] === 0) continue;
        const block = this.blockAt(low, high);
        if (block < 0 || this.holder[block] !== 0) continue;
        if (accept !== undefined && !accept(at + w * 4)) continue;
        this.reach(block, holder, library);
      }
      at = stop + ((8 - (stop % 8)) % 8);
    }
  }

  reach(block: number, holder: number, library: number): void {
    this.holder[block] = holder;
    this.library[block] = library;
    this.pending.push(block);
  }

  /** Goes on from what has been reached. Python's blocks are roots of their own, and have been searched before. */
  flood(holder: number, library: number): void {
    for (let block = this.pending.pop(); block !== undefined; block = this.pending.pop()) {
      if (this.blocks.kind[block] === Kind.python) continue;
      const start = this.blocks.address[block]!;
      this.range(start, start + this.blocks.usable[block]!, holder, library);
    }
  }
}

/** First everything that Python objects hold: it is theirs, whoever else knows it. */
function searchFromPython(scan: PointerScan, memory: Memory, runtime: Runtime, { allocator }: ResidencyFacts): void {
  const { blocks } = scan;
  // What stands in a free block is left over; what stands in a raw block counts once that block has been reached.
  const isObject = (at: number) =>
    poolBlockInUse(memory, runtime.layout, at) && scan.blockAt(at % 0x1_0000_0000, Math.floor(at / 0x1_0000_0000)) < 0;
  for (const arena of allocator.arenaAddresses)
    scan.range(arena, arena + allocator.arenaSize, Holder.python, 0, isObject);
  for (let i = 0; i < blocks.count; i++) {
    if (blocks.kind[i] === Kind.python) {
      scan.range(blocks.address[i]!, blocks.address[i]! + blocks.usable[i]!, Holder.python, 0);
    }
  }
  scan.flood(Holder.python, 0);
}

interface RootRange {
  readonly start: number;
  readonly end: number;
  readonly holder: number;
}

/** What can hold pointers and is neither malloc's nor pymalloc's; libraries first, then stacks above their stack pointer, then the rest. */
function rootRanges(image: ProcessImage, memory: Memory, facts: ResidencyFacts): RootRange[] {
  const taken: { start: number; end: number }[] = [];
  for (const start of facts.allocator.arenaAddresses) taken.push({ start, end: start + facts.allocator.arenaSize });
  // An arena's own lists point to free chunks, and so to the end of the block before each.
  for (const arena of facts.malloc.arenas) taken.push({ start: arena.address, end: arena.end }, ...arena.regions);
  const { blocks } = facts.malloc;
  for (let i = 0; i < blocks.count; i++) {
    if (blocks.arena[i] === MMAPPED)
      taken.push({ start: blocks.address[i]! - 16, end: blocks.address[i]! - 16 + blocks.bytes[i]! });
  }
  taken.sort((a, b) => a.start - b.start);
  const found: RootRange[] = [];
  let previousLibrary = '';
  let previousEnd = 0;
  for (const m of image.mappings) {
    if (!m.readable || m.executable) continue;
    const file = m.path !== '' && !m.path.startsWith('[');
    // Zeroed data of a library stands right behind it, as anonymous memory.
    const isBss = m.path === '' && m.start === previousEnd && previousLibrary !== '';
    if (file) previousLibrary = m.path;
    else if (!isBss) previousLibrary = '';
    previousEnd = m.end;
    const pointers = image.threads.map(t => t.stackPointer).filter(p => m.start <= p && p < m.end);
    const isStack = pointers.length > 0 && !taken.some(t => t.start < m.end && m.start < t.end);
    // Below the stack pointer (and the 128 bytes that a leaf function may use there) is what calls that have ended left.
    const begin = isStack ? Math.max(m.start, Math.min(...pointers) - 128) : m.start;
    const holder = isStack ? Holder.stack : file || isBss ? Holder.library : Holder.other;
    let at = begin;
    for (const t of taken) {
      if (t.end <= at) continue;
      if (t.start >= m.end) break;
      if (t.start > at) found.push({ start: at, end: t.start, holder });
      at = t.end;
    }
    if (at < m.end) found.push({ start: at, end: m.end, holder });
  }
  return found.filter(r => memory.has(r.start) || memory.has(r.end - 1)).sort((a, b) => a.holder - b.holder);
}

interface LibraryTable {
  /** Paths; number 0 is ''. */
  readonly paths: readonly string[];
  numberAt(address: number): number;
}

function libraryTable(mappings: readonly Mapping[]): LibraryTable {
  const paths = [''];
  const starts: number[] = [];
  const ends: number[] = [];
  const numbers: number[] = [];
  let previous = 0;
  let previousEnd = 0;
  for (const m of mappings) {
    let number = 0;
    if (m.path !== '' && !m.path.startsWith('[')) {
      number = paths.indexOf(m.path);
      if (number < 0) number = paths.push(m.path) - 1;
    } else if (m.path === '' && m.start === previousEnd) {
      number = previous;
    }
    previous = number;
    previousEnd = m.end;
    if (number === 0 || number > 0xffff) continue;
    starts.push(m.start);
    ends.push(m.end);
    numbers.push(number);
  }
  return {
    paths,
    numberAt(address) {
      let low = 0;
      let high = starts.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (starts[middle]! <= address) low = middle + 1;
        else high = middle;
      }
      return low > 0 && address < ends[low - 1]! ? numbers[low - 1]! : 0;
    },
  };
}

const SAMPLES = 32;

interface Gathering {
  raw: boolean;
  holder: number;
  library: number;
  blockBytes: number;
  blocks: number;
  every: number;
  sample: number[];
}

function collect(
  image: ProcessImage,
  memory: Memory,
  facts: ResidencyFacts,
  scan: PointerScan,
  libraries: LibraryTable,
): NativeSurvey {
  const { blocks } = scan;
  const groups = new Map<number, Gathering>();
  const lost: number[] = [];
  let count = 0;
  let bytes = 0;
  let lostBytes = 0;
  for (let i = 0; i < blocks.count; i++) {
    const holder = scan.holder[i]!;
    const raw = blocks.kind[i] === Kind.raw;
    if (blocks.kind[i] === Kind.python || (raw && holder !== Holder.none)) continue;
    const size = blocks.bytes[i]!;
    const library = scan.library[i]!;
    count++;
    bytes += size;
    if (holder === Holder.none) {
      lost.push(i);
      lostBytes += size;
    }
    const key = (size * 65_536 + library) * 16 + holder * 2 + (raw ? 1 : 0);
    let group = groups.get(key);
    if (group === undefined) {
      group = { raw, holder, library, blockBytes: size, blocks: 0, every: 1, sample: [] };
      groups.set(key, group);
    }
    group.blocks++;
    // Every n-th block, so that blocks of all ages are among them; n doubles when there are too many.
    if (group.blocks % group.every !== 0) continue;
    group.sample.push(i);
    if (group.sample.length < 2 * SAMPLES) continue;
    group.sample = group.sample.filter((_, at) => at % 2 === 1);
    group.every *= 2;
  }
  return {
    atMs: facts.atMs,
    blocks: count,
    bytes,
    unreachableBlocks: lost.length,
    unreachableBytes: lostBytes,
    groups: [...groups.values()].map(g => ({
      from: g.raw ? ('pymalloc' as const) : ('malloc' as const),
      holder: NATIVE_HOLDERS[g.holder]!,
      library: libraries.paths[g.library]!,
      blockBytes: g.blockBytes,
      blocks: g.blocks,
      bytes: g.blocks * g.blockBytes,
      content: mostCommon(g.sample.map(i => contentOf(memory, blocks, i))) as NativeContent,
      pointsInto: mostCommon(g.sample.map(i => pointedLibrary(memory, blocks, i, libraries))),
    })),
    unreachableAddress: Float64Array.from(lost, i => blocks.address[i]!),
    unreachableSize: Float64Array.from(lost, i => blocks.bytes[i]!),
    extensions: extensionModules(image.mappings),
    known: facts.malloc.allocator === 'glibc',
  };
}

/** Bytes of a block that are looked at. */
const LOOK_AT = 256;

function contentOf(memory: Memory, blocks: Candidates, index: number): NativeContent {
  const length = Math.min(LOOK_AT, blocks.usable[index]!);
  const view = memory.view(blocks.address[index]!, length);
  if (view === undefined) return 'other';
  let zeros = 0;
  let printable = 0;
  for (const byte of view) {
    if (byte === 0) zeros++;
    else if ((byte >= 0x20 && byte < 0x7f) || byte === 9 || byte === 10 || byte === 13 || byte >= 0xc2) printable++;
  }
  if (zeros === length) return 'zero';
  // One byte over and over is a fill, not text.
  if (view.every(byte => byte === view[0])) return 'other';
  // Text to the first NUL; what follows may be left over from before.
  const end = view.indexOf(0);
  const text = end < 0 ? length : end;
  if (text >= 4 && isText(view, text)) return 'text';
  let pointers = 0;
  for (let at = 0; at + 8 <= length; at += 8) if (memory.has(memory.word(blocks.address[index]! + at))) pointers++;
  if (pointers * 4 >= length / 8) return 'pointers';
  return printable >= 0.9 * (length - zeros) && printable >= 8 ? 'text' : 'other';
}

function isText(view: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) {
    const byte = view[i]!;
    if (byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 13) return false;
    if (byte === 0x7f) return false;
  }
  return true;
}

/** The library that one of the block's first words points into; '' for none. */
function pointedLibrary(memory: Memory, blocks: Candidates, index: number, libraries: LibraryTable): string {
  const length = Math.min(32, blocks.usable[index]! - 7);
  for (let at = 0; at < length; at += 8) {
    const number = libraries.numberAt(memory.word(blocks.address[index]! + at));
    if (number !== 0) return libraries.paths[number]!;
  }
  return '';
}

/** The value that more than half of the sample has; the first one's when none has. */
function mostCommon(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';
}

/** Shared objects outside the system's directories and Python's own (`lib-dynload`, libpython). */
function extensionModules(mappings: readonly Mapping[]): string[] {
  const found = new Set<string>();
  for (const { path } of mappings) {
    if (!/\.so(\.[\d.]+)?$/.test(path) || /\/lib-dynload\/|\/libpython[\d.]*[a-z]*\.so/.test(path)) continue;
    if (/^(\/usr)?\/lib(32|64)?\/[^/]*$|^(\/usr)?\/lib\/[^/]+-linux-[^/]+\/[^/]*$/.test(path)) continue;
    found.add(path);
  }
  return [...found];
}
