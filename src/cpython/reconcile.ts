/**
 * Reference counts beside the references found: what nothing in the heap accounts for is held by C code.
 *
 * A reference counts when it owns one: everything but weak references, borrowed pointers, roots, and pointers that a
 * scan found and that may be no references at all.
 */
import { type HeapColumns, IMMORTAL_REFCOUNT, LabelKind, NodeFlag } from './columns.ts';

/** Does an edge of this kind own a reference to its target? */
export function ownsReference(kind: number): boolean {
  return kind !== LabelKind.weak && kind !== LabelKind.borrowed && kind !== LabelKind.root && kind !== LabelKind.inferred;
}

type Columns = Pick<HeapColumns, 'nodeCount' | 'edgeCount' | 'edgeStart' | 'edgeTarget' | 'edgeLabel' | 'refcount' | 'flags'>;

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
  }
  return surplus;
}

/**
 * The nodes that no root leads to and that something unseen must hold: an object with a surplus, or one that is never
 * freed. What is left unreached then is garbage: cycles that wait for the collector. Nodes come in their order.
 */
export function heldByNativeCode(columns: Columns): number[] {
  const { nodeCount, edgeStart, edgeTarget, edgeLabel, refcount } = columns;
  const reached = new Uint8Array(nodeCount);
  const queue = new Uint32Array(nodeCount);
  let length = 0;
  const reachFrom = (start: number) => {
    reached[start] = 1;
    queue[0] = start;
    length = 1;
    while (length > 0) {
      const node = queue[--length];
      for (let e = edgeStart[node], end = edgeStart[node + 1]; e < end; e++) {
        const target = edgeTarget[e];
        if (reached[target] !== 0 || edgeLabel[e] >>> 28 === LabelKind.weak) continue;
        reached[target] = 1;
        queue[length++] = target;
      }
    }
  };
  reachFrom(0);
  const held: number[] = [];
  let surplus: Int32Array | undefined;
  for (let n = 1; n < nodeCount; n++) {
    if (reached[n] !== 0) continue;
    surplus ??= referenceSurplus(columns, true);
    if (surplus[n] > 0 || refcount[n] === IMMORTAL_REFCOUNT) held.push(n);
  }
  return held;
}
