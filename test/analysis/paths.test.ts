import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeapBuilder, syntheticOrigin } from '../../bench/heap-shapes.ts';
import {
  disjointPaths,
  expressionOf,
  fingerprintOf,
  mergedPaths,
  pathElements,
  pathTo,
} from '../../src/analysis/index.ts';
import { LabelKind } from '../../src/cpython/index.ts';
import { HeapGraph } from '../../src/heap/index.ts';
import { randomGraph } from '../support/random-graphs.ts';

const graphOf = (heap: HeapBuilder) => new HeapGraph(heap.columns(), syntheticOrigin);

/** Writes one path both ways. */
function written(heap: HeapBuilder, node: number): { expression: string; path: string[] } {
  const graph = graphOf(heap);
  const steps = pathTo(graph, node);
  return { expression: expressionOf(graph, steps), path: pathElements(graph, steps) };
}

describe('a path as a person would write it', () => {
  test('a module global, and what is in it', () => {
    const heap = new HeapBuilder();
    const module = heap.module('app.cache');
    const sessions = heap.node({ type: 'dict', layout: 'dict' });
    const key = heap.node({ type: 'str', layout: 'str' });
    const session = heap.node({ type: 'app.Session' });
    heap.edge(module, sessions, LabelKind.key, 'SESSIONS');
    heap.edge(sessions, key, LabelKind.keyObject);
    heap.edge(sessions, session, LabelKind.keyNode, key);
    expect(written(heap, sessions)).toEqual({
      expression: 'app.cache.SESSIONS',
      path: ['module app.cache', '.SESSIONS'],
    });
    expect(written(heap, session)).toEqual({
      expression: "app.cache.SESSIONS['…']",
      path: ['module app.cache', '.SESSIONS', "['…']"],
    });
  });

  test('the main program: an attribute of a global object, with and without a __dict__ of its own', () => {
    const heap = new HeapBuilder();
    const main = heap.module('__main__');
    const store = heap.node({ type: '__main__.Store' });
    heap.edge(main, store, LabelKind.key, 'STORE');
    const slots = heap.node({ type: 'dict', layout: 'dict' });
    heap.edge(store, slots, LabelKind.attribute, '_slots');
    const own = heap.node({ type: 'dict', layout: 'dict' });
    heap.edge(slots, own, LabelKind.key, 'plain');
    const other = heap.node({ type: '__main__.Other' });
    heap.edge(main, other, LabelKind.key, 'OTHER');
    const dict = heap.node({ type: 'dict', layout: 'dict' });
    heap.edge(other, dict, LabelKind.attribute, '__dict__');
    const list = heap.node({ type: 'list', layout: 'list' });
    heap.edge(dict, list, LabelKind.key, 'items');
    const item = heap.node({ type: 'T' });
    heap.edge(list, item, LabelKind.index, 3);
    expect(written(heap, slots).expression).toBe('STORE._slots');
    expect(written(heap, own).expression).toBe("STORE._slots['plain']");
    expect(written(heap, dict).expression).toBe('OTHER.__dict__');
    expect(written(heap, item)).toEqual({
      expression: 'OTHER.items[3]',
      path: ['module __main__', '.OTHER', '.items', '[3]'],
    });
  });

  test('a closure, a class attribute', () => {
    const heap = new HeapBuilder();
    const main = heap.module('__main__');
    const handler = heap.node({ type: 'function', layout: 'function', name: 'Handler' });
    heap.edge(main, handler, LabelKind.key, 'Handler');
    const closure = heap.node({ type: 'tuple', layout: 'tuple' });
    heap.edge(handler, closure, LabelKind.attribute, '__closure__');
    const cell = heap.node({ type: 'cell', layout: 'cell', name: 'cache' });
    heap.edge(closure, cell, LabelKind.index, 0);
    const cache = heap.node({ type: 'dict', layout: 'dict' });
    heap.edge(cell, cache, LabelKind.cell, 'cache');
    const cls = heap.node({ type: 'type', layout: 'type', name: 'Base' });
    heap.edge(main, cls, LabelKind.key, 'Base');
    const classDict = heap.node({ type: 'dict', layout: 'dict' });
    heap.edge(cls, classDict, LabelKind.attribute, '__dict__');
    const registry = heap.node({ type: 'list', layout: 'list' });
    heap.edge(classDict, registry, LabelKind.key, 'registry');
    expect(written(heap, cache)).toEqual({
      expression: 'Handler.__closure__[cache]',
      path: ['module __main__', '.Handler', '.__closure__[cache]'],
    });
    expect(written(heap, cell).expression).toBe('Handler.__closure__[cache]');
    expect(written(heap, registry).expression).toBe('Base.registry');
  });

  test('a local of a thread; of a generator; of a traceback', () => {
    const heap = new HeapBuilder();
    const thread = heap.node({ type: '<thread>', layout: 'synthetic', name: 'thread worker-3' });
    heap.edge(0, thread, LabelKind.root, 'thread worker-3');
    const frame = heap.node({ type: 'frame', layout: 'frame', name: 'poll app.py:3' });
    heap.edge(thread, frame, LabelKind.internal, 'frame poll');
    const pending = heap.node({ type: 'list', layout: 'list' });
    heap.edge(frame, pending, LabelKind.local, 'pending');
    const stream = heap.node({ type: 'generator', layout: 'generator' });
    heap.edge(pending, stream, LabelKind.index, 0);
    const chunk = heap.node({ type: 'bytes', layout: 'bytes' });
    heap.edge(stream, chunk, LabelKind.local, 'chunk');
    expect(written(heap, pending)).toEqual({
      expression: 'thread worker-3, frame poll, local pending',
      path: ['thread worker-3', 'frame poll', 'local pending'],
    });
    expect(written(heap, chunk).expression).toBe(
      "thread worker-3, frame poll, local pending[0].gi_frame.f_locals['chunk']",
    );
  });

  test('what the interpreter keeps, and a module found in it', () => {
    const heap = new HeapBuilder();
    const state = heap.node({ type: '<interpreter>', layout: 'synthetic' });
    heap.edge(0, state, LabelKind.root, 'interpreter state');
    const callback = heap.node({ type: 'method', layout: 'method' });
    heap.edge(state, callback, LabelKind.internal, 'atexit callback');
    const self = heap.node({ type: 'Exporter' });
    heap.edge(callback, self, LabelKind.attribute, '__self__');
    const modules = heap.node({ type: 'dict', layout: 'dict' });
    heap.edge(state, modules, LabelKind.internal, 'sys.modules');
    const lost = heap.node({ type: 'module', layout: 'module', name: 'late' });
    heap.edge(modules, lost, LabelKind.key, 'late');
    expect(written(heap, self)).toEqual({
      expression: 'atexit callback.__self__',
      path: ['atexit callback', '.__self__'],
    });
    expect(written(heap, lost)).toEqual({ expression: 'late', path: ['module late'] });
  });
});

describe('which path', () => {
  test('a named holder is preferred to a shorter way through a frame', () => {
    const heap = new HeapBuilder();
    const thread = heap.node({ type: '<thread>', layout: 'synthetic' });
    heap.edge(0, thread, LabelKind.root, 'thread MainThread');
    const dict = heap.module('app');
    let at = dict;
    for (const name of ['a', 'b', 'c', 'd']) {
      const next = heap.node({ type: 'T' });
      heap.edge(at, next, at === dict ? LabelKind.key : LabelKind.attribute, name);
      at = next;
    }
    heap.edge(thread, at, LabelKind.local, 'x');
    expect(written(heap, at).expression).toBe('app.a.b.c.d');
  });

  test('weak and borrowed references make no path', () => {
    const heap = new HeapBuilder();
    const dict = heap.module('app');
    const node = heap.node({ type: 'T' });
    heap.edge(dict, node, LabelKind.weak);
    heap.edge(dict, node, LabelKind.borrowed, 'x');
    expect(pathTo(graphOf(heap), node)).toEqual([]);
  });

  test('a path is connected, ends at its node, exists when the node is reached, and visits nothing twice', () => {
    fc.assert(
      fc.property(randomGraph(), graph => {
        const { edgeStart, edgeTarget, edgeLabel } = graph.columns;
        const reached = new Set([0]);
        for (const node of reached) {
          for (let e = edgeStart[node]!; e < edgeStart[node + 1]!; e++) {
            const kind = edgeLabel[e]! >>> 28;
            if (kind !== LabelKind.weak && kind !== LabelKind.borrowed) reached.add(edgeTarget[e]!);
          }
        }
        for (let node = 1; node < graph.nodeCount; node++) {
          const steps = pathTo(graph, node);
          expect(steps.length > 0).toBe(reached.has(node));
          let at = 0;
          for (const step of steps) {
            expect(graph.sourceOf(step.edge)).toBe(at);
            expect(edgeTarget[step.edge]).toBe(step.node);
            at = step.node;
          }
          if (steps.length > 0) expect(at).toBe(node);
          expect(new Set(steps.map(s => s.node)).size).toBe(steps.length);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('disjoint paths share no node but the last', () => {
    fc.assert(
      fc.property(randomGraph(), fc.nat(13), (graph, pick) => {
        const node = pick % graph.nodeCount;
        const inner = disjointPaths(graph, node, 4).flatMap(steps => steps.slice(0, -1).map(step => step.node));
        expect(new Set(inner).size).toBe(inner.length);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('merged paths', () => {
  test('instances in one container merge, whatever their keys', () => {
    const heap = new HeapBuilder();
    const dict = heap.module('app');
    const cache = heap.node({ type: 'dict', layout: 'dict' });
    heap.edge(dict, cache, LabelKind.key, 'CACHE');
    const nodes: number[] = [];
    for (let i = 0; i < 90; i++) {
      const key = heap.node({ type: 'str', layout: 'str' });
      nodes.push(heap.node({ type: 'Item' }));
      heap.edge(cache, nodes.at(-1)!, i % 2 === 0 ? LabelKind.keyNode : LabelKind.key, i % 2 === 0 ? key : `name${i}`);
    }
    const list = heap.node({ type: 'list', layout: 'list' });
    heap.edge(dict, list, LabelKind.key, 'ITEMS');
    for (let i = 0; i < 10; i++) {
      nodes.push(heap.node({ type: 'Item' }));
      heap.edge(list, nodes.at(-1)!, LabelKind.index, i);
    }
    nodes.push(heap.node({ type: 'Item' }));
    const graph = graphOf(heap);
    const { paths, unreached } = mergedPaths(graph, nodes);
    expect(paths.map(path => [path.count, path.normal])).toEqual([
      [90, ['module app', '.CACHE', "['…']"]],
      [10, ['module app', '.ITEMS', '[…]']],
    ]);
    expect(paths[0]!.share).toBeCloseTo(90 / 101);
    expect(unreached).toBe(1);
  });

  test('a chain of 300,000 is one path with one fingerprint', () => {
    const heap = new HeapBuilder();
    const dict = heap.module('app');
    const nodes: number[] = [];
    let at = dict;
    for (let i = 0; i < 300_000; i++) {
      const next = heap.node({ type: 'Node' });
      heap.edge(at, next, at === dict ? LabelKind.key : LabelKind.attribute, at === dict ? 'head' : 'next');
      nodes.push(next);
      at = next;
    }
    const graph = graphOf(heap);
    const { paths } = mergedPaths(graph, nodes);
    expect(paths.map(path => path.normal)).toEqual([
      ['module app', '.head', '.next'],
      ['module app', '.head'],
    ]);
    expect(fingerprintOf(graph, pathTo(graph, nodes[50]!))).toBe(fingerprintOf(graph, pathTo(graph, nodes[77]!)));
  });

  test('a fingerprint does not know addresses, positions, keys or numbers of threads', () => {
    const make = (thread: string, base: number, position: number): string => {
      const heap = new HeapBuilder();
      const node = heap.node({ type: '<thread>', layout: 'synthetic', address: base });
      heap.edge(0, node, LabelKind.root, `thread ${thread}`);
      const list = heap.node({ type: 'list', layout: 'list', address: base + 64 });
      heap.edge(node, list, LabelKind.local, 'jobs');
      const job = heap.node({ type: 'Job', address: base + 128 });
      heap.edge(list, job, LabelKind.index, position);
      const graph = graphOf(heap);
      return fingerprintOf(graph, pathTo(graph, job));
    };
    expect(make('worker-3', 0x7f0000000000, 4)).toBe(make('worker-12', 0x7e0000000000, 9));
    expect(make('worker-3', 0x7f0000000000, 4)).not.toBe(make('poller', 0x7f0000000000, 4));
    expect(make('worker-3', 1, 4)).toMatch(/^[0-9a-f]{40}$/);
  });
});
