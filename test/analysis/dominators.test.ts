import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeapBuilder, millionDicts, randomSource, serviceHeap, syntheticOrigin } from '../../bench/heap-shapes.ts';
import {
  biggestRetained,
  computeDominators,
  dominatorChildren,
  retainedAtLeast,
  retainedByType,
  retainedExactly,
  topmost,
} from '../../src/analysis/index.ts';
import { LabelKind, makeLabel } from '../../src/cpython/index.ts';
import { HeapGraph } from '../../src/heap/index.ts';
import { randomGraph } from '../support/random-graphs.ts';
import { bruteForceDominators, bruteForceLife, chainOfSets } from './brute-force.ts';

describe('dominators', () => {
  test('agree with removing each node in turn, whatever the algorithm and whatever retains', () => {
    fc.assert(
      fc.property(randomGraph(), fc.boolean(), fc.constantFrom(0, 16), (graph, includeInferred, stepsPerNode) => {
        const tree = computeDominators(graph, { includeInferred, stepsPerNode });
        const life = bruteForceLife(graph, includeInferred);
        expect(
          [...tree.order.subarray(0, tree.aliveCount)].filter(n => n < graph.nodeCount).sort((a, b) => a - b),
        ).toEqual([...life.alive].sort((a, b) => a - b));
        expect([...tree.nativeEntries].sort((a, b) => a - b)).toEqual([...life.held].sort((a, b) => a - b));
        expect(tree.garbageEntries.length).toBe(life.garbageComponents);
        const twin = bruteForceDominators(graph, includeInferred, life, tree.garbageEntries);
        expect([...tree.idom]).toEqual(twin.idom);
        expect([...tree.retained]).toEqual(twin.retained);
      }),
      { numRuns: 4000 },
    );
  });

  test('agree on denser and larger graphs', () => {
    fc.assert(
      fc.property(randomGraph({ maxNodes: 40, density: 1.6 }), fc.constantFrom(0, 16), (graph, stepsPerNode) => {
        const tree = computeDominators(graph, { stepsPerNode });
        const life = bruteForceLife(graph, true);
        expect([...tree.idom]).toEqual(bruteForceDominators(graph, true, life, tree.garbageEntries).idom);
      }),
      { numRuns: 400 },
    );
  });

  test('a dominator comes before what it dominates', () => {
    fc.assert(
      fc.property(randomGraph(), graph => {
        const { order, idom } = computeDominators(graph);
        const position = new Map([...order].map((node, at) => [node, at]));
        for (const node of order) if (node !== 0) expect(position.get(idom[node]!)!).toBeLessThan(position.get(node)!);
        expect(position.size).toBe(graph.nodeCount + 2);
      }),
      { numRuns: 500 },
    );
  });
});

describe('retained sizes', () => {
  test('of sets: exact is what removal frees; the lower bound is no more', () => {
    fc.assert(
      fc.property(randomGraph(), fc.array(fc.nat(13), { maxLength: 5 }), (graph, picks) => {
        const members = [...new Set(picks.map(pick => pick % graph.nodeCount))].filter(node => node !== 0);
        const tree = computeDominators(graph);
        const life = bruteForceLife(graph, true);
        const exact = retainedExactly(tree, members);
        expect(exact).toBe(life.total - chainOfSets(graph, true, life, tree.garbageEntries, new Set(members)));
        expect(retainedAtLeast(tree, members)).toBeLessThanOrEqual(exact);
        if (members.length === 1) expect(retainedAtLeast(tree, members)).toBe(exact);
        const top = topmost(tree, members);
        for (const node of members) {
          let above = node;
          let nested = false;
          while (above !== 0) {
            above = tree.idom[above]!;
            if (members.includes(above)) nested = true;
          }
          expect(top.includes(node)).toBe(!nested);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('of types: instances inside instances count once', () => {
    fc.assert(
      fc.property(randomGraph(), graph => {
        const tree = computeDominators(graph);
        const byType = retainedByType(tree);
        graph.columns.types.forEach((_, t) => {
          const members = Array.from({ length: graph.nodeCount }, (_, node) => node).filter(
            node => graph.columns.type[node] === t,
          );
          expect(byType[t]).toBe(retainedAtLeast(tree, members));
        });
      }),
      { numRuns: 1000 },
    );
  });

  test('the biggest come first, and children are those with that dominator', () => {
    const graph = new HeapGraph(serviceHeap(5000), syntheticOrigin);
    const tree = computeDominators(graph);
    const expected = Array.from({ length: graph.nodeCount - 1 }, (_, i) => tree.retained[i + 1]!)
      .sort((a, b) => b - a)
      .slice(0, 20);
    expect(biggestRetained(tree, 20).map(node => tree.retained[node])).toEqual(expected);
    const { start, node } = dominatorChildren(tree);
    for (let d = 0; d < graph.nodeCount; d++)
      for (let at = start[d]!; at < start[d + 1]!; at++) expect(tree.idom[node[at]!]).toBe(d);
  });

  test('sizes beyond 32 bits do not wrap', () => {
    const heap = new HeapBuilder();
    const a = heap.node({ type: 'bytes', size: 3 * 2 ** 40 });
    const b = heap.node({ type: 'bytes', size: 5 * 2 ** 40 });
    heap.edge(0, a, LabelKind.root, 'module a');
    heap.edge(a, b, LabelKind.index, 0);
    const tree = computeDominators(new HeapGraph(heap.columns(), syntheticOrigin));
    expect(tree.retained[a]).toBe(8 * 2 ** 40);
  });
});

/** A graph straight from edges, for shapes too large for the builder. */
function shape(nodeCount: number, edges: Iterable<readonly [number, number]>): HeapGraph {
  const list = [...edges];
  const edgeStart = new Uint32Array(nodeCount + 1);
  for (const [from] of list) edgeStart[from + 1]!++;
  for (let i = 0; i < nodeCount; i++) edgeStart[i + 1]! += edgeStart[i]!;
  const fill = edgeStart.slice();
  const edgeTarget = new Uint32Array(list.length);
  const refcount = new Uint32Array(nodeCount);
  for (const [from, to] of list) {
    edgeTarget[fill[from]!++] = to;
    refcount[to]!++;
  }
  const columns = {
    ...millionDicts(0),
    nodeCount,
    edgeCount: list.length,
    edgeStart,
    edgeTarget,
    edgeLabel: new Uint32Array(list.length).fill(makeLabel(LabelKind.index, 0)),
    address: new Float64Array(nodeCount),
    type: new Uint32Array(nodeCount),
    size: new Float64Array(nodeCount).fill(1),
    refcount,
    length: new Uint32Array(nodeCount),
    flags: new Uint8Array(nodeCount),
    namedNode: new Uint32Array(0),
    nodeName: new Uint32Array(0),
  };
  return new HeapGraph(columns, syntheticOrigin);
}

describe('adversarial shapes', () => {
  const n = 1_000_000;
  test.each([0, 16])('a list a million long, with a way back from every node (budget %i)', stepsPerNode => {
    function* edges(): Generator<[number, number]> {
      for (let i = 0; i + 1 < n; i++) yield [i, i + 1];
      for (let i = 1; i < n; i++) yield [i, i >>> 1];
    }
    const tree = computeDominators(shape(n, edges()), { stepsPerNode });
    for (let i = 1; i < n; i++) if (tree.idom[i] !== i - 1) expect(tree.idom[i]).toBe(i - 1);
    expect(tree.retained[1]).toBe(n - 1);
  });

  test.each([0, 16])('a chain whose every node the root and a far node also reach (budget %i)', stepsPerNode => {
    function* edges(): Generator<[number, number]> {
      for (let i = 0; i + 1 < n; i++) yield [i, i + 1];
      for (let i = n - 1; i > 1; i--) yield [0, i];
    }
    const tree = computeDominators(shape(n, edges()), { stepsPerNode });
    expect(tree.idom.subarray(1, n).every(d => d === 0)).toBe(true);
  });

  test.each([0, 16])('a star of a million, and one in which all leaves share a leaf (budget %i)', stepsPerNode => {
    function* edges(): Generator<[number, number]> {
      for (let i = 1; i < n - 1; i++) yield [0, i];
      for (let i = 1; i < n - 1; i++) yield [i, n - 1];
    }
    const tree = computeDominators(shape(n, edges()), { stepsPerNode });
    expect(tree.idom[n - 1]).toBe(0);
    expect(tree.retained[0]).toBe(n);
  });

  test.each([0, 16])('a complete graph of 1,200 nodes (budget %i)', stepsPerNode => {
    function* edges(): Generator<[number, number]> {
      for (let i = 0; i < 1200; i++) for (let j = 0; j < 1200; j++) yield [i, j];
    }
    const tree = computeDominators(shape(1200, edges()), { stepsPerNode });
    expect(tree.idom.subarray(1, 1200).every(d => d === 0)).toBe(true);
  });

  test.each([0, 16])('nested cycles 200,000 deep (budget %i)', stepsPerNode => {
    const depth = 200_000;
    function* edges(): Generator<[number, number]> {
      for (let i = 0; i + 1 < depth; i++) yield [i, i + 1];
      for (let i = 0; i < depth; i++) yield [depth - 1 - (i % depth), i];
    }
    const tree = computeDominators(shape(depth, edges()), { stepsPerNode });
    expect(tree.retained[0]).toBe(depth);
  });

  test('a chain on which Semi-NCA alone is quadratic ends by Lengauer-Tarjan', () => {
    // The chain's upper half stays a deep tree of dominators; every node of the lower half has a shortcut from near
    // the root, so each climbs the upper half again.
    const length = 400_000;
    const half = length / 2;
    function* edges(): Generator<[number, number]> {
      for (let i = 0; i + 1 < half; i++) yield [i, i + 1];
      for (let i = half; i < length; i++) yield [half - 1, i];
      for (let i = half; i < length; i++) yield [1, i];
    }
    const tree = computeDominators(shape(length, edges()));
    for (let i = half; i < length; i++) if (tree.idom[i] !== 1) expect(tree.idom[i]).toBe(1);
  });

  test('a million garbage cycles', () => {
    const random = randomSource(3);
    function* edges(): Generator<[number, number]> {
      for (let i = 1; i + 1 < n; i += 2) {
        yield [i, i + 1];
        yield [i + 1, i];
        if (random() < 0.5) yield [i, Math.max(1, i - 2)];
      }
    }
    const tree = computeDominators(shape(n - 1, edges()));
    expect(tree.aliveCount).toBe(2);
    expect(tree.retained[tree.garbageRoot]).toBe(n - 2);
  });
});
