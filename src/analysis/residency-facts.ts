/**
 * One look at a target's memory outside the heap graph: what `residency` and the search for native leaks need, gathered
 * from the same copy of memory that is decoded.
 */
import type { Decoded } from '../cpython/index.ts';
import { type Memory, type ProcessImage, ResidentMemory, walkMalloc } from '../process/index.ts';
import type { ResidencyFacts } from './residency.ts';
import { pythonBlocks } from './residency-owners.ts';

/**
 * Gathers the facts. `memory` is the copy that `decoded` comes from; `resident` was read next to the capture
 * (`ResidentMemory.read(pid)`), and may be left out for a core, or when /proc does not say.
 */
export function residencyFacts(
  image: ProcessImage,
  memory: Memory,
  decoded: Decoded,
  resident?: ResidentMemory,
): ResidencyFacts {
  const { allocator, columns } = decoded;
  const exclude = [
    ...Array.from(allocator.arenaAddresses, start => ({ start, end: start + allocator.arenaSize })),
    ...image.mappings.filter(
      m => m.path === '' && image.threads.some(t => m.start <= t.stackPointer && t.stackPointer < m.end),
    ),
  ].sort((a, b) => a.start - b.start);
  const malloc = walkMalloc(memory, image.mappings, { exclude });
  return {
    resident: resident ?? ResidentMemory.ofDump(image.mappings, memory.ranges),
    allocator,
    malloc,
    pythonBlocks: pythonBlocks(columns, malloc.blocks, allocator, memory),
    stackPointers: image.threads.map(t => t.stackPointer),
    atMs: image.capturedAtMs,
  };
}
