/**
 * numpy's arrays: what they are views of, how their items are described, and the objects in object arrays.
 * Source: numpy/_core/include/numpy/ndarraytypes.h (PyArrayObject_fields, PyArray_Descr of 1.x and 2.x).
 */
import type { HeapBuilder } from '../builder.ts';
import { LabelKind } from '../columns.ts';
import { scanForReferences } from './code.ts';
import { decodeItems } from './containers.ts';
import type { Decoder } from './decoder.ts';

const ARRAY = {
  data: 16,
  dimensionCount: 24,
  dimensions: 32,
  strides: 40,
  base: 48,
  descr: 56,
  flags: 64,
  memoryHandler: 88,
} as const;
const OWNS_DATA = 0x4;
const CONTIGUOUS = 0x1 | 0x2;
const MAX_DIMENSIONS = 64;
/** NPY_OBJECT, NPY_VOID; NPY_ITEM_REFCOUNT: the items hold references. */
const TYPE_OBJECT = 17;
const TYPE_VOID = 20;
const HOLDS_REFERENCES = 1;

/** Bytes of an item, from the dtype. 1.x has elsize and alignment as ints at 32; 2.x has 64-bit flags there and elsize at 40. */
function itemBytes(heap: HeapBuilder, descr: number): number {
  const { memory } = heap;
  const alignment = memory.int32(descr + 36);
  return alignment !== 0 ? memory.int32(descr + 32) : memory.word(descr + 40);
}

function holdsReferences(heap: HeapBuilder, descr: number): boolean {
  const isFirst = heap.memory.int32(descr + 36) !== 0;
  return ((isFirst ? heap.memory.uint8(descr + 27) : heap.memory.uint32(descr + 32)) & HOLDS_REFERENCES) !== 0;
}

export const decodeArray: Decoder = (heap, a, node, plan) => {
  const { memory } = heap;
  heap.edge(memory.word(a + ARRAY.base), heap.label(LabelKind.attribute, 'base'));
  heap.edge(memory.word(a + ARRAY.descr), heap.label(LabelKind.attribute, 'dtype'));
  if (plan.basicSize >= ARRAY.memoryHandler + 8)
    heap.edge(memory.word(a + ARRAY.memoryHandler), heap.label(LabelKind.internal, 'memory handler'));
  const dimensionCount = memory.int32(a + ARRAY.dimensionCount);
  if (dimensionCount < 0 || dimensionCount > MAX_DIMENSIONS) {
    heap.miss('ndarray in the middle of a change');
    return;
  }
  const dimensions = memory.word(a + ARRAY.dimensions);
  let count = 1;
  for (let i = 0; i < dimensionCount; i++) count *= memory.word(dimensions + 8 * i);
  heap.length[node] = dimensionCount === 0 ? 0 : Math.min(0xffff_ffff, memory.word(dimensions));
  heap.size[node] += 16 * dimensionCount;
  const descr = memory.word(a + ARRAY.descr);
  const flags = memory.int32(a + ARRAY.flags);
  // A view's items are its base's.
  if ((flags & OWNS_DATA) === 0 || !memory.has(descr)) return;
  const bytes = count * itemBytes(heap, descr);
  heap.size[node] += bytes;
  const data = memory.word(a + ARRAY.data);
  const kind = memory.int32(descr + 28);
  if (bytes < 8 || !memory.has(data) || !memory.has(data + bytes - 8) || (flags & CONTIGUOUS) === 0) return;
  if (kind === TYPE_OBJECT) decodeItems(heap, data, count);
  else if (kind === TYPE_VOID && holdsReferences(heap, descr)) scanForReferences(heap, data, bytes, 0, 0);
};
