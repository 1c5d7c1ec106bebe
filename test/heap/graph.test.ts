import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeapBuilder, millionDicts, syntheticOrigin } from '../../bench/heap-shapes.ts';
import { LabelKind } from '../../src/cpython/index.ts';
import { HeapGraph, labelText } from '../../src/heap/index.ts';
import { randomGraph } from '../support/random-graphs.ts';

test('referrers are the edges turned round', () => {
  fc.assert(
    fc.property(randomGraph(), graph => {
      const { edgeStart, edgeTarget } = graph.columns;
      const { start, source, edge } = graph.referrers;
      const seen = new Set<string>();
      for (let node = 0; node < graph.nodeCount; node++) {
        for (let at = start[node]!; at < start[node + 1]!; at++) {
          expect(edgeTarget[edge[at]!]).toBe(node);
          expect(graph.sourceOf(edge[at]!)).toBe(source[at]);
          seen.add(`${edge[at]}`);
        }
      }
      expect(seen.size).toBe(edgeStart[graph.nodeCount]);
    }),
    { numRuns: 300 },
  );
});

test('nodes are found by address whatever their order', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 47 }), { maxLength: 60 }), addresses => {
      const heap = new HeapBuilder();
      for (const address of addresses) heap.node({ type: 'int', address });
      const graph = new HeapGraph(heap.columns(), syntheticOrigin);
      addresses.forEach((address, i) => {
        expect(graph.nodeAt(address)).toBe(i + 1);
      });
      expect(graph.nodeAt(2 ** 47 + 5)).toBe(-1);
      expect(graph.nodeAt(0)).toBe(-1);
    }),
  );
});

test('labels and names read as people write them', () => {
  const heap = new HeapBuilder();
  const dict = heap.module('app.cache');
  const item = heap.node({ type: 'list', layout: 'list' });
  heap.edge(dict, item, LabelKind.key, 'SESSIONS');
  heap.edge(dict, item, LabelKind.keyNode, item);
  heap.edge(item, item, LabelKind.index, 3);
  heap.edge(item, item, LabelKind.inferred, 24);
  heap.edge(item, item, LabelKind.cell, 'x');
  const graph = new HeapGraph(heap.columns(), syntheticOrigin);
  const texts = Array.from({ length: graph.edgeCount }, (_, edge) => labelText(graph, edge));
  expect(texts).toEqual([
    'module app.cache',
    '<__dict__>',
    "['SESSIONS']",
    "['…']",
    '[3]',
    '<+0x18>',
    '<closure cell x>',
  ]);
  expect(graph.nameOf(1)).toBe('app.cache');
  expect(graph.nameOf(2)).toBe('');
  expect(graph.typeName(item)).toBe('list');
});

test('the synthetic million dicts have the shape they promise', () => {
  const columns = millionDicts(100);
  expect(columns.edgeStart[columns.nodeCount]).toBe(columns.edgeCount);
  for (let edge = 0; edge < columns.edgeCount; edge++) expect(columns.edgeTarget[edge]).toBeLessThan(columns.nodeCount);
});
