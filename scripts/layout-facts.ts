/**
 * What each entry of a layout table is in CPython's own words, for every minor version.
 *
 * `factsFor(minor)` has the shape of a `Layout`; where the table holds a number that a compiler or debugger can tell,
 * it holds a `Fact` (offset of a field, size of a struct, value of an enumerator, place of a bit-field). What no
 * compiler can tell, such as the meaning of a flag bit, is written here as a plain number or word with its source.
 */
import type { Layout } from '../src/cpython/layout.ts';

/** Something the C compiler (or the debug information) knows. Numbers are bytes. */
export type Fact =
  | { readonly fact: 'offset'; readonly type: string; readonly field: string; readonly minus?: string }
  | { readonly fact: 'size'; readonly type: string }
  /** sizeof a field, divided by `per` bytes. */
  | { readonly fact: 'fieldSize'; readonly type: string; readonly field: string; readonly per: string }
  /** A constant expression: an enumerator, or a macro of the internal headers. */
  | { readonly fact: 'value'; readonly expression: string }
  /** Shift and mask of a bit-field within the 32-bit word that `word` (a field of the same type) begins. */
  | { readonly fact: 'shift' | 'mask'; readonly type: string; readonly word: string; readonly field: string };

/** A layout whose numbers may be facts. */
export type Facts<T = Layout> = T extends number
  ? T | Fact
  : T extends string | null
    ? T
    : T extends readonly (infer E)[]
      ? readonly Facts<E>[]
      : { readonly [K in keyof T]: Facts<T[K]> };

const off = (type: string, field: string): Fact => ({ fact: 'offset', type, field });
/** Offset of `field` counted from `minus`, both of the same type. */
const between = (type: string, field: string, minus: string): Fact => ({ fact: 'offset', type, field, minus });
const size = (type: string): Fact => ({ fact: 'size', type });
/** How many pointers an array field holds. */
const words = (type: string, field: string): Fact => ({ fact: 'fieldSize', type, field, per: 'PyObject *' });
const value = (expression: string): Fact => ({ fact: 'value', expression });

/** The facts of CPython 3.`minor`, 8 to 15. */
export function factsFor(minor: number): Facts {
  const v = minor;
  /** `yes` from version `from` on, else `no`. */
  const since = <T, U>(from: number, yes: T, no: U): T | U => (v >= from ? yes : no);
  const absent = -1 as const;
  const is = 'struct _is';
  const ts = 'struct _ts';
  const runtime = 'struct pyruntimestate';
  const gcState = 'struct _gc_runtime_state';
  const iframe = 'struct _PyInterpreterFrame';
  const frame = 'struct _frame';
  const code = 'PyCodeObject';
  const gen = 'PyGenObject';
  const keys = 'struct _dictkeysobject';
  const unicodeState = (field: string) => ({
    shift: { fact: 'shift', type: 'PyASCIIObject', word: 'state', field: `state.${field}` } as Fact,
    mask: { fact: 'mask', type: 'PyASCIIObject', word: 'state', field: `state.${field}` } as Fact,
  });
  const typeFlag = (bit: number, from: number): number => (v >= from ? 2 ** bit : 0);
  const oldFrame = <T>(fact: T): T | -1 => (v <= 10 ? fact : absent);
  const newFrame = <T>(fact: T): T | -1 => (v >= 11 ? fact : absent);
  const staticTypeState = v === 12 ? 'static_builtin_state' : 'managed_static_type_state';
  const staticTypes = (which: 'builtins' | 'for_extensions') => {
    const array = v === 12 ? 'types.builtins' : `types.${which}.initialized`;
    return {
      first: off(is, `${array}[0]`),
      stride: size(staticTypeState),
      count: { fact: 'fieldSize', type: is, field: array, per: staticTypeState } as Fact,
      type: off(staticTypeState, 'type'),
      dict: off(staticTypeState, 'tp_dict'),
      subclasses: off(staticTypeState, 'tp_subclasses'),
      weakList: off(staticTypeState, 'tp_weaklist'),
    };
  };

  return {
    version: `3.${v}`,
    object: {
      refcount: off('PyObject', 'ob_refcnt'),
      refcountSize: { fact: 'fieldSize', type: 'PyObject', field: 'ob_refcnt', per: 'char' },
      type: off('PyObject', 'ob_type'),
      size: size('PyObject'),
    },
    var: { count: off('PyVarObject', 'ob_size'), size: size('PyVarObject') },
    // _Py_IsImmortal: (int32_t)op->ob_refcnt < 0.
    // 3.11: deep-frozen static objects begin at 999,999,999 and are counted from there.
    immortalFrom: since(12, 2 ** 31, since(11, 500_000_000, absent)),

    gc: {
      headSize: size('PyGC_Head'),
      next: off('PyGC_Head', '_gc_next'),
      prev: off('PyGC_Head', '_gc_prev'),
      // NEXT_MASK_UNREACHABLE (gcmodule.c); 3.14 has two flags there (pycore_gc.h).
      nextMask: v >= 14 ? 3 : 1,
      prevMask: 3,
      stateIn: v === 8 ? 'runtime' : 'interpreter',
      state: v === 8 ? off(runtime, 'gc') : off(is, 'gc'),
      generations: [0, 1, 2].map(i => off(gcState, `generations[${i}].head`)),
      permanent: off(gcState, 'permanent_generation.head'),
      threshold: between('struct gc_generation', 'threshold', 'head'),
      count: between('struct gc_generation', 'count', 'head'),
      enabled: off(gcState, 'enabled'),
      debug: off(gcState, 'debug'),
      garbage: off(gcState, 'garbage'),
      collecting: off(gcState, 'collecting'),
      callbacks: off(gcState, 'callbacks'),
    },

    type: {
      name: off('PyTypeObject', 'tp_name'),
      basicSize: off('PyTypeObject', 'tp_basicsize'),
      itemSize: off('PyTypeObject', 'tp_itemsize'),
      dealloc: off('PyTypeObject', 'tp_dealloc'),
      flags: off('PyTypeObject', 'tp_flags'),
      traverse: off('PyTypeObject', 'tp_traverse'),
      clear: off('PyTypeObject', 'tp_clear'),
      weakListOffset: off('PyTypeObject', 'tp_weaklistoffset'),
      methods: off('PyTypeObject', 'tp_methods'),
      members: off('PyTypeObject', 'tp_members'),
      getset: off('PyTypeObject', 'tp_getset'),
      base: off('PyTypeObject', 'tp_base'),
      dict: off('PyTypeObject', 'tp_dict'),
      dictOffset: off('PyTypeObject', 'tp_dictoffset'),
      init: off('PyTypeObject', 'tp_init'),
      alloc: off('PyTypeObject', 'tp_alloc'),
      newFunction: off('PyTypeObject', 'tp_new'),
      free: off('PyTypeObject', 'tp_free'),
      isGc: off('PyTypeObject', 'tp_is_gc'),
      bases: off('PyTypeObject', 'tp_bases'),
      mro: off('PyTypeObject', 'tp_mro'),
      cache: off('PyTypeObject', 'tp_cache'),
      subclasses: off('PyTypeObject', 'tp_subclasses'),
      weakList: off('PyTypeObject', 'tp_weaklist'),
      del: off('PyTypeObject', 'tp_del'),
      finalize: off('PyTypeObject', 'tp_finalize'),
      size: size('PyTypeObject'),
    },
    heapType: {
      name: off('PyHeapTypeObject', 'ht_name'),
      slots: off('PyHeapTypeObject', 'ht_slots'),
      qualname: off('PyHeapTypeObject', 'ht_qualname'),
      cachedKeys: off('PyHeapTypeObject', 'ht_cached_keys'),
      module: since(9, off('PyHeapTypeObject', 'ht_module'), absent),
      // _PyType_Name copy: `_ht_tpname` and the specialization cache's borrowed `getitem` need no edge.
      size: size('PyHeapTypeObject'),
    },
    member: {
      name: off('PyMemberDef', 'name'),
      type: off('PyMemberDef', 'type'),
      offset: off('PyMemberDef', 'offset'),
      size: size('PyMemberDef'),
      // T_OBJECT, T_OBJECT_EX (structmember.h; _Py_T_OBJECT, Py_T_OBJECT_EX in descrobject.h from 3.12).
      objectKinds: [6, 16],
    },

    managed: {
      form: v <= 10 ? 'none' : v === 11 ? '3.11' : v === 12 ? '3.12' : '3.13',
      values: {
        items: v <= 10 ? absent : off('struct _dictvalues', 'values'),
        valid: since(13, off('struct _dictvalues', 'valid'), absent),
        embedded: since(13, off('struct _dictvalues', 'embedded'), absent),
        capacity: since(13, off('struct _dictvalues', 'capacity'), absent),
        // 3.11, 3.12: DICT_VALUES_SIZE(values) is ((uint8_t *)values)[-2] (pycore_dict.h).
        size: v <= 10 ? absent : v <= 12 ? -2 : off('struct _dictvalues', 'size'),
        prefixSize: v === 11 || v === 12 ? -1 : 0,
      },
      // _PyType_PreHeaderSize (pycore_object.h) without the gc header.
      preHeaderSize: v <= 10 ? 0 : 16,
      // object.h: Py_TPFLAGS_MANAGED_DICT, Py_TPFLAGS_MANAGED_WEAKREF, Py_TPFLAGS_INLINE_VALUES.
      dictFlag: typeFlag(4, 11),
      weakFlag: typeFlag(3, 12),
      inlineFlag: typeFlag(2, 13),
    },

    dict: {
      used: off('PyDictObject', 'ma_used'),
      keys: off('PyDictObject', 'ma_keys'),
      values: off('PyDictObject', 'ma_values'),
      size: size('PyDictObject'),
    },
    dictKeys: {
      form: v <= 10 ? 'size' : 'log2',
      refcount: off(keys, 'dk_refcnt'),
      size: v <= 10 ? off(keys, 'dk_size') : off(keys, 'dk_log2_size'),
      log2IndexBytes: newFrame(off(keys, 'dk_log2_index_bytes')),
      kind: newFrame(off(keys, 'dk_kind')),
      usable: off(keys, 'dk_usable'),
      entryCount: off(keys, 'dk_nentries'),
      indices: off(keys, 'dk_indices'),
      entry: {
        key: off('PyDictKeyEntry', 'me_key'),
        value: off('PyDictKeyEntry', 'me_value'),
        size: size('PyDictKeyEntry'),
      },
      unicodeEntry:
        v <= 10
          ? null
          : {
              key: off('PyDictUnicodeEntry', 'me_key'),
              value: off('PyDictUnicodeEntry', 'me_value'),
              size: size('PyDictUnicodeEntry'),
            },
    },
    list: {
      items: off('PyListObject', 'ob_item'),
      allocated: off('PyListObject', 'allocated'),
      size: size('PyListObject'),
    },
    tuple: { items: off('PyTupleObject', 'ob_item'), size: off('PyTupleObject', 'ob_item') },
    set: {
      fill: off('PySetObject', 'fill'),
      used: off('PySetObject', 'used'),
      mask: off('PySetObject', 'mask'),
      table: off('PySetObject', 'table'),
      smallTable: off('PySetObject', 'smalltable'),
      weakList: off('PySetObject', 'weakreflist'),
      entryKey: off('setentry', 'key'),
      entrySize: size('setentry'),
      size: size('PySetObject'),
    },
    unicode: {
      length: off('PyASCIIObject', 'length'),
      state: off('PyASCIIObject', 'state'),
      interned: unicodeState('interned'),
      kind: unicodeState('kind'),
      compact: unicodeState('compact'),
      ascii: unicodeState('ascii'),
      asciiSize: size('PyASCIIObject'),
      compactSize: size('PyCompactUnicodeObject'),
      utf8: off('PyCompactUnicodeObject', 'utf8'),
      utf8Length: off('PyCompactUnicodeObject', 'utf8_length'),
      data: off('PyUnicodeObject', 'data'),
      size: size('PyUnicodeObject'),
    },
    bytes: { items: off('PyBytesObject', 'ob_sval') },
    bytearray: {
      alloc: off('PyByteArrayObject', 'ob_alloc'),
      bytes: off('PyByteArrayObject', 'ob_bytes'),
      start: off('PyByteArrayObject', 'ob_start'),
      bytesObject: since(15, off('PyByteArrayObject', 'ob_bytes_object'), absent),
    },
    int: {
      form: v <= 11 ? 'size' : 'tag',
      tag: v <= 11 ? off('PyVarObject', 'ob_size') : off('PyLongObject', 'long_value.lv_tag'),
      digits: v <= 11 ? off('PyLongObject', 'ob_digit') : off('PyLongObject', 'long_value.ob_digit'),
    },
    function: {
      code: off('PyFunctionObject', 'func_code'),
      globals: off('PyFunctionObject', 'func_globals'),
      builtins: since(10, off('PyFunctionObject', 'func_builtins'), absent),
      name: off('PyFunctionObject', 'func_name'),
      qualname: off('PyFunctionObject', 'func_qualname'),
      defaults: off('PyFunctionObject', 'func_defaults'),
      kwDefaults: off('PyFunctionObject', 'func_kwdefaults'),
      doc: off('PyFunctionObject', 'func_doc'),
      closure: off('PyFunctionObject', 'func_closure'),
      module: off('PyFunctionObject', 'func_module'),
      annotations: off('PyFunctionObject', 'func_annotations'),
      annotate: since(14, off('PyFunctionObject', 'func_annotate'), absent),
      typeParams: since(12, off('PyFunctionObject', 'func_typeparams'), absent),
      dict: off('PyFunctionObject', 'func_dict'),
      weakList: off('PyFunctionObject', 'func_weakreflist'),
    },
    cell: { contents: off('PyCellObject', 'ob_ref') },
    method: {
      function: off('PyMethodObject', 'im_func'),
      self: off('PyMethodObject', 'im_self'),
      weakList: off('PyMethodObject', 'im_weakreflist'),
    },
    builtin: {
      definition: off('PyCFunctionObject', 'm_ml'),
      self: off('PyCFunctionObject', 'm_self'),
      module: off('PyCFunctionObject', 'm_module'),
      weakList: off('PyCFunctionObject', 'm_weakreflist'),
      class: since(9, off('PyCMethodObject', 'mm_class'), absent),
    },
    module: {
      dict: off('PyModuleObject', 'md_dict'),
      definition: v <= 14 ? off('PyModuleObject', 'md_def') : off('PyModuleObject', 'md_token'),
      tokenIsDefinition: since(15, off('PyModuleObject', 'md_token_is_def'), absent),
      stateSize: since(15, off('PyModuleObject', 'md_state_size'), absent),
      state: off('PyModuleObject', 'md_state'),
      weakList: off('PyModuleObject', 'md_weaklist'),
      name: off('PyModuleObject', 'md_name'),
      definitionSize: off('struct PyModuleDef', 'm_size'),
      definitionName: off('struct PyModuleDef', 'm_name'),
    },
    property: {
      get: off('propertyobject', 'prop_get'),
      set: off('propertyobject', 'prop_set'),
      delete: off('propertyobject', 'prop_del'),
      doc: off('propertyobject', 'prop_doc'),
      name: since(10, off('propertyobject', 'prop_name'), absent),
    },
    wrapper: { callable: off('classmethod', 'cm_callable'), dict: off('classmethod', 'cm_dict') },
    weakref: {
      object: off('struct _PyWeakReference', 'wr_object'),
      callback: off('struct _PyWeakReference', 'wr_callback'),
      next: off('struct _PyWeakReference', 'wr_next'),
      prev: off('struct _PyWeakReference', 'wr_prev'),
    },
    slice: {
      start: off('PySliceObject', 'start'),
      stop: off('PySliceObject', 'stop'),
      step: off('PySliceObject', 'step'),
    },
    exception: {
      dict: off('PyBaseExceptionObject', 'dict'),
      args: off('PyBaseExceptionObject', 'args'),
      notes: newFrame(off('PyBaseExceptionObject', 'notes')),
      traceback: off('PyBaseExceptionObject', 'traceback'),
      context: off('PyBaseExceptionObject', 'context'),
      cause: off('PyBaseExceptionObject', 'cause'),
    },
    traceback: {
      next: off('PyTracebackObject', 'tb_next'),
      frame: off('PyTracebackObject', 'tb_frame'),
      lasti: off('PyTracebackObject', 'tb_lasti'),
      lineno: off('PyTracebackObject', 'tb_lineno'),
    },
    deque: {
      left: off('dequeobject', 'leftblock'),
      right: off('dequeobject', 'rightblock'),
      leftIndex: off('dequeobject', 'leftindex'),
      rightIndex: off('dequeobject', 'rightindex'),
      maxLength: off('dequeobject', 'maxlen'),
      weakList: off('dequeobject', 'weakreflist'),
      blockLeft: off('struct BLOCK', 'leftlink'),
      blockData: off('struct BLOCK', 'data'),
      blockRight: off('struct BLOCK', 'rightlink'),
      blockLength: { fact: 'fieldSize', type: 'struct BLOCK', field: 'data', per: 'PyObject *' },
    },

    code: {
      argCount: off(code, 'co_argcount'),
      localCount: off(code, 'co_nlocals'),
      stackSize: off(code, 'co_stacksize'),
      firstLine: off(code, 'co_firstlineno'),
      constants: off(code, 'co_consts'),
      names: off(code, 'co_names'),
      fileName: off(code, 'co_filename'),
      name: off(code, 'co_name'),
      qualname: newFrame(off(code, 'co_qualname')),
      localsPlusNames: newFrame(off(code, 'co_localsplusnames')),
      localsPlusKinds: newFrame(off(code, 'co_localspluskinds')),
      localsPlusCount: newFrame(off(code, 'co_nlocalsplus')),
      varNames: oldFrame(off(code, 'co_varnames')),
      cellVars: oldFrame(off(code, 'co_cellvars')),
      freeVars: oldFrame(off(code, 'co_freevars')),
      flags: off(code, 'co_flags'),
      exceptionTable: newFrame(off(code, 'co_exceptiontable')),
      extra: off(code, 'co_extra'),
      weakList: off(code, 'co_weakreflist'),
      code: oldFrame(off(code, 'co_code')),
      codeAdaptive: newFrame(off(code, 'co_code_adaptive')),
      // 3.11 caches co_code alone; 3.12 on a struct of up to four tuples and bytes.
      cached: v <= 10 ? absent : v === 11 ? off(code, '_co_code') : off(code, '_co_cached'),
      lineTable: since(10, off(code, 'co_linetable'), off(code, 'co_lnotab')),
      lineForm: v <= 9 ? 'lnotab' : v === 10 ? 'linetable' : 'locations',
      instructionUnit: v === 10 ? 2 : 1,
    },

    frameObject: {
      back: off(frame, 'f_back'),
      frame: newFrame(off(frame, 'f_frame')),
      trace: off(frame, 'f_trace'),
      ownFrame: newFrame(off(frame, '_f_frame_data')),
      code: oldFrame(off(frame, 'f_code')),
      builtins: oldFrame(off(frame, 'f_builtins')),
      globals: oldFrame(off(frame, 'f_globals')),
      locals: oldFrame(off(frame, 'f_locals')),
      valueStack: oldFrame(off(frame, 'f_valuestack')),
      stackTop: v <= 9 ? off(frame, 'f_stacktop') : absent,
      stackDepth: v === 10 ? off(frame, 'f_stackdepth') : absent,
      lasti: oldFrame(off(frame, 'f_lasti')),
      lineno: off(frame, 'f_lineno'),
      state: v === 10 ? off(frame, 'f_state') : absent,
      executing: v <= 9 ? off(frame, 'f_executing') : absent,
      generator: oldFrame(off(frame, 'f_gen')),
      localsPlus: oldFrame(off(frame, 'f_localsplus')),
      size: size(frame),
      localsCache: since(13, off(frame, 'f_locals_cache'), absent),
      extraLocals: since(13, off(frame, 'f_extra_locals'), absent),
      overwrittenLocals: since(14, off(frame, 'f_overwritten_fast_locals'), absent),
    },
    frame: {
      form: v <= 10 ? 'object' : v <= 13 ? 'pointers' : 'stackref',
      // pycore_stackref.h: Py_TAG_BITS; both bits set (Py_INT_TAG): a small integer.
      stackRefTags: v <= 13 ? 0 : 3,
      executable: v <= 10 ? absent : v <= 12 ? off(iframe, 'f_code') : off(iframe, 'f_executable'),
      previous: newFrame(off(iframe, 'previous')),
      function: v <= 10 ? absent : v === 11 ? off(iframe, 'f_func') : off(iframe, 'f_funcobj'),
      globals: newFrame(off(iframe, 'f_globals')),
      builtins: newFrame(off(iframe, 'f_builtins')),
      locals: newFrame(off(iframe, 'f_locals')),
      frameObject: newFrame(off(iframe, 'frame_obj')),
      instruction: v <= 10 ? absent : v <= 12 ? off(iframe, 'prev_instr') : off(iframe, 'instr_ptr'),
      stackTop: v <= 10 ? absent : v <= 13 ? off(iframe, 'stacktop') : off(iframe, 'stackpointer'),
      stackForm: v <= 13 ? 'count' : 'pointer',
      localsPlus: newFrame(off(iframe, 'localsplus')),
      owner: newFrame(off(iframe, 'owner')),
      returnOffset: since(12, off(iframe, 'return_offset'), absent),
      owners: {
        thread: newFrame(value('FRAME_OWNED_BY_THREAD')),
        generator: newFrame(value('FRAME_OWNED_BY_GENERATOR')),
        frameObject: newFrame(value('FRAME_OWNED_BY_FRAME_OBJECT')),
        interpreter: since(14, value('FRAME_OWNED_BY_INTERPRETER'), absent),
        cStack: v <= 11 || v >= 15 ? absent : value('FRAME_OWNED_BY_CSTACK'),
      },
      size: newFrame(off(iframe, 'localsplus')),
    },
    generator: {
      frame: v <= 10 ? off(gen, 'gi_frame') : off(gen, 'gi_iframe'),
      code: v <= 11 ? off(gen, 'gi_code') : absent,
      weakList: off(gen, 'gi_weakreflist'),
      name: off(gen, 'gi_name'),
      qualname: off(gen, 'gi_qualname'),
      exceptionValue: off(gen, 'gi_exc_state.exc_value'),
      exceptionType: oldFrame(off(gen, 'gi_exc_state.exc_type')),
      exceptionTraceback: oldFrame(off(gen, 'gi_exc_state.exc_traceback')),
      originOrFinalizer: v <= 10 ? off('PyCoroObject', 'cr_origin') : off(gen, 'gi_origin_or_finalizer'),
      state: newFrame(off(gen, 'gi_frame_state')),
      running: v <= 9 ? off(gen, 'gi_running') : absent,
      states:
        v <= 10
          ? null
          : {
              created: value('FRAME_CREATED'),
              suspended: value('FRAME_SUSPENDED'),
              executing: value('FRAME_EXECUTING'),
              completed: v >= 15 ? value('FRAME_CLEARED') : value('FRAME_COMPLETED'),
              cleared: value('FRAME_CLEARED'),
            },
    },

    runtime: {
      interpretersHead: off(runtime, 'interpreters.head'),
      interpretersMain: off(runtime, 'interpreters.main'),
      gilstateTstate: v <= 11 ? off(runtime, 'gilstate.tstate_current') : absent,
      finalizing: v === 8 ? off(runtime, 'finalizing') : off(runtime, '_finalizing'),
      debugOffsets: since(13, off(runtime, 'debug_offsets'), absent),
    },
    interpreter: {
      next: off(is, 'next'),
      id: off(is, 'id'),
      threadsHead: v <= 10 ? off(is, 'tstate_head') : off(is, 'threads.head'),
      modules: v <= 11 ? off(is, 'modules') : off(is, 'imports.modules'),
      modulesByIndex: v <= 11 ? off(is, 'modules_by_index') : off(is, 'imports.modules_by_index'),
      sysDict: off(is, 'sysdict'),
      builtins: off(is, 'builtins'),
      importLib: v <= 11 ? off(is, 'importlib') : off(is, 'imports.importlib'),
      importFunction: v <= 11 ? off(is, 'import_func') : off(is, 'imports.import_func'),
      dict: off(is, 'dict'),
      codecSearchPath: v <= 12 ? off(is, 'codec_search_path') : off(is, 'codecs.search_path'),
      codecSearchCache: v <= 12 ? off(is, 'codec_search_cache') : off(is, 'codecs.search_cache'),
      codecErrorRegistry: v <= 12 ? off(is, 'codec_error_registry') : off(is, 'codecs.error_registry'),
      atexit: v <= 9 ? off(is, 'pyexitmodule') : off(is, 'atexit.callbacks'),
      atexitForm: v <= 9 ? 'module' : v <= 13 ? 'array' : 'list',
      atexitCount: v >= 10 && v <= 13 ? off(is, 'atexit.ncallbacks') : absent,
      atForkBefore: off(is, 'before_forkers'),
      atForkParent: off(is, 'after_forkers_parent'),
      atForkChild: off(is, 'after_forkers_child'),
      auditHooks: off(is, 'audit_hooks'),
      interned: since(12, off(is, 'cached_objects.interned_strings'), absent),
      staticTypes: v <= 11 ? null : staticTypes('builtins'),
      staticExtensionTypes: v <= 12 ? null : staticTypes('for_extensions'),
      obmalloc: v <= 11 ? absent : off(is, 'obmalloc'),
      more: [
        { name: 'builtins_copy', offset: off(is, 'builtins_copy'), count: 1 },
        ...since(12, [{ name: 'sysdict_copy', offset: off(is, 'sysdict_copy'), count: 1 }], []),
        ...since(
          12,
          [
            {
              name: 'monitoring_callables',
              offset: off(is, 'monitoring_callables'),
              count: words(is, 'monitoring_callables'),
            },
          ],
          [],
        ),
        ...since(
          12,
          [
            {
              name: 'monitoring_tool_names',
              offset: off(is, 'monitoring_tool_names'),
              count: words(is, 'monitoring_tool_names'),
            },
          ],
          [],
        ),
        ...['lazy_import_func', 'lazy_imports_filter', 'lazy_modules', 'lazy_pending_submodules']
          .filter(() => v >= 15)
          .map(name => ({ name, offset: off(is, `imports.${name}`), count: 1 })),
      ],
    },
    thread: {
      next: off(ts, 'next'),
      interpreter: off(ts, 'interp'),
      frameObject: oldFrame(off(ts, 'frame')),
      cframe: v === 11 || v === 12 ? off(ts, 'cframe') : absent,
      cframeCurrent: v === 11 || v === 12 ? off('_PyCFrame', 'current_frame') : absent,
      currentFrame: since(13, off(ts, 'current_frame'), absent),
      threadId: off(ts, 'thread_id'),
      nativeThreadId: newFrame(off(ts, 'native_thread_id')),
      dict: off(ts, 'dict'),
      context: off(ts, 'context'),
      currentException: v <= 11 ? off(ts, 'curexc_value') : off(ts, 'current_exception'),
      currentExceptionType: v <= 11 ? off(ts, 'curexc_type') : absent,
      currentExceptionTraceback: v <= 11 ? off(ts, 'curexc_traceback') : absent,
      exceptionInfo: off(ts, 'exc_info'),
      exceptionState: off(ts, 'exc_state'),
      stackItemType: oldFrame(off('_PyErr_StackItem', 'exc_type')),
      stackItemValue: off('_PyErr_StackItem', 'exc_value'),
      stackItemTraceback: oldFrame(off('_PyErr_StackItem', 'exc_traceback')),
      stackItemPrevious: off('_PyErr_StackItem', 'previous_item'),
      asyncException: off(ts, 'async_exc'),
      traceObject: off(ts, 'c_traceobj'),
      profileObject: off(ts, 'c_profileobj'),
      asyncGenFirstIter: off(ts, 'async_gen_firstiter'),
      asyncGenFinalizer: off(ts, 'async_gen_finalizer'),
      dataStackChunk: newFrame(off(ts, 'datastack_chunk')),
      dataStackTop: newFrame(off(ts, 'datastack_top')),
      deleteLater:
        v <= 11 ? off(ts, 'trash_delete_later') : v === 12 ? off(ts, 'trash.delete_later') : off(ts, 'delete_later'),
      localKey: since(13, off(ts, 'threading_local_key'), absent),
      localSentinel: since(13, off(ts, 'threading_local_sentinel'), absent),
      asyncioLoop: since(14, off('_PyThreadStateImpl', 'asyncio_running_loop'), absent),
      lazyImports: since(15, off('_PyThreadStateImpl', 'lazy_imports'), absent),
      asyncioTask: since(14, off('_PyThreadStateImpl', 'asyncio_running_task'), absent),
    },
    pymalloc: {
      form: v <= 11 ? 'symbol' : v === 12 ? 'embedded' : 'pointer',
      // POOL_SIZE, ARENA_SIZE: obmalloc.c; 16 KiB and 1 MiB with the radix tree (3.10 on).
      poolSize: v <= 9 ? 4096 : 16384,
      arenaSize: v <= 9 ? 2 ** 18 : 2 ** 20,
      refCount: off('struct pool_header', 'ref'),
      freeBlock: off('struct pool_header', 'freeblock'),
      nextPool: off('struct pool_header', 'nextpool'),
      prevPool: off('struct pool_header', 'prevpool'),
      arenaIndex: off('struct pool_header', 'arenaindex'),
      sizeIndex: off('struct pool_header', 'szidx'),
      nextOffset: off('struct pool_header', 'nextoffset'),
      maxNextOffset: off('struct pool_header', 'maxnextoffset'),
      headerSize: size('struct pool_header'),
      arenaAddress: off('struct arena_object', 'address'),
      poolAddress: off('struct arena_object', 'pool_address'),
      freePools: off('struct arena_object', 'nfreepools'),
      totalPools: off('struct arena_object', 'ntotalpools'),
      arenaObjectSize: size('struct arena_object'),
      arenas: v <= 11 ? absent : off('struct _obmalloc_state', 'mgmt.arenas'),
      maxArenas: v <= 11 ? absent : off('struct _obmalloc_state', 'mgmt.maxarenas'),
    },
  };
}
