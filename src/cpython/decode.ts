/**
 * From a frozen process to columns.
 *
 * 1. Every pymalloc block in use that is an object becomes a node, in the order of addresses: this finds what no list
 *    and no reference leads to, and keeps neighbours in memory neighbours in the columns.
 * 2. The gc lists add large objects and say which generation each belongs to.
 * 3. Each node's references are read in turn; what they lead to and is not there yet (static, large) becomes a node.
 */
import { Memory, type ProcessImage } from '../process/index.ts';
import { HeapBuilder } from './builder.ts';
import { type HeapColumns, type HeapOrigin, IMMORTAL_REFCOUNT, LabelKind, NodeFlag } from './columns.ts';
import { forEachItem } from './dict-table.ts';
import { findRuntime, type Runtime } from './interpreter.ts';
import type { Layout } from './layout.ts';
import { field } from './layouts/code.ts';
import { decodeInterpreterFrame, framesOfThread } from './layouts/frames.ts';
import { decoderOf } from './layouts/index.ts';
import { decodeInstanceParts, inlineValuesSize } from './layouts/instances.ts';
import { findNativeReferences, moduleAreas, nativeAreas } from './native.ts';
import { findPools, markFreeBlocks, type Pools } from './pools.ts';
import { readText } from './text.ts';
import { TypeFlag, type TypePlan, TypeTable } from './types.ts';

/** Where pymalloc's memory is, for the account of every resident byte. */
export interface AllocatorFacts {
  /** Bytes of all arenas. */
  readonly arenaBytes: number;
  readonly arenas: number;
  /** Per arena, ascending: its address, and the bytes of its blocks that are in use. */
  readonly arenaAddresses: Float64Array;
  readonly arenaUsedBytes: Float64Array;
  /** Bytes of one arena. */
  readonly arenaSize: number;
  /** Bytes of blocks in use, objects and other blocks. */
  readonly usedBlockBytes: number;
  /** Bytes of blocks in use that are objects. */
  readonly objectBlockBytes: number;
  readonly poolsBy: Pools['by'];
}

export interface CollectorFacts {
  readonly enabled: boolean;
  readonly debug: number;
  readonly collecting: boolean;
  /** Threshold and current count of each generation. */
  readonly generations: readonly { readonly threshold: number; readonly count: number; readonly objects: number }[];
  readonly frozen: number;
}

export interface Decoded {
  readonly columns: HeapColumns;
  readonly origin: HeapOrigin;
  readonly runtime: Runtime;
  readonly allocator: AllocatorFacts;
  readonly collector: CollectorFacts;
  /** Milliseconds for copying memory and for decoding. */
  readonly readMs: number;
  readonly decodeMs: number;
}

export interface DecodeOptions {
  /** A copy of the target's memory made before (`Memory.copy(image)`), for callers that go on reading it; one is made otherwise. */
  readonly memory?: Memory;
  /** Called as soon as the target's memory has been copied: the image is not needed any more. */
  readonly onCopied?: () => void;
}

/** Decodes the heap of a frozen process. Throws a LeakscopeError (exit code 4) when it is not a CPython that can be read. */
export function decode(image: ProcessImage, options: DecodeOptions = {}): Decoded {
  const t0 = performance.now();
  const memory = options.memory ?? Memory.copy(image);
  const runtime = findRuntime(memory, image.modules, image.executable);
  options.onCopied?.();
  const t1 = performance.now();
  const decoder = new HeapDecoder(image, memory, runtime);
  const columns = decoder.run();
  const t2 = performance.now();
  return {
    columns,
    origin: {
      pid: image.pid,
      executable: image.executable,
      command: image.command,
      python: runtime.version,
      via: image.via,
      takenAtMs: Date.now() - (performance.now() - image.capturedAtMs),
      capturedAtMs: image.capturedAtMs,
      pauseMs: image.pauseMs,
      notes: [...image.notes, ...runtime.notes],
    },
    runtime,
    allocator: decoder.allocator,
    collector: decoder.collector,
    readMs: t1 - t0,
    decodeMs: t2 - t1,
  };
}

class HeapDecoder {
  private readonly image: ProcessImage;
  private readonly memory: Memory;
  private readonly runtime: Runtime;
  private readonly layout: Layout;
  private readonly heap: HeapBuilder;
  private readonly types: TypeTable;
  private collecting = false;
  /** No object has more references: each takes a word. */
  private readonly countLimit: number;
  private readonly poolSet = new Set<number>();
  private readonly interned = new Set<number>();
  /** The root's edge to what native code holds, which is known last. */
  private nativeEdge = 0;
  /** What each synthetic node refers to. */
  private readonly synthetic = new Map<number, () => void>();
  allocator: AllocatorFacts = {
    arenaBytes: 0,
    arenas: 0,
    arenaAddresses: new Float64Array(0),
    arenaUsedBytes: new Float64Array(0),
    arenaSize: 0,
    usedBlockBytes: 0,
    objectBlockBytes: 0,
    poolsBy: 'none',
  };
  collector: CollectorFacts = { enabled: false, debug: 0, collecting: false, generations: [], frozen: 0 };

  constructor(image: ProcessImage, memory: Memory, runtime: Runtime) {
    this.image = image;
    this.memory = memory;
    this.runtime = runtime;
    this.layout = runtime.layout;
    this.countLimit = Math.max(1 << 16, memory.copiedBytes / 8);
    this.types = new TypeTable(memory, runtime.layout, runtime.typeType, this.staticDicts());
    this.heap = new HeapBuilder(memory, runtime.layout, this.types, memory.copiedBytes / 64);
  }

  run(): HeapColumns {
    const pools = this.sweepPoolsAfter(() => this.addRoots());
    this.walkCollectorLists();
    this.decodeAll();
    void pools;
    this.disownInterned();
    this.addNativeCode();
    return this.heap.finish();
  }

  /** Static builtin types' dicts live in the interpreter from 3.12 on. */
  private staticDicts(): Map<number, number> {
    const dicts = new Map<number, number>();
    const tables = [this.layout.interpreter.staticTypes, this.layout.interpreter.staticExtensionTypes];
    for (const interpreter of this.runtime.interpreters) {
      for (const s of tables) {
        if (s === null) continue;
        for (let i = 0; i < s.count; i++) {
          const at = interpreter.address + s.first + i * s.stride;
          const type = this.memory.word(at + s.type);
          const dict = this.memory.word(at + s.dict);
          if (type !== 0 && dict !== 0 && !dicts.has(type)) dicts.set(type, dict);
        }
      }
    }
    return dicts;
  }

  // ---- roots ----

  private addRoots(): void {
    const { heap, layout, runtime } = this;
    const rootType = this.types.addSynthetic('<root>');
    const threadType = this.types.addSynthetic('<thread>');
    const interpreterType = this.types.addSynthetic('<interpreter>');
    const frameType = this.types.addSynthetic('frame');
    const root = this.addSynthetic(0, rootType, '');
    const rootEdges: { node: number; label: number }[] = [];
    for (const interpreter of runtime.interpreters) {
      const prefix = runtime.interpreters.length > 1 && interpreter.id !== 0 ? `interpreter ${interpreter.id}, ` : '';
      this.forEachModule(interpreter.modules, (name, module) => {
        const node = heap.nodeFor(module);
        if (node !== 0) rootEdges.push({ node, label: heap.label(LabelKind.root, `${prefix}module ${name}`) });
      });
      const state = this.addSynthetic(interpreter.address, interpreterType, `${prefix}interpreter state`);
      rootEdges.push({ node: state, label: heap.label(LabelKind.root, `${prefix}interpreter state`) });
      this.synthetic.set(state, () => this.decodeInterpreter(interpreter.address));
      for (const thread of interpreter.threads) {
        const kernel = this.image.threads.find(
          t => t.tid === thread.nativeId || (t.threadPointer !== 0 && t.threadPointer === thread.threadId),
        );
        const name = `${prefix}thread ${thread.name || (kernel === undefined ? `0x${thread.threadId.toString(16)}` : `${kernel.name} (${kernel.tid})`)}`;
        const node = this.addSynthetic(thread.address, threadType, name);
        rootEdges.push({ node, label: heap.label(LabelKind.root, name) });
        const frames = framesOfThread(heap, thread.address, frameType);
        for (const frame of frames) {
          if (frame.frame === 0) continue;
          this.synthetic.set(frame.node, () => {
            decodeInterpreterFrame(heap, frame.frame, frame.code, true);
            field(heap, frame.frame, layout.frame.frameObject, 'frame object');
          });
        }
        this.synthetic.set(node, () => {
          for (const frame of frames) {
            const kind = frame.borrowed ? LabelKind.borrowed : LabelKind.internal;
            heap.edgeTo(frame.node, heap.label(kind, `frame ${frame.name.slice(0, frame.name.lastIndexOf(' '))}`));
          }
          this.decodeThread(thread.address);
        });
      }
    }
    this.synthetic.set(root, () => {
      for (const { node, label } of rootEdges) heap.edgeTo(node, label);
      this.nativeEdge = heap.edgeCount;
      heap.edgeTo(root, heap.label(LabelKind.root, 'native code'));
    });
  }

  /** The last node: what only variables of C code hold. */
  private addNativeCode(): void {
    const { heap } = this;
    const threads = this.runtime.interpreters.flatMap(i =>
      i.threads.map(t => ({ address: t.address, name: t.name || `0x${t.threadId.toString(16)}` })),
    );
    const areas = nativeAreas(
      this.image.mappings,
      this.image.modules,
      this.runtime.interpreters.map(i => i.address),
      threads,
      this.image.threads,
    );
    heap.edgeStart[heap.nodeCount] = heap.edgeCount;
    const held = findNativeReferences(heap, this.memory, areas);
    const node = this.addSynthetic(0, this.types.addSynthetic('<native code>'), 'native code');
    heap.edgeTarget[this.nativeEdge] = node;
    heap.startEdges(node);
    const unknown = heap.label(LabelKind.root, 'native code');
    for (const { node: target, from } of held)
      heap.edgeTo(target, from === '' ? unknown : heap.label(LabelKind.internal, from));
  }

  private addSynthetic(address: number, type: number, name: string): number {
    const node = this.heap.addNode(address, type);
    this.heap.flags[node] = NodeFlag.synthetic;
    if (name !== '') this.heap.setName(node, name);
    return node;
  }

  private forEachModule(modules: number, visit: (name: string, module: number) => void): void {
    forEachItem(this.memory, this.layout, modules, (key, value) => {
      const name = readText(this.memory, this.layout, key, 300);
      const none = this.memory.word(value + this.layout.object.type);
      // sys.modules may hold None and stand-ins that are no modules.
      if (
        name !== undefined &&
        this.types.indexOf(none) >= 0 &&
        this.types.plans[this.types.indexOf(none)].base !== 'NoneType'
      )
        visit(name, value);
      return false;
    });
  }

  private decodeInterpreter(at: number): void {
    const { heap } = this;
    const i = this.layout.interpreter;
    for (const [offset, name] of [
      [i.modules, 'sys.modules'],
      [i.modulesByIndex, 'modules by index'],
      [i.sysDict, 'sys'],
      [i.builtins, 'builtins'],
      [i.importLib, 'importlib'],
      [i.importFunction, 'import function'],
      [i.dict, 'interpreter dict'],
      [i.codecSearchPath, 'codec search path'],
      [i.codecSearchCache, 'codec search cache'],
      [i.codecErrorRegistry, 'codec error registry'],
      [i.atForkBefore, 'os.register_at_fork before'],
      [i.atForkParent, 'os.register_at_fork after_in_parent'],
      [i.atForkChild, 'os.register_at_fork after_in_child'],
      [i.auditHooks, 'audit hooks'],
    ] as const) {
      field(heap, at, offset, name);
    }
    for (const { name, offset, count } of i.more) {
      for (let k = 0; k < count; k++) field(heap, at, offset + 8 * k, name.replaceAll('_', ' '));
    }
    const interned = this.internedDict(at);
    if (interned !== 0) {
      this.interned.add(interned);
      heap.edge(interned, heap.label(LabelKind.internal, 'interned strings'));
    }
    this.decodeAtexit(at);
    const gc = this.gcState(at);
    field(heap, gc, this.layout.gc.garbage, 'gc.garbage');
    field(heap, gc, this.layout.gc.callbacks, 'gc.callbacks');
  }

  /** The dict of interned strings; 0 when it cannot be found. To 3.11 a static variable of libpython. */
  private internedDict(interpreter: number): number {
    const { memory, layout, runtime } = this;
    if (layout.interpreter.interned >= 0) return memory.word(interpreter + layout.interpreter.interned);
    const symbol = runtime.module.symbol('interned');
    return symbol === undefined ? this.largestIdentityDict() : memory.word(symbol);
  }

  /** In a stripped build: the largest dict in which each string is its own value. */
  private largestIdentityDict(): number {
    const { heap, memory, layout } = this;
    const LEAST = 500;
    let best = 0;
    let bestLength = LEAST;
    for (let n = 0; n < heap.nodeCount; n++) {
      if (heap.types.plans[heap.type[n]].base !== 'dict') continue;
      const dict = heap.address[n];
      const length = memory.word(dict + layout.dict.used);
      if (length < bestLength) continue;
      let looked = 0;
      let same = true;
      forEachItem(memory, layout, dict, (key, value) => {
        same = key === value;
        return !same || ++looked === LEAST;
      });
      if (same && looked === LEAST) {
        best = dict;
        bestLength = length;
      }
    }
    return best;
  }

  /** The references of the dict of interned strings do not count: it does not keep its strings alive. */
  private disownInterned(): void {
    const { heap } = this;
    const label = heap.label(LabelKind.borrowed, 'interned');
    for (const dict of this.interned) {
      const node = heap.known(dict);
      const end = node + 1 < heap.nodeCount ? heap.edgeStart[node + 1] : heap.edgeCount;
      if (node !== 0) heap.edgeLabel.fill(label, heap.edgeStart[node], end);
    }
  }

  /** Callbacks registered with atexit. */
  private decodeAtexit(interpreter: number): void {
    const { heap, memory } = this;
    const i = this.layout.interpreter;
    if (i.atexit < 0) return;
    if (i.atexitForm === 'list') {
      field(heap, interpreter, i.atexit, 'atexit callbacks');
      return;
    }
    if (i.atexitForm !== 'array') return;
    // atexit_callback**: each {func, args, kwargs}.
    const array = memory.word(interpreter + i.atexit);
    const count = Math.min(memory.int32(interpreter + i.atexitCount), 1 << 24);
    const label = heap.label(LabelKind.internal, 'atexit callback');
    for (let k = 0; k < count; k++) {
      const callback = memory.word(array + 8 * k);
      if (callback === 0) continue;
      for (let f = 0; f < 3; f++) heap.edge(memory.word(callback + 8 * f), label);
    }
  }

  private decodeThread(at: number): void {
    const { heap, memory } = this;
    const t = this.layout.thread;
    for (const [offset, name] of [
      [t.dict, 'thread state dict'],
      [t.context, 'context'],
      [t.currentExceptionType, 'current exception type'],
      [t.currentException, 'current exception'],
      [t.currentExceptionTraceback, 'current traceback'],
      [t.asyncException, 'asynchronous exception'],
      [t.traceObject, 'trace function'],
      [t.profileObject, 'profile function'],
      [t.asyncGenFirstIter, 'asyncgen first iteration hook'],
      [t.asyncGenFinalizer, 'asyncgen finalizer hook'],
    ] as const) {
      field(heap, at, offset, name);
    }
    // The exceptions that are being handled, innermost first; the last one stands in the thread state itself.
    const seen = new Set<number>();
    for (
      let item = memory.word(at + t.exceptionInfo);
      item !== 0 && memory.has(item) && !seen.has(item);
      item = memory.word(item + t.stackItemPrevious)
    ) {
      seen.add(item);
      const generator = item !== at + t.exceptionState && heap.known(item - this.layout.generator.exceptionValue) !== 0;
      if (generator) continue; // the generator's own reference
      field(heap, item, t.stackItemType, 'exception type being handled');
      field(heap, item, t.stackItemValue, 'exception being handled');
      field(heap, item, t.stackItemTraceback, 'traceback being handled');
    }
  }

  // ---- objects ----

  private gcState(interpreter: number): number {
    const g = this.layout.gc;
    return (g.stateIn === 'runtime' ? this.runtime.address : interpreter) + g.state;
  }

  /** Finds the pools, lets `first` add what must come first, then makes nodes of all objects in them. */
  private sweepPoolsAfter(first: () => void): Pools {
    const { memory, layout, heap, types } = this;
    const pools = findPools(
      memory,
      layout,
      this.image.mappings,
      this.runtime.interpreters.map(i => i.address),
      this.runtime.module,
    );
    const poolSize = layout.pymalloc.poolSize;
    for (const pool of pools.addresses) this.poolSet.add(pool / poolSize);
    heap.nativeBlockBytes = address => this.nativeBlockBytes(address);
    const files = moduleAreas(this.image.mappings, this.image.modules);
    heap.isStatic = address => files.some(m => address >= m.start && address < m.end);
    heap.inPool = address => this.poolSet.has(Math.floor(address / poolSize));
    this.collecting = this.runtime.interpreters.some(
      i => memory.int32(this.gcState(i.address) + layout.gc.collecting) !== 0,
    );
    first();
    const free = new Uint8Array(Math.ceil(poolSize / 16));
    const headSize = layout.gc.headSize;
    const preHeaderSize = headSize + layout.managed.preHeaderSize;
    const preHeaders = layout.managed.preHeaderSize > 0;
    const words = memory.words;
    let usedBlockBytes = 0;
    let objectBlockBytes = 0;
    const { arenaAddresses, arenaSize } = pools;
    const arenaUsedBytes = new Float64Array(arenaAddresses.length);
    let arena = 0;
    for (const pool of pools.addresses) {
      while (arena + 1 < arenaAddresses.length && arenaAddresses[arena + 1] <= pool) arena++;
      const usedBefore = usedBlockBytes;
      const blockSize = (memory.uint32(pool + layout.pymalloc.sizeIndex) + 1) * 16;
      const count = markFreeBlocks(memory, layout, pool, blockSize, free);
      let block = pool + layout.pymalloc.headerSize;
      let w = memory.offsetOf(block) / 4;
      for (let i = 0; i < count; i++, block += blockSize, w += blockSize / 4) {
        if (free[i] !== 0) continue;
        usedBlockBytes += blockSize;
        // A non-gc object begins at the block; a gc object behind its gc head; and that behind its dict and weak list.
        // Types that have been met are asked for first: a gc head's pointers are no types, but that takes longer to tell.
        let object = block;
        let type = types.metAt(words[w + 2], words[w + 3], 0);
        if (type < 0 && blockSize >= 32) {
          type = types.metAt(words[w + 6], words[w + 7], headSize);
          if (type >= 0) object = block + headSize;
          else if (preHeaders && blockSize >= 48) {
            type = types.metAt(words[w + 10], words[w + 11], preHeaderSize);
            if (type >= 0) object = block + preHeaderSize;
          }
        }
        if (type < 0) {
          type = this.typeAt(words[w + 2], words[w + 3], 0);
          if (type < 0 && blockSize >= 32) {
            object = block + headSize;
            type = this.typeAt(words[w + 6], words[w + 7], headSize);
            if (type < 0 && preHeaders && blockSize >= 48) {
              object = block + preHeaderSize;
              type = this.typeAt(words[w + 10], words[w + 11], preHeaderSize);
            }
          }
        }
        if (type < 0 || !this.isWhole(object, types.plans[type], blockSize)) continue;
        objectBlockBytes += blockSize;
        if (heap.known(object) === 0) heap.addObject(object, type);
      }
      arenaUsedBytes[arena] += usedBlockBytes - usedBefore;
    }
    this.allocator = {
      arenaBytes: pools.arenaBytes,
      arenas: pools.arenas,
      arenaAddresses,
      arenaUsedBytes,
      arenaSize,
      usedBlockBytes,
      objectBlockBytes,
      poolsBy: pools.by,
    };
    return pools;
  }

  /**
   * Bytes of the block at an address that is no object: of a pymalloc block in use, or of a chunk of glibc's malloc, by
   * the size word before it (malloc.c: chunks are multiples of 16, the lowest three bits are flags). 0 for anything else.
   */
  private nativeBlockBytes(address: number): number {
    const { memory, layout } = this;
    const MAX_BYTES = 1 << 16;
    if (address % 16 !== 0 || !memory.has(address) || this.heap.isStatic(address)) return 0;
    const p = layout.pymalloc;
    const pool = Math.floor(address / p.poolSize) * p.poolSize;
    if (this.poolSet.has(pool / p.poolSize)) {
      const blockSize = (memory.uint32(pool + p.sizeIndex) + 1) * 16;
      if ((address - pool - p.headerSize) % blockSize !== 0 || address - pool >= memory.uint32(pool + p.nextOffset))
        return 0;
      // A pointer to an object's gc head is no pointer to memory of its own.
      const head = layout.gc.headSize;
      const preHead = head + layout.managed.preHeaderSize;
      const isObject =
        (head < blockSize && this.heap.known(address + head) !== 0) ||
        (preHead < blockSize && this.heap.known(address + preHead) !== 0);
      return isObject ? 0 : blockSize;
    }
    const sizeWord = memory.word(address - 8);
    const chunk = sizeWord - (sizeWord % 8);
    if (chunk < 32 || chunk > MAX_BYTES || chunk % 16 !== 0) return 0;
    // The chunk behind it must look like one, too.
    const next = memory.word(address - 8 + chunk);
    return next - (next % 8) >= 16 && next < 2 ** 40 && memory.has(address + chunk) ? chunk - 8 : 0;
  }

  /** The type that a word in a block is the address of, when its objects stand `preSize` bytes behind the block's start; -1 otherwise. */
  private typeAt(low: number, high: number, preSize: number): number {
    if (high >= 0x8000 || (low & 7) !== 0 || (high === 0 && low < 0x10000)) return -1;
    const type = this.types.indexOf(low + high * 0x1_0000_0000);
    return type >= 0 && this.types.plans[type].preSize === preSize ? type : -1;
  }

  /** Is there really an object: a sane reference count, and a size that belongs in a block of this size? */
  private isWhole(a: number, plan: TypePlan, blockSize: number): boolean {
    const { memory, layout } = this;
    const w = memory.offsetOf(a) / 4;
    const count = memory.words[w];
    if (count === 0 || (memory.words[w + 1] & 0xffff) !== 0) return false;
    // No more references than there is room for; a count above that is other data, or an immortal object's.
    if (count > this.countLimit && !(layout.immortalFrom >= 0 && count >= layout.immortalFrom)) return false;
    // An array of pointers into an executable at low addresses looks like a count; no count is that large by chance.
    if (count >= 0x10000 && memory.has(count)) return false;
    // An instance of a class is in a gc list from its first moment to its last; a freed one's block may still look like it.
    if (plan.hasGc && plan.heapType && plan.cBases.length === 0 && !this.isLinked(a)) return false;
    const need = plan.preSize + this.bytesOf(a, plan);
    return need <= blockSize && blockSize < need * 1.34 + 48 && layout.object.size <= need;
  }

  /** Does the object's neighbour in its gc list point back at it? While a collection runs, links back are used otherwise. */
  private isLinked(a: number): boolean {
    if (this.collecting) return true;
    const { memory, layout } = this;
    const { headSize, next, prev, nextMask, prevMask } = layout.gc;
    const head = a - headSize;
    const after = memory.word(head + next);
    if (after === 0) return false;
    const back = memory.word(after - (after % (nextMask + 1)) + prev);
    return back - (back % (prevMask + 1)) === head;
  }

  /** Bytes of the object itself in memory, from its type and its count of items; the least that it can be. */
  private bytesOf(a: number, plan: TypePlan): number {
    const { memory, layout } = this;
    if ((plan.flags & TypeFlag.strSubclass) !== 0) {
      const u = layout.unicode;
      const state = memory.uint32(a + u.state);
      const kind = (state >>> u.kind.shift) & u.kind.mask;
      if (((state >>> u.compact.shift) & u.compact.mask) === 0) return plan.basicSize;
      const ascii = ((state >>> u.ascii.shift) & u.ascii.mask) !== 0;
      return (ascii ? u.asciiSize : u.compactSize) + (memory.word(a + u.length) + 1) * kind;
    }
    if ((plan.flags & TypeFlag.intSubclass) !== 0) {
      const i = layout.int;
      const digits =
        i.form === 'size' ? Math.abs(memory.signed(a + layout.var.count)) : Math.floor(memory.word(a + i.tag) / 8);
      return i.digits + 4 * Math.max(1, digits);
    }
    if (plan.inlineValues) return plan.basicSize + inlineValuesSize(this.heap, a, plan);
    if (plan.itemSize === 0 || (plan.flags & TypeFlag.typeSubclass) !== 0) return plan.basicSize;
    if (plan.base === 'frame') return plan.basicSize;
    return plan.basicSize + Math.abs(memory.signed(a + layout.var.count)) * plan.itemSize;
  }

  private walkCollectorLists(): void {
    const { memory, layout, heap } = this;
    const g = layout.gc;
    const states = new Set(this.runtime.interpreters.map(i => this.gcState(i.address)));
    const limit = memory.copiedBytes / 32;
    for (const state of states) {
      const objects: number[] = [];
      const lists = [...g.generations, ...(g.permanent >= 0 ? [g.permanent] : [])];
      lists.forEach((offset, list) => {
        const head = state + offset;
        const generation = offset === g.permanent ? 3 : Math.min(2, list);
        let count = 0;
        let at = memory.word(head + g.next);
        at -= at % (g.nextMask + 1);
        while (at !== head && at !== 0 && count < limit) {
          const node = heap.nodeFor(at + g.headSize);
          if (node === 0) {
            heap.miss('gc list in the middle of a change');
            break;
          }
          heap.flags[node] |= NodeFlag.tracked | (generation << NodeFlag.generationShift);
          count++;
          at = memory.word(at + g.next);
          at -= at % (g.nextMask + 1);
        }
        objects.push(count);
      });
      this.collector = {
        enabled: memory.int32(state + g.enabled) !== 0,
        debug: memory.int32(state + g.debug),
        collecting: memory.int32(state + g.collecting) !== 0,
        generations: g.generations.map((offset, i) => ({
          threshold: memory.int32(state + offset + g.threshold),
          count: memory.int32(state + offset + g.count),
          objects: objects[i],
        })),
        frozen: g.permanent >= 0 ? objects[objects.length - 1] : 0,
      };
    }
  }

  // ---- references ----

  private decodeAll(): void {
    const { heap, types, memory, layout } = this;
    const decoders = types.plans.map(plan => decoderOf(heap, plan));
    let typesAdded = 0;
    for (let node = 0; ; node++) {
      if (node === heap.nodeCount) {
        // All types are nodes, also those that nothing refers to.
        while (typesAdded < types.plans.length && node === heap.nodeCount) {
          const plan = types.plans[typesAdded++];
          if (plan.address !== 0) heap.nodeFor(plan.address);
        }
        if (node === heap.nodeCount) break;
      }
      heap.startEdges(node);
      const a = heap.address[node];
      const flags = heap.flags[node];
      if ((flags & NodeFlag.synthetic) !== 0) {
        this.synthetic.get(node)?.();
        continue;
      }
      const type = heap.type[node];
      while (decoders.length <= type) decoders.push(decoderOf(heap, types.plans[decoders.length]));
      const plan = types.plans[type];
      const count = memory.uint32(a + layout.object.refcount);
      const immortal = layout.immortalFrom >= 0 && count >= layout.immortalFrom;
      heap.refcount[node] = immortal ? IMMORTAL_REFCOUNT : count;
      if (immortal) heap.flags[node] |= NodeFlag.immortal;
      if (plan.finalizer) heap.flags[node] |= NodeFlag.finalizer;
      heap.size[node] =
        plan.preSize +
        plan.basicSize +
        (plan.itemSize > 0 ? Math.abs(memory.signed(a + layout.var.count)) * plan.itemSize : 0);
      decoders[type](heap, a, node, plan);
      if (plan.slots.length > 0 || plan.managedDict || plan.heapType || plan.dictOffset !== 0)
        decodeInstanceParts(heap, a, plan);
    }
  }
}
