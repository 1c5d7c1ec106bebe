/**
 * LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), as systemd-coredump and `lz4` write them.
 * Checksums are not verified: a damaged block shows as an impossible match or length.
 */

const MAGIC = 0x184d2204;
const WINDOW = 1 << 16;

/** Turns a stream of compressed chunks into a stream of decompressed ones. Memory: two blocks (at most 8 MiB) and a chunk. */
export class Lz4FrameDecoder {
  private pending: Uint8Array = new Uint8Array(0);
  private blockLimit = 0;
  private trailer = 0;
  private linked = false;
  private contentChecksum = false;
  private inFrame = false;
  private skip = 0;
  /** The last 64 KiB of output, then the block being decoded. */
  private buffer: Uint8Array = new Uint8Array(0);
  private history = 0;

  /** True when the input so far ends where a frame ends. */
  get complete(): boolean {
    return !this.inFrame && this.skip === 0 && this.pending.length === 0;
  }

  /** Calls `emit` with each decompressed block that is complete with this chunk (a view: use it before returning). Throws when the data is not LZ4. */
  push(chunk: Uint8Array, emit: (bytes: Uint8Array) => void): void {
    let input = chunk;
    if (this.pending.length > 0) {
      input = new Uint8Array(this.pending.length + chunk.length);
      input.set(this.pending);
      input.set(chunk, this.pending.length);
    }
    let at = 0;
    for (;;) {
      const used = this.step(input.subarray(at), emit);
      if (used === 0) break;
      at += used;
    }
    this.pending = input.slice(at);
  }

  /** Takes one frame header, block or trailer off the input; returns its size, or 0 when it is not all there. */
  private step(input: Uint8Array, emit: (bytes: Uint8Array) => void): number {
    if (this.skip > 0) {
      const n = Math.min(this.skip, input.length);
      this.skip -= n;
      return n;
    }
    if (input.length < 4) return 0;
    const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    if (!this.inFrame) return this.header(input, view);
    const size = view.getUint32(0, true);
    if (size === 0) {
      this.inFrame = false;
      this.skip = this.contentChecksum ? 4 : 0;
      return 4;
    }
    const length = size & 0x7fffffff;
    if (length > this.blockLimit) throw new Error('an LZ4 block is longer than its frame allows');
    if (input.length < 4 + length + this.trailer) return 0;
    const block = input.subarray(4, 4 + length);
    if (!this.linked) this.history = 0;
    let out: number;
    if (size >= 0x80000000) {
      this.buffer.set(block, this.history);
      out = length;
    } else {
      out = decodeBlock(block, this.buffer, this.history, this.history + this.blockLimit) - this.history;
    }
    const end = this.history + out;
    emit(this.buffer.subarray(this.history, end));
    this.buffer.copyWithin(0, Math.max(0, end - WINDOW), end);
    this.history = Math.min(end, WINDOW);
    return 4 + length + this.trailer;
  }

  private header(input: Uint8Array, view: DataView): number {
    const magic = view.getUint32(0, true);
    if (magic >= 0x184d2a50 && magic <= 0x184d2a5f) {
      if (input.length < 8) return 0;
      this.skip = view.getUint32(4, true);
      return 8;
    }
    if (magic !== MAGIC) throw new Error('not an LZ4 frame');
    if (input.length < 7) return 0;
    const flags = input[4];
    const size = 7 + (flags & 8 ? 8 : 0) + (flags & 1 ? 4 : 0);
    if (input.length < size) return 0;
    const limit = [0, 0, 0, 0, 1 << 16, 1 << 18, 1 << 20, 1 << 22][(input[5] >> 4) & 7];
    if (flags >> 6 !== 1 || limit === 0) throw new Error('an LZ4 frame of an unknown version');
    if (flags & 1) throw new Error('an LZ4 frame that needs a dictionary');
    this.linked = (flags & 0x20) === 0;
    this.trailer = flags & 0x10 ? 4 : 0;
    this.contentChecksum = (flags & 4) !== 0;
    this.blockLimit = limit;
    this.buffer = new Uint8Array(WINDOW + limit);
    this.history = 0;
    this.inFrame = true;
    return size;
  }
}

/** Decodes one block into `out` from `start` on; matches may reach back before it. Returns the position after the last byte. */
export function decodeBlock(input: Uint8Array, out: Uint8Array, start: number, limit: number): number {
  let at = 0;
  let to = start;
  while (at < input.length) {
    const token = input[at++];
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do {
        more = at < input.length ? input[at++] : -1;
        if (more < 0) throw new Error('an LZ4 block ends in a length');
        literals += more;
      } while (more === 255);
    }
    if (at + literals > input.length || to + literals > limit) throw new Error('an LZ4 block has too many literals');
    for (const end = at + literals; at < end; ) out[to++] = input[at++];
    if (at === input.length) return to;
    if (at + 2 > input.length) throw new Error('an LZ4 block ends in an offset');
    const offset = input[at] | (input[at + 1] << 8);
    at += 2;
    let length = token & 15;
    if (length === 15) {
      let more: number;
      do {
        more = at < input.length ? input[at++] : -1;
        if (more < 0) throw new Error('an LZ4 block ends in a length');
        length += more;
      } while (more === 255);
    }
    length += 4;
    if (offset === 0 || offset > to || to + length > limit) throw new Error('an LZ4 match reaches outside');
    let from = to - offset;
    for (const end = to + length; to < end; ) out[to++] = out[from++];
  }
  return to;
}
