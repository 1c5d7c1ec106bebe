/**
 * A heap as SQL tables, for `query` and Parquet: nodes, edges, types, growth.
 *
 * The columns are not copied into the database. DuckDB asks for rows, 2,048 at a time, and gets them straight from the
 * typed arrays; only the columns a query names are filled in, and retained sizes are only computed for a query that
 * names them. (Loading 8 M nodes and 25 M edges through an appender first takes longer than most queries.)
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  DOUBLE,
  type DuckDBConnection,
  DuckDBInstance,
  DuckDBTableFunction,
  type DuckDBType,
  type DuckDBValue,
  type DuckDBVector,
  UINTEGER,
} from '@duckdb/node-api';
import { dominatorsOf, growthByHolder, growthByType } from '../analysis/index.ts';
import { LabelKind } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { ExitCode, LeakscopeError } from '../process/index.ts';

export interface QueryResult {
  readonly columns: readonly string[];
  /** Whole numbers beyond 2^53 are strings. */
  readonly rows: readonly (readonly unknown[])[];
}

export interface HeapTables {
  /** Runs a statement. Throws a LeakscopeError (exit code 2) with the database's message when it is wrong. */
  query(sql: string): Promise<QueryResult>;
  /** Writes each table as a Parquet file into the directory, made if it is not there; the files' names. */
  exportParquet(directory: string): Promise<string[]>;
  [Symbol.dispose](): void;
}

export const TABLES = ['nodes', 'edges', 'types', 'growth', 'growth_holders'] as const;

/**
 * Opens tables over snapshots, oldest first: nodes, edges and types of the last one, growth over all.
 *
 * - nodes: node, address (text), type, layout, name, size, retained, dominator, refcount, length, generation, tracked, immortal, static, synthetic, native, finalizer
 * - edges: edge, source, target, label, kind, name, position
 * - types: type_id, name, layout, count, bytes
 * - growth: type, count_growth, bytes_growth, count_per_second, bytes_per_second (empty with one snapshot)
 * - growth_holders: expression, type, objects_growth, bytes_growth, fingerprint
 */
export async function openTables(graphs: readonly HeapGraph[]): Promise<HeapTables> {
  const graph = graphs.at(-1)!;
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  connection.registerTableFunction(columnsFunction('heap_nodes', nodeColumns(graph), graph.nodeCount));
  connection.registerTableFunction(columnsFunction('heap_edges', edgeColumns(graph), graph.edgeCount));
  await fillTypes(connection, graph);
  await fillStrings(connection, graph);
  await fillGrowth(connection, graphs);
  await connection.run(VIEWS);
  return {
    async query(sql) {
      try {
        const reader = await connection.runAndReadAll(sql);
        return { columns: reader.columnNames(), rows: reader.getRows().map(row => row.map(plainValue)) };
      } catch (error) {
        throw sqlError(error);
      }
    },
    async exportParquet(directory) {
      try {
        mkdirSync(directory, { recursive: true });
        const files: string[] = [];
        for (const table of TABLES) {
          const file = join(directory, `${table}.parquet`);
          await connection.run(
            `copy (select * from ${table}) to '${file.replaceAll("'", "''")}' (format parquet, compression zstd)`,
          );
          files.push(file);
        }
        return files;
      } catch (error) {
        throw new LeakscopeError(
          `cannot write the tables to ${directory}: ${firstLine(error)}`,
          ExitCode.unsupportedTarget,
          '',
        );
      }
    },
    [Symbol.dispose]() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** A column that fills rows first … first + count - 1 of a chunk. Only numbers: text comes by joins with small tables. */
interface Column {
  readonly name: string;
  readonly type: DuckDBType;
  readonly fill: (vector: DuckDBVector, first: number, count: number) => void;
}

interface Numbers {
  setItem(index: number, value: number): void;
  flush(): void;
}

/** A column of one number a row. */
function numbers(name: string, type: DuckDBType, at: (row: number) => number): Column {
  return {
    name,
    type,
    fill(vector, first, count) {
      const target = vector as unknown as Numbers;
      for (let i = 0; i < count; i++) target.setItem(i, at(first + i));
      target.flush();
    },
  };
}

const NO_STRING = 0xffff_ffff;
const CHUNK_ROWS = 2048;

function nodeColumns(graph: HeapGraph): Column[] {
  const { address, type, size, refcount, length, flags, namedNode, nodeName } = graph.columns;
  let names: Uint32Array | undefined;
  const nameOf = (node: number): number => {
    if (names === undefined) {
      names = new Uint32Array(graph.nodeCount).fill(NO_STRING);
      for (let i = 0; i < namedNode.length; i++) names[namedNode[i]!] = nodeName[i]!;
    }
    return names[node]!;
  };
  return [
    numbers('node', UINTEGER, row => row),
    numbers('address', DOUBLE, row => address[row]!),
    numbers('type_id', UINTEGER, row => type[row]!),
    numbers('size', DOUBLE, row => size[row]!),
    numbers('refcount', UINTEGER, row => refcount[row]!),
    numbers('length', UINTEGER, row => length[row]!),
    numbers('flags', UINTEGER, row => flags[row]!),
    numbers('retained', DOUBLE, row => dominatorsOf(graph).retained[row]!),
    // Native code and garbage, which are no nodes, come out as one past the last and two.
    numbers('dominator', UINTEGER, row => dominatorsOf(graph).idom[row]!),
    numbers('name_id', UINTEGER, nameOf),
  ];
}

function edgeColumns(graph: HeapGraph): Column[] {
  const { columns } = graph;
  const { edgeStart, edgeTarget, edgeLabel } = columns;
  const hasString = Uint8Array.from({ length: 16 }, (_, kind) =>
    [
      LabelKind.internal,
      LabelKind.attribute,
      LabelKind.key,
      LabelKind.local,
      LabelKind.cell,
      LabelKind.borrowed,
      LabelKind.root,
    ].includes(kind as never)
      ? 1
      : 0,
  );
  return [
    numbers('edge', UINTEGER, row => row),
    {
      name: 'source',
      type: UINTEGER,
      fill(vector, first, count) {
        const target = vector as unknown as Numbers;
        let node = graph.sourceOf(first);
        for (let i = 0; i < count; i++) {
          while (edgeStart[node + 1]! <= first + i) node++;
          target.setItem(i, node);
        }
        target.flush();
      },
    },
    numbers('target', UINTEGER, row => edgeTarget[row]!),
    numbers('kind', UINTEGER, row => edgeLabel[row]! >>> 28),
    numbers('string_id', UINTEGER, row =>
      hasString[edgeLabel[row]! >>> 28] !== 0 ? edgeLabel[row]! & 0x0fff_ffff : NO_STRING,
    ),
    numbers('payload', UINTEGER, row => edgeLabel[row]! & 0x0fff_ffff),
  ];
}

function columnsFunction(name: string, columns: readonly Column[], rowCount: number): DuckDBTableFunction {
  return DuckDBTableFunction.create({
    name,
    supportsProjectionPushdown: true,
    bindFunction: info => {
      for (const column of columns) info.addResultColumn(column.name, column.type);
      info.setCardinality(rowCount, true);
    },
    initFunction: info => {
      info.setMaxThreads(1);
      info.setInitData({ next: 0, wanted: info.getColumnIndexes().map(index => columns[index]) });
    },
    mainFunction: (info, chunk) => {
      const state = info.getInitData() as { next: number; wanted: (Column | undefined)[] };
      const count = Math.min(CHUNK_ROWS, rowCount - state.next);
      chunk.rowCount = count;
      if (count > 0) {
        state.wanted.forEach((column, i) => {
          column?.fill(chunk.getColumnVector(i), state.next, count);
        });
      }
      state.next += count;
    },
  });
}

async function append(
  connection: DuckDBConnection,
  table: string,
  rows: Iterable<readonly (string | number | null)[]>,
): Promise<void> {
  const appender = await connection.createAppender(table);
  for (const row of rows) {
    for (const value of row) {
      if (value === null) appender.appendNull();
      else if (typeof value === 'string') appender.appendVarchar(value);
      else appender.appendDouble(value);
    }
    appender.endRow();
  }
  appender.closeSync();
}

async function fillTypes(connection: DuckDBConnection, { columns }: HeapGraph): Promise<void> {
  await connection.run(
    'create table type_rows (type_id double, name varchar, layout varchar, count double, bytes double)',
  );
  const counts = new Float64Array(columns.types.length);
  const bytes = new Float64Array(columns.types.length);
  for (let node = 0; node < columns.nodeCount; node++) {
    counts[columns.type[node]!]!++;
    bytes[columns.type[node]!]! += columns.size[node]!;
  }
  await append(
    connection,
    'type_rows',
    columns.types.map(({ name, layout }, t) => [t, name, layout, counts[t]!, bytes[t]!]),
  );
}

async function fillStrings(connection: DuckDBConnection, { columns }: HeapGraph): Promise<void> {
  await connection.run('create table string_rows (string_id double, text varchar)');
  await append(
    connection,
    'string_rows',
    columns.strings.map((text, i) => [i, text]),
  );
}

async function fillGrowth(connection: DuckDBConnection, graphs: readonly HeapGraph[]): Promise<void> {
  await connection.run(`
    create table growth (type varchar, count_growth double, bytes_growth double, count_per_second double, bytes_per_second double);
    create table growth_holders (expression varchar, type varchar, objects_growth double, bytes_growth double, fingerprint varchar)`);
  if (graphs.length < 2) return;
  const gain = (series: readonly number[]): number => series.at(-1)! - series[0]!;
  await append(
    connection,
    'growth',
    growthByType(graphs).map(row => [
      row.name,
      gain(row.counts),
      gain(row.bytes),
      row.countSlope.perSecond,
      row.bytesSlope.perSecond,
    ]),
  );
  const last = graphs.at(-1)!;
  await append(
    connection,
    'growth_holders',
    growthByHolder(graphs, { limit: 1000 }).map(row => [
      row.kind === 'object' ? row.expression : `<${row.kind}>`,
      row.kind === 'object' ? last.typeName(row.node) : '',
      gain(row.objects),
      gain(row.bytes),
      row.fingerprint,
    ]),
  );
}

const VIEWS = `
create view types as select type_id::uinteger as type_id, name, layout, count::bigint as count, bytes::bigint as bytes from type_rows where count > 0;
create view nodes as select n.node, printf('0x%x', n.address::ubigint) as address, t.name as type, t.layout, s.text as name,
  n.size::bigint as size, n.retained::bigint as retained, n.dominator, case when n.refcount = 4294967295 then null else n.refcount end as refcount, n.length,
  case when n.flags & 1 = 1 then (n.flags >> 1) & 3 end as generation, n.flags & 1 = 1 as tracked, n.flags & 8 <> 0 as immortal,
  n.flags & 64 <> 0 as static, n.flags & 16 <> 0 as synthetic, n.flags & 32 <> 0 as native, n.flags & 128 <> 0 as finalizer
  from heap_nodes() n join type_rows t on t.type_id = n.type_id left join string_rows s on s.string_id = n.name_id;
create view edges as select e.edge, e.source, e.target,
  case e.kind when 1 then '.' || s.text when 2 then '[''' || s.text || ''']' when 3 then '[''…'']' when 4 then '[' || e.payload || ']'
    when 5 then '<frame local ' || s.text || '>' when 6 then '<closure cell ' || s.text || '>' when 7 then '<key>'
    when 8 then printf('<+0x%x>', e.payload) when 9 then '<weak>' when 11 then s.text else '<' || s.text || '>' end as label,
  ['internal', 'attribute', 'key', 'key node', 'index', 'local', 'cell', 'key object', 'inferred', 'weak', 'borrowed', 'root'][e.kind + 1] as kind,
  s.text as name, case when e.kind = 4 then e.payload end as position
  from heap_edges() e left join string_rows s on s.string_id = e.string_id;
`;

function plainValue(value: DuckDBValue): unknown {
  if (typeof value === 'bigint') return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value.toString();
  if (value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean')
    return value;
  return String(value);
}

function sqlError(error: unknown): LeakscopeError {
  return new LeakscopeError(
    `the query failed: ${firstLine(error)}`,
    ExitCode.usage,
    `The tables are ${TABLES.join(', ')}.`,
  );
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
