/**
 * Identity of objects over several snapshots of one process: which objects of the last snapshot were there before,
 * and since when.
 *
 * Two nodes are the same object when address and type (the type object's address) are equal in all snapshots from the
 * one on. An address that was freed and given to an object of the same type in between looks like a survivor; for an
 * object to be mistaken so, its predecessor must have died and it been born between the same two snapshots.
 */
import type { HeapGraph } from '../heap/index.ts';

/** Per node of the last graph: the index of the first snapshot from which on it was there; 0 for those of all snapshots. */
export function birthSnapshots(graphs: readonly HeapGraph[]): Uint8Array {
  const last = graphs[graphs.length - 1];
  const { nodeCount } = last.columns;
  const born = new Uint8Array(nodeCount).fill(graphs.length - 1);
  born[0] = 0;
  for (let g = graphs.length - 2; g >= 0; g--) markSurvivors(last, graphs[g], g, born);
  return born;
}

/** Sets born[n] = g for nodes that were there in snapshot g and in all after it. */
function markSurvivors(last: HeapGraph, earlier: HeapGraph, g: number, born: Uint8Array): void {
  const now = last.nodesByAddress;
  const then = earlier.nodesByAddress;
  const a = last.columns;
  const b = earlier.columns;
  const sameType = typeKeys(last);
  const thenType = typeKeys(earlier);
  for (let i = 0, j = 0; i < now.length && j < then.length; ) {
    const x = a.address[now[i]];
    const y = b.address[then[j]];
    if (x < y) i++;
    else if (x > y) j++;
    else {
      if (born[now[i]] === g + 1 && sameType[a.type[now[i]]] === thenType[b.type[then[j]]]) born[now[i]] = g;
      i++;
      j++;
    }
  }
  for (let n = 0; n < a.nodeCount; n++) if (a.address[n] === 0) born[n] = 0;
}

/** A key for each type of a graph that is the same in other graphs of the process. */
function typeKeys(graph: HeapGraph): (number | string)[] {
  return graph.columns.types.map(t => (t.address === 0 ? t.name : t.address));
}
