/**
 * References found against reference counts. An object whose count is greater than what was found is held by something
 * that is not there: native code, a running evaluation stack, or a DECREF that was forgotten.
 */
import { IMMORTAL_REFCOUNT, LabelKind, NodeFlag, type NodeIndex } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';

/** Per node: references that CPython counts: all edges but weak and borrowed ones, inferred ones only if asked for. */
export function referencesFound(graph: HeapGraph, includeInferred = false): Uint32Array {
  const { nodeCount, edgeCount, edgeTarget, edgeLabel } = graph.columns;
  const counted = new Uint8Array(16).fill(1);
  counted[LabelKind.weak] = 0;
  counted[LabelKind.borrowed] = 0;
  // A root's edge stands for no reference of its own: the module is in sys.modules, the thread is no object.
  counted[LabelKind.root] = 0;
  counted[LabelKind.inferred] = includeInferred ? 1 : 0;
  const found = new Uint32Array(nodeCount);
  for (let edge = 0; edge < edgeCount; edge++) if (counted[edgeLabel[edge]! >>> 28] !== 0) found[edgeTarget[edge]!]!++;
  return found;
}

export interface SurplusByType {
  readonly type: string;
  /** Objects with a surplus, and the sum of it. */
  readonly objects: number;
  readonly surplus: number;
  /** Objects of the type in all. */
  readonly of: number;
  readonly bytes: number;
  /** The node of the greatest surplus. */
  readonly example: NodeIndex;
}

export interface Reconciliation {
  /** Objects that were compared: not immortal, not synthetic. */
  readonly compared: number;
  /** Of them: count equals references found. */
  readonly equal: number;
  /** Count greater, by type, most objects first. */
  readonly surplus: readonly SurplusByType[];
  /** Objects with more references found than counted: decoded wrongly, changed meanwhile, or a count too low (a bug that crashes). */
  readonly deficit: number;
}

/** Compares every object; an inferred reference may explain a surplus and makes no deficit. */
export function reconcile(graph: HeapGraph): Reconciliation {
  const { nodeCount, refcount, flags, type, types, size } = graph.columns;
  const found = referencesFound(graph);
  const withInferred = referencesFound(graph, true);
  const rows = types.map(() => ({ objects: 0, surplus: 0, of: 0, bytes: 0, example: 0, greatest: 0 }));
  let compared = 0;
  let equal = 0;
  let deficit = 0;
  for (let node = 1; node < nodeCount; node++) {
    if (
      refcount[node] === IMMORTAL_REFCOUNT ||
      (flags[node]! & (NodeFlag.synthetic | NodeFlag.nativeBlock | NodeFlag.immortal)) !== 0
    )
      continue;
    compared++;
    const row = rows[type[node]!]!;
    row.of++;
    const surplus = refcount[node]! - withInferred[node]!;
    if (surplus > 0) {
      row.objects++;
      row.surplus += surplus;
      row.bytes += size[node]!;
      if (surplus > row.greatest) {
        row.greatest = surplus;
        row.example = node;
      }
    } else if (refcount[node]! < found[node]!) deficit++;
    else equal++;
  }
  const surplus = rows
    .map(({ objects, surplus: sum, of, bytes, example }, t) => ({
      type: types[t]!.name,
      objects,
      surplus: sum,
      of,
      bytes,
      example,
    }))
    .filter(row => row.objects > 0)
    .sort((a, b) => b.objects - a.objects || b.surplus - a.surplus);
  return { compared, equal, surplus, deficit };
}
