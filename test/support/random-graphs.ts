/** Arbitrary small heaps for properties: any edges, all label kinds, unreachable parts, reference counts that lie. */
import fc from 'fast-check';
import { HeapBuilder, syntheticOrigin } from '../../bench/heap-shapes.ts';
import { LabelKind, NodeFlag } from '../../src/cpython/index.ts';
import { HeapGraph } from '../../src/heap/index.ts';

export interface RandomGraphOptions {
  readonly maxNodes?: number;
  /** Edges a node, at most on average. */
  readonly density?: number;
}

export function randomGraph({ maxNodes = 14, density = 2.5 }: RandomGraphOptions = {}): fc.Arbitrary<HeapGraph> {
  const kinds: LabelKind[] = [
    LabelKind.internal,
    LabelKind.attribute,
    LabelKind.key,
    LabelKind.keyNode,
    LabelKind.index,
    LabelKind.local,
    LabelKind.cell,
    LabelKind.keyObject,
    LabelKind.inferred,
    LabelKind.weak,
    LabelKind.borrowed,
  ];
  return fc.integer({ min: 1, max: maxNodes }).chain(count =>
    fc
      .record({
        nodes: fc.array(
          fc.record({
            type: fc.integer({ min: 0, max: 3 }),
            size: fc.integer({ min: 1, max: 100 }),
            surplus: fc.integer({ min: 0, max: 9 }),
          }),
          { minLength: count - 1, maxLength: count - 1 },
        ),
        edges: fc.array(
          fc.record({
            from: fc.nat(count - 1),
            to: fc.nat(count - 1),
            kind: fc.constantFrom(...kinds),
            label: fc.nat(3),
          }),
          { maxLength: Math.ceil(count * density) },
        ),
      })
      .map(({ nodes, edges }) => {
        const heap = new HeapBuilder();
        const counted = new Map<number, number>();
        for (const { to, kind } of edges)
          if (kind !== LabelKind.weak && kind !== LabelKind.borrowed) counted.set(to, (counted.get(to) ?? 0) + 1);
        nodes.forEach(({ type, size, surplus }, i) => {
          // Two in ten claim one reference more than there is.
          heap.node({
            type: `T${type}`,
            layout: ['dict', 'list', 'instance', 'set'][type]!,
            size,
            flags: NodeFlag.tracked,
            refcount: (counted.get(i + 1) ?? 0) + (surplus > 7 ? 1 : 0),
          });
        });
        for (const { from, to, kind, label } of edges) {
          const payload =
            kind === LabelKind.keyNode
              ? to
              : kind === LabelKind.index
                ? label
                : kind === LabelKind.inferred
                  ? label * 8
                  : `n${label}`;
          heap.edge(from, to, kind, payload);
        }
        return new HeapGraph(heap.columns(), syntheticOrigin);
      }),
  );
}
