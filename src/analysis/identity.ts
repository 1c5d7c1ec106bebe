/**
 * Which object of one snapshot is which of the next, within one process: the same address and the same type.
 *
 * Addresses are used again, often at once and for the same type (free lists, pymalloc pools). What gives a new object
 * at an old address away: it is in a younger generation of the collector than its predecessor was (objects only grow
 * older, `gc.unfreeze` aside), or it is of an immutable type and has another length, or size. What remains are objects
 * replaced by their like, which count as survivors on both sides: everything counted here is a difference between
 * two sides, and stays right.
 */
import { NodeFlag } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';

/** Layouts whose instances never change their length; nor their size, but for those below. */
const IMMUTABLE = new Set(['tuple', 'str', 'bytes', 'int', 'float', 'frozenset', 'code', 'complex']);
/** Grow when CPython caches something in them: a str its UTF-8 form, a code object what tools and counters attach. */
const CACHING = new Set(['str', 'code']);
export const NOBODY = 0xffff_ffff;

/** Per node of `after`: the same object in `before`, or NOBODY. Linear after both have been sorted by address. */
export function matchNodes(before: HeapGraph, after: HeapGraph): Uint32Array {
  const previous = new Uint32Array(after.nodeCount).fill(NOBODY);
  const a = before.columns;
  const b = after.columns;
  const indexBefore = new Map(a.types.map((type, i) => [`${type.address}:${type.name}`, i]));
  const typeBefore = Uint32Array.from(b.types, type => indexBefore.get(`${type.address}:${type.name}`) ?? NOBODY);
  const immutable = Uint8Array.from(b.types, type => (IMMUTABLE.has(type.layout) ? 1 : 0));
  const caching = Uint8Array.from(b.types, type => (CACHING.has(type.layout) ? 1 : 0));
  const left = before.nodesByAddress;
  const right = after.nodesByAddress;
  const same = (x: number, y: number): boolean => {
    const type = b.type[y]!;
    if (typeBefore[type] !== a.type[x]) return false;
    if (immutable[type] !== 0) {
      if (a.length[x] !== b.length[y]) return false;
      if (caching[type] === 0 && a.size[x] !== b.size[y]) return false;
    }
    const was = a.flags[x]!;
    const is = b.flags[y]!;
    if ((was & NodeFlag.tracked) === 0 || (is & NodeFlag.tracked) === 0) return true;
    const generationWas = (was & NodeFlag.generationMask) >> NodeFlag.generationShift;
    const generationIs = (is & NodeFlag.generationMask) >> NodeFlag.generationShift;
    return generationIs >= generationWas || generationWas === 3;
  };
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    const x = left[i]!;
    const y = right[j]!;
    const difference = a.address[x]! - b.address[y]!;
    if (difference < 0) i++;
    else if (difference > 0) j++;
    else if (same(x, y)) {
      previous[y] = x;
      i++;
      j++;
    } else if (i + 1 < left.length && a.address[left[i + 1]!] === a.address[x]) i++;
    else if (j + 1 < right.length && b.address[right[j + 1]!] === b.address[y]) j++;
    else {
      i++;
      j++;
    }
  }
  previous[0] = 0;
  return previous;
}

/** Objects by the snapshot they were first seen in. */
export interface Ages {
  /** Per node of the last graph: index of the first of the snapshots, without a gap, that has it. */
  readonly birth: Uint8Array;
  /** [k][j]: objects first seen in snapshot k that are still there in snapshot j; 0 for j < k. */
  readonly survivors: readonly (readonly number[])[];
  /** Per interval between snapshots: objects that came and that went. */
  readonly intervals: readonly { readonly added: number; readonly gone: number }[];
}

/** Ages of all objects over up to 255 snapshots, oldest first. */
export function agesOf(graphs: readonly HeapGraph[]): Ages {
  const survivors = graphs.map(() => graphs.map(() => 0));
  const intervals: { added: number; gone: number }[] = [];
  let birth: Uint8Array = new Uint8Array(graphs[0]?.nodeCount ?? 0);
  if (graphs.length > 0) survivors[0]![0] = birth.length;
  for (let k = 1; k < graphs.length; k++) {
    const previous = matchNodes(graphs[k - 1]!, graphs[k]!);
    const born = inherited(birth, previous, k);
    let kept = 0;
    for (let node = 0; node < previous.length; node++) {
      if (previous[node] !== NOBODY) kept++;
      survivors[born[node]!]![k]!++;
    }
    intervals.push({ added: previous.length - kept, gone: birth.length - kept });
    birth = born;
  }
  return { birth, survivors, intervals };
}

/**
 * Per node of the last graph: the index of the first snapshot from which on it was there, without a gap; 0 for those of
 * all snapshots. Nodes without an address (threads, registries, stand-ins) have no birth: 0.
 */
export function birthSnapshots(graphs: readonly HeapGraph[]): Uint8Array {
  const { nodeCount, address } = graphs.at(-1)!.columns;
  let birth: Uint8Array = new Uint8Array(graphs[0]!.nodeCount);
  for (let k = 1; k < graphs.length; k++) birth = inherited(birth, matchNodes(graphs[k - 1]!, graphs[k]!), k);
  for (let node = 0; node < nodeCount; node++) if (address[node] === 0) birth[node] = 0;
  return birth;
}

/** Births in snapshot k from those in the one before it. */
function inherited(birth: Uint8Array, previous: Uint32Array, k: number): Uint8Array {
  const born = new Uint8Array(previous.length);
  for (let node = 0; node < previous.length; node++) {
    const was = previous[node]!;
    born[node] = was === NOBODY ? k : birth[was]!;
  }
  return born;
}

/** Objects that every one of the snapshots has. */
export interface Survivors {
  /** How many, the root (number 0) and the two stand-ins for native code and garbage (numbers 1 and 2) included. */
  readonly count: number;
  /** Per graph, per node: the object's number, the same in all graphs, or NOBODY. */
  readonly numberOf: readonly Uint32Array[];
  /** Per graph, per number: the node; nodeCount and nodeCount + 1 for numbers 1 and 2. */
  readonly nodeOf: readonly Uint32Array[];
}

/** Numbers the objects that are in all of the graphs. */
export function survivorsOf(graphs: readonly HeapGraph[]): Survivors {
  const last = graphs.at(-1)!;
  const matches = graphs.slice(1).map((graph, k) => matchNodes(graphs[k]!, graph));
  // From the last graph back to the first: what has a predecessor everywhere.
  const nodeOf = graphs.map(() => new Uint32Array(last.nodeCount + 2));
  let count = 0;
  const number = (nodes: readonly number[]): void => {
    for (let k = 0; k < nodes.length; k++) nodeOf[k]![count] = nodes[k]!;
    count++;
  };
  number(graphs.map(() => 0));
  number(graphs.map(graph => graph.nodeCount));
  number(graphs.map(graph => graph.nodeCount + 1));
  const chain = new Uint32Array(graphs.length);
  for (let node = 1; node < last.nodeCount; node++) {
    let at = node;
    let k = graphs.length - 1;
    chain[k] = at;
    while (k > 0 && at !== NOBODY) {
      at = matches[--k]![at]!;
      chain[k] = at;
    }
    if (at === NOBODY) continue;
    for (let g = 0; g < chain.length; g++) nodeOf[g]![count] = chain[g]!;
    count++;
  }
  const numberOf = graphs.map((graph, k) => {
    const numbers = new Uint32Array(graph.nodeCount + 2).fill(NOBODY);
    for (let s = 0; s < count; s++) numbers[nodeOf[k]![s]!] = s;
    return numbers;
  });
  return { count, numberOf, nodeOf: nodeOf.map(nodes => nodes.subarray(0, count)) };
}
