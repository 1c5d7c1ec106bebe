/**
 * Functions, methods, modules, classes, code, cells, descriptors.
 * Sources: Objects/funcobject.c, classobject.c, methodobject.c, moduleobject.c, typeobject.c, codeobject.c, descrobject.c.
 */
import type { HeapBuilder } from '../builder.ts';
import { LabelKind } from '../columns.ts';
import { lookUp, tableShape } from '../dict-table.ts';
import { readText } from '../text.ts';
import type { Decoder } from './decoder.ts';

/** Appends the reference in the field at `offset`, named `<name>`; a field that this version does not have is -1. */
export function field(heap: HeapBuilder, a: number, offset: number, name: string): void {
  if (offset >= 0) heap.edge(heap.memory.word(a + offset), heap.label(LabelKind.internal, name));
}

/** As `field`, for what Python shows as an attribute. */
export function attribute(heap: HeapBuilder, a: number, offset: number, name: string): void {
  if (offset >= 0) heap.edge(heap.memory.word(a + offset), heap.label(LabelKind.attribute, name));
}

/** Text of the str in the field at `offset`, '' when there is none. */
export function textField(heap: HeapBuilder, a: number, offset: number, limit = 300): string {
  if (offset < 0) return '';
  const at = heap.memory.word(a + offset);
  return heap.memory.has(at) ? (readText(heap.memory, heap.layout, at, limit) ?? '') : '';
}

export const decodeFunction: Decoder = (heap, a, node) => {
  const { memory } = heap;
  const f = heap.layout.function;
  heap.setName(node, textField(heap, a, f.qualname) || textField(heap, a, f.name));
  attribute(heap, a, f.code, '__code__');
  attribute(heap, a, f.globals, '__globals__');
  field(heap, a, f.builtins, 'builtins');
  field(heap, a, f.name, '__name__');
  field(heap, a, f.qualname, '__qualname__');
  attribute(heap, a, f.defaults, '__defaults__');
  attribute(heap, a, f.kwDefaults, '__kwdefaults__');
  field(heap, a, f.doc, '__doc__');
  field(heap, a, f.module, '__module__');
  attribute(heap, a, f.annotations, '__annotations__');
  field(heap, a, f.annotate, '__annotate__');
  field(heap, a, f.typeParams, '__type_params__');
  attribute(heap, a, f.closure, '__closure__');
  // The cells of a closure by the names of the variables in them: also straight from the function, so that a path reads well.
  const closure = memory.word(a + f.closure);
  if (closure !== 0) nameClosureCells(heap, memory.word(a + f.code), closure);
};

/** Remembers what the cells of a closure are called, for the labels of the tuple that holds them. */
function nameClosureCells(heap: HeapBuilder, code: number, closure: number): void {
  const { memory, layout } = heap;
  const names = freeVariableNames(heap, code);
  const count = Math.min(names.length, memory.word(closure + layout.var.count));
  for (let i = 0; i < count; i++) {
    const cell = memory.word(closure + layout.tuple.items + 8 * i);
    const node = cell === 0 ? 0 : heap.nodeFor(cell);
    if (node !== 0 && !heap.hasName(node)) heap.setName(node, names[i]);
  }
}

/** Names of a code object's free variables, in the order of `__closure__`. */
export function freeVariableNames(heap: HeapBuilder, code: number): string[] {
  const { memory, layout } = heap;
  const c = layout.code;
  if (c.localsPlusNames < 0) return tupleOfText(heap, memory.word(code + c.freeVars));
  const all = tupleOfText(heap, memory.word(code + c.localsPlusNames));
  const kinds = memory.word(code + c.localsPlusKinds);
  const FREE = 0x80; // CO_FAST_FREE
  return all.filter((_, i) => (memory.uint8(kinds + layout.bytes.items + i) & FREE) !== 0);
}

/** The texts of a tuple of str. */
export function tupleOfText(heap: HeapBuilder, tuple: number): string[] {
  const { memory, layout } = heap;
  if (!memory.has(tuple)) return [];
  const texts: string[] = [];
  const count = Math.min(10_000, memory.word(tuple + layout.var.count));
  for (let i = 0; i < count; i++)
    texts.push(readText(memory, layout, memory.word(tuple + layout.tuple.items + 8 * i), 200) ?? '?');
  return texts;
}

export const decodeMethod: Decoder = (heap, a) => {
  attribute(heap, a, heap.layout.method.function, '__func__');
  attribute(heap, a, heap.layout.method.self, '__self__');
};

const METH_METHOD = 0x0200;

export const decodeBuiltin: Decoder = (heap, a) => {
  const b = heap.layout.builtin;
  attribute(heap, a, b.self, '__self__');
  field(heap, a, b.module, '__module__');
  const definition = heap.memory.word(a + b.definition);
  // PyMethodDef: name, function, flags
  if (b.class >= 0 && (heap.memory.uint32(definition + 16) & METH_METHOD) !== 0) field(heap, a, b.class, 'class');
};

export const decodeModule: Decoder = (heap, a, node) => {
  const { memory, layout } = heap;
  const m = layout.module;
  const dict = memory.word(a + m.dict);
  const name = dict === 0 ? 0 : lookUp(memory, layout, dict, '__name__');
  heap.setName(node, (name === 0 ? undefined : readText(memory, layout, name, 300)) ?? textField(heap, a, m.name));
  field(heap, a, m.name, 'name');
  if (layout.interpreter.atexitForm === 'module' && heap.nameOf(node) === 'atexit')
    decodeAtexitState(heap, memory.word(a + m.state));
  // State of C modules: pointers to objects, in a block that the module owns.
  const state = memory.word(a + m.state);
  const size = moduleStateSize(heap, a);
  if (state === 0 || size <= 0 || size >= 1 << 20) return;
  const label = heap.label(LabelKind.internal, 'state');
  visited.clear();
  bytesLeft = MAX_SCAN_BYTES;
  for (let offset = 0; offset + 8 <= size; offset += 8) {
    const word = memory.word(state + offset);
    const target = word < 0x1000 ? 0 : heap.plausible(word);
    if (target !== 0) heap.edgeTo(target, label);
    else if (word !== 0) scanNativeBlock(heap, word, offset, 1);
  }
};

function moduleStateSize(heap: HeapBuilder, a: number): number {
  const { memory, layout } = heap;
  const m = layout.module;
  if (m.stateSize >= 0) return memory.signed(a + m.stateSize);
  const definition = memory.word(a + m.definition);
  return definition === 0 ? 0 : memory.signed(definition + m.definitionSize);
}

/** To 3.9 atexit's callbacks are in its module's state: {array of callbacks, int count}; a callback is {function, args, kwargs}. */
function decodeAtexitState(heap: HeapBuilder, state: number): void {
  const { memory } = heap;
  const array = memory.word(state);
  const count = Math.min(memory.int32(state + 8), 1 << 20);
  const label = heap.label(LabelKind.internal, 'atexit callback');
  for (let i = 0; i < count; i++) {
    const callback = memory.word(array + 8 * i);
    for (let f = 0; callback !== 0 && f < 3; f++) heap.edge(memory.word(callback + 8 * f), label);
  }
}

/** Blocks of native memory that the scan of one object has been to, and how many bytes it may still read. */
const visited = new Set<number>();
let bytesLeft = 0;
const MAX_SCAN_BYTES = 1 << 18;

/**
 * Appends an inferred edge for each word in a block that points at an object. A word that points at the start of a block
 * of native memory leads on, at most `steps` times: what an extension object keeps is often in memory that it allocated
 * (pybind11: the instance, the C++ object, its vector's items).
 */
export function scanForReferences(heap: HeapBuilder, start: number, size: number, labelBase = 0, steps = 2): void {
  visited.clear();
  bytesLeft = MAX_SCAN_BYTES;
  scanBlock(heap, start, size, labelBase, steps);
}

function scanBlock(heap: HeapBuilder, start: number, size: number, labelBase: number, steps: number): void {
  const { memory } = heap;
  for (let offset = 0; offset + 8 <= size; offset += 8) {
    const word = memory.word(start + offset);
    if (word < 0x1000 || word % 8 !== 0) continue;
    const node = heap.plausible(word);
    if (node !== 0) heap.edgeTo(node, heap.inferredLabel(labelBase + offset));
    else if (steps > 0) scanNativeBlock(heap, word, labelBase + offset, steps);
  }
}

/** The same for the block of native memory that begins at `address`, if one does and it was not yet read. */
function scanNativeBlock(heap: HeapBuilder, address: number, labelBase: number, steps: number): void {
  const bytes = heap.nativeBlockBytes(address);
  if (bytes === 0 || bytes > bytesLeft || visited.has(address)) return;
  visited.add(address);
  bytesLeft -= bytes;
  scanBlock(heap, address, bytes, labelBase, steps - 1);
}

export const decodeType: Decoder = (heap, a, node, plan) => {
  const { memory, layout } = heap;
  const t = layout.type;
  const described = heap.types.indexOf(a);
  const heapType = described >= 0 && heap.types.plans[described].heapType;
  if (described >= 0) heap.setName(node, heap.types.plans[described].name);
  const keys = heapType ? memory.word(a + layout.heapType.cachedKeys) : 0;
  const shape = keys === 0 ? undefined : tableShape(memory, layout, keys);
  // type.__sizeof__: the structure and the shared keys, no members.
  heap.size[node] = heapType
    ? plan.preSize + layout.heapType.size + (shape?.bytes ?? 0)
    : t.size + (heap.sizes.staticTypeHead ? plan.preSize : 0);
  const dict = memory.word(a + t.dict) || (heap.types.staticDicts.get(a) ?? 0);
  heap.edge(dict, heap.label(LabelKind.attribute, '__dict__'));
  attribute(heap, a, t.bases, '__bases__');
  attribute(heap, a, t.mro, '__mro__');
  attribute(heap, a, t.cache, '__cache__');
  const subclasses = memory.word(a + t.subclasses);
  // From 3.12 on, static builtin types keep an index here, not a dict.
  if (subclasses > 0x10000) field(heap, a, t.subclasses, 'subclasses');
  if (!heapType) return;
  attribute(heap, a, t.base, '__base__');
  field(heap, a, layout.heapType.name, '__name__');
  field(heap, a, layout.heapType.qualname, '__qualname__');
  field(heap, a, layout.heapType.slots, '__slots__');
  field(heap, a, layout.heapType.module, 'module');
  for (let i = 0; shape !== undefined && i < shape.count; i++) {
    heap.edge(
      memory.word(shape.entries + i * shape.entrySize + shape.keyOffset),
      heap.label(LabelKind.internal, 'shared key'),
    );
  }
};

export const decodeCode: Decoder = (heap, a, node) => {
  const { layout } = heap;
  const c = layout.code;
  heap.setName(node, codeName(heap, a));
  attribute(heap, a, c.constants, 'co_consts');
  attribute(heap, a, c.names, 'co_names');
  field(heap, a, c.localsPlusNames, 'co_localsplusnames');
  field(heap, a, c.localsPlusKinds, 'co_localspluskinds');
  field(heap, a, c.varNames, 'co_varnames');
  field(heap, a, c.cellVars, 'co_cellvars');
  field(heap, a, c.freeVars, 'co_freevars');
  field(heap, a, c.fileName, 'co_filename');
  field(heap, a, c.name, 'co_name');
  field(heap, a, c.qualname, 'co_qualname');
  field(heap, a, c.lineTable, 'co_linetable');
  field(heap, a, c.exceptionTable, 'co_exceptiontable');
  field(heap, a, c.code, 'co_code');
  decodeCachedCode(heap, a);
  if (heap.sizes.codeCaches) heap.size[node] += oldCachesSize(heap, a);
  else heap.size[node] = Math.ceil(heap.size[node] / 8) * 8;
  const extra = c.extra < 0 ? 0 : heap.memory.word(a + c.extra);
  // _PyCodeObjectExtra: {size, extras[]}
  if (extra !== 0) heap.size[node] += 8 + 8 * heap.memory.word(extra);
};

/** What co_code, co_varnames and their kind have made and kept: `_PyCoCached`, from 3.12 on a block of its own. */
function decodeCachedCode(heap: HeapBuilder, a: number): void {
  const c = heap.layout.code;
  const cached = c.cached < 0 ? 0 : heap.memory.word(a + c.cached);
  if (cached === 0) return;
  // 3.11: the bytes object itself.
  if (heap.types.indexOf(heap.memory.word(cached + heap.layout.object.type)) >= 0) {
    field(heap, a, c.cached, 'co_code');
    return;
  }
  for (const [i, name] of ['co_code', 'co_varnames', 'co_cellvars', 'co_freevars'].entries()) {
    heap.edge(heap.memory.word(cached + 8 * i), heap.label(LabelKind.internal, name));
  }
}

/** 3.8 to 3.10: cell2arg, one word a cell variable; the opcode cache: a byte an instruction and 32 bytes an entry. */
function oldCachesSize(heap: HeapBuilder, a: number): number {
  const { memory, layout } = heap;
  const CELL2ARG = 96;
  const OPCACHE = 160;
  const OPCACHE_SIZE = 172;
  const count = (offset: number) => memory.word(memory.word(a + offset) + layout.var.count);
  let bytes = memory.word(a + CELL2ARG) !== 0 ? 8 * count(layout.code.cellVars) : 0;
  if (memory.word(a + OPCACHE) !== 0)
    bytes += Math.floor(count(layout.code.code) / 2) + 32 * memory.uint8(a + OPCACHE_SIZE);
  return bytes;
}

/** `function file:line` of a code object. */
export function codeName(heap: HeapBuilder, code: number): string {
  const c = heap.layout.code;
  const name = textField(heap, code, c.qualname) || textField(heap, code, c.name);
  return `${name} ${textField(heap, code, c.fileName)}:${heap.memory.int32(code + c.firstLine)}`;
}

export const decodeCell: Decoder = (heap, a, node) => {
  const contents = heap.memory.word(a + heap.layout.cell.contents);
  heap.cellEdge(contents, node);
};

export const decodeProperty: Decoder = (heap, a) => {
  const p = heap.layout.property;
  attribute(heap, a, p.get, 'fget');
  attribute(heap, a, p.set, 'fset');
  attribute(heap, a, p.delete, 'fdel');
  field(heap, a, p.doc, '__doc__');
  field(heap, a, p.name, '__name__');
};

/** staticmethod and classmethod. */
export const decodeWrapper: Decoder = (heap, a) => {
  attribute(heap, a, heap.layout.wrapper.callable, '__func__');
};

/** method_descriptor and its relatives: PyDescrObject begins {type, name, qualname}; the definition follows. */
export const decodeDescriptor: Decoder = (heap, a) => {
  field(heap, a, heap.layout.object.size, '__objclass__');
  field(heap, a, heap.layout.object.size + 8, '__name__');
  field(heap, a, heap.layout.object.size + 16, '__qualname__');
};

/** method-wrapper: {descr, self} */
export const decodeMethodWrapper: Decoder = (heap, a) => {
  field(heap, a, heap.layout.object.size, 'descriptor');
  attribute(heap, a, heap.layout.object.size + 8, '__self__');
};

export const decodeWeakref: Decoder = (heap, a) => {
  const w = heap.layout.weakref;
  const object = heap.memory.word(a + w.object);
  if (object !== 0) heap.edge(object, heap.weakLabel);
  field(heap, a, w.callback, '__callback__');
};

export const decodeSlice: Decoder = (heap, a) => {
  attribute(heap, a, heap.layout.slice.start, 'start');
  attribute(heap, a, heap.layout.slice.stop, 'stop');
  attribute(heap, a, heap.layout.slice.step, 'step');
};

export const decodeException: Decoder = (heap, a) => {
  const e = heap.layout.exception;
  attribute(heap, a, e.args, 'args');
  attribute(heap, a, e.notes, '__notes__');
  attribute(heap, a, e.traceback, '__traceback__');
  attribute(heap, a, e.context, '__context__');
  attribute(heap, a, e.cause, '__cause__');
};

export const decodeTraceback: Decoder = (heap, a) => {
  attribute(heap, a, heap.layout.traceback.next, 'tb_next');
  attribute(heap, a, heap.layout.traceback.frame, 'tb_frame');
};
