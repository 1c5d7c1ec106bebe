/**
 * heap: the graph of one moment, in columns, and the file it is kept in.
 * It knows nodes, edges, labels. It must not know what growth or a leak is, nor how memory was read.
 */
export {
  HeapGraph,
  labelStringOf,
  labelText,
  labelTextOf,
  lowerBound,
  type Referrers,
  retainingKinds,
} from './graph.ts';
export { isSnapshot, readSnapshot, SNAPSHOT_VERSION, type SnapshotWritten, writeSnapshot } from './snapshot-file.ts';
