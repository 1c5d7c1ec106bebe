import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeapBuilder, serviceHeap, syntheticOrigin } from '../../bench/heap-shapes.ts';
import {
  computeDominators,
  findWaste,
  partitionHeap,
  reconcile,
  referencesFound,
  retainedAtLeast,
  typeHistogram,
} from '../../src/analysis/index.ts';
import { LabelKind, NodeFlag } from '../../src/cpython/index.ts';
import { HeapGraph } from '../../src/heap/index.ts';
import { randomGraph } from '../support/random-graphs.ts';

const graphOf = (heap: HeapBuilder) => new HeapGraph(heap.columns(), syntheticOrigin);

describe('types', () => {
  test('count, shallow and retained bytes of every type, classes of one name together', () => {
    fc.assert(
      fc.property(randomGraph(), graph => {
        const tree = computeDominators(graph);
        const rows = typeHistogram(graph);
        expect(rows.reduce((sum, row) => sum + row.count, 0)).toBe(graph.nodeCount - 1);
        for (const row of rows) {
          const nodes = Array.from({ length: graph.nodeCount }, (_, node) => node).filter(
            node => node > 0 && graph.typeName(node) === row.name,
          );
          expect(row.count).toBe(nodes.length);
          expect(row.shallowBytes).toBe(nodes.reduce((sum, node) => sum + graph.columns.size[node]!, 0));
          expect(row.retainedBytes).toBe(retainedAtLeast(tree, nodes));
        }
      }),
      { numRuns: 800 },
    );
  });

  test('in the order asked for', () => {
    const graph = new HeapGraph(serviceHeap(3000), syntheticOrigin);
    for (const [order, weigh] of [
      ['count', 'count'],
      ['size', 'shallowBytes'],
      ['retained', 'retainedBytes'],
    ] as const) {
      const weights = typeHistogram(graph, order).map(row => row[weigh]!);
      expect(weights).toEqual([...weights].sort((a, b) => b - a));
    }
    expect(typeHistogram(graph, 'size', null)[0]!.retainedBytes).toBeNull();
  });
});

describe('partitions', () => {
  test.each(['type', 'module', 'size', 'holder', 'cause'] as const)('by %s: every object is in one part', by => {
    fc.assert(
      fc.property(randomGraph(), graph => {
        const parts = partitionHeap(graph, by);
        expect(parts.reduce((sum, part) => sum + part.count, 0)).toBe(graph.nodeCount - 1);
        expect(parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(graph.columns.size.reduce((a, b) => a + b, 0));
      }),
      { numRuns: 300 },
    );
  });

  test('names that people know', () => {
    const heap = new HeapBuilder();
    const app = heap.module('app');
    const cache = heap.node({ type: 'dict', layout: 'dict', size: 1000 });
    heap.edge(app, cache, LabelKind.key, 'CACHE');
    const item = heap.node({ type: 'app.Item', size: 3000 });
    heap.edge(cache, item, LabelKind.keyNode, cache);
    const handler = heap.node({ type: 'function', layout: 'function', size: 160 });
    heap.edge(app, handler, LabelKind.key, 'handler');
    const code = heap.node({ type: 'code', layout: 'code', size: 400 });
    heap.edge(handler, code, LabelKind.attribute, '__code__');
    const lost = heap.node({ type: 'app.Item', size: 7 });
    heap.edge(lost, lost, LabelKind.attribute, 'self');
    heap.node({ type: 'app.Item', size: 11, refcount: 1 });
    const graph = graphOf(heap);
    const named = (by: Parameters<typeof partitionHeap>[1]) =>
      Object.fromEntries(partitionHeap(graph, by).map(part => [part.name, part.bytes]));
    expect(named('module')).toEqual({ app: 1000 + 3000 + 160 + 400 + 72 + 232, '<garbage>': 7, '<native code>': 11 });
    expect(named('holder')).toMatchObject({ 'app.CACHE': 4000, 'app.handler': 560, '<garbage>': 7 });
    expect(named('cause')).toEqual({
      'data under modules': 4000 + 72 + 232,
      'code: functions, classes and what belongs to them': 560,
      'garbage not collected yet': 7,
      'held by native code': 11,
    });
    expect(named('size')).toMatchObject({ '2048 B to 4095 B': 3000, '512 B to 1023 B': 1000 });
  });
});

describe('reconciliation', () => {
  test('counts what CPython counts', () => {
    const heap = new HeapBuilder();
    const dict = heap.module('app');
    const fine = heap.node({ type: 'Fine', refcount: 2 });
    heap.edge(dict, fine, LabelKind.key, 'a');
    heap.edge(dict, fine, LabelKind.keyObject);
    heap.edge(dict, fine, LabelKind.weak);
    heap.edge(dict, fine, LabelKind.borrowed, 'x');
    const forgotten = heap.node({ type: 'Token', refcount: 5 });
    heap.edge(dict, forgotten, LabelKind.key, 'b');
    const explained = heap.node({ type: 'Box', refcount: 2 });
    heap.edge(dict, explained, LabelKind.key, 'c');
    heap.edge(forgotten, explained, LabelKind.inferred, 16);
    const low = heap.node({ type: 'Low', refcount: 0 });
    heap.edge(dict, low, LabelKind.key, 'd');
    const graph = graphOf(heap);
    expect(referencesFound(graph)[fine]).toBe(2);
    const result = reconcile(graph);
    expect(result.deficit).toBe(1);
    expect(result.surplus.filter(row => row.type !== 'module')).toEqual([
      { type: 'Token', objects: 1, surplus: 4, of: 1, bytes: 64, example: forgotten },
    ]);
  });
});

describe('waste', () => {
  test('sparse tables, spare room in lists, empty containers, dicts that slots would save', () => {
    const heap = new HeapBuilder();
    const flags = NodeFlag.tracked;
    heap.node({ type: 'dict', layout: 'dict', size: 36_952, length: 3, flags });
    heap.node({ type: 'dict', layout: 'dict', size: 64, length: 0, flags });
    heap.node({ type: 'dict', layout: 'dict', size: 232, length: 5, flags });
    heap.node({ type: 'list', layout: 'list', size: 56 + 8 * 1000, length: 10, flags });
    heap.node({ type: 'list', layout: 'list', size: 56 + 8 * 12, length: 11, flags });
    heap.node({ type: 'set', layout: 'set', size: 32_984, length: 2, flags });
    for (let i = 0; i < 10; i++) {
      const point = heap.node({ type: 'app.Point', layout: 'instance', size: 48, flags });
      const dict = heap.node({ type: 'dict', layout: 'dict', size: 104, length: 2, flags });
      heap.edge(point, dict, LabelKind.attribute, '__dict__');
    }
    const waste = findWaste(graphOf(heap));
    expect(waste.find(row => row.kind === 'sparse-dict')).toMatchObject({ type: 'dict', count: 1, bytes: 36_952 });
    expect(waste.find(row => row.kind === 'sparse-set')).toMatchObject({ count: 1 });
    expect(waste.find(row => row.kind === 'overallocated-list')).toMatchObject({ count: 1, gain: 8 * 990 });
    expect(waste.find(row => row.kind === 'empty-container')).toMatchObject({ type: 'dict', count: 1, gain: 64 });
    expect(waste.find(row => row.kind === 'slots')).toEqual({
      kind: 'slots',
      type: 'app.Point',
      count: 10,
      bytes: 1520,
      gain: 880,
    });
  });
});
