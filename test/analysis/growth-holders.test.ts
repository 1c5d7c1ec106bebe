import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeapBuilder, syntheticOrigin } from '../../bench/heap-shapes.ts';
import { birthSnapshots, computeDominators, growthHolders } from '../../src/analysis/index.ts';
import { LabelKind } from '../../src/cpython/index.ts';
import { HeapGraph } from '../../src/heap/index.ts';
import { reach, retainingEdges } from './brute-force.ts';

const ADDRESS = 0x7f00_0000_1000;

/** Objects by number, 0 the root: the snapshots in which each is there, and references from one to another. */
interface Series {
  readonly lives: readonly { readonly from: number; readonly to: number }[];
  readonly references: readonly { readonly from: number; readonly to: number; readonly weak: boolean }[];
  readonly moments: number;
}

const series: fc.Arbitrary<Series> = fc
  .record({
    moments: fc.integer({ min: 2, max: 4 }),
    lives: fc.array(fc.record({ from: fc.nat(3), length: fc.integer({ min: 1, max: 5 }) }), {
      minLength: 1,
      maxLength: 14,
    }),
    references: fc.array(fc.record({ from: fc.nat(14), to: fc.nat(14), weak: fc.boolean() }), { maxLength: 40 }),
    parents: fc.array(fc.nat(), { minLength: 14, maxLength: 14 }),
  })
  .map(({ moments, lives, references, parents }) => ({
    moments,
    lives: [{ from: 0, to: 9 }, ...lives.map(({ from, length }) => ({ from, to: from + length - 1 }))],
    references: [
      ...lives.map((_, i) => ({ from: parents[i]! % (i + 1), to: i + 1, weak: false })),
      ...references
        .map(({ from, to, weak }) => ({ from: from % (lives.length + 1), to: to % (lives.length + 1), weak }))
        .filter(({ to }) => to !== 0),
    ],
  }));

/** The snapshot of a moment: what is there and reached from the root. An object has the same address in each. */
function snapshotAt({ lives, references }: Series, moment: number): HeapGraph {
  const there = (object: number): boolean => lives[object]!.from <= moment && moment <= lives[object]!.to;
  const now = references.filter(({ from, to }) => there(from) && there(to));
  const reached = reach(
    now.filter(({ weak }) => !weak).map(({ from, to }) => [from, to]),
    [0],
  );
  const heap = new HeapBuilder();
  const nodes = new Map([[0, 0]]);
  lives.forEach((_, object) => {
    if (object > 0 && reached.has(object))
      nodes.set(object, heap.node({ type: `T${object % 3}`, address: ADDRESS + object * 64, size: 16 + object }));
  });
  now.forEach(({ from, to, weak }, i) => {
    if (reached.has(from) && reached.has(to))
      heap.edge(nodes.get(from)!, nodes.get(to)!, weak ? LabelKind.weak : LabelKind.index, weak ? 0 : i);
  });
  return new HeapGraph(heap.columns(), syntheticOrigin);
}

describe('who holds what was born', () => {
  test('births are the first of the snapshots, without a gap, that has the object', () => {
    fc.assert(
      fc.property(series, described => {
        const graphs = Array.from({ length: described.moments }, (_, k) => snapshotAt(described, k));
        const has = graphs.map(({ columns }) => new Set(columns.address));
        const born = birthSnapshots(graphs);
        graphs.at(-1)!.columns.address.forEach((address, node) => {
          let first = graphs.length - 1;
          while (first > 0 && has[first - 1]!.has(address)) first--;
          expect(born[node]).toBe(first);
        });
      }),
      { numRuns: 1000 },
    );
  });

  test('agree with the nearest old dominator by definition: removing each old object in turn', () => {
    fc.assert(
      fc.property(series, described => {
        const graphs = Array.from({ length: described.moments }, (_, k) => snapshotAt(described, k));
        const last = graphs.at(-1)!;
        const trees = graphs.map(graph => computeDominators(graph));
        const born = birthSnapshots(graphs);
        const twin = holdersByDefinition(last, born);
        const items = new Map<number, { born: number; bytes: number }>();
        for (const holder of growthHolders(graphs, trees)) {
          const sum = items.get(holder.node) ?? { born: 0, bytes: 0 };
          sum.born += holder.born.reduce((a, b) => a + b, 0);
          sum.bytes += holder.bornBytes.reduce((a, b) => a + b, 0);
          items.set(holder.node, sum);
          expect(born[holder.sample]).toBeGreaterThan(0);
          expect(holder.types.reduce((sum, type) => sum + type.bytes, 0)).toBe(
            holder.bornBytes.reduce((a, b) => a + b, 0),
          );
        }
        expect([...items].sort((a, b) => a[0] - b[0])).toEqual([...twin].sort((a, b) => a[0] - b[0]));
      }),
      { numRuns: 2000 },
    );
  });

  test('an address used again by an object of another generation is a birth', () => {
    const at = (generation: number): HeapGraph => {
      const heap = new HeapBuilder();
      const list = heap.node({ type: 'list', layout: 'list', address: ADDRESS, flags: 1 | (2 << 1), length: 1 });
      const item = heap.node({ type: 'Session', address: ADDRESS + 64, flags: 1 | (generation << 1) });
      heap.edge(0, list, LabelKind.root, 'module app');
      heap.edge(list, item, LabelKind.index, 0);
      return new HeapGraph(heap.columns(), syntheticOrigin);
    };
    const graphs = [at(2), at(0)];
    expect([...birthSnapshots(graphs)]).toEqual([0, 0, 1]);
    const [holder] = growthHolders(
      graphs,
      graphs.map(graph => computeDominators(graph)),
    );
    expect(holder).toMatchObject({ node: 1, kind: 'object', born: [1], items: [1] });
    expect(holder!.types.map(({ type }) => type)).toEqual(['Session']);
  });
});

/** Holder -> what is new under it. */
function holdersByDefinition(graph: HeapGraph, born: Uint8Array): Map<number, { born: number; bytes: number }> {
  const edges = retainingEdges(graph, true);
  const nodes = Array.from({ length: graph.nodeCount }, (_, node) => node);
  // What is not reached without a node is dominated by it.
  const dominated = nodes.map(node => {
    const left = node === 0 ? new Set<number>() : reach(edges, [0], new Set([node]));
    return new Set(nodes.filter(other => !left.has(other)));
  });
  const dominates = (a: number, b: number): boolean => a !== b && dominated[a]!.has(b);
  const isNew = (node: number): boolean => born[node]! > 0;
  const nearest = (of: number, among: readonly number[]): number =>
    among.filter(a => dominates(a, of)).reduce((best, a) => (best < 0 || dominates(best, a) ? a : best), -1);
  const old = nodes.filter(node => !isNew(node));
  const newOnes = nodes.filter(isNew);
  // First ones: their nearest dominator of all is old.
  const first = newOnes.filter(node => !isNew(nearest(node, nodes)));
  const refers = (from: number, to: number): boolean => edges.some(([a, b]) => a === from && b === to);
  const holderOf = new Map(first.map(node => [node, nearest(node, old)]));
  const orphans = first.filter(node => !refers(holderOf.get(node)!, node));
  const claims = (referrer: number): number =>
    orphans.reduce((sum, node) => sum + edges.filter(([a, b]) => a === referrer && b === node).length, 0);
  const adopted = new Map<number, number>();
  for (const orphan of orphans) {
    let best = -1;
    for (const node of old) {
      if (refers(node, orphan) && (best < 0 || claims(node) > claims(best))) best = node;
    }
    if (best >= 0) adopted.set(orphan, best);
  }
  const totals = new Map<number, { born: number; bytes: number }>();
  for (const node of newOnes) {
    // The nearest first one above it, or itself: above that there may be others, with an old object in between.
    const top = first.includes(node) ? node : nearest(node, first);
    const holder = adopted.get(top) ?? holderOf.get(top)!;
    const total = totals.get(holder) ?? { born: 0, bytes: 0 };
    total.born++;
    total.bytes += graph.columns.size[node]!;
    totals.set(holder, total);
  }
  return totals;
}
