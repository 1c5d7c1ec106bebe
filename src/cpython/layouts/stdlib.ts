/**
 * Types of the standard library whose references are not at fixed places: linked nodes, tables, tagged pointers.
 * Sources: Objects/odictobject.c, Modules/_functoolsmodule.c, _pickle.c, _elementtree.c, _datetimemodule.c, _zoneinfo.c,
 * _ctypes/stgdict.c, Objects/structseq.c.
 */
import { LabelKind } from '../columns.ts';
import { lookUp } from '../dict-table.ts';
import { readInt } from '../text.ts';
import { decodeDict, decodeItems } from './containers.ts';
import type { Decoder } from './decoder.ts';
import { KEY_OBJECT } from './fields.ts';

const MAX_STEPS = 1 << 26;

/** _ODictNode: {key, hash, next, prev}; each owns a reference to its key, besides the dict's. */
const ODICT = { first: 48, fastNodesSize: 72, nodeNext: 16, nodeBytes: 32 } as const;

export const decodeOrderedDict: Decoder = (heap, a, node, plan) => {
  const { memory } = heap;
  decodeDict(heap, a, node, plan);
  let at = memory.word(a + ODICT.first);
  // sizeof of the nodes and of the table of them, as odict_sizeof.
  heap.size[node] += 8 * memory.word(a + ODICT.fastNodesSize) + (at === 0 ? 0 : ODICT.nodeBytes * heap.length[node]);
  for (let steps = 0; at !== 0 && steps < MAX_STEPS; steps++) {
    if (!memory.has(at)) {
      heap.miss('OrderedDict in the middle of a change');
      return;
    }
    heap.edge(memory.word(at), KEY_OBJECT);
    at = memory.word(at + ODICT.nodeNext);
  }
};

/** functools.lru_cache: the ring of links; its head is the wrapper itself, laid out as a link. */
export const decodeLruLinks: Decoder = (heap, a) => {
  const { memory } = heap;
  const NEXT = 24;
  const label = heap.label(LabelKind.internal, 'link');
  let at = memory.word(a + NEXT);
  for (let steps = 0; at !== 0 && at !== a && steps < MAX_STEPS; steps++) {
    if (!memory.has(at)) {
      heap.miss('lru_cache in the middle of a change');
      return;
    }
    heap.edge(at, label);
    at = memory.word(at + NEXT);
  }
};

/** _pickle.Pickler: PyMemoTable {mask, used, allocated, table of {key, value}}. */
export const decodePicklerMemo: Decoder = (heap, a) => {
  const { memory } = heap;
  const memo = memory.word(a + 16);
  if (memo === 0) return;
  const allocated = memory.word(memo + 16);
  const table = memory.word(memo + 24);
  if (allocated > MAX_STEPS || !memory.has(table + 16 * allocated - 8)) {
    heap.miss('pickle memo in the middle of a change');
    return;
  }
  const label = heap.label(LabelKind.internal, 'memo');
  for (let i = 0; i < allocated; i++) {
    const key = memory.word(table + 16 * i);
    if (key !== 0) heap.edge(key, label);
  }
};

/** ElementTree's Element: text and tail have a flag in the lowest bit; attributes and children are in a block of their own. */
export const decodeElement: Decoder = (heap, a, node) => {
  const { memory } = heap;
  heap.edge(memory.word(a + 16), heap.label(LabelKind.attribute, 'tag'));
  for (const [offset, name] of [
    [24, 'text'],
    [32, 'tail'],
  ] as const) {
    const word = memory.word(a + offset);
    heap.edge(word - (word % 2), heap.label(LabelKind.attribute, name));
  }
  // ElementObjectExtra: {attrib, length, allocated, children, static children[4]}
  const extra = memory.word(a + 40);
  if (extra === 0) return;
  heap.edge(memory.word(extra), heap.label(LabelKind.attribute, 'attrib'));
  const length = memory.word(extra + 8);
  const children = memory.word(extra + 24);
  heap.size[node] += 64;
  if (children !== extra + 32) heap.size[node] += 8 * memory.word(extra + 16);
  heap.length[node] = length;
  if (length === 0) return;
  if (length > MAX_STEPS || !memory.has(children + 8 * length - 8)) {
    heap.miss('Element in the middle of a change');
    return;
  }
  decodeItems(heap, children, length);
};

/** The iterator of Element.iter(): a stack of {parent, index}. */
export const decodeElementIterator: Decoder = (heap, a) => {
  const { memory } = heap;
  const stack = memory.word(a + 16);
  const used = Math.min(memory.word(a + 24), 10_000);
  for (let i = 0; i < used; i++) heap.edge(memory.word(stack + 16 * i), heap.label(LabelKind.internal, 'parent'));
  heap.edge(memory.word(a + 40), heap.label(LabelKind.internal, 'root'));
  heap.edge(memory.word(a + 48), heap.label(LabelKind.internal, 'tag'));
};

/** datetime and time have room for a time zone only when the byte `hastzinfo` says so. */
function timeZoneAt(offset: number): Decoder {
  const HAS_TZINFO = 24;
  return (heap, a) => {
    if (heap.memory.uint8(a + HAS_TZINFO) !== 0)
      heap.edge(heap.memory.word(a + offset), heap.label(LabelKind.attribute, 'tzinfo'));
  };
}
export const decodeDateTime = timeZoneAt(40);
export const decodeTime = timeZoneAt(32);

/** zoneinfo.ZoneInfo: {key, file_repr, …, transitions, …, tzrule_after {std, dst}, …, ttinfos}; a _ttinfo is {utcoff, dstoff, tzname, seconds}. */
export const decodeZoneInfo: Decoder = (heap, a) => {
  const { memory } = heap;
  heap.edge(memory.word(a + 16), heap.label(LabelKind.attribute, 'key'));
  heap.edge(memory.word(a + 24), heap.label(LabelKind.internal, 'file'));
  const label = heap.label(LabelKind.internal, 'time type');
  for (const rule of [96, 128]) for (let f = 0; f < 3; f++) heap.edge(memory.word(a + rule + 8 * f), label);
  const types = memory.word(a + 192);
  const count = Math.min(memory.word(a + 48), 1000);
  for (let i = 0; types !== 0 && i < count; i++)
    for (let f = 0; f < 3; f++) heap.edge(memory.word(types + 32 * i + 8 * f), label);
};

/** Struct sequences such as os.stat_result: a tuple with fields that its length does not count. */
export const decodeStructSequence: Decoder = (heap, a, node, plan) => {
  const { memory, layout } = heap;
  const items = a + layout.tuple.items;
  const visible = memory.word(a + layout.var.count);
  heap.length[node] = visible;
  const dict = memory.word(plan.address + layout.type.dict) || (heap.types.staticDicts.get(plan.address) ?? 0);
  const all = dict === 0 ? 0 : lookUp(memory, layout, dict, 'n_fields');
  const count = Math.max(visible, all === 0 ? 0 : (readInt(memory, layout, all) ?? 0));
  decodeItems(heap, items, Math.min(count, 10_000));
};

/**
 * ctypes' types from 3.13 on: StgInfo, behind the type object: {…, length at 24, ffi elements at 48, proto at 56, argtypes
 * at 88, converters, restype, checker, then pointer_type (3.14 on), module, …, format, ndim, shape}.
 */
export const decodeStgInfo: Decoder = (heap, a, node, plan) => {
  const { memory, sizes } = heap;
  const base = plan.cBases.find(b => b.name === 'type');
  if (base === undefined) return;
  const info = a + Math.ceil(base.basicSize / 16) * 16;
  const field = (offset: number, name: string) =>
    heap.edge(memory.word(info + offset), heap.label(LabelKind.internal, name));
  field(56, 'proto');
  field(88, 'argtypes');
  field(96, 'converters');
  field(104, 'restype');
  field(112, 'checker');
  if (sizes.ctypesFormat > 136) field(120, 'pointer type');
  field(sizes.ctypesFormat - 16, 'module');
  // As CType_Type's own __sizeof__: the type object's members, and the info's blocks, but no shared keys.
  const text = memory.word(info + sizes.ctypesFormat);
  heap.size[node] =
    plan.preSize +
    plan.basicSize +
    Math.abs(memory.signed(a + heap.layout.var.count)) * plan.itemSize +
    (text === 0 ? 0 : memory.cString(text, 1 << 16).length + 1) +
    8 * memory.int32(info + sizes.ctypesFormat + 8) +
    (memory.word(info + 48) === 0 ? 0 : 8 * (memory.word(info + 24) + 1));
};
