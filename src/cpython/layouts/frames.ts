/**
 * Frames: running, suspended in a generator, or kept by a traceback.
 *
 * To 3.10 each frame is a PyFrameObject. From 3.11 on it is an interpreter frame on the thread's data stack, inside a
 * generator, or, once it is over and somebody still looks at it, inside a PyFrameObject. Whoever owns the memory
 * holds the references: the same rule as in CPython's own traversal.
 * Sources: Include/internal/pycore_frame.h, Python/frame.c, Objects/frameobject.c, Objects/genobject.c.
 */
import type { HeapBuilder } from '../builder.ts';
import { LabelKind, labelPayload, makeLabel, NodeFlag } from '../columns.ts';
import { attribute, codeName, field, tupleOfText } from './code.ts';
import type { Decoder } from './decoder.ts';

/** Names of the fast locals of each code object, as labels; one code object serves many frames. */
const localLabels = new WeakMap<HeapBuilder, Map<number, Uint32Array>>();

function labelsOfLocals(heap: HeapBuilder, code: number): Uint32Array {
  let cache = localLabels.get(heap);
  if (cache === undefined) {
    cache = new Map();
    localLabels.set(heap, cache);
  }
  let labels = cache.get(code);
  if (labels === undefined) {
    const { memory, layout } = heap;
    const c = layout.code;
    const names =
      c.localsPlusNames >= 0
        ? tupleOfText(heap, memory.word(code + c.localsPlusNames))
        : [c.varNames, c.cellVars, c.freeVars].flatMap(offset => tupleOfText(heap, memory.word(code + offset)));
    labels = Uint32Array.from(names, name => heap.label(LabelKind.local, name));
    cache.set(code, labels);
  }
  return labels;
}

/** What `sys.getsizeof` counts for a frame's locals and stack, bytes. */
function slotBytes(heap: HeapBuilder, code: number): number {
  const { memory, layout } = heap;
  const c = layout.code;
  const locals = c.localsPlusCount >= 0 ? memory.int32(code + c.localsPlusCount) : labelsOfLocals(heap, code).length;
  return 8 * (locals + memory.int32(code + c.stackSize));
}

/** PyFrameObject. */
export const decodeFrameObject: Decoder = (heap, a, node, plan) => {
  const { memory, layout } = heap;
  const f = layout.frameObject;
  if (layout.frame.form === 'object') {
    decodeOldFrame(heap, a, node, plan.basicSize + plan.preSize);
    return;
  }
  const frame = memory.word(a + f.frame);
  const code = frame === 0 ? 0 : codeOfFrame(heap, frame);
  if (code !== 0) heap.setName(node, codeName(heap, code));
  attribute(heap, a, f.back, 'f_back');
  attribute(heap, a, f.trace, 'f_trace');
  attribute(heap, a, f.localsCache, 'f_locals');
  attribute(heap, a, f.extraLocals, 'f_extra_locals');
  if (code === 0) return;
  heap.size[node] = plan.preSize + f.ownFrame + layout.frame.localsPlus + slotBytes(heap, code);
  if (frame === a + f.ownFrame || memory.uint8(frame + layout.frame.owner) === layout.frame.owners.frameObject) {
    decodeInterpreterFrame(heap, frame, code, false);
  }
};

function decodeOldFrame(heap: HeapBuilder, a: number, node: number, headSize: number): void {
  const { memory, layout } = heap;
  const f = layout.frameObject;
  const code = memory.word(a + f.code);
  if (code !== 0) heap.setName(node, codeName(heap, code));
  attribute(heap, a, f.back, 'f_back');
  attribute(heap, a, f.code, 'f_code');
  attribute(heap, a, f.builtins, 'f_builtins');
  attribute(heap, a, f.globals, 'f_globals');
  attribute(heap, a, f.locals, 'f_locals');
  attribute(heap, a, f.trace, 'f_trace');
  if (!memory.has(code)) return;
  // The structure has one slot in it.
  heap.size[node] = headSize + slotBytes(heap, code) - 8;
  const labels = labelsOfLocals(heap, code);
  for (let i = 0; i < labels.length; i++) heap.edge(memory.word(a + f.localsPlus + 8 * i), labels[i]);
  const stack = memory.word(a + f.valueStack);
  if (stack === 0) return;
  if (f.stackDepth >= 0) {
    const depth = memory.int32(a + f.stackDepth);
    decodeStack(heap, stack, depth >= 0 ? depth : -1, memory.int32(code + layout.code.stackSize));
  } else {
    const top = memory.word(a + f.stackTop);
    decodeStack(heap, stack, top === 0 ? -1 : (top - stack) / 8, memory.int32(code + layout.code.stackSize));
  }
}

/** Values on an evaluation stack. While a frame runs its height is not stored: then what is there is only inferred. */
function decodeStack(heap: HeapBuilder, stack: number, height: number, limit: number): void {
  const { memory } = heap;
  const mask = heap.layout.frame.stackRefTags;
  const label = heap.label(LabelKind.internal, 'value stack');
  const count = Math.min(height < 0 ? limit : height, 100_000);
  for (let i = 0; i < count; i++) {
    const raw = memory.word(stack + 8 * i);
    if (raw < 0x1000) continue;
    const word = mask === 0 ? raw : raw - (raw % (mask + 1));
    // A tagged reference does not own what it points at.
    const owned = mask === 0 || raw % 2 === 0;
    if (height >= 0 && owned) heap.edge(word, label);
    else {
      const node = heap.plausible(word);
      if (node !== 0)
        heap.edgeTo(node, height >= 0 ? heap.label(LabelKind.borrowed, 'value stack') : heap.inferredLabel(8 * i));
    }
  }
}

/** The code object of an interpreter frame (3.11 on); 0 when it is none, such as a shim on the C stack. */
export function codeOfFrame(heap: HeapBuilder, frame: number): number {
  const { memory, layout } = heap;
  let code = memory.word(frame + layout.frame.executable);
  if (layout.frame.stackRefTags !== 0) code -= code % (layout.frame.stackRefTags + 1);
  if (!memory.has(code)) return 0;
  const type = heap.types.indexOf(memory.word(code + layout.object.type));
  return type >= 0 && heap.types.plans[type].name === 'code' ? code : 0;
}

/** References of an interpreter frame: code, function, globals, locals, value stack. `running` when it may be executing now. */
export function decodeInterpreterFrame(heap: HeapBuilder, frame: number, code: number, running: boolean): void {
  const { memory, layout } = heap;
  const f = layout.frame;
  const mask = f.stackRefTags;
  const untagged = (offset: number) => {
    if (offset < 0) return 0;
    const raw = memory.word(frame + offset);
    return mask === 0 ? raw : raw - (raw % (mask + 1));
  };
  heap.edge(code, heap.label(LabelKind.attribute, 'f_code'));
  heap.edge(untagged(f.function), heap.label(LabelKind.internal, 'function'));
  heap.edge(memory.word(frame + f.locals), heap.label(LabelKind.attribute, 'f_locals'));
  const labels = labelsOfLocals(heap, code);
  const slots = frame + f.localsPlus;
  const stackSize = memory.int32(code + layout.code.stackSize);
  let height: number;
  if (f.stackForm === 'count') {
    const top = memory.int32(frame + f.stackTop);
    height = top < 0 || top > labels.length + stackSize ? -1 : top - labels.length;
    if (top >= 0 && top < labels.length) height = 0;
  } else {
    const top = memory.word(frame + f.stackTop);
    height = top === 0 ? -1 : (top - slots) / 8 - labels.length;
    if (!(height >= 0 && height <= stackSize)) height = -1;
  }
  for (let i = 0; i < labels.length; i++) {
    const raw = memory.word(slots + 8 * i);
    if (raw === 0) continue;
    const word = mask === 0 ? raw : raw - (raw % (mask + 1));
    // A tagged reference is the caller's: shown under its name, not counted.
    if (word >= 0x1000)
      heap.edge(word, mask === 0 || raw % 2 === 0 ? labels[i] : makeLabel(LabelKind.borrowed, labelPayload(labels[i])));
  }
  decodeStack(heap, slots + 8 * labels.length, running && height === 0 ? -1 : height, stackSize);
}

/** Generators, coroutines and async generators. */
export const decodeGenerator: Decoder = (heap, a, node, plan) => {
  const { memory, layout } = heap;
  const g = layout.generator;
  field(heap, a, g.name, '__name__');
  field(heap, a, g.qualname, '__qualname__');
  field(heap, a, g.exceptionType, 'exc_type');
  field(heap, a, g.exceptionValue, 'exc_value');
  field(heap, a, g.exceptionTraceback, 'exc_traceback');
  // Not set in plain generators.
  if (plan.base !== 'generator') field(heap, a, g.originOrFinalizer, 'origin');
  if (layout.frame.form === 'object') {
    attribute(heap, a, g.frame, 'gi_frame');
    field(heap, a, g.code, 'gi_code');
    const code = memory.word(a + g.code);
    if (memory.has(code)) heap.setName(node, codeName(heap, code));
    return;
  }
  const state = (memory.uint8(a + g.state) << 24) >> 24;
  const frame = a + g.frame;
  const code = codeOfFrame(heap, frame);
  field(heap, a, g.code, 'gi_code');
  if (code === 0) return;
  heap.setName(node, codeName(heap, code));
  heap.size[node] = plan.preSize + g.frame + layout.frame.localsPlus + slotBytes(heap, code);
  if (g.states !== null && state >= g.states.cleared) {
    // All of the frame is gone but for its code.
    if (layout.generator.code < 0) heap.edge(code, heap.label(LabelKind.attribute, 'gi_code'));
    return;
  }
  const object = memory.word(frame + layout.frame.frameObject);
  if (object !== 0) heap.edge(object, heap.label(LabelKind.attribute, 'gi_frame'));
  decodeInterpreterFrame(heap, frame, code, g.states !== null && state === g.states.executing);
};

/** One frame of a thread's stack as found from its thread state: an object or an interpreter frame. */
export interface StackFrame {
  /** The node that stands for it: the frame object, the generator that owns it, or a synthetic node. */
  readonly node: number;
  readonly name: string;
  /** An interpreter frame whose references the synthetic node has; 0 otherwise. */
  readonly frame: number;
  readonly code: number;
  /** Belongs to a generator: shown, not counted as a reference. */
  readonly borrowed: boolean;
}

const MAX_FRAMES = 200_000;

/** The frames of a thread, innermost first. `frameType` is the synthetic type for frames without an object. */
export function framesOfThread(heap: HeapBuilder, thread: number, frameType: number): StackFrame[] {
  const { memory, layout } = heap;
  const t = layout.thread;
  const frames: StackFrame[] = [];
  if (layout.frame.form === 'object') {
    let at = memory.word(thread + t.frameObject);
    while (at !== 0 && frames.length < MAX_FRAMES) {
      const node = heap.nodeFor(at);
      if (node === 0) break;
      const code = memory.word(at + layout.frameObject.code);
      // The C function that runs a frame owns a reference to it, besides the `f_back` of the frame it calls.
      // A generator's frame is the generator's.
      const ofGenerator = memory.word(at + layout.frameObject.generator) !== 0;
      frames.push({ node, name: codeName(heap, code), frame: 0, code, borrowed: ofGenerator });
      at = memory.word(at + layout.frameObject.back);
    }
    return frames;
  }
  let at =
    t.cframe >= 0
      ? memory.word(memory.word(thread + t.cframe) + t.cframeCurrent)
      : memory.word(thread + t.currentFrame);
  const seen = new Set<number>();
  while (at !== 0 && memory.has(at) && !seen.has(at) && frames.length < MAX_FRAMES) {
    seen.add(at);
    const code = codeOfFrame(heap, at);
    const owner = memory.uint8(at + layout.frame.owner);
    const next = memory.word(at + layout.frame.previous);
    if (code !== 0 && owner !== layout.frame.owners.cStack && owner !== layout.frame.owners.interpreter) {
      const name = codeName(heap, code);
      if (owner === layout.frame.owners.generator) {
        const node = heap.nodeFor(at - layout.generator.frame);
        if (node !== 0) frames.push({ node, name, frame: 0, code, borrowed: true });
      } else {
        const node = heap.addNode(at, frameType);
        heap.flags[node] = NodeFlag.synthetic;
        heap.setName(node, name);
        frames.push({ node, name, frame: at, code, borrowed: false });
      }
    }
    at = next;
  }
  return frames;
}
