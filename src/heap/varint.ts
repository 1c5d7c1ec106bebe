/** Whole numbers in as few bytes as they need: seven bits a byte, lowest first, the top bit set when more follow. */

/** Most bytes that one number takes: 2^53 in seven-bit groups. */
export const LONGEST_VARINT = 8;

export class VarintWriter {
  readonly bytes: Uint8Array;
  length = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  /** A whole number from 0 to 2^53. */
  put(value: number): void {
    const { bytes } = this;
    let at = this.length;
    let rest = value;
    while (rest >= 0x1_0000_0000) {
      bytes[at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    rest = rest >>> 0;
    while (rest >= 128) {
      bytes[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.length = at;
  }

  /** A whole number of either sign, small when near 0. */
  putSigned(value: number): void {
    this.put(value >= 0 ? value * 2 : -value * 2 - 1);
  }
}

/**
 * Reads `count` numbers into the beginning of `values`; returns how many bytes they took, or -1 when the bytes end
 * before them or one has more digits than any that is written.
 */
export function readVarints(bytes: Uint8Array, values: Float64Array, count: number): number {
  const length = bytes.length;
  if (length === count && isSingleBytes(bytes)) {
    values.set(bytes);
    return count;
  }
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at >= length) return -1;
    const first = bytes[at++]!;
    if (first < 128) {
      values[i] = first;
      continue;
    }
    // Past the end there are zeros: a number that ends there is caught below.
    const second = at < length ? bytes[at]! : 0;
    at++;
    if (second < 128) {
      values[i] = (first & 127) | (second << 7);
      continue;
    }
    const third = at < length ? bytes[at]! : 0;
    at++;
    let value = (first & 127) | ((second & 127) << 7) | ((third & 127) << 14);
    if (third >= 128) {
      let scale = 0x20_0000;
      let digits = 3;
      let byte = 128;
      while (byte >= 128) {
        if (++digits > LONGEST_VARINT || at >= length) return -1;
        byte = bytes[at++]!;
        value += (byte & 127) * scale;
        scale *= 128;
      }
    }
    values[i] = value;
  }
  return at <= length ? at : -1;
}

function isSingleBytes(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! >= 128) return false;
  return true;
}
