/**
 * Reference counts beside the references found: what nothing in the heap accounts for is held by C code.
 *
 * A reference counts when it owns one: everything but weak references, borrowed pointers, roots, and pointers that a
 * scan found and that may be no references at all.
 */
import { type HeapColumns, IMMORTAL_REFCOUNT, LabelKind, NodeFlag } from './columns.ts';

/** Does an edge of this kind own a reference to its target? */
export function ownsReference(kind: number): boolean {
  return (
    kind !== LabelKind.weak && kind !== LabelKind.borrowed && kind !== LabelKind.root && kind !== LabelKind.inferred
  );
}

type Columns = Pick<
  HeapColumns,
  'nodeCount' | 'edgeCount' | 'edgeStart' | 'edgeTarget' | 'edgeLabel' | 'refcount' | 'flags'
>;

/**
 * Per node: its reference count less the references found; 0 for immortal objects and synthetic nodes. A surplus is
 * the mark of C code that holds the object, or that forgot a Py_DECREF. With `inferred`, pointers found by scanning
 * count as references, too: what is then left is explained by nothing.
 */
export function referenceSurplus(columns: Columns, inferred = false): Int32Array {
  const { nodeCount, edgeCount, edgeTarget, edgeLabel, refcount, flags } = columns;
  const surplus = new Int32Array(nodeCount);
  for (let n = 0; n < nodeCount; n++) surplus[n] = refcount[n] === IMMORTAL_REFCOUNT ? 0 : refcount[n];
  for (let e = 0; e < edgeCount; e++) {
    const kind = edgeLabel[e] >>> 28;
    // Kinds from `inferred` on own nothing.
    if (kind < LabelKind.inferred || (inferred && kind === LabelKind.inferred)) surplus[edgeTarget[e]]--;
  }
  for (let n = 0; n < nodeCount; n++) {
    if (refcount[n] === IMMORTAL_REFCOUNT || (flags[n] & NodeFlag.synthetic) !== 0) surplus[n] = 0;
    // What is compiled in begins with one reference, so that it is never freed.
    else if ((flags[n] & NodeFlag.static) !== 0 && surplus[n] > 0) surplus[n]--;
  }
  return surplus;
}
