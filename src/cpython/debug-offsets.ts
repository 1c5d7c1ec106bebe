/**
 * `_Py_DebugOffsets`: what CPython 3.13 and later says of its own structures, at the address of `_PyRuntime`.
 *
 * Each minor version has its own order of fields (Include/internal/pycore_runtime.h of 3.13, pycore_debug_offsets.h from
 * 3.14 on); test/cpython/debug-offsets.test.ts compares these lists with the headers of every interpreter. Where the
 * interpreter and the table disagree, the interpreter is right, and it is said.
 */
import type { Reader } from '../process/index.ts';
import type { Layout } from './layout.ts';
import { numberAt, withMoved } from './versions/index.ts';

/** What an interpreter says of itself. */
export interface DebugOffsets {
  /** [3, 13, 18] */
  readonly version: readonly [number, number, number];
  /** Built with --disable-gil: another object header and other reference counts. */
  readonly freeThreaded: boolean;
  /** By CPython's name, as 'interpreter_state.threads_head', in bytes. Empty when this minor version's order is unknown. */
  readonly fields: ReadonlyMap<string, number>;
}

const COOKIE = 'xdebugpy';

/** Reads the debug offsets at `runtime`, the address of `_PyRuntime`; undefined when there are none (before 3.13). */
export function readDebugOffsets(reader: Reader, runtime: number): DebugOffsets | undefined {
  const cookie = reader.view(runtime, COOKIE.length);
  if (cookie === undefined || Buffer.from(cookie).toString('latin1') !== COOKIE) return undefined;
  const hex = reader.word(runtime + 8);
  const version = [(hex >>> 24) & 0xff, (hex >>> 16) & 0xff, (hex >>> 8) & 0xff] as const;
  const fields = new Map<string, number>();
  debugOffsetNames(`${version[0]}.${version[1]}`).forEach((name, i) => {
    fields.set(name, reader.word(runtime + 24 + 8 * i));
  });
  return { version, freeThreaded: reader.word(runtime + 16) !== 0, fields };
}

/**
 * The table with the interpreter's own offsets put in, and one sentence for each place where they differ. A field of which
 * the interpreter says nothing moves with the nearest one before it in the same structure of which it does.
 */
export function reconcile(layout: Layout, offsets: DebugOffsets): { layout: Layout; disagreements: string[] } {
  const release = offsets.version.join('.');
  const moved: Record<string, number> = {};
  const disagreements: string[] = [];
  for (const [structure, anchors] of Object.entries(meanings)) {
    const shifts: { at: number; by: number }[] = [];
    for (const [name, path] of anchors) {
      const stated = offsets.fields.get(name);
      const table = numberAt(layout, path);
      if (stated === undefined || table === undefined || table < 0) continue;
      if (!path.endsWith('size') && !path.endsWith('Size')) shifts.push({ at: table, by: stated - table });
      if (stated === table) continue;
      moved[path] = stated;
      disagreements.push(
        `CPython ${release} has ${name} at ${stated}, not at ${table} as other ${layout.version} releases`,
      );
    }
    if (!shifts.some(shift => shift.by !== 0)) continue;
    shifts.sort((a, b) => a.at - b.at);
    for (const path of offsetsWithin(layout, structure)) {
      if (path in moved || anchors.some(([, anchored]) => anchored === path)) continue;
      const table = numberAt(layout, path) ?? -1;
      const by = table < 0 ? 0 : (shifts.findLast(shift => shift.at <= table)?.by ?? 0);
      if (by !== 0) moved[path] = table + by;
    }
  }
  return { layout: withMoved(layout, moved), disagreements };
}

/**
 * Which path of the layout a debug offset stands for, by the structure that both are offsets in. The offsets of `gc` are those
 * within `struct _gc_runtime_state`; where that state lies is an offset in the interpreter.
 */
const meanings: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  runtime: [
    ['runtime_state.finalizing', 'runtime.finalizing'],
    ['runtime_state.interpreters_head', 'runtime.interpretersHead'],
  ],
  interpreter: [
    ['interpreter_state.id', 'interpreter.id'],
    ['interpreter_state.next', 'interpreter.next'],
    ['interpreter_state.threads_head', 'interpreter.threadsHead'],
    ['interpreter_state.gc', 'gc.state'],
    ['interpreter_state.imports_modules', 'interpreter.modules'],
    ['interpreter_state.sysdict', 'interpreter.sysDict'],
    ['interpreter_state.builtins', 'interpreter.builtins'],
  ],
  thread: [
    ['thread_state.next', 'thread.next'],
    ['thread_state.interp', 'thread.interpreter'],
    ['thread_state.current_frame', 'thread.currentFrame'],
    ['thread_state.thread_id', 'thread.threadId'],
    ['thread_state.native_thread_id', 'thread.nativeThreadId'],
    ['thread_state.datastack_chunk', 'thread.dataStackChunk'],
    ['thread_state.current_exception', 'thread.currentException'],
    ['thread_state.exc_state', 'thread.exceptionState'],
  ],
  stackItem: [['err_stackitem.exc_value', 'thread.stackItemValue']],
  frame: [
    ['interpreter_frame.previous', 'frame.previous'],
    ['interpreter_frame.executable', 'frame.executable'],
    ['interpreter_frame.instr_ptr', 'frame.instruction'],
    ['interpreter_frame.localsplus', 'frame.localsPlus'],
    ['interpreter_frame.owner', 'frame.owner'],
    ['interpreter_frame.stackpointer', 'frame.stackTop'],
  ],
  code: [
    ['code_object.filename', 'code.fileName'],
    ['code_object.name', 'code.name'],
    ['code_object.qualname', 'code.qualname'],
    ['code_object.linetable', 'code.lineTable'],
    ['code_object.firstlineno', 'code.firstLine'],
    ['code_object.argcount', 'code.argCount'],
    ['code_object.localsplusnames', 'code.localsPlusNames'],
    ['code_object.localspluskinds', 'code.localsPlusKinds'],
    ['code_object.co_code_adaptive', 'code.codeAdaptive'],
  ],
  object: [
    ['pyobject.size', 'object.size'],
    ['pyobject.ob_type', 'object.type'],
  ],
  type: [
    ['type_object.size', 'type.size'],
    ['type_object.tp_name', 'type.name'],
    ['type_object.tp_flags', 'type.flags'],
    ['type_object.tp_basicsize', 'type.basicSize'],
    ['type_object.tp_dictoffset', 'type.dictOffset'],
  ],
  heapType: [
    ['heap_type_object.size', 'heapType.size'],
    ['heap_type_object.ht_cached_keys', 'heapType.cachedKeys'],
  ],
  tuple: [['tuple_object.ob_item', 'tuple.items']],
  var: [['tuple_object.ob_size', 'var.count']],
  list: [
    ['list_object.size', 'list.size'],
    ['list_object.ob_item', 'list.items'],
  ],
  set: [
    ['set_object.size', 'set.size'],
    ['set_object.used', 'set.used'],
    ['set_object.table', 'set.table'],
    ['set_object.mask', 'set.mask'],
  ],
  dict: [
    ['dict_object.size', 'dict.size'],
    ['dict_object.ma_keys', 'dict.keys'],
    ['dict_object.ma_values', 'dict.values'],
  ],
  int: [
    ['long_object.lv_tag', 'int.tag'],
    ['long_object.ob_digit', 'int.digits'],
  ],
  bytes: [['bytes_object.ob_sval', 'bytes.items']],
  unicode: [
    ['unicode_object.state', 'unicode.state'],
    ['unicode_object.length', 'unicode.length'],
    ['unicode_object.asciiobject_size', 'unicode.asciiSize'],
    ['unicode_object.compactunicodeobject_size', 'unicode.compactSize'],
  ],
  gc: [['gc.collecting', 'gc.collecting']],
  generator: [
    ['gen_object.gi_name', 'generator.name'],
    ['gen_object.gi_iframe', 'generator.frame'],
    ['gen_object.gi_frame_state', 'generator.state'],
  ],
};

/** In a room of the layout, numbers that are no offsets in that room's structure. */
const notOffsets: Readonly<Record<string, RegExp>> = {
  runtime: /debugOffsets$/,
  interpreter: /\.(count|stride|type|dict|subclasses|weakList)$/,
  thread: /\.(cframeCurrent|stackItem\w+)$/,
  frame: /\.(stackRefTags|owners\.\w+)$/,
  code: /\.instructionUnit$/,
  gc: /\.(headSize|next|prev|nextMask|prevMask|state|threshold|count)$/,
  generator: /\.states\.\w+$/,
  set: /\.entry\w+$/,
};

/** Paths of the layout's room that are offsets in its structure. `interpreter.dict` is one, `staticTypes.dict` is not. */
function offsetsWithin(layout: Layout, room: string): string[] {
  const paths: string[] = [];
  const visit = (value: unknown, path: string): void => {
    if (typeof value === 'number') {
      const excluded =
        notOffsets[room]?.test(path) === true && !(room === 'interpreter' && path.split('.').length === 2);
      if (!excluded && !/size$/i.test(path)) paths.push(path);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) visit(inner, `${path}.${key}`);
    }
  };
  visit((layout as unknown as Record<string, unknown>)[room], room);
  return paths;
}

/** The fields after `free_threaded`, in order, as 'group.field'; empty for a version whose order is not known. */
export function debugOffsetNames(version: string): readonly string[] {
  const groups = orders[version];
  if (groups === undefined) return [];
  return groups.flatMap(([group, fields]) => fields.split(' ').map(field => `${group}.${field}`));
}

type Groups = readonly (readonly [string, string])[];

const head = (interpreter: string, thread: string, frame: string, code: string): Groups => [
  ['runtime_state', 'size finalizing interpreters_head'],
  ['interpreter_state', `size id next threads_head ${interpreter}`],
  ['thread_state', thread],
  ['interpreter_frame', `size previous executable instr_ptr localsplus owner${frame}`],
  [
    'code_object',
    `size filename name qualname linetable firstlineno argcount localsplusnames localspluskinds co_code_adaptive${code}`,
  ],
  ['pyobject', 'size ob_type'],
];
const gil = 'ceval_gil gil_runtime_state gil_runtime_state_enabled gil_runtime_state_locked gil_runtime_state_holder';
const thread13 = 'size prev next interp current_frame thread_id native_thread_id datastack_chunk status';
const thread15 =
  'size prev next interp current_frame base_frame last_profiled_frame last_profiled_frame_seq thread_id native_thread_id ' +
  'datastack_chunk status holds_gil gil_requested current_exception exc_state';
const containers: Groups = [
  ['tuple_object', 'size ob_item ob_size'],
  ['list_object', 'size ob_item ob_size'],
];
const set: Groups = [['set_object', 'size used table mask']];
const scalars: Groups = [
  ['dict_object', 'size ma_keys ma_values'],
  ['float_object', 'size ob_fval'],
  ['long_object', 'size lv_tag ob_digit'],
  ['bytes_object', 'size ob_size ob_sval'],
];
const tail: Groups = [
  ['gen_object', 'size gi_name gi_iframe gi_frame_state'],
  ['llist_node', 'next prev'],
  [
    'debugger_support',
    'eval_breaker remote_debugger_support remote_debugging_enabled debugger_pending_call debugger_script_path debugger_script_path_size',
  ],
];
const interpreter14 = `threads_main gc imports_modules sysdict builtins ${gil} code_object_generation tlbc_generation`;

const orders: Readonly<Record<string, Groups>> = {
  '3.13': [
    ...head(`gc imports_modules sysdict builtins ${gil}`, thread13, '', ''),
    ['type_object', 'size tp_name tp_repr tp_flags'],
    ...containers,
    ...scalars,
    ['unicode_object', 'size state length asciiobject_size'],
    ['gc', 'size collecting'],
  ],
  '3.14': [
    ...head(interpreter14, thread13, ' stackpointer tlbc_index', ' co_tlbc'),
    ['type_object', 'size tp_name tp_repr tp_flags'],
    ...containers,
    ...set,
    ...scalars,
    ['unicode_object', 'size state length asciiobject_size'],
    ['gc', 'size collecting'],
    ...tail,
  ],
  '3.15': [
    ...head(interpreter14, thread15, ' stackpointer tlbc_index', ' co_tlbc').flatMap(group =>
      group[0] === 'thread_state' ? [group, ['err_stackitem', 'exc_value'] as const] : [group],
    ),
    ['type_object', 'size tp_name tp_repr tp_flags tp_basicsize tp_dictoffset'],
    ['heap_type_object', 'size ht_cached_keys'],
    ...containers,
    ...set,
    ...scalars,
    ['unicode_object', 'size state length asciiobject_size compactunicodeobject_size'],
    ['gc', 'size collecting frame generation_stats_size generation_stats'],
    ...tail,
  ],
};
