/** Reading str and int objects, one at a time. */
import type { Reader } from '../process/index.ts';
import type { Layout } from './layout.ts';

/** The text of a str object (at most `limit` characters of it), or undefined when it is not a readable compact string. */
export function readText(reader: Reader, layout: Layout, address: number, limit = 4096): string | undefined {
  const u = layout.unicode;
  const length = Math.min(limit, reader.word(address + u.length));
  const state = reader.uint32(address + u.state);
  const kind = (state >>> u.kind.shift) & u.kind.mask;
  const ascii = ((state >>> u.ascii.shift) & u.ascii.mask) !== 0;
  if (kind !== 1 && kind !== 2 && kind !== 4) return undefined;
  const compact = ((state >>> u.compact.shift) & u.compact.mask) !== 0;
  const data = compact ? address + (ascii ? u.asciiSize : u.compactSize) : reader.word(address + u.data);
  const bytes = reader.view(data, length * kind);
  if (bytes === undefined) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (kind === 1) return buffer.toString('latin1', 0, length);
  if (kind === 2) return Buffer.from(bytes).toString('utf16le');
  let text = '';
  for (let i = 0; i < length; i++) {
    const point = buffer.readUInt32LE(i * 4);
    if (point > 0x10ffff) return undefined;
    text += String.fromCodePoint(point);
  }
  return text;
}

/** Is this str interned? Attribute names and identifiers in code are; text made at run time is not. */
export function isInterned(reader: Reader, layout: Layout, address: number): boolean {
  const { shift, mask } = layout.unicode.interned;
  return ((reader.uint32(address + layout.unicode.state) >>> shift) & mask) !== 0;
}

/** The value of an int object as a number (exact below 2^53), or undefined when it has more than two digits. */
export function readInt(reader: Reader, layout: Layout, address: number): number | undefined {
  const { form, tag, digits } = layout.int;
  const raw = form === 'size' ? reader.signed(address + layout.var.count) : reader.word(address + tag);
  const count = form === 'size' ? Math.abs(raw) : Math.floor(raw / 8);
  const negative = form === 'size' ? raw < 0 : (raw & 3) === 2;
  if (count > 3) return undefined;
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 2 ** 30 + reader.uint32(address + digits + 4 * i);
  return negative ? -value : value;
}
