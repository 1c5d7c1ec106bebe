/**
 * What instances of classes have besides their built-in base: `__slots__`, `__dict__` in all its forms, their class.
 * Sources: Objects/typeobject.c (subtype_traverse), Objects/dictobject.c (PyObject_VisitManagedDict, 3.13),
 * Include/internal/pycore_object.h (3.11, 3.12).
 */
import type { HeapBuilder } from '../builder.ts';
import { LabelKind } from '../columns.ts';
import type { TypePlan } from '../types.ts';
import { decodeValues } from './containers.ts';

/** References of an instance from slots, dict and to its class. */
export function decodeInstanceParts(heap: HeapBuilder, a: number, plan: TypePlan): void {
  const { memory, layout } = heap;
  for (const slot of plan.slots) heap.edge(memory.word(a + slot.offset), heap.label(LabelKind.attribute, slot.name));
  if (plan.managedDict) decodeManagedDict(heap, a, plan);
  else if (plan.dictOffset !== 0 && plan.base !== 'type') {
    // A class's own dict is not where its metaclass says when it is static: its decoder reads it.
    const at = a + dictOffsetOf(heap, a, plan);
    heap.edge(memory.word(at), heap.label(LabelKind.attribute, '__dict__'));
  }
  if (plan.heapType) heap.edge(memory.word(a + layout.object.type), heap.label(LabelKind.internal, 'type'));
}

/** tp_dictoffset counts from the end of the object when negative (subclasses of int, tuple, bytes). */
function dictOffsetOf(heap: HeapBuilder, a: number, plan: TypePlan): number {
  if (plan.dictOffset > 0) return plan.dictOffset;
  const items = Math.abs(heap.memory.signed(a + heap.layout.var.count));
  return Math.ceil((plan.basicSize + items * plan.itemSize) / 8) * 8 + plan.dictOffset;
}

function decodeManagedDict(heap: HeapBuilder, a: number, plan: TypePlan): void {
  const { memory, layout } = heap;
  const dictLabel = heap.label(LabelKind.attribute, '__dict__');
  const keys = memory.word(plan.address + layout.heapType.cachedKeys);
  switch (layout.managed.form) {
    case '3.11': {
      const values = memory.word(a - 32);
      if (values !== 0 && keys !== 0) decodeValues(heap, values, keys);
      heap.edge(memory.word(a - 24), dictLabel);
      return;
    }
    case '3.12': {
      const word = memory.word(a - 24);
      if (word % 2 === 1) {
        if (keys !== 0) decodeValues(heap, word + 1, keys);
      } else heap.edge(word, dictLabel);
      return;
    }
    case '3.13': {
      if (plan.inlineValues && keys !== 0) {
        const values = a + plan.basicSize;
        if (memory.uint8(values + layout.managed.values.valid) !== 0) decodeValues(heap, values, keys);
      }
      heap.edge(memory.word(a - 24), dictLabel);
      return;
    }
    default:
  }
}

/** Bytes of the values inside an instance, behind its basic size (3.13 on). `sys.getsizeof` does not count them. */
export function inlineValuesSize(heap: HeapBuilder, a: number, plan: TypePlan): number {
  if (!plan.inlineValues) return 0;
  const values = a + plan.basicSize;
  return heap.layout.managed.values.items + 8 * heap.memory.uint8(values + heap.layout.managed.values.capacity);
}
