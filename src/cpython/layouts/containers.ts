/**
 * dict, list, tuple, set, deque: what most of a heap is made of. These are the hot loops.
 * Sources: Objects/dictobject.c, listobject.c, tupleobject.c, setobject.c, Modules/_collectionsmodule.c.
 */
import type { HeapBuilder } from '../builder.ts';
import { LabelKind, makeLabel } from '../columns.ts';
import { tableShape } from '../dict-table.ts';
import type { Decoder } from './decoder.ts';

const KEY_OBJECT = makeLabel(LabelKind.keyObject, 0);
const MAX_INDEX = 0x0fff_ffff;

/** Labels of the attributes in a shared-keys table, in the order of its entries; one table serves a million instances. */
export class SharedKeys {
  private readonly cache = new Map<number, Uint32Array>();
  private lastKeys = 0;
  private lastLabels: Uint32Array = new Uint32Array(0);

  /** The labels for the keys object at `keys`; 0 for entries that are not used. */
  labels(heap: HeapBuilder, keys: number): Uint32Array {
    if (keys === this.lastKeys) return this.lastLabels;
    let labels = this.cache.get(keys);
    if (labels === undefined) {
      const shape = tableShape(heap.memory, heap.layout, keys);
      labels = new Uint32Array(shape === undefined ? 0 : shape.count);
      for (let i = 0; shape !== undefined && i < shape.count; i++) {
        const key = heap.memory.word(shape.entries + i * shape.entrySize + shape.keyOffset);
        const node = key === 0 ? 0 : heap.nodeFor(key);
        if (node === 0) continue;
        const label = heap.labelOfKey(node);
        labels[i] = label >>> 28 === LabelKind.key ? makeLabel(LabelKind.attribute, label & MAX_INDEX) : label;
      }
      this.cache.set(keys, labels);
    }
    this.lastKeys = keys;
    this.lastLabels = labels;
    return labels;
  }
}

const sharedKeysOf = new WeakMap<HeapBuilder, SharedKeys>();
export function sharedKeys(heap: HeapBuilder): SharedKeys {
  let shared = sharedKeysOf.get(heap);
  if (shared === undefined) {
    shared = new SharedKeys();
    sharedKeysOf.set(heap, shared);
  }
  return shared;
}

/** References from the values of a split table (an instance's attributes). */
export function decodeValues(heap: HeapBuilder, values: number, keys: number): number {
  const labels = sharedKeys(heap).labels(heap, keys);
  // PyDictValues, or to 3.10 the bare array.
  const items = values + Math.max(0, heap.layout.managed.values.items);
  let used = 0;
  for (let i = 0; i < labels.length; i++) {
    const value = heap.memory.word(items + 8 * i);
    if (value === 0) continue;
    used++;
    if (labels[i] !== 0) heap.edge(value, labels[i]);
  }
  return used;
}

export const decodeDict: Decoder = (heap, a, node, plan) => {
  const { memory, layout } = heap;
  const words = memory.words;
  const base = memory.offsetOf(a) / 4;
  const used = words[base + layout.dict.used / 4];
  heap.length[node] = used;
  const at = base + layout.dict.keys / 4;
  const keys = words[at] + words[at + 1] * 0x1_0000_0000;
  const vt = base + layout.dict.values / 4;
  const values = words[vt] + words[vt + 1] * 0x1_0000_0000;
  if (keys === 0) return;
  const shape = tableShape(memory, layout, keys);
  if (shape === undefined) {
    heap.miss('dict in the middle of a change');
    return;
  }
  let size = plan.preSize + plan.basicSize;
  if (values !== 0) {
    const v = layout.managed.values;
    size +=
      layout.managed.form === 'none' ? 8 * Math.floor((shape.slots * 2) / 3) : splitValuesSize(heap, keys, values);
    if (layout.dictKeys.refcount >= 0 && memory.word(keys + layout.dictKeys.refcount) === 1) size += shape.bytes;
    heap.size[node] = size;
    // Values that are still inside their object are the object's references, not the dict's.
    if (v.embedded >= 0 && memory.uint8(values + v.embedded) !== 0) return;
    decodeValues(heap, values, keys);
    return;
  }
  if (memory.word(keys + layout.dictKeys.refcount) === 1) size += shape.bytes;
  heap.size[node] = size;
  let left = used;
  const { count, entrySize, keyOffset, valueOffset } = shape;
  let entry = shape.entries;
  // Entries stand one behind the other, so they do in the copy.
  let e = memory.offsetOf(entry) / 4;
  const keyWord = keyOffset / 4;
  const valueWord = valueOffset / 4;
  const step = entrySize / 4;
  if (!memory.has(entry) && used > 0) {
    heap.miss('dict in the middle of a change');
    return;
  }
  for (let i = 0; i < count && left > 0; i++, e += step, entry += entrySize) {
    const value = words[e + valueWord] + words[e + valueWord + 1] * 0x1_0000_0000;
    if (value === 0) continue;
    left--;
    const key = words[e + keyWord] + words[e + keyWord + 1] * 0x1_0000_0000;
    const keyNode = heap.nodeFor(key);
    if (keyNode === 0) continue;
    heap.edgeTo(keyNode, KEY_OBJECT);
    const valueNode = heap.nodeFor(value);
    if (valueNode !== 0) heap.edgeTo(valueNode, heap.labelOfKey(keyNode));
  }
};

/** What `dict.__sizeof__` counts for the values of a split table. */
function splitValuesSize(heap: HeapBuilder, keys: number, values: number): number {
  const { memory, layout } = heap;
  void values;
  const k = layout.dictKeys;
  return 8 * (memory.word(keys + k.usable) + memory.word(keys + k.entryCount));
}

export const decodeList: Decoder = (heap, a, node, plan) => {
  const { memory, layout } = heap;
  const count = memory.word(a + layout.var.count);
  const items = memory.word(a + layout.list.items);
  const allocated = memory.word(a + layout.list.allocated);
  heap.length[node] = count;
  heap.size[node] = plan.preSize + plan.basicSize + 8 * allocated;
  if (count > allocated || (count > 0 && !memory.has(items + 8 * count - 8))) {
    // Lists are emptied for the time they are sorted, with allocated at -1; anything else is a change under way.
    if (count > 0) heap.miss('list in the middle of a change');
    heap.size[node] = plan.preSize + plan.basicSize;
    return;
  }
  decodeItems(heap, items, count);
};

export const decodeTuple: Decoder = (heap, a, node) => {
  const count = heap.memory.word(a + heap.layout.var.count);
  heap.length[node] = count;
  const items = a + heap.layout.tuple.items;
  if (count === 0) return;
  if (!heap.memory.has(items + 8 * count - 8)) {
    heap.miss('tuple in the middle of a change');
    return;
  }
  decodeItems(heap, items, count);
};

/** References from an array of `count` object pointers. */
export function decodeItems(heap: HeapBuilder, items: number, count: number): void {
  const words = heap.memory.words;
  let at = heap.memory.offsetOf(items) / 4;
  for (let i = 0; i < count; i++, at += 2) {
    const item = words[at] + words[at + 1] * 0x1_0000_0000;
    if (item !== 0) heap.edge(item, makeLabel(LabelKind.index, Math.min(i, MAX_INDEX)));
  }
}

export const decodeSet: Decoder = (heap, a, node, plan) => {
  const { memory, layout } = heap;
  const s = layout.set;
  const used = memory.word(a + s.used);
  const mask = memory.word(a + s.mask);
  const table = memory.word(a + s.table);
  heap.length[node] = used;
  heap.size[node] = plan.preSize + plan.basicSize + (table === a + s.smallTable ? 0 : (mask + 1) * s.entrySize);
  if (used > mask + 1 || (used > 0 && !memory.has(table + mask * s.entrySize))) {
    heap.miss('set in the middle of a change');
    return;
  }
  // An entry is {key, hash}; a deleted one has a dummy as its key and -1 as its hash, which no object has.
  let left = used;
  for (let i = 0; i <= mask && left > 0; i++) {
    const entry = table + i * s.entrySize;
    const key = memory.word(entry + s.entryKey);
    if (key === 0 || memory.signed(entry + 8 - s.entryKey) === -1) continue;
    left--;
    heap.edge(key, KEY_OBJECT);
  }
};

export const decodeDeque: Decoder = (heap, a, node, plan) => {
  const { memory, layout } = heap;
  const d = layout.deque;
  const count = memory.word(a + layout.var.count);
  heap.length[node] = count;
  let block = memory.word(a + d.left);
  let index = memory.word(a + d.leftIndex);
  const blockSize = 8 * d.blockLength + 16;
  heap.size[node] = plan.preSize + plan.basicSize + Math.ceil((index + count) / d.blockLength) * blockSize;
  if (count === 0) heap.size[node] = plan.preSize + plan.basicSize + blockSize;
  for (let i = 0; i < count; i++) {
    if (!memory.has(block)) {
      heap.miss('deque in the middle of a change');
      return;
    }
    heap.edge(memory.word(block + d.blockData + 8 * index), makeLabel(LabelKind.index, Math.min(i, MAX_INDEX)));
    if (++index === d.blockLength) {
      index = 0;
      block = memory.word(block + d.blockRight);
    }
  }
};
