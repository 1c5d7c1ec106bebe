/** Objects without references: numbers, text, bytes. Only their sizes and lengths. */
import type { HeapBuilder } from '../builder.ts';
import { LabelKind } from '../columns.ts';
import type { Decoder } from './decoder.ts';

export const decodeNothing: Decoder = () => {};

export const decodeInt: Decoder = (heap, a, node, plan) => {
  const { form, tag, digits } = heap.layout.int;
  const { memory } = heap;
  const digitCount =
    form === 'size' ? Math.abs(memory.signed(a + heap.layout.var.count)) : Math.floor(memory.word(a + tag) / 8);
  const count = Math.max(heap.sizes.leastDigits, digitCount);
  heap.size[node] = plan.preSize + (form === 'size' || !plan.heapType ? digits : plan.basicSize) + 4 * count;
};

/**
 * To 3.11 an ASCII string keeps the wchar_t text that some C function has asked it for, in the last word of its structure:
 * 48 bytes instead of 40.
 */
function wideBytes(heap: HeapBuilder, a: number, length: number): number {
  const { asciiSize } = heap.layout.unicode;
  const WITH_WIDE = 48;
  return asciiSize === WITH_WIDE && heap.memory.word(a + asciiSize - 8) !== 0 ? 4 * (length + 1) : 0;
}

/** Bytes of the str object at `a`, without what stands before it; from `unicode_sizeof`, Objects/unicodeobject.c. */
export const decodeText: Decoder = (heap, a, node, plan) => {
  const { memory, layout } = heap;
  const u = layout.unicode;
  const length = memory.word(a + u.length);
  const state = memory.uint32(a + u.state);
  const kind = (state >>> u.kind.shift) & u.kind.mask;
  heap.length[node] = length;
  if (((state >>> u.compact.shift) & u.compact.mask) === 0) {
    // A subclass's text, or a legacy string: its characters are a block of their own.
    const data = memory.word(a + u.data);
    const utf8 = memory.word(a + u.utf8);
    heap.size[node] =
      plan.preSize +
      u.size +
      (data !== 0 ? (length + 1) * kind : 0) +
      (utf8 !== 0 && utf8 !== data ? memory.word(a + u.utf8Length) + 1 : 0);
    return;
  }
  if (((state >>> u.ascii.shift) & u.ascii.mask) !== 0) {
    heap.size[node] = plan.preSize + u.asciiSize + length + 1 + wideBytes(heap, a, length);
    return;
  }
  const utf8 = memory.word(a + u.utf8);
  heap.size[node] =
    plan.preSize + u.compactSize + (length + 1) * kind + (utf8 !== 0 ? memory.word(a + u.utf8Length) + 1 : 0);
};

export const decodeBytes: Decoder = (heap, a, node) => {
  heap.length[node] = heap.memory.word(a + heap.layout.var.count);
};

export const decodeByteArray: Decoder = (heap, a, node, plan) => {
  const { bytearray, bytes } = heap.layout;
  const allocated = heap.memory.word(a + bytearray.alloc);
  heap.length[node] = heap.memory.word(a + heap.layout.var.count);
  heap.size[node] = plan.preSize + plan.basicSize + allocated;
  // 3.15: the memory is a bytes object's.
  if (bytearray.bytesObject < 0) return;
  if (allocated > 0) heap.size[node] += bytes.items + 1;
  heap.edge(heap.memory.word(a + bytearray.bytesObject), heap.label(LabelKind.internal, 'bytes'));
};
