/**
 * From an instruction to a line of source: the three forms of CPython's line tables.
 * Sources: Objects/lnotab_notes.txt (3.8 to 3.10), Objects/locations.md (3.11 on).
 */
import type { Reader } from '../process/index.ts';
import type { Layout } from './layout.ts';

/** The line of the instruction at byte offset `at` of a code object; its first line when the table does not say. */
export function lineOf(reader: Reader, layout: Layout, code: number, at: number): number {
  const first = reader.int32(code + layout.code.firstLine);
  const table = reader.word(code + layout.code.lineTable);
  const length = reader.word(table + layout.var.count);
  const bytes = length < 1 << 24 ? reader.view(table + layout.bytes.items, length) : undefined;
  if (bytes === undefined) return first;
  switch (layout.code.lineForm) {
    case 'lnotab':
      return fromLnotab(bytes, first, at);
    case 'linetable':
      return fromLineTable(bytes, first, at);
    default:
      return fromLocations(bytes, first, at);
  }
}

/** Pairs of {bytecode delta, signed line delta}. */
export function fromLnotab(table: Uint8Array, first: number, at: number): number {
  let line = first;
  let address = 0;
  for (let i = 0; i + 1 < table.length; i += 2) {
    address += table[i];
    if (address > at) break;
    line += (table[i + 1] << 24) >> 24;
  }
  return line;
}

/** Pairs of {bytes covered, signed line delta}; -128 marks a range without a line. */
export function fromLineTable(table: Uint8Array, first: number, at: number): number {
  let line = first;
  let end = 0;
  for (let i = 0; i + 1 < table.length; i += 2) {
    const delta = (table[i + 1] << 24) >> 24;
    end += table[i];
    if (delta !== -128) line += delta;
    if (at < end) return line;
  }
  return line;
}

/** Entries of one first byte `1cccclll` (code c, l + 1 instructions) and varints. */
export function fromLocations(table: Uint8Array, first: number, at: number): number {
  let line = first;
  let end = 0;
  let i = 0;
  const varint = () => {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = table[i++] ?? 0;
      value |= (byte & 63) << shift;
      shift += 6;
      if ((byte & 64) === 0) return value;
    }
  };
  const signed = () => {
    const value = varint();
    return value & 1 ? -(value >>> 1) : value >>> 1;
  };
  while (i < table.length) {
    const head = table[i++];
    const code = (head >> 3) & 15;
    end += ((head & 7) + 1) * 2;
    // 15 is an instruction without a line: the one before stands.
    if (code === 15) {
      // nothing follows
    } else if (code === 14) {
      line += signed();
      varint();
      varint();
      varint();
    } else if (code === 13) line += signed();
    else if (code >= 10) {
      line += code - 10;
      i += 2;
    } else i += 1;
    if (at < end) return line;
  }
  return line;
}
