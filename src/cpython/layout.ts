/**
 * The layout of CPython's structures in one minor version: the offsets, in bytes, that decoders read.
 *
 * One table per minor version stands in `versions/`. A decoder never asks for the version: where versions differ in
 * more than an offset, the table names the form, and the decoder has one function a form. A field that a version
 * does not have is -1.
 */
export interface Layout {
  /** '3.11' */
  readonly version: string;
  /**
   * `refcountSize` is 8, or 4 from 3.14 on, where the word's upper half holds flags: read 32 bits there. (Up to 3.13 the upper
   * half of a reference count is 0 in practice, so reading 32 bits is right everywhere but for immortal objects' exact value.)
   */
  readonly object: {
    readonly refcount: number;
    readonly refcountSize: number;
    readonly type: number;
    readonly size: number;
  };
  /** PyVarObject.ob_size. */
  readonly var: { readonly count: number; readonly size: number };
  /** An immortal object's 32-bit reference count, as tested by `refcount >= immortalFrom` on the low 32 bits; -1 where nothing is immortal. */
  readonly immortalFrom: number;

  readonly gc: {
    /** sizeof(PyGC_Head), before each tracked object. */
    readonly headSize: number;
    readonly next: number;
    readonly prev: number;
    /** Bits of `_gc_next` / `_gc_prev` that are flags, not address: the address is `word - (word & mask)`. */
    readonly nextMask: number;
    readonly prevMask: number;
    /** 'runtime' (3.8: _PyRuntime.gc) or 'interpreter' (3.9 on). */
    readonly stateIn: 'runtime' | 'interpreter';
    /** Offset of `struct _gc_runtime_state` in _PyRuntime or PyInterpreterState. */
    readonly state: number;
    /** In that state: heads of the collector's lists, youngest first, and the permanent generation's. */
    readonly generations: readonly number[];
    readonly permanent: number;
    /** Of each generation head: threshold and count (ints), relative to the head. */
    readonly threshold: number;
    readonly count: number;
    readonly enabled: number;
    readonly debug: number;
    readonly garbage: number;
    readonly collecting: number;
    readonly callbacks: number;
  };

  readonly type: {
    readonly name: number;
    readonly basicSize: number;
    readonly itemSize: number;
    readonly dealloc: number;
    readonly flags: number;
    readonly traverse: number;
    readonly clear: number;
    readonly weakListOffset: number;
    readonly methods: number;
    readonly members: number;
    readonly getset: number;
    readonly base: number;
    readonly dict: number;
    readonly dictOffset: number;
    readonly init: number;
    readonly alloc: number;
    readonly newFunction: number;
    readonly free: number;
    readonly isGc: number;
    readonly bases: number;
    readonly mro: number;
    readonly cache: number;
    readonly subclasses: number;
    readonly weakList: number;
    readonly del: number;
    readonly finalize: number;
    /** sizeof(PyTypeObject): getsizeof of a static type is basicsize of its metatype, see heap.size. */
    readonly size: number;
  };
  /** PyHeapTypeObject: what follows PyTypeObject in a class. */
  readonly heapType: {
    readonly name: number;
    readonly slots: number;
    readonly qualname: number;
    readonly cachedKeys: number;
    readonly module: number;
    readonly size: number;
  };
  /** struct PyMemberDef: for __slots__. `objectKinds` are the values of `type` that are references (T_OBJECT, T_OBJECT_EX / Py_T_OBJECT_EX). */
  readonly member: {
    readonly name: number;
    readonly type: number;
    readonly offset: number;
    readonly size: number;
    readonly objectKinds: readonly number[];
  };

  /** Where a class's instances keep their `__dict__`. */
  readonly managed: {
    /**
     * 'none' (3.8 to 3.10: only tp_dictoffset),
     * '3.11': Py_TPFLAGS_MANAGED_DICT: values pointer at object-32, dict pointer at object-24 (both of them pointers),
     * '3.12': one word at object-24: when its lowest bit is 1, the values are at word + 1 (`_PyDictOrValues_SetValues` stores
     *         their address less 1), else the dict (0: none yet); weak list at object-32,
     * '3.13': one pointer to the dict at object-24 (0: none yet); types with INLINE_VALUES have a PyDictValues right after the
     *         object (at tp_basicsize) that holds the attributes while `valid` is 1, also when there is a dict, whose
     *         ma_values then points there; weak list at object-32.
     * 'object' is the address of the PyObject, and these words lie before its gc header of 16 bytes.
     */
    readonly form: 'none' | '3.11' | '3.12' | '3.13';
    /**
     * Of PyDictValues, relative to the pointer: `values[]`; the bytes `valid`, `embedded`, `capacity` (-1 before 3.13);
     * the byte `size`, how many names have ever been set: at -2 in 3.11 and 3.12, where the bytes before it
     * (-3, -4, ...) are the insertion order, and after `values[capacity]` from 3.13 on.
     * The malloc block of 3.11 and 3.12 starts before the pointer, by the byte at `prefixSize` (-1); 0 from 3.13 on: it starts there.
     */
    readonly values: {
      readonly items: number;
      readonly valid: number;
      readonly embedded: number;
      readonly capacity: number;
      readonly size: number;
      readonly prefixSize: number;
    };
    /** Bytes before the gc header when Py_TPFLAGS_PREHEADER types are instantiated. */
    readonly preHeaderSize: number;
    /** tp_flags: MANAGED_DICT, MANAGED_WEAKREF, INLINE_VALUES; 0 where there is none. */
    readonly dictFlag: number;
    readonly weakFlag: number;
    readonly inlineFlag: number;
  };

  readonly dict: { readonly used: number; readonly keys: number; readonly values: number; readonly size: number };
  readonly dictKeys: {
    /** 'size': dk_size, a Py_ssize_t, indices of 1, 2, 4 or 8 bytes by it (3.8 to 3.10). 'log2': dk_log2_size, dk_log2_index_bytes, dk_kind, one byte each. */
    readonly form: 'size' | 'log2';
    /** `size`: dk_size, or the byte dk_log2_size. */
    readonly refcount: number;
    readonly size: number;
    readonly log2IndexBytes: number;
    readonly kind: number;
    readonly usable: number;
    readonly entryCount: number;
    readonly indices: number;
    /** Entries: general {hash, key, value}, unicode {key, value} (dk_kind != 0). Bytes. */
    readonly entry: { readonly key: number; readonly value: number; readonly size: number };
    readonly unicodeEntry: { readonly key: number; readonly value: number; readonly size: number } | null;
  };
  readonly list: { readonly items: number; readonly allocated: number; readonly size: number };
  readonly tuple: { readonly items: number; readonly size: number };
  readonly set: {
    readonly fill: number;
    readonly used: number;
    readonly mask: number;
    readonly table: number;
    readonly smallTable: number;
    readonly weakList: number;
    readonly entryKey: number;
    readonly entrySize: number;
    readonly size: number;
  };
  readonly unicode: {
    readonly length: number;
    readonly state: number;
    /** Within the 32-bit state word: shift and mask of interned, kind, compact, ascii. */
    readonly interned: { readonly shift: number; readonly mask: number };
    readonly kind: { readonly shift: number; readonly mask: number };
    readonly compact: { readonly shift: number; readonly mask: number };
    readonly ascii: { readonly shift: number; readonly mask: number };
    /** sizeof(PyASCIIObject), sizeof(PyCompactUnicodeObject), and of the latter and PyUnicodeObject: utf8, data.any. */
    readonly asciiSize: number;
    readonly compactSize: number;
    readonly utf8: number;
    readonly utf8Length: number;
    readonly data: number;
    readonly size: number;
  };
  readonly bytes: { readonly items: number };
  /** bytesObject, 3.15: the bytes object that owns the memory; -1 before. */
  readonly bytearray: {
    readonly alloc: number;
    readonly bytes: number;
    readonly start: number;
    readonly bytesObject: number;
  };
  /** 'size': ob_size's absolute value is the number of digits. 'tag': lv_tag >> 3 (3.12 on). Digits are 30 bits in 4 bytes. */
  readonly int: { readonly form: 'size' | 'tag'; readonly tag: number; readonly digits: number };
  readonly function: {
    readonly code: number;
    readonly globals: number;
    readonly builtins: number;
    readonly name: number;
    readonly qualname: number;
    readonly defaults: number;
    readonly kwDefaults: number;
    readonly doc: number;
    readonly closure: number;
    readonly module: number;
    readonly annotations: number;
    readonly annotate: number;
    readonly typeParams: number;
    readonly dict: number;
    readonly weakList: number;
  };
  readonly cell: { readonly contents: number };
  readonly method: { readonly function: number; readonly self: number; readonly weakList: number };
  readonly builtin: {
    readonly definition: number;
    readonly self: number;
    readonly module: number;
    readonly weakList: number;
    /** PyCMethodObject.mm_class, when ml_flags has METH_METHOD */
    readonly class: number;
  };
  readonly module: {
    readonly dict: number;
    readonly definition: number;
    readonly state: number;
    readonly weakList: number;
    readonly name: number;
    /** 3.15: `definition` is md_token, a PyModuleDef only while the byte at tokenIsDefinition is 1; the size of the state is at stateSize. -1 before. */
    readonly tokenIsDefinition: number;
    readonly stateSize: number;
    /** Of PyModuleDef: m_size, m_name. */
    readonly definitionSize: number;
    readonly definitionName: number;
  };
  readonly property: {
    readonly get: number;
    readonly set: number;
    readonly delete: number;
    readonly doc: number;
    readonly name: number;
  };
  /** classmethod and staticmethod. */
  readonly wrapper: { readonly callable: number; readonly dict: number };
  readonly weakref: {
    readonly object: number;
    readonly callback: number;
    readonly next: number;
    readonly prev: number;
  };
  readonly slice: { readonly start: number; readonly stop: number; readonly step: number };
  readonly exception: {
    readonly dict: number;
    readonly args: number;
    readonly notes: number;
    readonly traceback: number;
    readonly context: number;
    readonly cause: number;
  };
  readonly traceback: {
    readonly next: number;
    readonly frame: number;
    readonly lasti: number;
    readonly lineno: number;
  };
  readonly deque: {
    readonly left: number;
    readonly right: number;
    readonly leftIndex: number;
    readonly rightIndex: number;
    readonly maxLength: number;
    readonly weakList: number;
    /** block */
    readonly blockLeft: number;
    readonly blockData: number;
    readonly blockRight: number;
    readonly blockLength: number;
  };

  readonly code: {
    readonly argCount: number;
    readonly localCount: number;
    readonly stackSize: number;
    readonly firstLine: number;
    readonly constants: number;
    readonly names: number;
    readonly fileName: number;
    readonly name: number;
    readonly qualname: number;
    /** Offsets of ints: argCount, localCount, stackSize, firstLine, localsPlusCount, flags. */
    /** 3.11 on: tuple of all fast locals' names, cells and free variables in frame order. Before: -1 and the three below. */
    readonly localsPlusNames: number;
    readonly localsPlusKinds: number;
    readonly localsPlusCount: number;
    readonly varNames: number;
    readonly cellVars: number;
    readonly freeVars: number;
    readonly flags: number;
    readonly exceptionTable: number;
    readonly extra: number;
    readonly weakList: number;
    /** co_code (bytes object, 3.8 to 3.10) or -1; co_code_adaptive (3.11 on) or -1. */
    readonly code: number;
    readonly codeAdaptive: number;
    /** 3.11: `_co_code`, a bytes object or 0. 3.12 on: pointer to a malloc block of up to four references (`_PyCoCached`). -1 before. */
    readonly cached: number;
    /** co_lnotab / co_linetable */
    readonly lineTable: number;
    /** 'lnotab' (3.8, 3.9), 'linetable' (3.10), 'locations' (3.11 on). */
    readonly lineForm: 'lnotab' | 'linetable' | 'locations';
    /** Bytes that one step of f_lasti stands for: 1, or 2 in 3.10. tb_lasti is in bytes in every version; 3.11 on has an instruction pointer instead. */
    readonly instructionUnit: number;
  };

  /** PyFrameObject. */
  readonly frameObject: {
    readonly back: number;
    /** 3.11 on: pointer to the interpreter frame */
    readonly frame: number;
    readonly trace: number;
    /** of an embedded interpreter frame */
    readonly ownFrame: number;
    /** 3.8 to 3.10 */
    readonly code: number;
    readonly builtins: number;
    readonly globals: number;
    readonly locals: number;
    readonly valueStack: number;
    readonly stackTop: number;
    readonly stackDepth: number;
    readonly lasti: number;
    readonly lineno: number;
    /** 3.10: f_state, a signed byte: -2 created, -1 suspended, 0 executing, 1 returned, 2 unwinding, 3 raised, 4 cleared */
    readonly state: number;
    /** 3.8, 3.9: a byte, 1 while it runs */
    readonly executing: number;
    readonly generator: number;
    readonly localsPlus: number;
    readonly size: number;
    readonly localsCache: number;
    readonly extraLocals: number;
    /** 3.14 on: tuple or 0 */
    readonly overwrittenLocals: number;
  };
  /** _PyInterpreterFrame (3.11 on). */
  readonly frame: {
    /** 'object': frames are PyFrameObjects (3.8 to 3.10). 'pointers': plain pointers (3.11 to 3.13). 'stackref': tagged references (3.14 on), see stackRefTags. */
    readonly form: 'object' | 'pointers' | 'stackref';
    /**
     * In executable, function and localsplus of 'stackref' frames, the lowest two bits: 0: counts in the object's reference count;
     * 1: does not count (borrowed or immortal; the bare value 1 is NULL); 3: a small integer, no reference. The address is `word - (word & 3)`.
     * 0: there are no tags.
     */
    readonly stackRefTags: number;
    readonly executable: number;
    readonly previous: number;
    readonly function: number;
    readonly globals: number;
    readonly builtins: number;
    readonly locals: number;
    readonly frameObject: number;
    readonly instruction: number;
    readonly stackTop: number;
    /** How the value stack's height is stored: 'count' (int stacktop, items of localsplus in use, or -1 while running) or 'pointer' (3.14 on). */
    readonly stackForm: 'count' | 'pointer';
    readonly localsPlus: number;
    readonly owner: number;
    readonly returnOffset: number;
    /** owner values: thread (data stack), generator, frame object, the interpreter's own (3.14 on: a shim without code), C stack (entry shim, 3.12 on). -1: no such. */
    readonly owners: {
      readonly thread: number;
      readonly generator: number;
      readonly frameObject: number;
      readonly interpreter: number;
      readonly cStack: number;
    };
    /** sizeof(_PyInterpreterFrame) up to localsplus, for data stack walks. */
    readonly size: number;
  };
  readonly generator: {
    /** 3.8 to 3.10: gi_frame; 3.11 on: offset of the embedded interpreter frame */
    readonly frame: number;
    readonly code: number;
    readonly weakList: number;
    readonly name: number;
    readonly qualname: number;
    readonly exceptionValue: number;
    readonly exceptionType: number;
    readonly exceptionTraceback: number;
    readonly originOrFinalizer: number;
    readonly state: number;
    readonly running: number;
    /** gi_frame_state values: created, suspended (lowest), executing, completed, cleared; null before 3.11. */
    readonly states: {
      readonly created: number;
      readonly suspended: number;
      readonly executing: number;
      readonly completed: number;
      readonly cleared: number;
    } | null;
  };

  readonly runtime: {
    /** In _PyRuntimeState. */
    readonly interpretersHead: number;
    readonly interpretersMain: number;
    readonly gilstateTstate: number;
    readonly finalizing: number;
    /** Offset and size of _Py_DebugOffsets' cookie "xdebugpy"; -1 where there is none. */
    readonly debugOffsets: number;
  };
  readonly interpreter: {
    readonly next: number;
    readonly id: number;
    readonly threadsHead: number;
    readonly modules: number;
    readonly modulesByIndex: number;
    readonly sysDict: number;
    readonly builtins: number;
    readonly importLib: number;
    readonly importFunction: number;
    readonly dict: number;
    readonly codecSearchPath: number;
    readonly codecSearchCache: number;
    readonly codecErrorRegistry: number;
    /**
     * 'module' (3.8, 3.9): pointer to the atexit module, whose C state holds the callbacks;
     * 'array' (3.10 to 3.13): pointer to an array of `atexitCount` (an int) pointers, each 0 or to {function, args, kwargs};
     * 'list' (3.14 on): a list of tuples (function, args, kwargs).
     */
    readonly atexitForm: 'module' | 'array' | 'list';
    readonly atexitCount: number;
    /** 3.12 on: dict of this interpreter's interned strings. Before: static variable `interned`. */
    readonly interned: number;
    readonly atexit: number;
    readonly atForkBefore: number;
    readonly atForkParent: number;
    readonly atForkChild: number;
    readonly auditHooks: number;
    /** Static builtin types' per-interpreter state (3.12 on): first element, size of one, number, and in it: type, dict, subclasses, weak list. Elements past those in use have type 0. */
    readonly staticTypes: StaticTypeTable | null;
    /** The same for static types of built-in extension modules (3.13 on). */
    readonly staticExtensionTypes: StaticTypeTable | null;
    /** pymalloc: 'symbol' (static `arenas`, to 3.11), 'embedded' (struct in the interpreter, 3.12), 'pointer' (3.13 on). Offset in PyInterpreterState. */
    readonly obmalloc: number;
    /** Further references, by CPython's field name: `count` pointers from `offset` on, each may be 0. */
    readonly more: readonly { readonly name: string; readonly offset: number; readonly count: number }[];
  };
  readonly thread: {
    readonly next: number;
    readonly interpreter: number;
    /** PyFrameObject* (to 3.10), -1 after */
    readonly frameObject: number;
    /** 3.11, 3.12: pointer to _PyCFrame, and in that the pointer to the interpreter frame; -1 otherwise */
    readonly cframe: number;
    readonly cframeCurrent: number;
    /** 3.13 on: pointer to the interpreter frame */
    readonly currentFrame: number;
    readonly threadId: number;
    readonly nativeThreadId: number;
    readonly dict: number;
    readonly context: number;
    readonly currentException: number;
    readonly currentExceptionType: number;
    readonly currentExceptionTraceback: number;
    readonly exceptionInfo: number;
    readonly exceptionState: number;
    /** _PyErr_StackItem */
    readonly stackItemType: number;
    readonly stackItemValue: number;
    readonly stackItemTraceback: number;
    readonly stackItemPrevious: number;
    readonly asyncException: number;
    readonly traceObject: number;
    readonly profileObject: number;
    readonly asyncGenFirstIter: number;
    readonly asyncGenFinalizer: number;
    readonly dataStackChunk: number;
    readonly dataStackTop: number;
    /** Objects whose deallocation the trashcan has put off, chained; their reference counts are 0. */
    readonly deleteLater: number;
    /** 3.13 on: this thread's key and sentinel for `threading.local`. */
    readonly localKey: number;
    readonly localSentinel: number;
    /** 3.14 on (_PyThreadStateImpl): the event loop and task that run in this thread. */
    readonly asyncioLoop: number;
    readonly asyncioTask: number;
    /** 3.15: lazy imports being resolved; 0 or a container. */
    readonly lazyImports: number;
  };
  readonly pymalloc: {
    readonly form: 'symbol' | 'embedded' | 'pointer';
    readonly poolSize: number;
    readonly arenaSize: number;
    /** Of struct pool_header. */
    readonly refCount: number;
    readonly freeBlock: number;
    readonly nextPool: number;
    readonly prevPool: number;
    readonly arenaIndex: number;
    readonly sizeIndex: number;
    readonly nextOffset: number;
    readonly maxNextOffset: number;
    readonly headerSize: number;
    /** Of struct arena_object. */
    readonly arenaAddress: number;
    readonly poolAddress: number;
    readonly freePools: number;
    readonly totalPools: number;
    readonly arenaObjectSize: number;
    /** In the obmalloc state (3.12 on): arenas pointer and maxarenas. */
    readonly arenas: number;
    readonly maxArenas: number;
  };
}

export interface StaticTypeTable {
  /** Offset of the first element in PyInterpreterState. */
  readonly first: number;
  readonly stride: number;
  readonly count: number;
  /** In an element. */
  readonly type: number;
  readonly dict: number;
  readonly subclasses: number;
  readonly weakList: number;
}
