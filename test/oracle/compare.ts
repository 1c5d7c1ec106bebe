/**
 * One snapshot beside what CPython itself said at the same moment: how much of it is there, and right.
 *
 * - *tracked*, *reachable*: objects that gc.is_tracked() says yes to, frozen ones too, and untracked ones; all of them from
 *   gc.get_objects() and what gc.get_referents reaches from there.
 * - *references*: pairs of gc.get_referents, with multiplicity; *named* when the edge is not a pointer found by scan.
 * - *claimed*: nodes that exist. Those to which named references lead from objects that CPython told of, do
 *   (gc.get_referents knows only what tp_traverse visits: no names of functions, no constants of code). The others,
 *   which C code alone holds, are put to CPython: the target's twin takes the address as an object and uses it.
 * - *surplus*: reference counts above the references found, on objects that are not immortal.
 */
import type { Decoded } from '../../src/cpython/decode.ts';
import {
  type HeapColumns,
  IMMORTAL_REFCOUNT,
  LabelKind,
  labelKind,
  labelPayload,
  makeLabel,
  NodeFlag,
} from '../../src/cpython/index.ts';
import { referenceSurplus } from '../../src/cpython/reconcile.ts';
import type { StoppedTarget, Truth } from './truth.ts';

export interface Rate {
  readonly of: number;
  readonly right: number;
  /** What is not right, by the name of the type (or of the edge's end types), most frequent first. */
  readonly wrong: readonly { readonly what: string; readonly count: number; readonly example: string }[];
}

export interface Comparison {
  readonly version: string;
  readonly nodes: number;
  readonly tracked: Rate;
  readonly reachable: Rate;
  readonly types: Rate;
  readonly sizes: Rate;
  readonly refcounts: Rate;
  readonly references: Rate;
  readonly named: Rate;
  readonly locals: Rate;
  /** Of all nodes that are objects, those that exist. */
  readonly claimed: Rate;
  /** Objects (not immortal) whose reference count is not above the references found. */
  readonly surplus: Rate;
  /** The same, with pointers that scans found counted as references. */
  readonly unexplained: Rate;
  /** Objects (not immortal) whose reference count is not below the references found. */
  readonly deficit: Rate;
  readonly undecoded: readonly { readonly reason: string; readonly count: number }[];
}

class Tally {
  of = 0;
  private readonly wrong = new Map<string, { count: number; example: string }>();
  private wrongCount = 0;

  add(right: boolean, what: () => string, example: () => string): void {
    this.of++;
    if (right) return;
    this.wrongCount++;
    const key = what();
    const entry = this.wrong.get(key);
    if (entry === undefined) this.wrong.set(key, { count: 1, example: example() });
    else entry.count++;
  }

  rate(): Rate {
    const wrong = [...this.wrong].map(([what, w]) => ({ what, ...w })).sort((a, b) => b.count - a.count);
    return { of: this.of, right: this.of - this.wrongCount, wrong };
  }
}

const hex = (n: number) => `0x${n.toString(16)}`;

function occurrences(values: Float64Array, wanted: number): number {
  let count = 0;
  for (const value of values) if (value === wanted) count++;
  return count;
}

export async function compare(decoded: Decoded, target: StoppedTarget): Promise<Comparison> {
  const { truth } = target;
  const c = decoded.columns;
  const nodeAt = new Map<number, number>();
  for (let n = 1; n < c.nodeCount; n++) if ((c.flags[n] & NodeFlag.synthetic) === 0) nodeAt.set(c.address[n], n);
  const typeName = (n: number) => c.types[c.type[n]].name;
  const trueType = (i: number) => truth.typeNames.get(truth.type[i]) ?? '?';

  const tracked = new Tally();
  const reachable = new Tally();
  const types = new Tally();
  const sizes = new Tally();
  const refcounts = new Tally();
  for (let i = 0; i < truth.count; i++) {
    const node = nodeAt.get(truth.address[i]);
    const what = () => trueType(i);
    const where = () => hex(truth.address[i]);
    if (truth.tracked[i] !== 0)
      tracked.add(node !== undefined && (c.flags[node] & NodeFlag.tracked) !== 0, what, where);
    else reachable.add(node !== undefined, what, where);
    if (node === undefined) continue;
    types.add(
      c.types[c.type[node]].address === truth.type[i] && (typeName(node) === what() || what() === ''),
      () => `${what()} (here ${typeName(node)})`,
      where,
    );
    if (truth.size[i] >= 0)
      sizes.add(c.size[node] === truth.size[i], what, () => `${where()} is ${truth.size[i]}, here ${c.size[node]}`);
    const immortal = c.refcount[node] === IMMORTAL_REFCOUNT;
    refcounts.add(
      immortal || Math.abs(c.refcount[node] - truth.refcount[i]) <= 2,
      what,
      () => `${where()} is ${truth.refcount[i]}, here ${c.refcount[node]}`,
    );
  }

  // Some types visit, too, what an object of theirs holds (lru_cache its links, ctypes' types their StgDict): there one
  // object is between, and CPython does not report the reference for that one.
  const through = (node: number, target: number): boolean => {
    for (let e = c.edgeStart[node]; e < c.edgeStart[node + 1]; e++) {
      const between = c.edgeTarget[e];
      const known = truth.index.get(c.address[between]);
      const said =
        known === undefined
          ? 0
          : occurrences(truth.referents.subarray(truth.start[known], truth.start[known + 1]), target);
      if (leads(between, target) > said) return true;
    }
    // Attributes that lie inside an object are the object's here; some releases of CPython count them to its dict.
    const owner = dictOwner.get(node);
    return owner !== undefined && leads(owner, target) > 0;
  };
  const leads = (from: number, target: number): number => {
    let count = 0;
    for (let f = c.edgeStart[from]; f < c.edgeStart[from + 1]; f++) {
      if (c.address[c.edgeTarget[f]] === target && labelKind(c.edgeLabel[f]) !== LabelKind.inferred) count++;
    }
    return count;
  };
  const dictOwner = new Map<number, number>();
  const ofDict = makeLabel(LabelKind.attribute, c.strings.indexOf('__dict__'));
  for (let n = 0; n < c.nodeCount; n++) {
    for (let e = c.edgeStart[n]; e < c.edgeStart[n + 1]; e++)
      if (c.edgeLabel[e] === ofDict) dictOwner.set(c.edgeTarget[e], n);
  }
  const references = new Tally();
  const named = new Tally();
  const found = new Map<number, number>();
  for (let i = 0; i < truth.count; i++) {
    const node = nodeAt.get(truth.address[i]);
    if (node === undefined || truth.start[i] === truth.start[i + 1]) continue;
    // Per target: references found by name in the low half, inferred ones in the upper.
    found.clear();
    for (let e = c.edgeStart[node]; e < c.edgeStart[node + 1]; e++) {
      const kind = labelKind(c.edgeLabel[e]);
      if (kind === LabelKind.weak) continue;
      const target = c.address[c.edgeTarget[e]];
      found.set(target, (found.get(target) ?? 0) + (kind === LabelKind.inferred ? 0x1_0000_0000 : 1));
    }
    for (let r = truth.start[i]; r < truth.start[i + 1]; r++) {
      const target = truth.referents[r];
      const have = found.get(target) ?? 0;
      const byName = have % 0x1_0000_0000 > 0;
      const there = have > 0;
      const what = () => `${trueType(i)} -> ${trueType(truth.index.get(target) ?? -1)}`;
      const where = () => `${hex(truth.address[i])} -> ${hex(target)}`;
      if (there) found.set(target, have - (byName ? 1 : 0x1_0000_0000));
      else if (through(node, target)) {
        references.add(true, what, where);
        named.add(true, what, where);
        continue;
      }
      references.add(there, what, where);
      named.add(byName, what, where);
    }
  }

  return {
    version: truth.version,
    nodes: c.nodeCount,
    tracked: tracked.rate(),
    reachable: reachable.rate(),
    types: types.rate(),
    sizes: sizes.rate(),
    refcounts: refcounts.rate(),
    references: references.rate(),
    named: named.rate(),
    locals: compareLocals(decoded, truth).rate(),
    claimed: (await compareClaims(c, target)).rate(),
    ...reconcile(c),
    undecoded: c.undecoded,
  };
}

/** Local variables of all threads' frames, by thread, depth and name. */
function compareLocals(decoded: Decoded, truth: Truth): Tally {
  const c = decoded.columns;
  const tally = new Tally();
  const threadNode = new Map<number, number>();
  for (let n = 0; n < c.nodeCount; n++) if (c.types[c.type[n]].name === '<thread>') threadNode.set(c.address[n], n);
  const threads = decoded.runtime.interpreters.flatMap(i => i.threads);
  for (const [ident, frames] of truth.threads) {
    const state = threads.find(t => t.threadId === ident);
    const node = state === undefined ? undefined : threadNode.get(state.address);
    const ours: number[] = [];
    if (node !== undefined) {
      for (let e = c.edgeStart[node]; e < c.edgeStart[node + 1]; e++) {
        if ((c.strings[labelPayload(c.edgeLabel[e])] ?? '').startsWith('frame ')) ours.push(c.edgeTarget[e]);
      }
    }
    frames.forEach((frame, depth) => {
      const at = ours[depth];
      const here = new Map<string, number>();
      let dict = 0;
      // A generator's frame is the generator's; what is in a frame object's own place is behind it.
      if (at !== undefined) {
        for (let e = c.edgeStart[at]; e < c.edgeStart[at + 1]; e++) {
          const label = c.edgeLabel[e];
          let target = c.edgeTarget[e];
          const text = c.strings[labelPayload(label)];
          if (labelKind(label) === LabelKind.attribute && text === 'f_locals') dict = c.address[target];
          if (labelKind(label) !== LabelKind.local && labelKind(label) !== LabelKind.borrowed) continue;
          if (c.types[c.type[target]].name === 'cell') {
            if (c.edgeStart[target] === c.edgeStart[target + 1]) continue;
            target = c.edgeTarget[c.edgeStart[target]];
          }
          here.set(text, c.address[target]);
        }
      }
      const what = () =>
        `${frame.name} (thread ${state?.name ?? ident}, ${at === undefined ? 'frame not found' : c.types[c.type[at]].name})`;
      if (frame.locals === null)
        tally.add(dict === frame.dict, what, () => `dict ${hex(frame.dict)}, here ${hex(dict)}`);
      for (const [name, id] of Object.entries(frame.locals ?? {})) {
        // What fork() returned is 0 in the child that wrote the truth.
        tally.add(here.get(name) === id, what, () => `${name} is ${hex(id)}, here ${hex(here.get(name) ?? 0)}`);
      }
    });
  }
  return tally;
}

/**
 * Nodes that nothing CPython said vouches for: no object of its own list, nor named references from those lead to them.
 * Static and immortal ones are left out: they are no blocks that could be free.
 */
export function unvouched(c: HeapColumns, truth: Truth): number[] {
  const exists = new Uint8Array(c.nodeCount);
  const queue: number[] = [];
  const add = (n: number) => {
    if (exists[n] !== 0) return;
    exists[n] = 1;
    queue.push(n);
  };
  for (let n = 0; n < c.nodeCount; n++)
    if ((c.flags[n] & NodeFlag.synthetic) !== 0 || truth.index.has(c.address[n])) add(n);
  for (let at = 0; at < queue.length; at++) {
    for (let e = c.edgeStart[queue[at]]; e < c.edgeStart[queue[at] + 1]; e++) {
      const kind = labelKind(c.edgeLabel[e]);
      // A root's edge to what nothing holds is itself a claim.
      if (kind !== LabelKind.inferred && kind !== LabelKind.root) add(c.edgeTarget[e]);
    }
  }
  const fixed = NodeFlag.static | NodeFlag.immortal | NodeFlag.nativeBlock;
  const left: number[] = [];
  for (let n = 1; n < c.nodeCount; n++) if (exists[n] === 0 && (c.flags[n] & fixed) === 0) left.push(n);
  return left;
}

/** Of all nodes that are objects, those that exist: the unvouched ones are put to CPython itself, in the target's twin. */
async function compareClaims(c: HeapColumns, target: StoppedTarget): Promise<Tally> {
  const asked = unvouched(c, target.truth);
  const answers = asked.length === 0 ? [] : await target.typesAt(asked.map(n => c.address[n]));
  const answer = new Map(asked.map((n, i) => [n, answers[i]]));
  const tally = new Tally();
  for (let n = 1; n < c.nodeCount; n++) {
    if ((c.flags[n] & (NodeFlag.synthetic | NodeFlag.nativeBlock)) !== 0) continue;
    const type = answer.get(n);
    tally.add(
      type === undefined || type === c.types[c.type[n]].address,
      () => c.types[c.type[n]].name,
      () => `${hex(c.address[n])} refcount ${c.refcount[n]}`,
    );
  }
  return tally;
}

function reconcile(c: HeapColumns): { surplus: Rate; unexplained: Rate; deficit: Rate } {
  const byName = referenceSurplus(c);
  const withInferred = referenceSurplus(c, true);
  const surplus = new Tally();
  const unexplained = new Tally();
  const deficit = new Tally();
  for (let n = 1; n < c.nodeCount; n++) {
    if ((c.flags[n] & NodeFlag.synthetic) !== 0 || c.refcount[n] === IMMORTAL_REFCOUNT) continue;
    const what = () => c.types[c.type[n]].name;
    const example = () => `${hex(c.address[n])} refcount ${c.refcount[n]}, found ${c.refcount[n] - byName[n]}`;
    surplus.add(byName[n] <= 0, what, example);
    unexplained.add(withInferred[n] <= 0, what, example);
    deficit.add(byName[n] >= 0, what, example);
  }
  return { surplus: surplus.rate(), unexplained: unexplained.rate(), deficit: deficit.rate() };
}
