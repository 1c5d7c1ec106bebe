/**
 * The target's memory, copied once and addressed directly.
 *
 * All wanted mappings are copied into one array of words. Addresses are translated through a two-level table of
 * 1 MiB granules, so a word of the target costs two small loads and one from the copy; that is what lets a decoder
 * follow tens of millions of pointers a second. Words of a granule that are not mapped read as 0.
 */
import type { Mapping, ProcessImage } from './image.ts';

const PAGE = 4096;
const GRANULE_BITS = 20;
const GRANULE = 1 << GRANULE_BITS;
/** Granules per block of the first table level: 2^14 granules are 16 GiB of address space. */
const BLOCK_BITS = 14;
const BLOCK = 1 << BLOCK_BITS;
/** 2^13 blocks of 16 GiB reach to 2^47. */
const BLOCKS = 1 << 13;
const ADDRESS_LIMIT = 2 ** 47;

export interface MemoryRange {
  readonly start: number;
  readonly end: number;
}

/** Reading single values of a target: from a copy (`Memory`) or from the live process while it is stopped. */
export interface Reader {
  /** Is this a plausible, readable address? Safe for any number. */
  has(address: number): boolean;
  /** The 64-bit word at an 8-byte aligned address; 0 when not readable. */
  word(address: number): number;
  signed(address: number): number;
  uint32(address: number): number;
  int32(address: number): number;
  uint16(address: number): number;
  uint8(address: number): number;
  /** A copy or view of `length` bytes, or undefined when they are not all readable. Do not write to it. */
  view(address: number, length: number): Uint8Array | undefined;
  /** A NUL-terminated UTF-8 string of at most `limit` bytes; '' when not readable. */
  cString(address: number, limit?: number): string;
}

/** A word-addressable copy of parts of a target's address space. */
export class Memory implements Reader {
  /** The copy, as 32-bit words; word 0 and the whole first granule are 0 and stand for "not mapped". */
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  /** What was copied, ascending. */
  readonly ranges: readonly MemoryRange[];
  /** Bytes copied. */
  readonly copiedBytes: number;
  /** First level: block number to position of its part in `granules`, 0 when no granule of it is there. */
  private readonly blocks: Int32Array;
  /** Second level: number of the granule in `words`, 0 when not mapped. */
  private readonly granules: Int32Array;

  private constructor(
    words: Uint32Array,
    bytes: Uint8Array,
    blocks: Int32Array,
    granules: Int32Array,
    ranges: readonly MemoryRange[],
    copiedBytes: number,
  ) {
    this.words = words;
    this.bytes = bytes;
    this.blocks = blocks;
    this.granules = granules;
    this.ranges = ranges;
    this.copiedBytes = copiedBytes;
  }

  /** Copies the mappings that `wanted` says yes to. */
  static copy(image: ProcessImage, wanted: (mapping: Mapping) => boolean = isData): Memory {
    const mappings = image.mappings.filter(m => m.readable && m.end <= ADDRESS_LIMIT && wanted(m));
    const numbers = new Map<number, number>();
    for (const m of mappings) {
      for (let g = Math.floor(m.start / GRANULE); g * GRANULE < m.end; g++)
        if (!numbers.has(g)) numbers.set(g, numbers.size + 1);
    }
    const blocks = new Int32Array(BLOCKS);
    let blockCount = 1;
    for (const g of numbers.keys()) {
      const block = Math.floor(g / BLOCK);
      if (blocks[block] === 0) blocks[block] = blockCount++;
    }
    const granules = new Int32Array(blockCount * BLOCK);
    for (const [g, number] of numbers) granules[blocks[Math.floor(g / BLOCK)] * BLOCK + (g & (BLOCK - 1))] = number;
    const buffer = new ArrayBuffer((numbers.size + 1) * GRANULE);
    const bytes = new Uint8Array(buffer);
    const ranges: MemoryRange[] = [];
    let copiedBytes = 0;
    const memory = new Memory(new Uint32Array(buffer), bytes, blocks, granules, ranges, 0);
    for (const m of mappings) {
      let address = m.start;
      while (address < m.end) {
        // Granules next to each other in the target are next to each other in the copy: as long a run as there is.
        let end = Math.min(m.end, (Math.floor(address / GRANULE) + 1) * GRANULE);
        const offset = memory.offsetOf(address);
        const runStart = address;
        while (end < m.end && memory.offsetOf(end) === offset + (end - address)) end = Math.min(m.end, end + GRANULE);
        while (address < end) {
          const got = image.read(address, bytes.subarray(offset + address - runStart, offset + end - runStart));
          copiedBytes += got;
          if (got > 0) ranges.push({ start: address, end: address + got });
          address += got;
          // Guard pages lie inside the mappings of thread stacks (MADV_GUARD_INSTALL, glibc 2.42): go on behind them.
          if (address < end) address = Math.min(end, (Math.floor(address / PAGE) + 1) * PAGE);
        }
      }
    }
    ranges.sort((a, b) => a.start - b.start);
    return new Memory(memory.words, bytes, blocks, granules, ranges, copiedBytes);
  }

  /** Byte offset of an address in the copy; below `firstOffset` when it is not mapped. `address` must be in 0 … 2^47. */
  offsetOf(address: number): number {
    const g = (address / GRANULE) | 0;
    const number = this.granules[this.blocks[g >>> BLOCK_BITS] * BLOCK + (g & (BLOCK - 1))];
    return number * GRANULE + (address - g * GRANULE);
  }

  /** Is this a plausible address inside the copy? Safe for any number. */
  has(address: number): boolean {
    return address >= GRANULE && address < ADDRESS_LIMIT && this.offsetOf(address) >= GRANULE;
  }

  /** The 64-bit word at an address as a number; 0 when not mapped. Exact for pointers and for values below 2^53. */
  word(address: number): number {
    if (!(address >= 0 && address < ADDRESS_LIMIT)) return 0;
    const at = Math.floor(this.offsetOf(address) / 4);
    return this.words[at] + this.words[at + 1] * 0x1_0000_0000;
  }

  /** The 64-bit word at an address as a signed number; 0 when not mapped. */
  signed(address: number): number {
    if (!(address >= 0 && address < ADDRESS_LIMIT)) return 0;
    const at = Math.floor(this.offsetOf(address) / 4);
    return this.words[at] + (this.words[at + 1] | 0) * 0x1_0000_0000;
  }

  uint32(address: number): number {
    return address >= 0 && address < ADDRESS_LIMIT ? this.words[Math.floor(this.offsetOf(address) / 4)] : 0;
  }

  int32(address: number): number {
    return this.uint32(address) | 0;
  }

  uint16(address: number): number {
    if (!(address >= 0 && address < ADDRESS_LIMIT)) return 0;
    const offset = this.offsetOf(address);
    return this.bytes[offset] | (this.bytes[offset + 1] << 8);
  }

  uint8(address: number): number {
    return address >= 0 && address < ADDRESS_LIMIT ? this.bytes[this.offsetOf(address)] : 0;
  }

  /** A view of `length` bytes at an address, or undefined when they are not all mapped. Do not write to it. */
  view(address: number, length: number): Uint8Array | undefined {
    if (!this.has(address) || length < 0 || (length > 0 && !this.has(address + length - 1))) return undefined;
    const offset = this.offsetOf(address);
    if (length > 0 && this.offsetOf(address + length - 1) !== offset + length - 1) return undefined;
    return this.bytes.subarray(offset, offset + length);
  }

  /** A NUL-terminated string, read as UTF-8, of at most `limit` bytes; '' when not mapped. */
  cString(address: number, limit = 256): string {
    if (!this.has(address)) return '';
    const offset = this.offsetOf(address);
    const end = this.bytes.indexOf(0, offset);
    return Buffer.from(this.bytes.buffer, offset, Math.min(limit, (end < 0 ? offset : end) - offset)).toString('utf8');
  }
}

/** Writable private memory, and the data of executables and libraries: where Python objects and their tables can be. */
export function isData(m: Mapping): boolean {
  return (
    (m.writable && m.private && m.path !== '[vvar]') ||
    (m.path !== '' && !m.executable && !m.path.startsWith('[') && isElfLike(m.path))
  );
}

function isElfLike(path: string): boolean {
  return /(\.so(\.[\d.]+)?$|python[\d.]*[a-z]*$|\/bin\/|uwsgi|\.cpython-)/.test(path);
}
