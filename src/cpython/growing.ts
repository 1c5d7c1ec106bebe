/**
 * Where in memory it shows that a container grew or that an object of a class was made: the words to set a hardware
 * watchpoint on.
 */
import type { ProcessImage, Reader } from '../process/index.ts';
import type { HeapColumns, NodeIndex } from './columns.ts';
import { tableShape } from './dict-table.ts';
import { attributeStorage, type Runtime } from './interpreter.ts';
import { readText } from './text.ts';
import { TypeFlag } from './types.ts';

/** A word that is written when something happens to an object. */
export interface WatchedWord {
  readonly address: number;
  readonly length: 4 | 8;
}

/** The word that holds the number of items of a container; undefined when its layout has none that is known. */
export function sizeWord(runtime: Runtime, columns: HeapColumns, node: NodeIndex): WatchedWord | undefined {
  const a = columns.address[node];
  if (a === 0) return undefined;
  const { layout } = runtime;
  switch (columns.types[columns.type[node]].layout) {
    case 'dict':
    case 'collections.defaultdict':
    case 'collections.OrderedDict':
      return { address: a + layout.dict.used, length: 8 };
    case 'list':
    case 'bytearray':
    case 'array.array':
    case 'collections.deque':
      return { address: a + layout.var.count, length: 8 };
    case 'set':
      return { address: a + layout.set.used, length: 8 };
    default:
      return undefined;
  }
}

/** The word that holds an object's reference count. */
export function refcountWord(runtime: Runtime, address: number): WatchedWord {
  return { address: address + runtime.layout.object.refcount, length: runtime.layout.immortalFrom >= 0 ? 4 : 8 };
}

/** The head of the youngest gc list: its `_gc_prev` is written when an object becomes tracked. One word an interpreter. */
export function youngestTail(runtime: Runtime): readonly { readonly word: WatchedWord; readonly head: number }[] {
  const g = runtime.layout.gc;
  const states =
    g.stateIn === 'runtime'
      ? [runtime.address + g.state]
      : runtime.interpreters.map(interpreter => interpreter.address + g.state);
  return states.map(state => ({
    head: state + g.generations[0],
    word: { address: state + g.generations[0] + g.prev, length: 8 },
  }));
}

/** The word that holds the value of an instance's attribute, in its `__dict__` or inline values; undefined when it cannot be found. */
export function attributeWord(reader: Reader, runtime: Runtime, object: number, name: string): WatchedWord | undefined {
  const { layout } = runtime;
  const type = reader.word(object + layout.object.type);
  if ((reader.int32(type + layout.type.flags) & TypeFlag.exceptionSubclass) !== 0) {
    const fields: Record<string, number> = {
      __traceback__: layout.exception.traceback,
      __context__: layout.exception.context,
      __cause__: layout.exception.cause,
      args: layout.exception.args,
    };
    const offset = fields[name];
    if (offset !== undefined && offset >= 0) return { address: object + offset, length: 8 };
  }
  const { values, dict } = attributeStorage(reader, layout, object);
  if (dict !== 0) return itemWord(reader, runtime, dict, name);
  if (values === 0) return undefined;
  const keys = reader.word(type + layout.heapType.cachedKeys);
  const shape = tableShape(reader, layout, keys);
  for (let i = 0; shape !== undefined && i < shape.count; i++) {
    const key = reader.word(shape.entries + i * shape.entrySize + shape.keyOffset);
    if (key !== 0 && readText(reader, layout, key, name.length + 1) === name) {
      return { address: values + layout.managed.values.items + 8 * i, length: 8 };
    }
  }
  return undefined;
}

/** The word that holds the value under a string key of a dict, as long as the dict does not grow. */
export function itemWord(reader: Reader, runtime: Runtime, dict: number, name: string): WatchedWord | undefined {
  const { layout } = runtime;
  const keys = reader.word(dict + layout.dict.keys);
  const values = reader.word(dict + layout.dict.values);
  const shape = tableShape(reader, layout, keys);
  for (let i = 0; shape !== undefined && i < shape.count; i++) {
    const entry = shape.entries + i * shape.entrySize;
    const key = reader.word(entry + shape.keyOffset);
    if (key === 0 || readText(reader, layout, key, name.length + 1) !== name) continue;
    return {
      address: values === 0 ? entry + shape.valueOffset : values + layout.managed.values.items + 8 * i,
      length: 8,
    };
  }
  return undefined;
}

/**
 * lru_cache_object.maxsize: {PyObject_HEAD, 5 words of the root link} wrapper, typed, cache, hits, func, maxsize. The same
 * in all supported versions (Modules/_functoolsmodule.c).
 */
const LRU_MAXSIZE = 96;

/** The most items that an object can ever hold, by its own `maxlen` or `maxsize`; undefined when it has no bound of its own. */
export function itemBound(reader: Reader, runtime: Runtime, columns: HeapColumns, node: NodeIndex): number | undefined {
  const { layout } = columns.types[columns.type[node]];
  const offset =
    layout === 'collections.deque'
      ? runtime.layout.deque.maxLength
      : layout === 'functools._lru_cache_wrapper'
        ? LRU_MAXSIZE
        : -1;
  if (offset < 0) return undefined;
  const most = reader.signed(columns.address[node] + offset);
  return most >= 0 ? most : undefined;
}

/** Was the garbage collector running at the moment of this image? Its lists are then in pieces; another moment is better. */
export function isCollecting(image: ProcessImage, runtime: Runtime): boolean {
  const g = runtime.layout.gc;
  const bytes = new Uint8Array(4);
  const states = g.stateIn === 'runtime' ? [runtime.address] : runtime.interpreters.map(i => i.address);
  return states.some(
    state => image.read(state + g.state + g.collecting, bytes) === 4 && bytes.some(byte => byte !== 0),
  );
}
