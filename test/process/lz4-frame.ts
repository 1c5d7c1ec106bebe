/** A plain LZ4 frame writer: the twin of the reader in src. Checksums are left as zeros except the header's, which is right. */

export interface FrameOptions {
  /** 64 KiB, 256 KiB, 1 MiB or 4 MiB. */
  readonly blockSize: number;
  /** Matches may reach into earlier blocks. */
  readonly linked: boolean;
  /** Room for block and content checksums (their values are not right). */
  readonly checksums: boolean;
}

export function lz4Frame(input: Uint8Array, options: FrameOptions): Uint8Array {
  const parts: Uint8Array[] = [];
  const code = { [1 << 16]: 4, [1 << 18]: 5, [1 << 20]: 6, [1 << 22]: 7 }[options.blockSize]!;
  const flags = 0x40 | (options.linked ? 0 : 0x20) | (options.checksums ? 0x14 : 0);
  const descriptor = Uint8Array.of(flags, code << 4);
  parts.push(Uint8Array.of(4, 0x22, 0x4d, 0x18), descriptor, Uint8Array.of((xxh32(descriptor) >>> 8) & 255));
  for (let at = 0; at < input.length; at += options.blockSize) {
    const end = Math.min(at + options.blockSize, input.length);
    const block = compressBlock(input, at, end, options.linked ? Math.max(0, at - 65535) : at);
    const stored = block.length >= end - at;
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, stored ? (end - at + 0x80000000) >>> 0 : block.length, true);
    parts.push(size, stored ? input.subarray(at, end) : block);
    if (options.checksums) parts.push(new Uint8Array(4));
  }
  parts.push(new Uint8Array(4));
  if (options.checksums) parts.push(new Uint8Array(4));
  return Buffer.concat(parts);
}

function compressBlock(input: Uint8Array, start: number, end: number, from: number): Uint8Array {
  const out = new Uint8Array(end - start + Math.ceil((end - start) / 255) + 16);
  let to = 0;
  const table = new Int32Array(1 << 16).fill(-1);
  const hash = (i: number) =>
    (Math.imul(input[i] | (input[i + 1] << 8) | (input[i + 2] << 16) | (input[i + 3] << 24), 2654435761) >>> 16) &
    0xffff;
  for (let i = from; i < start; i++) table[hash(i)] = i;
  const length = (n: number) => {
    for (n -= 15; n >= 255; n -= 255) out[to++] = 255;
    out[to++] = n;
  };
  let literals = start;
  const sequence = (at: number, offset: number, match: number) => {
    const count = at - literals;
    out[to++] = (Math.min(count, 15) << 4) | (match > 0 ? Math.min(match - 4, 15) : 0);
    if (count >= 15) length(count);
    out.set(input.subarray(literals, at), to);
    to += count;
    if (match === 0) return;
    out[to++] = offset & 255;
    out[to++] = offset >> 8;
    if (match - 4 >= 15) length(match - 4);
  };
  // The format wants the last five bytes as literals and no match to begin in the last twelve.
  for (let at = start; at < end - 12; ) {
    const h = hash(at);
    const candidate = table[h];
    table[h] = at;
    let match = 0;
    if (candidate >= from && at - candidate <= 65535)
      while (at + match < end - 5 && input[candidate + match] === input[at + match]) match++;
    if (match < 4) {
      at++;
      continue;
    }
    sequence(at, at - candidate, match);
    at += match;
    literals = at;
  }
  sequence(end, 0, 0);
  return out.subarray(0, to);
}

/** xxHash32 with seed 0 of fewer than 16 bytes. */
function xxh32(bytes: Uint8Array): number {
  let h = (374761393 + bytes.length) | 0;
  let at = 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (; at + 4 <= bytes.length; at += 4) {
    h = (h + Math.imul(view.getUint32(at, true), 3266489917)) | 0;
    h = Math.imul((h << 17) | (h >>> 15), 668265263);
  }
  for (; at < bytes.length; at++) {
    h = (h + Math.imul(bytes[at], 374761393)) | 0;
    h = Math.imul((h << 11) | (h >>> 21), 2654435761);
  }
  h = Math.imul(h ^ (h >>> 15), 2246822519);
  h = Math.imul(h ^ (h >>> 13), 3266489917);
  return (h ^ (h >>> 16)) >>> 0;
}
