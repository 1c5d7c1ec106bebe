/**
 * glibc's malloc in a frozen image: every block in use, and every free byte, of every arena.
 *
 * Chunks stand one behind another, each with its size in front; whether one is in use is a bit in the next one's header.
 * Blocks in the threads' caches and in fastbins keep that bit, so those lists are followed as well. Blocks above the
 * mmap threshold are mappings of their own.
 */
import type { Mapping } from './image.ts';
import {
  type ArenaState,
  alignDown,
  alignUp,
  type ChunkRegion,
  findArenas,
  findParameters,
  HEAP_ALIGNMENT,
  heapsOf,
} from './malloc-arena.ts';
import { asThreadCache, chunkSize, isCacheSize, LinkReader, type ThreadCache } from './malloc-free-lists.ts';
import type { Memory, MemoryRange } from './memory.ts';

const PAGE = 4096;
/** Low bits of a chunk's size. */
const PREVIOUS_IN_USE = 1;
const MIN_CHUNK = 32;
/** How far into its mapping an aligned block is sought when nothing at the beginning tells. */
const FURTHEST_ALIGNMENT = 64 * 1024;
/** From a chunk to its block. */
const HEADER = 16;

/** Blocks in use, ascending by address. */
export interface MallocBlocks {
  readonly count: number;
  /** Per block: the address that malloc returned. */
  readonly address: Float64Array;
  /** Per block: the bytes it takes in the heap, its header included. The program can use 8 fewer (`usableBytes`). */
  readonly bytes: Float64Array;
  /** Per block: index into `arenas`, or MMAPPED. */
  readonly arena: Uint16Array;
  /** Of a block with a mapping of its own, how many of its bytes the program cannot use: 16, 24 from glibc 2.43 on. */
  readonly mappedOverhead: number;
}

/** In place of an arena's index: the block is a mapping of its own. */
export const MMAPPED = 0xffff;

export interface MallocArena {
  /** Address of the `struct malloc_state`, and the first address behind it. */
  readonly address: number;
  readonly end: number;
  readonly main: boolean;
  /** The word that holds the address of the top chunk: it is written when the arena grows. */
  readonly topWord: number;
  readonly top: number;
  /** Where its chunks are; what lies in them and in no chunk is the allocator's own. */
  readonly regions: readonly MemoryRange[];
  /** The sum of the six below. */
  readonly systemBytes: number;
  readonly inUseBytes: number;
  readonly binBytes: number;
  readonly fastBinBytes: number;
  readonly threadCacheBytes: number;
  readonly topBytes: number;
  /** The arena's own structures, and what no chunk accounts for. */
  readonly overheadBytes: number;
  readonly inUseBlocks: number;
  readonly freeBlocks: number;
}

export interface MallocWalk {
  /** `glibc`; otherwise nothing below could be read and `blocks` is empty. */
  readonly allocator: 'glibc' | 'unknown';
  /** Files of other allocators that are mapped: jemalloc, tcmalloc, mimalloc, musl. They may serve malloc instead of glibc. */
  readonly otherAllocators: readonly string[];
  readonly arenas: readonly MallocArena[];
  readonly mmapped: { readonly blocks: number; readonly bytes: number };
  /** What glibc itself says about its mapped blocks, to check the walk against; undefined when it was not found. */
  readonly statedMmapped: { readonly blocks: number; readonly bytes: number } | undefined;
  /** Address of the word in which glibc counts the bytes of mapped blocks; 0 when it was not found. */
  readonly mmappedBytesWord: number;
  readonly threadCaches: readonly ThreadCache[];
  /** Links of free lists are mangled with their address (glibc 2.32 on). */
  readonly mangledLinks: boolean;
  readonly blocks: MallocBlocks;
  /** Sentences about what could not be followed. */
  readonly notes: readonly string[];
}

export interface MallocWalkOptions {
  /** Ranges that are known not to be malloc's (pymalloc's arenas, stacks), ascending: no mapped blocks are sought there. */
  readonly exclude?: readonly MemoryRange[];
}

/** Walks the heap that malloc serves. Never throws: what cannot be read is said in `notes`. */
export function walkMalloc(memory: Memory, mappings: readonly Mapping[], options: MallocWalkOptions = {}): MallocWalk {
  const otherAllocators = [...new Set(mappings.map(m => m.path).filter(isOtherAllocator))];
  const states = findArenas(memory, mappings);
  if (states === undefined) {
    return {
      allocator: 'unknown',
      otherAllocators,
      arenas: [],
      mmapped: { blocks: 0, bytes: 0 },
      statedMmapped: undefined,
      mmappedBytesWord: 0,
      threadCaches: [],
      mangledLinks: true,
      blocks: {
        count: 0,
        address: new Float64Array(0),
        bytes: new Float64Array(0),
        arena: new Uint16Array(0),
        mappedOverhead: 16,
      },
      notes: ['no glibc heap was found in the target'],
    };
  }
  return new HeapWalk(memory, mappings, states).run(otherAllocators, options.exclude ?? []);
}

function isOtherAllocator(path: string): boolean {
  return /\/(lib(jemalloc|tcmalloc|mimalloc|snmalloc|hoard)[^/]*|ld-musl[^/]*)$/.test(path);
}

/** The index of the block in use that an address lies in (its header not included), or -1. */
export function blockContaining(blocks: MallocBlocks, address: number): number {
  const column = blocks.address;
  let low = 0;
  let high = blocks.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (column[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  const at = low - 1;
  return at >= 0 && address < column[at]! + usableBytes(blocks, at) ? at : -1;
}

/** Bytes of a block that the program can use (`malloc_usable_size`). */
export function usableBytes(blocks: MallocBlocks, index: number): number {
  return blocks.bytes[index]! - (blocks.arena[index] === MMAPPED ? blocks.mappedOverhead : 8);
}

interface Tally {
  inUse: number;
  bins: number;
  fast: number;
  cache: number;
  top: number;
  inUseBlocks: number;
  freeBlocks: number;
}

class HeapWalk {
  private readonly memory: Memory;
  private readonly mappings: readonly Mapping[];
  private readonly states: readonly ArenaState[];
  private readonly tallies: Tally[];
  private readonly notes: string[] = [];
  private readonly caches: ThreadCache[] = [];
  private count = 0;
  private mappedOverhead = 16;
  private address = new Float64Array(4096);
  private bytes = new Float64Array(4096);
  private arena = new Uint16Array(4096);

  constructor(memory: Memory, mappings: readonly Mapping[], states: readonly ArenaState[]) {
    this.memory = memory;
    this.mappings = mappings;
    this.states = states;
    this.tallies = states.map(() => ({ inUse: 0, bins: 0, fast: 0, cache: 0, top: 0, inUseBlocks: 0, freeBlocks: 0 }));
  }

  run(otherAllocators: readonly string[], exclude: readonly MemoryRange[]): MallocWalk {
    const { memory, states } = this;
    const main = states[0]!;
    const mainRun = runOf(this.mappings, main.top);
    const library = this.mappings.find(m => m.start <= main.address && main.address < m.end);
    const parameters = mainRun && library ? findParameters(memory, library, mainRun) : undefined;
    const regions: ChunkRegion[] = states.flatMap((state, i) => (state.main ? [] : heapsOf(memory, state, i)));
    if (mainRun !== undefined && main.systemBytes > 0) {
      regions.push({ start: this.mainStart(main, mainRun, parameters?.heapStart), end: mainRun.end, arena: 0 });
    }
    // Chunks of mapped blocks are walked as regions of one chunk; then everything ascends.
    const mapped = this.mappedBlocks([...exclude, ...regions, ...this.threadHeapRanges()]);
    const all = [...regions, ...mapped.map(m => ({ start: m.chunk, end: m.end, arena: MMAPPED }))].sort(
      (a, b) => a.start - b.start,
    );
    for (const region of all) {
      if (region.arena === MMAPPED) this.addBlock(region.start + HEADER, region.end - region.start, MMAPPED);
      else this.walkRegion(region);
    }
    const mangledLinks = this.takeOutListed();
    const mmappedBytes = mapped.reduce((sum, m) => sum + m.end - m.start, 0);
    return {
      allocator: 'glibc',
      otherAllocators,
      arenas: states.map((state, i) => this.arenaOf(state, i, regions)),
      mmapped: { blocks: mapped.length, bytes: mmappedBytes },
      statedMmapped: parameters && { blocks: parameters.mmappedBlocks, bytes: parameters.mmappedBytes },
      mmappedBytesWord: parameters?.mmappedBytesWord ?? 0,
      threadCaches: this.caches,
      mangledLinks,
      blocks: {
        count: this.count,
        address: this.address.slice(0, this.count),
        bytes: this.bytes.slice(0, this.count),
        arena: this.arena.slice(0, this.count),
        mappedOverhead: this.mappedOverhead,
      },
      notes: this.notes,
    };
  }

  private arenaOf(state: ArenaState, index: number, regions: readonly ChunkRegion[]): MallocArena {
    const t = this.tallies[index]!;
    const sum = t.inUse + t.bins + t.fast + t.cache + t.top;
    return {
      address: state.address,
      end: state.end,
      main: state.main,
      topWord: state.topWord,
      top: state.top,
      // With the heap's header and the arena's own structures in front.
      regions: regions
        .filter(r => r.arena === index)
        .map(r => ({ start: state.main ? r.start : alignDown(r.start, HEAP_ALIGNMENT), end: r.end })),
      systemBytes: state.systemBytes,
      inUseBytes: t.inUse,
      binBytes: t.bins,
      fastBinBytes: t.fast,
      threadCacheBytes: t.cache,
      topBytes: t.top,
      overheadBytes: state.systemBytes - sum,
      inUseBlocks: t.inUseBlocks,
      freeBlocks: t.freeBlocks,
    };
  }

  /** The first chunk of the main heap: what mp_ says, else the first place from which chunks lead exactly to the top. */
  private mainStart(main: ArenaState, run: MemoryRange, stated: number | undefined): number {
    if (stated !== undefined) return alignUp(stated, 16);
    for (let start = run.start; start < main.top; start += PAGE) {
      let chunk = start;
      while (chunk < main.top) {
        const size = chunkSize(this.memory, chunk);
        if (size < MIN_CHUNK) break;
        chunk += size;
      }
      if (chunk === main.top) return start;
    }
    this.notes.push('the beginning of the main heap was not found');
    return run.end;
  }

  private walkRegion(region: ChunkRegion): void {
    const { memory } = this;
    const tally = this.tallies[region.arena]!;
    const top = this.states[region.arena]!.top;
    let chunk = region.start;
    while (chunk < region.end) {
      const size = chunkSize(memory, chunk);
      if (chunk === top) {
        tally.top += size;
        return;
      }
      const next = chunk + size;
      if (size < MIN_CHUNK) {
        // A fencepost: a heap that is full ends in it; behind one in the main heap, somebody else has moved the break.
        const after = this.states[region.arena]!.main ? this.afterGap(chunk, region) : region.end;
        if (after >= region.end) return;
        chunk = after;
        continue;
      }
      if (next > region.end) {
        this.notes.push(
          `a chunk at 0x${chunk.toString(16)} reaches beyond its heap; the rest of that heap was not read`,
        );
        return;
      }
      if (memory.uint32(next + 8) & PREVIOUS_IN_USE) {
        if (isCacheSize(size)) {
          const cache = asThreadCache(memory, chunk + HEADER, size);
          if (cache !== undefined) this.caches.push(cache);
        }
        tally.inUse += size;
        tally.inUseBlocks++;
        this.addBlock(chunk + HEADER, size, region.arena);
      } else {
        tally.bins += size;
        tally.freeBlocks++;
      }
      chunk = next;
    }
  }

  /** Where chunks go on behind a foreign piece of the main heap: at the first place from which they lead to the top. */
  private afterGap(fence: number, region: ChunkRegion): number {
    const top = this.states[region.arena]!.top;
    for (let start = alignDown(fence, 16) + 32; start < Math.min(region.end, top + 1); start += 16) {
      let chunk = start;
      let steps = 0;
      while (chunk < top && steps < 64) {
        const size = chunkSize(this.memory, chunk);
        if (size < MIN_CHUNK) break;
        chunk += size;
        steps++;
      }
      if (chunk === top || steps === 64) return start;
    }
    return region.end;
  }

  private addBlock(address: number, bytes: number, arena: number): void {
    if (this.count === this.address.length) {
      this.address = grown(this.address, new Float64Array(this.count * 2));
      this.bytes = grown(this.bytes, new Float64Array(this.count * 2));
      this.arena = grown(this.arena, new Uint16Array(this.count * 2));
    }
    this.address[this.count] = address;
    this.bytes[this.count] = bytes;
    this.arena[this.count++] = arena;
  }

  /** Takes the blocks of thread caches and fastbins out of those in use. Are their links mangled? */
  private takeOutListed(): boolean {
    const listed = new Uint8Array(this.count);
    const links = new LinkReader(this.memory);
    const take = (block: number, kind: 'cache' | 'fast') => {
      const index = this.indexOf(block);
      if (index < 0 || listed[index] !== 0) return false;
      listed[index] = 1;
      if (this.arena[index] !== MMAPPED) {
        const tally = this.tallies[this.arena[index]!]!;
        const bytes = this.bytes[index]!;
        tally[kind] += bytes;
        tally.inUse -= bytes;
        tally.inUseBlocks--;
        tally.freeBlocks++;
      }
      return true;
    };
    let broken = 0;
    for (const cache of this.caches) {
      for (let i = 0; i < cache.lists; i++) {
        if (!links.walk(this.memory.word(cache.heads + 8 * i), 0, block => take(block, 'cache'))) broken++;
      }
    }
    for (const state of this.states) {
      for (const head of state.fastBins) {
        // Fastbins link chunks, not blocks.
        if (!links.walk(this.memory.word(head), HEADER, block => take(block, 'fast'))) broken++;
      }
    }
    if (broken > 0) this.notes.push(`${broken} lists of free blocks could not be followed to their end`);
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (listed[i] !== 0) continue;
      this.address[kept] = this.address[i]!;
      this.bytes[kept] = this.bytes[i]!;
      this.arena[kept++] = this.arena[i]!;
    }
    this.count = kept;
    return links.mangled ?? true;
  }

  private indexOf(address: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.address[middle]! < address) low = middle + 1;
      else high = middle;
    }
    return low < this.count && this.address[low] === address ? low : -1;
  }

  /** The whole of each thread heap, header and arena included. */
  private threadHeapRanges(): MemoryRange[] {
    return this.states.flatMap((state, i) =>
      state.main
        ? []
        : heapsOf(this.memory, state, i).map(r => ({ start: alignDown(r.start, HEAP_ALIGNMENT), end: r.end })),
    );
  }

  /** Blocks that are mappings of their own, several of which the kernel may show as one mapping. */
  private mappedBlocks(exclude: readonly MemoryRange[]): MappedBlock[] {
    const taken = [...exclude].sort((a, b) => a.start - b.start);
    const found: MappedBlock[] = [];
    let next = 0;
    for (const m of this.mappings) {
      if (!m.writable || !m.private || (m.path !== '' && !m.path.startsWith('[anon'))) continue;
      let at = m.start;
      while (at < m.end) {
        while (next < taken.length && taken[next]!.end <= at) next++;
        const skip = taken[next];
        if (skip !== undefined && skip.start <= at) {
          at = alignUp(skip.end, PAGE);
          continue;
        }
        const block = this.mappedBlockAt(at, Math.min(m.end, skip?.start ?? m.end));
        if (block === undefined) {
          at += PAGE;
        } else {
          found.push(block);
          at = block.end;
        }
      }
    }
    return found;
  }

  /**
   * The mapped block that begins at a page. Its size has only the mmap bit; before 2.43 it is all bytes up to the end of
   * the mapping, since then 16 fewer. When it was allocated with an alignment, the chunk stands further behind the
   * mapping's beginning, prev_size says how far, and a header from before that may be left at the beginning.
   */
  private mappedBlockAt(page: number, limit: number): MappedBlock | undefined {
    const plain = this.mappedChunk(page, page, limit);
    const end = plain?.end ?? limit;
    for (let chunk = page + 16; chunk < page + PAGE; chunk += 16) {
      const moved = this.mappedChunk(chunk, page, end);
      if (moved !== undefined && (plain === undefined || moved.end === plain.end)) return moved;
    }
    // Aligned to a page or more; without a header at the beginning to say how far to look, not beyond the usual.
    const furthest = plain?.end ?? Math.min(limit, page + FURTHEST_ALIGNMENT);
    for (let chunk = page + 2 * PAGE - HEADER; chunk < furthest; chunk += PAGE) {
      const moved = this.mappedChunk(chunk, page, end);
      if (moved !== undefined && (plain === undefined || moved.end === plain.end)) return moved;
    }
    return plain;
  }

  private mappedChunk(chunk: number, start: number, limit: number): MappedBlock | undefined {
    if (this.memory.word(chunk) !== chunk - start) return undefined;
    const word = this.memory.word(chunk + 8);
    if (word % 16 !== 2) return undefined;
    const size = word - 2;
    const whole = (chunk + size) % PAGE === 0;
    const end = chunk + size + (whole ? 0 : HEADER);
    if (end % PAGE !== 0 || end > limit || size < MIN_CHUNK) return undefined;
    if (!whole) this.mappedOverhead = 24;
    return { start, chunk, end };
  }
}

interface MappedBlock extends MemoryRange {
  readonly chunk: number;
}

/** The mapping that holds an address, with those next to it that could be the same heap. */
function runOf(mappings: readonly Mapping[], address: number): MemoryRange | undefined {
  const at = mappings.findIndex(m => m.start <= address && address < m.end);
  if (at < 0) return undefined;
  let first = at;
  while (
    first > 0 &&
    mappings[first - 1]!.end === mappings[first]!.start &&
    mappings[first - 1]!.path === mappings[at]!.path
  )
    first--;
  let last = at;
  while (
    last + 1 < mappings.length &&
    mappings[last + 1]!.start === mappings[last]!.end &&
    mappings[last + 1]!.path === mappings[at]!.path
  )
    last++;
  return { start: mappings[first]!.start, end: mappings[last]!.end };
}

function grown<T extends Float64Array | Uint16Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
