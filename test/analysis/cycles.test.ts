import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeapBuilder, syntheticOrigin } from '../../bench/heap-shapes.ts';
import { componentsOf, findGarbage, findLiveCycles, OUTSIDE } from '../../src/analysis/index.ts';
import { LabelKind, NodeFlag } from '../../src/cpython/index.ts';
import { HeapGraph, retainingKinds } from '../../src/heap/index.ts';
import { randomGraph } from '../support/random-graphs.ts';
import { bruteForceLife, reach, retainingEdges } from './brute-force.ts';

describe('components', () => {
  test('are the nodes that reach each other, numbered so that references lead to lower ones', () => {
    fc.assert(
      fc.property(randomGraph(), fc.array(fc.boolean(), { minLength: 14, maxLength: 14 }), (graph, chosen) => {
        const inside = Uint8Array.from({ length: graph.nodeCount }, (_, i) => (chosen[i] ? 1 : 0));
        const { of, count } = componentsOf(graph, inside, retainingKinds(true));
        const edges = retainingEdges(graph, true).filter(([a, b]) => inside[a] && inside[b]);
        const reached = Array.from({ length: graph.nodeCount }, (_, node) => reach(edges, [node]));
        for (let a = 0; a < graph.nodeCount; a++) {
          if (!inside[a]) {
            expect(of[a]).toBe(OUTSIDE);
            continue;
          }
          expect(of[a]).toBeLessThan(count);
          for (let b = 0; b < graph.nodeCount; b++)
            if (inside[b]) expect(of[a] === of[b]).toBe(reached[a]!.has(b) && reached[b]!.has(a));
        }
        for (const [a, b] of edges) expect(of[b]!).toBeLessThanOrEqual(of[a]!);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('garbage', () => {
  test('is what neither roots nor native code hold; every cycle shown is one', () => {
    fc.assert(
      fc.property(randomGraph(), graph => {
        const life = bruteForceLife(graph, true);
        const garbage = findGarbage(graph, 1000);
        expect(garbage.objects).toBe(life.garbage.size);
        const edges = retainingEdges(graph, true);
        const cyclic = new Set<string>();
        for (const node of life.garbage) {
          const mates = [...life.garbage].filter(
            other => reach(edges, [node]).has(other) && reach(edges, [other]).has(node),
          );
          if (mates.length > 1 || edges.some(([a, b]) => a === node && b === node))
            cyclic.add(mates.sort((a, b) => a - b).join());
        }
        expect(garbage.cycles).toBe(cyclic.size);
        expect(garbage.forms.reduce((sum, form) => sum + form.count, 0)).toBe(cyclic.size);
        for (const { nodes, edges: closing } of garbage.forms) {
          nodes.forEach((node, i) => {
            expect(graph.sourceOf(closing[i]!)).toBe(node);
            expect(graph.columns.edgeTarget[closing[i]!]).toBe(nodes[(i + 1) % nodes.length]);
            expect(life.garbage.has(node)).toBe(true);
          });
          expect(new Set(nodes).size).toBe(nodes.length);
        }
      }),
      { numRuns: 1500 },
    );
  });

  test('cycles of one form are one row, with their finalizers', () => {
    const heap = new HeapBuilder();
    for (let i = 0; i < 30; i++) {
      const picture = heap.node({ type: 'Picture', size: 100, flags: NodeFlag.tracked | NodeFlag.finalizer });
      const region = heap.node({ type: 'Region', size: 50 });
      const pixels = heap.node({ type: 'bytes', size: 1000 });
      heap.edge(picture, region, LabelKind.attribute, 'region');
      heap.edge(region, picture, LabelKind.attribute, 'owner');
      heap.edge(region, pixels, LabelKind.attribute, 'pixels');
    }
    const garbage = findGarbage(new HeapGraph(heap.columns(), syntheticOrigin));
    expect(garbage).toMatchObject({ objects: 90, bytes: 30 * 1150, cycles: 30 });
    expect(garbage.finalizers.length).toBe(30);
    expect(garbage.forms).toMatchObject([{ count: 30, totalBytes: 4500, members: 2, bytes: 150, finalizers: 30 }]);
  });

  test('live cycles are found among what is alive, and only there', () => {
    const heap = new HeapBuilder();
    const dict = heap.module('app');
    const parent = heap.node({ type: 'Tree' });
    const child = heap.node({ type: 'Tree' });
    heap.edge(dict, parent, LabelKind.key, 'TREE');
    heap.edge(parent, child, LabelKind.attribute, 'left');
    heap.edge(child, parent, LabelKind.attribute, 'parent');
    const graph = new HeapGraph(heap.columns(), syntheticOrigin);
    expect(findLiveCycles(graph)).toMatchObject({ cycles: 1, forms: [{ nodes: [parent, child], members: 2 }] });
    expect(findGarbage(graph).objects).toBe(0);
  });

  test('a ring of half a million', () => {
    const heap = new HeapBuilder();
    const n = 500_000;
    for (let i = 0; i < n; i++) heap.node({ type: 'Link' });
    for (let i = 0; i < n; i++) heap.edge(1 + i, 1 + ((i + 1) % n), LabelKind.attribute, 'next');
    const garbage = findGarbage(new HeapGraph(heap.columns(), syntheticOrigin));
    expect(garbage).toMatchObject({ objects: n, cycles: 1 });
    expect(garbage.forms[0]!.nodes.length).toBe(n);
  });
});
