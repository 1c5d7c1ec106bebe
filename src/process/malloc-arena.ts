/**
 * Where glibc's malloc keeps its arenas, found without symbols (`main_arena` is a local symbol that distributions strip).
 *
 * An arena holds 127 doubly linked bins, and an empty bin points at itself: words at `b` and `b + 8` that both hold
 * `b - 16`. No other data of the C library looks like that, so a cluster of such pairs is the bins of `main_arena`. The
 * ring of arenas (`next`, a fixed distance behind the bins) leads back to the beginning of the struct, which tells how
 * much of it stands before the bins, and so whether it has fastbins. The same offsets hold for every other arena.
 * Source: malloc/malloc.c, malloc/arena.c of glibc 2.26 to 2.43 (struct malloc_state, struct malloc_par, heap_info).
 */
import type { Mapping } from './image.ts';
import type { Memory, MemoryRange } from './memory.ts';

/** NBINS - 1: bin 0 does not exist. Each is two words. */
const BINS = 127;
const BINS_BYTES = BINS * 16;
/** Behind the bins: binmap (16 bytes), next, next_free, attached_threads, system_mem, max_system_mem. */
const NEXT = BINS_BYTES + 16;
const SYSTEM_BYTES = NEXT + 24;
const END = NEXT + 40;
/** HEAP_MAX_SIZE: a thread's arena grows in heaps of at most 64 MiB, each aligned to that. */
export const HEAP_ALIGNMENT = 64 * 2 ** 20;
/** Empty bins that a cluster needs to be taken for an arena. A busy heap fills perhaps half of the 127. */
const ENOUGH_EMPTY_BINS = 24;
const MAX_ARENAS = 4096;
const MAX_HEAPS = 1 << 16;

/** One `struct malloc_state`. */
export interface ArenaState {
  readonly address: number;
  /** First address behind the struct. */
  readonly end: number;
  readonly main: boolean;
  /** Address of the first bin's links; `top` and `last_remainder` are the two words before it. */
  readonly bins: number;
  /** The word that holds the address of the top chunk. */
  readonly topWord: number;
  readonly top: number;
  /** Heads of the lists of freed small blocks; none from glibc 2.43 on. */
  readonly fastBins: readonly number[];
  /** What the arena got from the kernel and has not given back. */
  readonly systemBytes: number;
}

/** All arenas of the target, the main one first; undefined when no glibc heap can be found. */
export function findArenas(memory: Memory, mappings: readonly Mapping[]): ArenaState[] | undefined {
  for (const mapping of mappings) {
    if (!mapping.writable || mapping.path === '' || mapping.path.startsWith('[')) continue;
    // A library's .data ends in pages that the kernel shows as part of its file's mapping; main_arena is initialised data.
    const found = arenasOf(memory, mapping);
    if (found !== undefined) return found;
  }
  return undefined;
}

function arenasOf(memory: Memory, range: MemoryRange): ArenaState[] | undefined {
  for (let cluster = range.start; ; ) {
    const first = nextEmptyBin(memory, cluster, range.end);
    if (first < 0) return undefined;
    let empty = 0;
    for (let bin = first; bin < Math.min(first + BINS_BYTES, range.end); bin += 16)
      if (isEmptyBin(memory, bin)) empty++;
    if (empty >= ENOUGH_EMPTY_BINS) {
      // The bins before the first empty one are in use: try each place for bin 1 until the ring of arenas closes.
      for (let bins = first; bins > first - BINS_BYTES; bins -= 16) {
        const arenas = ringFrom(memory, bins);
        if (arenas !== undefined) return arenas;
      }
    }
    cluster = first + 8;
  }
}

function nextEmptyBin(memory: Memory, from: number, end: number): number {
  for (let at = from; at + 16 <= end; at += 8) if (isEmptyBin(memory, at)) return at;
  return -1;
}

function isEmptyBin(memory: Memory, at: number): boolean {
  return memory.word(at) === at - 16 && memory.word(at + 8) === at - 16;
}

/** The arenas, if `bins` is bin 1 of the main one: `next` must lead around to its own struct. */
function ringFrom(memory: Memory, bins: number): ArenaState[] | undefined {
  const next = memory.word(bins + NEXT);
  if (!memory.has(next)) return undefined;
  // mutex and flags (8), have_fastchunks (8), fastbins (none or up to 10), top, last_remainder.
  for (let fast = 10; fast >= 0; fast--) {
    for (const head of fast === 0 ? [8, 16] : [16, 8]) {
      const before = head + 8 * fast + 16;
      const main = bins - before;
      const addresses = [main];
      let at = next;
      while (at !== main && memory.has(at) && addresses.length < MAX_ARENAS && !addresses.includes(at)) {
        addresses.push(at);
        at = memory.word(at + before + NEXT);
      }
      if (at !== main) continue;
      return addresses.map(address => {
        const binsOf = address + before;
        return {
          address,
          end: binsOf + END,
          main: address === main,
          bins: binsOf,
          topWord: binsOf - 16,
          top: memory.word(binsOf - 16),
          fastBins: Array.from({ length: fast }, (_, i) => address + head + 8 * i),
          systemBytes: memory.word(binsOf + SYSTEM_BYTES),
        };
      });
    }
  }
  return undefined;
}

/** A run of chunks: from the first chunk to `end`, where chunks stop if the top chunk does not come before. */
export interface ChunkRegion extends MemoryRange {
  readonly arena: number;
}

/** The heaps of a thread's arena. The first has the arena itself in front. */
export function heapsOf(memory: Memory, state: ArenaState, arena: number): ChunkRegion[] {
  const regions: ChunkRegion[] = [];
  const firstHeap = alignDown(state.address, HEAP_ALIGNMENT);
  // heap_info is 32 bytes, 48 from glibc 2.35 on; the arena stands right behind that of the first heap.
  const infoBytes = state.address - firstHeap;
  const seen = new Set<number>();
  for (
    let heap = alignDown(state.top, HEAP_ALIGNMENT);
    heap !== 0 && memory.has(heap) && !seen.has(heap) && seen.size < MAX_HEAPS;
  ) {
    if (memory.word(heap) !== state.address) break;
    seen.add(heap);
    const start = heap === firstHeap ? alignUp(state.end, 16) : alignUp(heap + infoBytes, 16);
    regions.push({ start, end: heap + memory.word(heap + 16), arena });
    heap = memory.word(heap + 8);
  }
  return regions;
}

/** What `mp_` (struct malloc_par) says; undefined when it cannot be told apart from other data. */
export interface MallocParameters {
  /** Where the main arena's heap begins. */
  readonly heapStart: number;
  readonly mmappedBlocks: number;
  readonly mmappedBytes: number;
  /** Address of the word that holds mmappedBytes. */
  readonly mmappedBytesWord: number;
}

/** Finds `mp_` in the data of the library that holds the main arena, by the beginning of the heap it knows. */
export function findParameters(memory: Memory, library: MemoryRange, heap: MemoryRange): MallocParameters | undefined {
  for (let at = library.start; at + 8 <= library.end; at += 8) {
    const heapStart = memory.word(at);
    if (heapStart < heap.start || heapStart >= heap.end || heapStart % 16 !== 0) continue;
    // n_mmaps, n_mmaps_max (65536 by default), max_n_mmaps, no_dyn_threshold, mmapped_mem, max_mmapped_mem, sbrk_base;
    // one more int stands before them from 2.35 on, so that they are packed differently.
    for (const offset of [32, 36]) {
      if (memory.uint32(at - offset + 4) !== 65_536) continue;
      return {
        heapStart,
        mmappedBlocks: memory.uint32(at - offset),
        mmappedBytes: memory.word(at - 16),
        mmappedBytesWord: at - 16,
      };
    }
  }
  return undefined;
}

export function alignDown(address: number, alignment: number): number {
  return address - (address % alignment);
}

export function alignUp(address: number, alignment: number): number {
  return alignDown(address + alignment - 1, alignment);
}
