/**
 * export: the heap in the formats of other tools: SQL tables and Parquet, V8 heap snapshots.
 * It knows those formats. It must not know how a verdict is found or printed.
 */
export { exportHeapSnapshot } from './heapsnapshot.ts';
export { type HeapTables, openTables, type QueryResult, TABLES } from './tables.ts';
