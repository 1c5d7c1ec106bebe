/**
 * pymalloc's arenas and pools: where small objects live, and which blocks of them are in use.
 * Source: Objects/obmalloc.c (3.8 to 3.11), Include/internal/pycore_obmalloc.h (3.12 on).
 *
 * The static variable `arenas` cannot be found in a stripped build before 3.12. There the pools are recognised by
 * themselves: a pool header's fields determine each other almost completely, and a candidate counts only when its
 * arena, too, is made of pools.
 */
import type { LoadedModule, Mapping, Memory } from '../process/index.ts';
import type { Layout } from './layout.ts';

export interface Pools {
  /** Addresses of pools in use, ascending. */
  readonly addresses: Float64Array;
  /** Bytes of all arenas. */
  readonly arenaBytes: number;
  readonly arenas: number;
  /** Address of each arena, ascending. By recognition they are estimates: an arena's unused beginning does not show. */
  readonly arenaAddresses: Float64Array;
  readonly arenaSize: number;
  /** How the arenas were found. */
  readonly by: 'state' | 'symbol' | 'recognition' | 'none';
}

const MAX_ARENAS = 1 << 22;

/** Finds all pools in use. `states` are the addresses of obmalloc states (3.12 on), one an interpreter. */
export function findPools(
  memory: Memory,
  layout: Layout,
  mappings: readonly Mapping[],
  interpreters: readonly number[],
  module: LoadedModule,
): Pools {
  const p = layout.pymalloc;
  if (p.form !== 'symbol') {
    const states = new Set<number>();
    for (const interpreter of interpreters) {
      const at = interpreter + layout.interpreter.obmalloc;
      const state = p.form === 'pointer' ? memory.word(at) : at;
      if (memory.has(state)) states.add(state);
    }
    const found = [...states].map(state =>
      fromArenaArray(memory, layout, memory.word(state + p.arenas), memory.uint32(state + p.maxArenas)),
    );
    return merge(layout, found, 'state');
  }
  const arenasSymbol = module.symbol('arenas');
  const countSymbol = module.symbol('maxarenas');
  if (arenasSymbol !== undefined && countSymbol !== undefined) {
    const result = fromArenaArray(memory, layout, memory.word(arenasSymbol), memory.uint32(countSymbol));
    if (result !== undefined && result.pools.length > 0) return merge(layout, [result], 'symbol');
  }
  return merge(layout, [byRecognition(memory, layout, mappings)], 'recognition');
}

interface Found {
  pools: number[];
  arenas: number[];
}

function merge(layout: Layout, found: readonly (Found | undefined)[], by: Pools['by']): Pools {
  const pools: number[] = [];
  const arenas: number[] = [];
  for (const f of found) {
    if (f === undefined) continue;
    for (const pool of f.pools) pools.push(pool);
    for (const arena of f.arenas) arenas.push(arena);
  }
  const addresses = Float64Array.from(pools).sort();
  const { arenaSize } = layout.pymalloc;
  return {
    addresses,
    arenaBytes: arenas.length * arenaSize,
    arenas: arenas.length,
    arenaAddresses: Float64Array.from(arenas).sort(),
    arenaSize,
    by: arenas.length === 0 ? 'none' : by,
  };
}

function fromArenaArray(memory: Memory, layout: Layout, array: number, count: number): Found | undefined {
  const p = layout.pymalloc;
  if (!memory.has(array) || count > MAX_ARENAS) return undefined;
  const pools: number[] = [];
  const arenas: number[] = [];
  for (let i = 0; i < count; i++) {
    const arena = array + i * p.arenaObjectSize;
    const address = memory.word(arena + p.arenaAddress);
    if (address === 0 || !memory.has(address)) continue;
    arenas.push(address);
    // Pools start at the first pool-aligned address; those from pool_address on have never been used.
    const first = Math.ceil(address / p.poolSize) * p.poolSize;
    const fresh = Math.min(memory.word(arena + p.poolAddress), address + p.arenaSize);
    for (let pool = first; pool + p.poolSize <= address + p.arenaSize && pool < fresh; pool += p.poolSize) {
      if (isPool(memory, layout, pool)) pools.push(pool);
    }
  }
  return { pools, arenas };
}

/** Do the fields of the header at `pool` agree with each other, and is any of its blocks in use? */
export function isPool(memory: Memory, layout: Layout, pool: number): boolean {
  const p = layout.pymalloc;
  const sizeIndex = memory.uint32(pool + p.sizeIndex);
  if (sizeIndex > 63) return false;
  const blockSize = (sizeIndex + 1) * 16;
  const inUse = memory.uint32(pool + p.refCount);
  if (inUse === 0 || inUse > Math.floor((p.poolSize - p.headerSize) / blockSize)) return false;
  if (memory.uint32(pool + p.maxNextOffset) !== p.poolSize - blockSize) return false;
  const next = memory.uint32(pool + p.nextOffset);
  if (next < p.headerSize || next > p.poolSize || (next - p.headerSize) % blockSize !== 0) return false;
  const free = memory.word(pool + p.freeBlock);
  return (
    free === 0 ||
    (free >= pool + p.headerSize && free < pool + p.poolSize && (free - pool - p.headerSize) % blockSize === 0)
  );
}

function byRecognition(memory: Memory, layout: Layout, mappings: readonly Mapping[]): Found {
  const p = layout.pymalloc;
  const pools: number[] = [];
  /** Arena index to its first and last pool. */
  const extents = new Map<number, { first: number; last: number; mapping: Mapping }>();
  for (const m of mappings) {
    if (!m.writable || !m.private || m.path.startsWith('[stack')) continue;
    const start = Math.ceil(m.start / p.poolSize) * p.poolSize;
    for (let pool = start; pool + p.poolSize <= m.end; pool += p.poolSize) {
      if (!isPool(memory, layout, pool)) continue;
      // Neighbours in the size class's ring are pools as well, or the table of used pools in the interpreter's data.
      const next = memory.word(pool + p.nextPool);
      if (next !== 0 && !memory.has(next)) continue;
      pools.push(pool);
      const index = memory.uint32(pool + p.arenaIndex);
      const extent = extents.get(index);
      if (extent === undefined) extents.set(index, { first: pool, last: pool, mapping: m });
      else if (pool > extent.last) extent.last = pool;
    }
  }
  // Arenas mapped one after another share a mapping: they begin whole arenas behind its start, unless that contradicts the pools.
  const arenas = [...extents.values()].map(({ first, last, mapping }) => {
    const aligned = mapping.start + Math.floor((first - mapping.start) / p.arenaSize) * p.arenaSize;
    return last + p.poolSize <= aligned + p.arenaSize ? aligned : first;
  });
  return { pools, arenas };
}

/** Marks in `free` (one byte a block) the blocks of a pool that are on its free list. Returns the number of blocks below the high-water mark. */
export function markFreeBlocks(
  memory: Memory,
  layout: Layout,
  pool: number,
  blockSize: number,
  free: Uint8Array,
): number {
  const p = layout.pymalloc;
  const count = Math.floor((memory.uint32(pool + p.nextOffset) - p.headerSize) / blockSize);
  free.fill(0, 0, count);
  let block = memory.word(pool + p.freeBlock);
  for (let steps = 0; block !== 0 && steps <= count; steps++) {
    const index = (block - pool - p.headerSize) / blockSize;
    if (!(index >= 0 && index < count) || index % 1 !== 0) break;
    free[index] = 1;
    block = memory.word(block);
  }
  return count;
}

/** Is the pymalloc block around `address` in use? `address` must lie in an arena; false for headers and for free blocks. */
export function poolBlockInUse(memory: Memory, layout: Layout, address: number): boolean {
  const p = layout.pymalloc;
  const pool = Math.floor(address / p.poolSize) * p.poolSize;
  if (!isPool(memory, layout, pool)) return false;
  const blockSize = (memory.uint32(pool + p.sizeIndex) + 1) * 16;
  const index = Math.floor((address - pool - p.headerSize) / blockSize);
  if (index < 0 || pool + p.headerSize + index * blockSize >= pool + memory.uint32(pool + p.nextOffset)) return false;
  const start = pool + p.headerSize + index * blockSize;
  const limit = p.poolSize / 16;
  let free = memory.word(pool + p.freeBlock);
  for (let steps = 0; free !== 0 && steps <= limit; steps++) {
    if (free === start) return false;
    free = memory.word(free);
  }
  return true;
}
