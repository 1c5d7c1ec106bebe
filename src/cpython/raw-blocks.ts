/**
 * Blocks of pymalloc in use that are no objects: tables and buffers of objects, and what C code got from PyMem_Malloc.
 * Most are a part of some object; one that nothing points to was forgotten by C code.
 */
import type { Memory } from '../process/index.ts';
import type { HeapColumns } from './columns.ts';
import type { AllocatorFacts } from './decode.ts';
import type { Layout } from './layout.ts';
import { isPool, markFreeBlocks } from './pools.ts';

export interface RawBlocks {
  readonly count: number;
  /** Ascending. */
  readonly address: Float64Array;
  /** Bytes of each: the size class of its pool. */
  readonly bytes: Float64Array;
}

/**
 * Finds them. A block with the address of a type where an object would have it is taken for an object, so that a buffer
 * that happens to begin like one is missing here; never the other way round.
 */
export function rawPoolBlocks(
  memory: Memory,
  layout: Layout,
  columns: HeapColumns,
  allocator: AllocatorFacts,
): RawBlocks {
  const types = new Set<number>();
  for (const type of columns.types) if (type.address !== 0) types.add(type.address);
  const { poolSize, headerSize, sizeIndex } = layout.pymalloc;
  const typeAt = layout.object.type;
  const gc = layout.gc.headSize;
  const before = gc + layout.managed.preHeaderSize;
  const free = new Uint8Array(Math.ceil(poolSize / 16));
  let address = new Float64Array(1024);
  let bytes = new Float64Array(1024);
  let count = 0;
  for (const arena of allocator.arenaAddresses) {
    const end = arena + allocator.arenaSize;
    for (let pool = Math.ceil(arena / poolSize) * poolSize; pool + poolSize <= end; pool += poolSize) {
      if (!isPool(memory, layout, pool)) continue;
      const blockSize = (memory.uint32(pool + sizeIndex) + 1) * 16;
      const used = markFreeBlocks(memory, layout, pool, blockSize, free);
      for (let i = 0; i < used; i++) {
        if (free[i] !== 0) continue;
        const block = pool + headerSize + i * blockSize;
        if (types.has(memory.word(block + typeAt))) continue;
        if (blockSize >= 32 && types.has(memory.word(block + gc + typeAt))) continue;
        if (blockSize >= 48 && before !== gc && types.has(memory.word(block + before + typeAt))) continue;
        if (count === address.length) {
          address = doubled(address);
          bytes = doubled(bytes);
        }
        address[count] = block;
        bytes[count++] = blockSize;
      }
    }
  }
  return { count, address: address.slice(0, count), bytes: bytes.slice(0, count) };
}

function doubled(from: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const to = new Float64Array(from.length * 2);
  to.set(from);
  return to;
}
