/**
 * Types that are no more than pointers at fixed places: the tables of versions/fields.ts, put to work. And what is
 * done with types that no table knows: their own description (tp_members) names some fields, the rest is scanned.
 */
import type { HeapBuilder } from '../builder.ts';
import { LabelKind, makeLabel } from '../columns.ts';
import type { TypePlan } from '../types.ts';
import { type FieldSpec, fieldsOf } from '../versions/fields.ts';
import { scanForReferences } from './code.ts';
import type { Decoder } from './decoder.ts';

const MAX_ITEMS = 1 << 24;

const KIND = { attribute: LabelKind.attribute, internal: LabelKind.internal, borrowed: LabelKind.borrowed } as const;

/** The decoder of a type in the field tables, or undefined. `basicSize`: the type's tp_basicsize, which tells some forms. */
export function fieldDecoder(type: string, version: string, basicSize: number): Decoder | undefined {
  const specs = fieldsOf(type, version, basicSize);
  if (specs === undefined) return undefined;
  return (heap, a, _node, plan) => {
    for (const spec of specs) decodeField(heap, a, spec, plan);
  };
}

function countOf(heap: HeapBuilder, a: number, count: FieldSpec['count']): number {
  if ('fixed' in count) return count.fixed;
  if ('wordAt' in count) return heap.memory.word(a + count.wordAt);
  if ('intAt' in count) return heap.memory.int32(a + count.intAt);
  return Math.abs(heap.memory.signed(a + heap.layout.var.count));
}

function decodeField(heap: HeapBuilder, a: number, spec: FieldSpec, plan: TypePlan): void {
  const { memory } = heap;
  const at = spec.isArray ? memory.word(a + spec.offset) : a + spec.offset;
  if (at === 0) return;
  const count = countOf(heap, a, spec.count);
  if (count > MAX_ITEMS || (count > 0 && !memory.has(at + 8 * count - 8))) {
    heap.miss(`${plan.name} in the middle of a change`);
    return;
  }
  const label = heap.label(KIND[spec.kind], spec.name);
  for (let i = 0; i < count; i++) {
    const target = memory.word(at + 8 * i);
    if (target !== 0) heap.edge(target, label);
  }
}

/** Objects of a layout that is not known: what the type itself says of its members, and every other pointer in them, marked as inferred. */
export const decodeUnknown: Decoder = (heap, a, _node, plan) => {
  const header = heap.layout.object.size;
  scanUnknown(heap, a, header, plan);
};

/** As decodeUnknown, for the part of the object from byte `from` on. */
export function scanUnknown(heap: HeapBuilder, a: number, from: number, plan: TypePlan): void {
  const { memory, layout } = heap;
  const named = plan.members;
  for (const member of named) {
    if (member.offset >= from) heap.edge(memory.word(a + member.offset), heap.label(LabelKind.attribute, member.name));
  }
  const items =
    plan.itemSize > 0 ? Math.min(1 << 20, Math.abs(memory.signed(a + layout.var.count)) * plan.itemSize) : 0;
  const end = plan.basicSize + items;
  let start = from;
  // Between the named members, and what has a meaning of its own: the dict and the weak list.
  for (const skip of plan.skipOffsets) {
    if (skip < start) continue;
    scanForReferences(heap, a + start, skip - start, start);
    start = skip + 8;
  }
  scanForReferences(heap, a + start, end - start, start);
}

/** The keyObject label, for keys that a structure of its own refers to. */
export const KEY_OBJECT = makeLabel(LabelKind.keyObject, 0);
