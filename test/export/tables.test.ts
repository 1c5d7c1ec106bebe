import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { HeapBuilder, serviceHeap, syntheticOrigin } from '../../bench/heap-shapes.ts';
import { dominatorsOf } from '../../src/analysis/index.ts';
import { LabelKind, NodeFlag } from '../../src/cpython/index.ts';
import { openTables, TABLES } from '../../src/export/index.ts';
import { HeapGraph, labelText } from '../../src/heap/index.ts';
import { LeakscopeError } from '../../src/process/index.ts';

test('nodes, edges and types say what the graph says', async () => {
  const graph = new HeapGraph(serviceHeap(20_000), syntheticOrigin);
  using tables = await openTables([graph]);
  const { nodeCount, edgeCount, size, address, edgeTarget } = graph.columns;
  const nodes = await tables.query('select node, address, type, size, retained, dominator from nodes order by node');
  expect(nodes.columns).toEqual(['node', 'address', 'type', 'size', 'retained', 'dominator']);
  expect(nodes.rows.length).toBe(nodeCount);
  const tree = dominatorsOf(graph);
  nodes.rows.forEach((row, node) => {
    expect(row).toEqual([
      node,
      `0x${address[node]!.toString(16)}`,
      graph.typeName(node),
      size[node],
      tree.retained[node],
      tree.idom[node],
    ]);
  });
  const edges = await tables.query('select source, target, label from edges order by edge');
  expect(edges.rows.length).toBe(edgeCount);
  edges.rows.forEach((row, edge) => {
    if (edge % 17 === 0) expect(row).toEqual([graph.sourceOf(edge), edgeTarget[edge], labelText(graph, edge)]);
  });
  const types = await tables.query('select sum(count), sum(bytes) from types');
  expect(types.rows).toEqual([[nodeCount, size.reduce((a, b) => a + b, 0)]]);
});

test('labels of every kind, flags, names', async () => {
  const heap = new HeapBuilder();
  const dict = heap.module('app');
  const item = heap.node({ type: 'T', flags: NodeFlag.tracked | 4 | NodeFlag.finalizer });
  for (const [kind, payload] of [
    [LabelKind.attribute, 'a'],
    [LabelKind.key, 'k'],
    [LabelKind.keyNode, 1],
    [LabelKind.index, 7],
    [LabelKind.local, 'x'],
    [LabelKind.cell, 'c'],
    [LabelKind.keyObject, 0],
    [LabelKind.inferred, 24],
    [LabelKind.weak, 0],
    [LabelKind.borrowed, 'back'],
    [LabelKind.internal, 'type'],
  ] as const)
    heap.edge(dict, item, kind, payload);
  const graph = new HeapGraph(heap.columns(), syntheticOrigin);
  using tables = await openTables([graph]);
  const labels = await tables.query('select label from edges order by edge');
  expect(labels.rows.map(row => row[0])).toEqual(
    Array.from({ length: graph.edgeCount }, (_, edge) => labelText(graph, edge)),
  );
  expect(
    (await tables.query("select generation, tracked, finalizer, immortal from nodes where type = 'T'")).rows,
  ).toEqual([[2, true, true, false]]);
  expect((await tables.query("select name from nodes where type = 'module'")).rows).toEqual([['app']]);
  expect((await tables.query("select position from edges where kind = 'index'")).rows).toEqual([[7]]);
});

test('who refers to what, in SQL', async () => {
  const graph = new HeapGraph(serviceHeap(20_000), syntheticOrigin);
  using tables = await openTables([graph]);
  const { rows } = await tables.query(
    "select s.type, count(*) n from edges e join nodes s on s.node = e.source join nodes t on t.node = e.target where t.type = 'dict' group by all order by n desc limit 1",
  );
  expect(rows[0]![0]).toMatch(/^app\.models\.Type/);
});

test('a wrong query is one sentence', async () => {
  using tables = await openTables([new HeapGraph(serviceHeap(1000), syntheticOrigin)]);
  const error = await tables.query('select nonsense from nodes').catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LeakscopeError);
  expect((error as LeakscopeError).exitCode).toBe(2);
  expect((error as LeakscopeError).message).toContain('nonsense');
});

test('growth over snapshots, and Parquet files that another database reads', async () => {
  const make = (count: number, seconds: number) => {
    const heap = new HeapBuilder();
    const dict = heap.module('app');
    const list = heap.node({ type: 'list', layout: 'list', length: count });
    heap.edge(dict, list, LabelKind.key, 'ITEMS');
    for (let i = 0; i < count; i++) heap.edge(list, heap.node({ type: 'Item' }), LabelKind.index, i);
    return new HeapGraph(heap.columns(), { ...syntheticOrigin, capturedAtMs: seconds * 1000 });
  };
  using tables = await openTables([make(5, 0), make(25, 10)]);
  expect((await tables.query("select count_growth, count_per_second from growth where type = 'Item'")).rows).toEqual([
    [20, 2],
  ]);
  expect((await tables.query('select expression, type, objects_growth from growth_holders')).rows).toEqual([
    ['app.ITEMS', 'list', 20],
  ]);
  const directory = mkdtempSync(join(tmpdir(), "leakscope parquet'"));
  try {
    const files = await tables.exportParquet(join(directory, 'out'));
    expect(files.length).toBe(TABLES.length);
    const other = await (await DuckDBInstance.create(':memory:')).connect();
    const count = await other.runAndReadAll(`select count(*)::integer from '${files[0]!.replaceAll("'", "''")}'`);
    expect(count.getRows()).toEqual([[29]]);
    other.closeSync();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
