import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serviceHeap, syntheticOrigin } from '../../bench/heap-shapes.ts';
import { dominatorsOf } from '../../src/analysis/index.ts';
import { exportHeapSnapshot } from '../../src/export/index.ts';
import { HeapGraph, labelText } from '../../src/heap/index.ts';
import { LeakscopeError } from '../../src/process/index.ts';
import { randomGraph } from '../support/random-graphs.ts';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'leakscope-export-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

interface V8Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: string[];
      readonly edge_fields: string[];
      readonly node_types: [string[]];
      readonly edge_types: [string[]];
    };
    readonly node_count: number;
    readonly edge_count: number;
  };
  readonly nodes: number[];
  readonly edges: number[];
  readonly strings: string[];
}

function exported(graph: HeapGraph): V8Snapshot {
  const file = join(directory, 'heap.heapsnapshot');
  const bytes = exportHeapSnapshot(graph, file);
  expect(statSync(file).size).toBe(bytes);
  return JSON.parse(readFileSync(file, 'utf8')) as V8Snapshot;
}

test('has all nodes, sizes and references, and hangs everything under the root', () => {
  fc.assert(
    fc.property(randomGraph(), graph => {
      const { snapshot, nodes, edges, strings } = exported(graph);
      const fields = snapshot.meta.node_fields.length;
      expect(nodes.length).toBe(snapshot.node_count * fields);
      expect(edges.length).toBe(snapshot.edge_count * 3);
      expect(snapshot.node_count).toBe(graph.nodeCount + 2);
      // Walk it as a reader does: edges in the order of their nodes.
      let edge = 0;
      const reached = new Set([0]);
      const out = new Map<number, number[]>();
      for (let node = 0; node < snapshot.node_count; node++) {
        expect(nodes[node * fields + 3]).toBe(node < graph.nodeCount ? graph.columns.size[node] : 0);
        if (node > 0 && node < graph.nodeCount) expect(strings[nodes[node * fields + 1]!]).toBe(graph.typeName(node));
        for (let i = 0; i < nodes[node * fields + 4]!; i++, edge += 3) {
          const [kind, name, to] = [edges[edge]!, edges[edge + 1]!, edges[edge + 2]!];
          expect(to % fields).toBe(0);
          if (node > 0 && node < graph.nodeCount) {
            const ours = graph.columns.edgeStart[node]! + i;
            expect(to / fields).toBe(graph.columns.edgeTarget[ours]);
            if (kind === 1) expect(`[${name}]`).toBe(labelText(graph, ours));
            else expect(labelText(graph, ours)).toContain(strings[name]);
          }
          if (snapshot.meta.edge_types[0][kind] !== 'weak') out.set(node, [...(out.get(node) ?? []), to / fields]);
        }
      }
      expect(edge).toBe(edges.length);
      for (const node of reached) for (const to of out.get(node) ?? []) reached.add(to);
      expect(reached.size).toBe(snapshot.node_count);
      const { nativeEntries, garbageEntries } = dominatorsOf(graph);
      expect(out.get(graph.nodeCount) ?? []).toEqual([...nativeEntries]);
      expect(out.get(graph.nodeCount + 1) ?? []).toEqual([...garbageEntries]);
    }),
    { numRuns: 300 },
  );
});

test('a large heap is written through one buffer', () => {
  const graph = new HeapGraph(serviceHeap(60_000), syntheticOrigin);
  const { nodes, edges } = exported(graph);
  expect(nodes.length).toBe((graph.nodeCount + 2) * 7);
  const { nativeEntries, garbageEntries } = dominatorsOf(graph);
  expect(edges.length / 3).toBe(graph.edgeCount + 2 + nativeEntries.length + garbageEntries.length);
});

test('what cannot be written leaves nothing behind', () => {
  const graph = new HeapGraph(serviceHeap(1000), syntheticOrigin);
  expect(() => exportHeapSnapshot(graph, join(directory, 'no', 'x'))).toThrow(LeakscopeError);
  expect(readdirSync(directory).filter(name => name.endsWith('.part'))).toEqual([]);
});
