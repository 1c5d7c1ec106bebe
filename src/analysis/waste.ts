/**
 * Memory that is no leak and could still be had back: duplicate texts, sparse tables, lists longer than what is in them, empty
 * containers, instances that would gain from `__slots__`. Sizes are those of 64-bit CPython; gains are estimates.
 *
 * Duplicate texts are counted while decoding, since a snapshot does not record contents: their sums come in.
 */
import { type DuplicateText, NodeFlag } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';

export interface Waste {
  readonly kind: 'sparse-dict' | 'sparse-set' | 'overallocated-list' | 'empty-container' | 'slots' | 'duplicate-text';
  /** Type of the containers, or of the instances. */
  readonly type: string;
  readonly count: number;
  /** Bytes they take now. */
  readonly bytes: number;
  /** Bytes to gain. */
  readonly gain: number;
}

const POINTER = 8;
const GC_HEADER = 16;
/** An attribute takes a pointer in an instance with slots. */
const DICT_ENTRY = 24;
/** `sys.getsizeof({})` without keys of its own, header included. */
const EMPTY_DICT = 64;

/** One row a kind and type, most bytes to gain first. */
export function findWaste(graph: HeapGraph, duplicates: readonly DuplicateText[] = []): Waste[] {
  const { columns } = graph;
  const { nodeCount, type, types, size, length, flags } = columns;
  const rows = new Map<string, { kind: Waste['kind']; type: number; count: number; bytes: number; gain: number }>();
  const add = (kind: Waste['kind'], t: number, bytes: number, gain: number): void => {
    if (gain <= 0) return;
    const key = `${kind}:${types[t]!.name}`;
    let row = rows.get(key);
    if (row === undefined) {
      row = { kind, type: t, count: 0, bytes: 0, gain: 0 };
      rows.set(key, row);
    }
    row.count++;
    row.bytes += bytes;
    row.gain += gain;
  };
  const layouts = types.map(info => info.layout);
  for (let node = 1; node < nodeCount; node++) {
    const bytes = size[node]!;
    if ((flags[node]! & (NodeFlag.static | NodeFlag.immortal | NodeFlag.synthetic)) !== 0 || bytes === 0) continue;
    const t = type[node]!;
    const n = length[node]!;
    switch (layouts[t]) {
      case 'dict':
        if (n === 0) add('empty-container', t, bytes, bytes);
        else add('sparse-dict', t, bytes, bytes - dictBytes(n) >= bytes / 2 ? bytes - dictBytes(n) : 0);
        break;
      case 'set':
      case 'frozenset':
        if (n === 0) add('empty-container', t, bytes, bytes);
        else add('sparse-set', t, bytes, bytes - setBytes(n) >= bytes / 2 ? bytes - setBytes(n) : 0);
        break;
      case 'list': {
        if (n === 0) add('empty-container', t, bytes, bytes);
        else {
          const spare = bytes - (GC_HEADER + 40 + POINTER * n);
          add('overallocated-list', t, bytes, spare >= 4 * POINTER ? spare : 0);
        }
        break;
      }
      case 'collections.deque':
        if (n === 0) add('empty-container', t, bytes, bytes);
        break;
      default:
    }
  }
  addSlots(graph, add);
  return [...rows.values()]
    .map(({ kind, type: t, count, bytes, gain }): Waste => ({ kind, type: types[t]!.name, count, bytes, gain }))
    .concat(
      duplicates.map(d => ({ kind: 'duplicate-text', type: d.type, count: d.count, bytes: d.bytes, gain: d.bytes })),
    )
    .sort((a, b) => b.gain - a.gain);
}

/** A dict of n entries made anew: a table of a power of two that is at most two thirds full, one-byte indices to 256, two to 65,536. */
function dictBytes(entries: number): number {
  const slots = 2 ** Math.max(3, Math.ceil(Math.log2((entries * 3) / 2)));
  const index = slots <= 256 ? 1 : slots <= 65_536 ? 2 : 4;
  return EMPTY_DICT + 32 + slots * index + Math.floor((slots * 2) / 3) * DICT_ENTRY;
}

/** A set of n elements made anew: eight in the object, then a table of 16 bytes an entry at most three fifths full. */
function setBytes(elements: number): number {
  const slots = 2 ** Math.max(3, Math.ceil(Math.log2((elements * 5) / 3)));
  return GC_HEADER + 200 + (slots <= 8 ? 0 : slots * 16);
}

/** Instances of the program's classes that have a dict of their own: with `__slots__` the dict would not be there. */
function addSlots(graph: HeapGraph, add: (kind: 'slots', type: number, bytes: number, gain: number) => void): void {
  const { nodeCount, type, types, size, length, flags, edgeStart, edgeTarget } = graph.columns;
  for (let node = 1; node < nodeCount; node++) {
    const info = types[type[node]!]!;
    if (!info.heapType || info.layout !== 'instance' || (flags[node]! & NodeFlag.synthetic) !== 0) continue;
    for (let edge = edgeStart[node]!, end = edgeStart[node + 1]!; edge < end; edge++) {
      const dict = edgeTarget[edge]!;
      if (graph.labelString(edge) !== '__dict__' || types[type[dict]!]!.layout !== 'dict') continue;
      add('slots', type[node]!, size[node]! + size[dict]!, size[dict]! - POINTER * length[dict]!);
      break;
    }
  }
}
