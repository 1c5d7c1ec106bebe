/**
 * Where in memory it shows that a container grew or that an object of a class was made: the words to set a hardware
 * watchpoint on.
 */
import type { HeapColumns, NodeIndex } from './columns.ts';
import type { Runtime } from './interpreter.ts';

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
    g.stateIn === 'runtime' ? [runtime.address + g.state] : runtime.interpreters.map(interpreter => interpreter.address + g.state);
  return states.map(state => ({ head: state + g.generations[0], word: { address: state + g.generations[0] + g.prev, length: 8 } }));
}
