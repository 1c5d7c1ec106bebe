/**
 * Finding CPython in a process: `_PyRuntime`, the version, the layout that goes with it, interpreters and threads.
 * Nothing is believed before the pointers agree with each other.
 */
import { ExitCode, LeakscopeError, type LoadedModule, type Reader } from '../process/index.ts';
import { readDebugOffsets } from './debug-offsets.ts';
import { forEachItem, lookUp, tableShape } from './dict-table.ts';
import type { Layout } from './layout.ts';
import { fitLayout } from './layout-fit.ts';
import { readInt, readText } from './text.ts';
import { layoutFor, supportedVersions } from './versions/index.ts';

/** One `PyThreadState`. */
export interface ThreadState {
  readonly address: number;
  readonly interpreter: number;
  /** pthread_self() of the thread: equals the `fs_base` register of its kernel thread. */
  readonly threadId: number;
  /** The kernel's id of it, 0 before 3.11. */
  readonly nativeId: number;
  /** As `threading.Thread.name` says it; '' when the thread is not one of the threading module. */
  readonly name: string;
}

export interface Interpreter {
  readonly address: number;
  readonly id: number;
  readonly threads: readonly ThreadState[];
  /** `sys.modules`, `sys.__dict__`, `builtins.__dict__`. */
  readonly modules: number;
  readonly sysDict: number;
  readonly builtins: number;
}

/** CPython as found in one process. */
export interface Runtime {
  readonly address: number;
  /** `3.11.7` */
  readonly version: string;
  readonly layout: Layout;
  readonly interpreters: readonly Interpreter[];
  /** Addresses of `type` and `dict`, from which all other types are known. */
  readonly typeType: number;
  readonly dictType: number;
  /** The loaded file that holds the interpreter. */
  readonly module: LoadedModule;
  /** Sentences about anything odd: offsets that the interpreter gives otherwise than the table, … */
  readonly notes: readonly string[];
}

const MAX_THREADS = 100_000;
const MAX_INTERPRETERS = 10_000;

/** Finds the interpreter of a target. Throws a LeakscopeError (exit code 4) when it is not a CPython that can be read. */
export function findRuntime(reader: Reader, modules: readonly LoadedModule[], executable: string): Runtime {
  for (const module of modules) {
    const address = module.symbol('_PyRuntime') ?? module.section('.PyRuntime')?.address;
    if (address === undefined || !reader.has(address)) continue;
    return readRuntime(reader, module, address);
  }
  throw new LeakscopeError(
    `${executable || 'the process'} is not a running CPython: no _PyRuntime in it or in its libraries`,
    ExitCode.unsupportedTarget,
    'leakscope reads CPython 3.8 to 3.15; give the pid of the Python process itself, not of a shell or supervisor (pgrep -f python)',
  );
}

function readRuntime(reader: Reader, module: LoadedModule, address: number): Runtime {
  const offsets = readDebugOffsets(reader, address);
  const notes: string[] = [];
  const candidates: Layout[] = [];
  const stated = offsets?.version ?? versionWord(reader, module);
  if (offsets?.freeThreaded) {
    throw new LeakscopeError(
      `this is a free-threaded build of CPython ${stated?.join('.')}, which leakscope does not read`,
      ExitCode.unsupportedTarget,
      'run the program with the ordinary build of the same version to look into it',
    );
  }
  const named = /(?:python|libpython)(3)\.(\d+)/.exec(module.path);
  const minor = stated?.[1] ?? (named === null ? undefined : Number(named[2]));
  if (stated !== undefined && (stated[0] !== 3 || layoutFor(stated[0], stated[1]) === undefined))
    throw unsupported(stated.join('.'));
  const first = minor === undefined ? undefined : layoutFor(3, minor);
  if (first !== undefined) candidates.push(first);
  if (stated === undefined) {
    for (const version of supportedVersions()) {
      const layout = layoutFor(3, Number(version.slice(2)));
      if (layout !== undefined && layout !== first) candidates.push(layout);
    }
  }

  // A layout that explains everything first; failing that one that explains enough, and what it does not is said.
  let failure = '';
  const fits = candidates.map(table => fitLayout(reader, table, address, offsets));
  for (const { layout, variant, disagreements, failures } of fits.sort(
    (a, b) => a.failures.length - b.failures.length,
  )) {
    failure ||= failures[0] ?? '';
    const found = readInterpreters(reader, layout, address);
    if (typeof found === 'string') {
      failure ||= found;
      continue;
    }
    if (variant !== '') notes.push(`this is a ${variant} of CPython ${layout.version}`);
    notes.push(
      ...disagreements,
      ...failures.map(text => `the layout of CPython ${layout.version} does not fit everywhere: ${text}`),
    );
    return { address, layout, module, notes, ...found, version: found.version ?? stated?.join('.') ?? layout.version };
  }
  if (candidates.length === 0) throw unsupported(minor === undefined ? 'of an unknown version' : `3.${minor}`);
  throw new LeakscopeError(
    `the interpreter in ${module.path} does not look as CPython ${candidates[0].version} should: ${failure}`,
    ExitCode.unsupportedTarget,
    'try again if it was just starting or ending; otherwise this build moved its fields, please report it with the output of python -VV',
  );
}

function unsupported(version: string): LeakscopeError {
  return new LeakscopeError(
    `CPython ${version} is not supported`,
    ExitCode.unsupportedTarget,
    'leakscope reads CPython 3.8 to 3.15',
  );
}

/** `Py_Version` (3.11 and later) as [major, minor, micro]. */
function versionWord(reader: Reader, module: LoadedModule): [number, number, number] | undefined {
  const address = module.symbol('Py_Version');
  if (address === undefined || !reader.has(address)) return undefined;
  return splitHexVersion(reader.word(address));
}

function splitHexVersion(hex: number): [number, number, number] | undefined {
  const version: [number, number, number] = [(hex >>> 24) & 0xff, (hex >>> 16) & 0xff, (hex >>> 8) & 0xff];
  return version[0] === 3 ? version : undefined;
}

/** Reads what hangs off _PyRuntime, or says in a few words which pointer is wrong. */
function readInterpreters(
  reader: Reader,
  layout: Layout,
  runtime: number,
): { interpreters: Interpreter[]; typeType: number; dictType: number; version: string | undefined } | string {
  const interpreters: Interpreter[] = [];
  let typeType = 0;
  let dictType = 0;
  let version: string | undefined;
  const seen = new Set<number>();
  for (
    let at = reader.word(runtime + layout.runtime.interpretersHead);
    at !== 0 && seen.size < MAX_INTERPRETERS;
    at = reader.word(at + layout.interpreter.next)
  ) {
    if (!reader.has(at) || seen.has(at)) return 'the list of interpreters is broken';
    seen.add(at);
    const modules = reader.word(at + layout.interpreter.modules);
    const sysDict = reader.word(at + layout.interpreter.sysDict);
    const builtins = reader.word(at + layout.interpreter.builtins);
    if (!reader.has(modules) || !reader.has(sysDict)) {
      if (interpreters.length > 0) continue; // one that is being made or torn down
      return 'sys.modules is not there';
    }
    const dict = reader.word(sysDict + layout.object.type);
    const type = reader.word(dict + layout.object.type);
    if (!reader.has(dict) || reader.word(type + layout.object.type) !== type)
      return 'the type of its types is not itself';
    if (reader.cString(reader.word(type + layout.type.name)) !== 'type') return 'there is no type named type';
    if (reader.cString(reader.word(dict + layout.type.name)) !== 'dict') return 'sys.__dict__ is not a dict';
    typeType ||= type;
    dictType ||= dict;
    if (version === undefined) {
      const hex = lookUp(reader, layout, sysDict, 'hexversion');
      const parts = hex === 0 ? undefined : splitHexVersion(readInt(reader, layout, hex) ?? 0);
      if (parts !== undefined && `${parts[0]}.${parts[1]}` !== layout.version)
        return `sys.hexversion says ${parts.join('.')}`;
      version = parts?.join('.');
    }
    const names = threadNames(reader, layout, modules);
    const threads: ThreadState[] = [];
    for (
      let ts = reader.word(at + layout.interpreter.threadsHead);
      ts !== 0 && threads.length < MAX_THREADS;
      ts = reader.word(ts + layout.thread.next)
    ) {
      if (!reader.has(ts) || reader.word(ts + layout.thread.interpreter) !== at)
        return 'a thread does not point back at its interpreter';
      const threadId = reader.word(ts + layout.thread.threadId);
      const nativeId = layout.thread.nativeThreadId < 0 ? 0 : reader.word(ts + layout.thread.nativeThreadId);
      threads.push({ address: ts, interpreter: at, threadId, nativeId, name: names.get(threadId) ?? '' });
    }
    interpreters.push({
      address: at,
      id: reader.word(at + layout.interpreter.id),
      threads,
      modules,
      sysDict,
      builtins,
    });
  }
  if (interpreters.length === 0) return 'there is no interpreter yet';
  return { interpreters, typeType, dictType, version };
}

/** `threading._active`: thread ident to `Thread._name`. */
function threadNames(reader: Reader, layout: Layout, modules: number): Map<number, string> {
  const names = new Map<number, string>();
  const threading = lookUp(reader, layout, modules, 'threading');
  if (threading === 0) return names;
  const active = lookUp(reader, layout, reader.word(threading + layout.module.dict), '_active');
  if (active === 0) return names;
  forEachItem(reader, layout, active, (ident, thread) => {
    const id = readInt(reader, layout, ident);
    const name = instanceAttribute(reader, layout, thread, '_name');
    const text = name === 0 ? undefined : readText(reader, layout, name, 200);
    if (id !== undefined && text !== undefined) names.set(id, text);
    return false;
  });
  return names;
}

/** Where an instance keeps its attributes: the address of its dict, or of its values when they are not in a dict; 0 for neither. */
export function attributeStorage(reader: Reader, layout: Layout, object: number): { dict: number; values: number } {
  const type = reader.word(object + layout.object.type);
  const m = layout.managed;
  const flags = reader.uint32(type + layout.type.flags);
  if (m.form === 'none' || (flags & m.dictFlag) === 0) {
    const offset = reader.signed(type + layout.type.dictOffset);
    return { dict: offset > 0 ? reader.word(object + offset) : 0, values: 0 };
  }
  const word = reader.word(object - 24);
  if (m.form === '3.11') return { dict: word, values: word === 0 ? reader.word(object - 32) : 0 };
  if (m.form === '3.12') return word % 2 === 1 ? { dict: 0, values: word + 1 } : { dict: word, values: 0 };
  const inline = object + reader.word(type + layout.type.basicSize);
  const valid = (flags & m.inlineFlag) !== 0 && reader.uint8(inline + m.values.valid) !== 0;
  return { dict: word, values: word === 0 && valid ? inline : 0 };
}

/** An attribute in an instance's `__dict__` or inline values, or 0. */
export function instanceAttribute(reader: Reader, layout: Layout, object: number, name: string): number {
  const { dict, values } = attributeStorage(reader, layout, object);
  if (dict !== 0) return lookUp(reader, layout, dict, name);
  if (values === 0) return 0;
  const keys = reader.word(reader.word(object + layout.object.type) + layout.heapType.cachedKeys);
  const shape = tableShape(reader, layout, keys);
  for (let i = 0; shape !== undefined && i < shape.count; i++) {
    const key = reader.word(shape.entries + i * shape.entrySize + shape.keyOffset);
    if (key !== 0 && readText(reader, layout, key, name.length + 1) === name)
      return reader.word(values + layout.managed.values.items + 8 * i);
  }
  return 0;
}
