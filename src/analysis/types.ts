/** The histogram of types: how many, how large, what they retain. */
import type { HeapGraph } from '../heap/index.ts';
import { type DominatorTree, dominatorsOf } from './dominators.ts';
import { retainedByGroup } from './retained.ts';

export interface TypeRow {
  readonly name: string;
  readonly count: number;
  readonly shallowBytes: number;
  /** Nested instances once; null when retained sizes were not asked for. */
  readonly retainedBytes: number | null;
}

export type TypeOrder = 'count' | 'size' | 'retained';

/** Every type that has an object, biggest first by the order asked for. Classes of one name are one row. */
export function typeHistogram(
  graph: HeapGraph,
  order: TypeOrder = 'size',
  tree: DominatorTree | null = dominatorsOf(graph),
): TypeRow[] {
  const { types, type, size, nodeCount } = graph.columns;
  // Number of each name; classes that share one share it.
  const numbers = new Map<string, number>();
  const nameOf = Uint32Array.from(types, ({ name }) => {
    const known = numbers.get(name);
    if (known !== undefined) return known;
    numbers.set(name, numbers.size);
    return numbers.size - 1;
  });
  const counts = new Float64Array(numbers.size);
  const bytes = new Float64Array(numbers.size);
  const group = new Uint32Array(nodeCount);
  for (let node = 1; node < nodeCount; node++) {
    const g = nameOf[type[node]!]!;
    group[node] = g;
    counts[g]!++;
    bytes[g]! += size[node]!;
  }
  group[0] = numbers.size;
  const retained = tree === null ? null : retainedByGroup(tree, group, numbers.size + 1);
  const rows = Array.from(
    numbers,
    ([name, g]): TypeRow => ({
      name,
      count: counts[g]!,
      shallowBytes: bytes[g]!,
      retainedBytes: retained === null ? null : retained[g]!,
    }),
  );
  const weight = (row: TypeRow): number =>
    order === 'count' ? row.count : order === 'retained' ? (row.retainedBytes ?? 0) : row.shallowBytes;
  return rows
    .filter(row => row.count > 0)
    .sort((a, b) => weight(b) - weight(a) || b.count - a.count || (a.name < b.name ? -1 : 1));
}
