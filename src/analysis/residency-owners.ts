/**
 * Which blocks of malloc are Python's: those that hold a Python object, and those that are a part of one (the items of a
 * long list, the table of a large dict), which `sys.getsizeof` counts with it. All others are native blocks.
 *
 * The rule for parts: an object is larger than the block it stands in can be, and among the words of its own memory
 * there is a pointer to (the beginning of) a block that is not larger than the object is said to be. An extension type
 * that does not report a buffer therefore does not claim it, which is right: it is what goes missing in a leak.
 */
import { type AllocatorFacts, type HeapColumns, NodeFlag } from '../cpython/index.ts';
import { blockContaining, type MallocBlocks, type Reader, usableBytes } from '../process/index.ts';

/** Objects and buffers up to this size live in pymalloc's pools. */
const POOL_LIMIT = 512;
/** A gc header, dict pointer and weak list may stand before the object in its block. */
const BEFORE_OBJECT = 64;
/** A table may have a prefix before the place that is pointed to. */
const BEFORE_TABLE = 512;
/** Words of an object's own memory that may point to its parts: containers have all of theirs here. */
const OWN_WORDS = 20;
/** Rounding of a block's size over what was asked for. */
const SLACK = 4096 + 64;
/** A deque's blocks: links left and right around 64 items. Objects/_collectionsmodule.c */
const DEQUE_BLOCK = 528;
const DEQUE_RIGHT_LINK = 520;

/** Per malloc block: 1 when it is Python's, 0 when it is a native block. */
export function pythonBlocks(
  columns: HeapColumns,
  blocks: MallocBlocks,
  allocator: AllocatorFacts,
  memory: Reader,
): Uint8Array {
  const mine = new Uint8Array(blocks.count);
  if (blocks.count === 0) return mine;
  const { nodeCount, address, size, flags, type, types, length } = columns;
  const apart = NodeFlag.synthetic | NodeFlag.nativeBlock;
  const noPools = allocator.arenas === 0;
  const isDeque = types.map(t => t.layout === 'deque' || t.layout === 'collections.deque');
  for (let node = 0; node < nodeCount; node++) {
    if ((flags[node]! & apart) !== 0) continue;
    const bytes = size[node]!;
    const deque = isDeque[type[node]!]!;
    if (bytes <= POOL_LIMIT - BEFORE_OBJECT && !noPools && !deque) continue;
    const a = address[node]!;
    const own = blockContaining(blocks, a);
    if (own >= 0 && a - blocks.address[own]! <= BEFORE_OBJECT) {
      mine[own] = 1;
      // The object and all its items are in this one block.
      if (usableBytes(blocks, own) >= bytes) continue;
    }
    const first = a + 16;
    for (let word = 0; word < OWN_WORDS; word++) {
      const pointer = memory.word(first + 8 * word);
      if (pointer < 0x1000 || pointer % 8 !== 0) continue;
      const part = blockContaining(blocks, pointer);
      if (part < 0 || part === own || mine[part] !== 0) continue;
      if (pointer - blocks.address[part]! > BEFORE_TABLE || blocks.bytes[part]! > bytes + SLACK) continue;
      if (deque) {
        markDeque(blocks, memory, part, mine, length[node]! / 64 + 4);
      } else {
        mine[part] = 1;
      }
    }
  }
  return mine;
}

/** Marks the blocks of a deque from one of its ends to the other. */
function markDeque(blocks: MallocBlocks, memory: Reader, from: number, mine: Uint8Array, limit: number): void {
  for (const link of [0, DEQUE_RIGHT_LINK]) {
    let block = from;
    for (let steps = 0; block >= 0 && steps <= limit; steps++) {
      if (usableBytes(blocks, block) < DEQUE_BLOCK) break;
      mine[block] = 1;
      const next = memory.word(blocks.address[block]! + link);
      block = next === 0 ? -1 : blockContaining(blocks, next);
      if (block >= 0 && blocks.address[block] !== next) break;
    }
  }
}
