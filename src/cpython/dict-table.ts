/**
 * Dict tables (PyDictKeysObject), read one at a time: for what is looked up by name on the way to the heap.
 * The decoder of all dicts, which must be fast, is in layouts/containers.ts.
 * Source: Objects/dictobject.c and Include/internal/pycore_dict.h of each version.
 */
import type { Reader } from '../process/index.ts';
import type { Layout } from './layout.ts';
import { readText } from './text.ts';

/** Where a table's entries stand and how they are made. */
export interface TableShape {
  /** Address of the first entry. */
  entries: number;
  /** Entries used or deleted. */
  count: number;
  entrySize: number;
  keyOffset: number;
  valueOffset: number;
  /** Slots of the hash index, a power of two. */
  slots: number;
  /** Bytes of the whole keys object. */
  bytes: number;
}

/** The shape of the keys object at `keys`, or undefined when the numbers in it cannot be those of one. */
export function tableShape(reader: Reader, layout: Layout, keys: number): TableShape | undefined {
  const k = layout.dictKeys;
  let slots: number;
  let indexBytes: number;
  let entry = k.entry;
  if (k.form === 'log2') {
    const log2 = reader.uint8(keys + k.size);
    const log2Index = reader.uint8(keys + k.log2IndexBytes);
    if (log2 > 40 || log2Index > 44) return undefined;
    slots = 2 ** log2;
    indexBytes = 2 ** log2Index;
    if (k.unicodeEntry !== null && reader.uint8(keys + k.kind) !== 0) entry = k.unicodeEntry;
  } else {
    slots = reader.word(keys + k.size);
    if (slots < 1 || slots > 2 ** 40) return undefined;
    indexBytes = slots * (slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= 0xffff_ffff ? 4 : 8);
  }
  const count = reader.word(keys + k.entryCount);
  const usable = Math.floor((slots * 2) / 3);
  if (count > usable + 1) return undefined;
  return {
    entries: keys + k.indices + indexBytes,
    count,
    entrySize: entry.size,
    keyOffset: entry.key,
    valueOffset: entry.value,
    slots,
    bytes: k.indices + indexBytes + usable * entry.size,
  };
}

/** Calls `visit(key, value)` for each live entry of the dict at `dict`; stops when it returns true. Values of split tables too. */
export function forEachItem(
  reader: Reader,
  layout: Layout,
  dict: number,
  visit: (key: number, value: number) => boolean | undefined,
): void {
  const keys = reader.word(dict + layout.dict.keys);
  const values = reader.word(dict + layout.dict.values);
  const shape = tableShape(reader, layout, keys);
  if (shape === undefined) return;
  for (let i = 0; i < shape.count; i++) {
    const entry = shape.entries + i * shape.entrySize;
    const key = reader.word(entry + shape.keyOffset);
    const value =
      values === 0
        ? reader.word(entry + shape.valueOffset)
        : reader.word(values + Math.max(0, layout.managed.values.items) + 8 * i);
    if (key !== 0 && value !== 0 && visit(key, value) === true) return;
  }
}

/** The value under a string key, or 0. */
export function lookUp(reader: Reader, layout: Layout, dict: number, name: string): number {
  let found = 0;
  if (dict !== 0) {
    forEachItem(reader, layout, dict, (key, value) => {
      if (readText(reader, layout, key, name.length + 1) !== name) return false;
      found = value;
      return true;
    });
  }
  return found;
}
