/**
 * Who holds the growth: objects that were born while leakscope watched and stayed, put to the account of the nearest
 * thing that was there before and dominates them.
 *
 * That finds the container a leak collects in, and as well what has no container: a list that is replaced by a longer
 * one each time, a chain of exceptions, an iterator's buffer. Where the dominator does not refer to the new objects
 * itself (two old containers share them), the old container with most of them is taken.
 */
import { LabelKind, labelKind, labelPayload, makeLabel, type NodeIndex } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import type { DominatorTree } from './dominators.ts';
import { birthSnapshots } from './identity.ts';

/** How many objects of one type, and how many bytes of them, a holder gained. */
export interface GrowingType {
  readonly type: string;
  /** Address of the type object. */
  readonly address: number;
  readonly heapType: boolean;
  readonly layout: string;
  /** Objects that stayed, by the interval in which they were born: [0] between snapshots 0 and 1. The last interval has also those that only pass through. */
  readonly born: readonly number[];
  readonly bytes: number;
}

export interface GrowthHolder {
  /** The old object, in the last graph. nodeCount stands for native code, nodeCount + 1 for garbage not collected yet. */
  readonly node: NodeIndex;
  readonly kind: 'object' | 'native' | 'garbage';
  /** The label of the one reference through which the growth hangs, when it is one: an attribute, a variable; undefined for a container's items. */
  readonly slot: number | undefined;
  /** A new object that hangs right under the holder: an example for the path. */
  readonly sample: NodeIndex;
  /** New objects right under the holder, by interval of birth. */
  readonly items: readonly number[];
  /** All new objects under the holder, by interval of birth, and their shallow bytes. */
  readonly born: readonly number[];
  readonly bornBytes: readonly number[];
  /** Types of the new objects, most bytes first. */
  readonly types: readonly GrowingType[];
  /** Of a dict: entries whose key was there from the first snapshot on and whose value is new. Not 0: keys come back. */
  readonly replaced: number;
  /** `len()` of the holder in each snapshot, when it has one. */
  readonly lengths: readonly number[];
  /** Retained bytes of the holder (of the slot's referent when there is a slot) in each snapshot. */
  readonly retained: readonly number[];
  /** One object that itself becomes bigger (an array, a text that is added to): nothing new hangs under it. */
  readonly swelling: boolean;
}

interface Group {
  holder: number;
  slot: number;
  sample: number;
  items: Float64Array;
  born: Float64Array;
  bornBytes: Float64Array;
  types: Map<number, { born: Float64Array; bytes: number }>;
}

/** Nodes that may have many items: a new object under them is an item, not the content of one attribute. */
const containerLayouts = /^(dict|list|set|frozenset|tuple|collections\.(deque|OrderedDict|defaultdict))$/;

/**
 * The holders of everything that was born after the first snapshot and lived to the last one, most bytes first.
 * `trees` are the dominator trees of the same snapshots. Linear in nodes and edges of the last graph.
 */
export function growthHolders(graphs: readonly HeapGraph[], trees: readonly DominatorTree[]): GrowthHolder[] {
  const last = graphs[graphs.length - 1];
  const tree = trees[trees.length - 1];
  const { columns } = last;
  const { nodeCount, edgeStart, edgeTarget, edgeLabel } = columns;
  const intervals = graphs.length - 1;
  if (intervals < 1) return [];
  const born = birthSnapshots(graphs);

  // The nearest old dominator of each new node, and the new node right under it on the way.
  const holderOf = new Uint32Array(nodeCount + 2);
  const firstOf = new Uint32Array(nodeCount + 2);
  for (const node of tree.order) {
    const isNew = node < nodeCount && born[node] > 0;
    if (!isNew) {
      holderOf[node] = node;
      continue;
    }
    const parent = tree.idom[node];
    const parentIsNew = parent < nodeCount && born[parent] > 0;
    holderOf[node] = parentIsNew ? holderOf[parent] : parent;
    firstOf[node] = parentIsNew ? firstOf[parent] : node;
  }

  // Through which reference each first node hangs; first nodes that their dominator does not refer to get a foster holder.
  const NONE = 0xffff_ffff;
  const labelOf = new Uint32Array(nodeCount).fill(NONE);
  for (let source = 0; source < nodeCount; source++) {
    if (born[source] > 0) continue;
    for (let e = edgeStart[source]; e < edgeStart[source + 1]; e++) {
      const target = edgeTarget[e];
      if (born[target] === 0 || firstOf[target] !== target || holderOf[target] !== source) continue;
      const kind = labelKind(edgeLabel[e]);
      if (tree.retains[kind] === 0) continue;
      if (labelOf[target] === NONE || kind !== LabelKind.keyObject) {
        // A name that is itself new is a key like any other, not an attribute that got another value.
        const newName =
          kind === LabelKind.key &&
          e > edgeStart[source] &&
          born[edgeTarget[e - 1]] > 0 &&
          labelKind(edgeLabel[e - 1]) === LabelKind.keyObject;
        labelOf[target] = newName ? makeLabel(LabelKind.keyNode, edgeTarget[e - 1]) : edgeLabel[e];
      }
    }
  }
  foldModules(last, born, holderOf, firstOf, labelOf);
  adoptOrphans(last, tree, born, holderOf, firstOf, labelOf, NONE);

  const groups = new Map<number, Map<number, Group>>();
  for (const node of tree.order) {
    if (node >= nodeCount || born[node] === 0) continue;
    const first = firstOf[node];
    const holder = holderOf[first];
    const slot = slotOf(last, holder, labelOf[first], NONE);
    let slots = groups.get(holder);
    if (slots === undefined) {
      slots = new Map();
      groups.set(holder, slots);
    }
    let group = slots.get(slot);
    if (group === undefined) {
      group = {
        holder,
        slot,
        sample: first,
        items: new Float64Array(intervals),
        born: new Float64Array(intervals),
        bornBytes: new Float64Array(intervals),
        types: new Map(),
      };
      slots.set(slot, group);
    }
    const interval = born[node] - 1;
    const bytes = columns.size[node];
    group.born[interval]++;
    group.bornBytes[interval] += bytes;
    if (first === node) {
      group.items[interval]++;
      // The oldest of the new ones has proved that it stays.
      if (born[first] < born[group.sample]) group.sample = first;
    }
    let type = group.types.get(columns.type[node]);
    if (type === undefined) {
      type = { born: new Float64Array(intervals), bytes: 0 };
      group.types.set(columns.type[node], type);
    }
    type.born[interval]++;
    type.bytes += bytes;
  }

  const holders: GrowthHolder[] = [];
  for (const slots of groups.values()) {
    for (const group of slots.values()) holders.push(describe(group, graphs, trees, born, NONE));
  }
  const weight = (h: GrowthHolder) => h.bornBytes.reduce((a, b) => a + b, 0);
  return holders.sort((a, b) => weight(b) - weight(a));
}

/** Modules hang on the root under their names, so that paths are short; what holds them is `sys.modules`. */
function foldModules(
  graph: HeapGraph,
  born: Uint8Array,
  holderOf: Uint32Array,
  firstOf: Uint32Array,
  labelOf: Uint32Array,
): void {
  const { nodeCount, edgeStart, edgeTarget, edgeLabel, strings } = graph.columns;
  let modules = 0;
  for (let e = edgeStart[0]; e < edgeStart[1] && modules === 0; e++) {
    const state = edgeTarget[e];
    if (strings[labelPayload(edgeLabel[e])] !== 'interpreter state') continue;
    for (let f = edgeStart[state]; f < edgeStart[state + 1]; f++)
      if (graph.labelString(f) === 'sys.modules') modules = edgeTarget[f];
  }
  if (modules === 0 || born[modules] > 0) return;
  for (let node = 1; node < nodeCount; node++) {
    if (born[node] === 0 || firstOf[node] !== node || holderOf[node] !== 0 || graph.layout(node) !== 'module') continue;
    holderOf[node] = modules;
    labelOf[node] = makeLabel(LabelKind.keyNode, 0);
  }
}

/** A reference by a fixed name is a slot; items under changing keys and positions are a container's. */
function slotOf(graph: HeapGraph, holder: number, label: number, none: number): number {
  if (label === none || holder >= graph.nodeCount) return none;
  switch (labelKind(label)) {
    case LabelKind.keyNode:
    case LabelKind.index:
    case LabelKind.keyObject:
      return containerLayouts.test(graph.layout(holder)) ? none : label & 0xf000_0000;
    case LabelKind.inferred:
      return none;
    default:
      return label;
  }
}

/** New objects that their dominator does not refer to itself go to the old object that refers to most of them. */
function adoptOrphans(
  graph: HeapGraph,
  tree: DominatorTree,
  born: Uint8Array,
  holderOf: Uint32Array,
  firstOf: Uint32Array,
  labelOf: Uint32Array,
  none: number,
): void {
  const { columns } = graph;
  const orphans: number[] = [];
  for (let node = 1; node < columns.nodeCount; node++) {
    if (born[node] > 0 && firstOf[node] === node && labelOf[node] === none && holderOf[node] < columns.nodeCount)
      orphans.push(node);
  }
  if (orphans.length === 0) return;
  const { start, source, edge } = graph.referrers;
  const claims = new Map<number, number>();
  const eachOldReferrer = (node: number, visit: (referrer: number, label: number) => void) => {
    for (let i = start[node]; i < start[node + 1]; i++) {
      const label = columns.edgeLabel[edge[i]];
      if (born[source[i]] === 0 && tree.retains[labelKind(label)] !== 0) visit(source[i], label);
    }
  };
  for (const node of orphans) eachOldReferrer(node, referrer => claims.set(referrer, (claims.get(referrer) ?? 0) + 1));
  for (const node of orphans) {
    let best = -1;
    let bestClaims = 0;
    let bestLabel = none;
    eachOldReferrer(node, (referrer, label) => {
      const n = claims.get(referrer)!;
      if (n > bestClaims || (referrer === best && labelKind(label) !== LabelKind.keyObject)) {
        best = referrer;
        bestClaims = n;
        bestLabel = label;
      }
    });
    if (best >= 0) {
      holderOf[node] = best;
      labelOf[node] = bestLabel;
    }
  }
}

function describe(
  group: Group,
  graphs: readonly HeapGraph[],
  trees: readonly DominatorTree[],
  born: Uint8Array,
  none: number,
): GrowthHolder {
  const last = graphs[graphs.length - 1];
  const { columns } = last;
  const { holder } = group;
  // Decoding has a node of its own for what no known variable of C code holds; dominators add theirs for the rest.
  const unknown =
    holder < columns.nodeCount && holder === nativeCodeNode(last) && labelKind(group.slot) === LabelKind.root;
  const kind =
    holder === columns.nodeCount || unknown ? 'native' : holder === columns.nodeCount + 1 ? 'garbage' : 'object';
  const address = kind === 'object' ? columns.address[holder] : 0;
  const slot = group.slot === none || unknown ? undefined : group.slot;
  const lengths: number[] = [];
  const retained: number[] = [];
  graphs.forEach((graph, g) => {
    const node = unknown
      ? nativeCodeNode(graph)
      : kind === 'object'
        ? holder === 0
          ? 0
          : graph.nodeAt(address)
        : graph.nodeCount + (kind === 'native' ? 0 : 1);
    lengths.push(node >= 0 && node < graph.nodeCount ? graph.columns.length[node] : 0);
    retained.push(
      node < 0 ? 0 : slot === undefined ? trees[g].retained[node] : retainedThrough(graph, trees[g], node, last, slot),
    );
  });
  const types = [...group.types]
    .map(([type, t]): GrowingType => {
      const info = columns.types[type];
      return {
        type: info.name,
        address: info.address,
        heapType: info.heapType,
        layout: info.layout,
        born: [...t.born],
        bytes: t.bytes,
      };
    })
    .sort((a, b) => b.bytes - a.bytes);
  return {
    node: holder,
    kind,
    slot,
    sample: group.sample,
    items: [...group.items],
    born: [...group.born],
    bornBytes: [...group.bornBytes],
    types,
    replaced: kind === 'object' && slot === undefined ? replacedValues(last, holder, born) : 0,
    lengths,
    retained,
    swelling: false,
  };
}

/** An object must have gained this many bytes before it counts as swelling. */
const SWOLLEN = 16_384;

/**
 * Old objects that became bigger themselves: arrays, byte arrays, containers of old or tiny objects. `retained` is their
 * shallow size. Those in `known` are left out.
 */
export function swellingObjects(graphs: readonly HeapGraph[], known: ReadonlySet<NodeIndex>): GrowthHolder[] {
  const last = graphs[graphs.length - 1];
  const { nodeCount, address, size, length, type, types } = last.columns;
  const found: GrowthHolder[] = [];
  for (let node = 1; node < nodeCount; node++) {
    if (size[node] < SWOLLEN || known.has(node) || address[node] === 0) continue;
    const nodes = graphs.map(graph => graph.nodeAt(address[node]));
    if (nodes.some((n, g) => n < 0 || graphs[g].typeName(n) !== last.typeName(node))) continue;
    const sizes = nodes.map((n, g) => graphs[g].columns.size[n]);
    const gained = size[node] - sizes[0];
    if (gained < SWOLLEN) continue;
    const info = types[type[node]];
    const none = sizes.slice(1).map(() => 0);
    found.push({
      node,
      kind: 'object',
      slot: undefined,
      sample: node,
      items: none,
      born: none,
      bornBytes: none,
      types: [
        {
          type: info.name,
          address: info.address,
          heapType: info.heapType,
          layout: info.layout,
          born: none,
          bytes: gained,
        },
      ],
      replaced: 0,
      lengths: length[node] > 0 ? nodes.map((n, g) => graphs[g].columns.length[n]) : none.concat(0),
      retained: sizes,
      swelling: true,
    });
  }
  return found;
}

/** Retained bytes of what hangs on `node` through the reference that has the same label as `slot` has in `last`. */
function retainedThrough(graph: HeapGraph, tree: DominatorTree, node: number, last: HeapGraph, slot: number): number {
  const kind = labelKind(slot);
  const text = last.columns.strings[labelPayload(slot)];
  const { edgeStart, edgeTarget, edgeLabel, strings } = graph.columns;
  let bytes = 0;
  for (let e = edgeStart[node]; e < edgeStart[node + 1]; e++) {
    const label = edgeLabel[e];
    if (
      labelKind(label) !== kind ||
      (kind !== LabelKind.index && kind !== LabelKind.keyNode && strings[labelPayload(label)] !== text)
    )
      continue;
    if (tree.idom[edgeTarget[e]] === node) bytes += tree.retained[edgeTarget[e]];
  }
  return bytes;
}

/** Entries of a dict whose key is old and whose value is new. A key's edge stands right before its value's. */
function replacedValues(graph: HeapGraph, node: number, born: Uint8Array): number {
  const { edgeStart, edgeTarget, edgeLabel } = graph.columns;
  let replaced = 0;
  for (let e = edgeStart[node]; e + 1 < edgeStart[node + 1]; e++) {
    if (labelKind(edgeLabel[e]) !== LabelKind.keyObject) continue;
    const next = labelKind(edgeLabel[e + 1]);
    if (next !== LabelKind.key && next !== LabelKind.keyNode) continue;
    if (born[edgeTarget[e]] === 0 && born[edgeTarget[e + 1]] > 0) replaced++;
  }
  return replaced;
}

/** The synthetic node for what only C code holds, -1 when the graph has none. It is the last node of a decoded heap. */
function nativeCodeNode(graph: HeapGraph): NodeIndex {
  const { nodeCount, type, types } = graph.columns;
  return nodeCount > 0 && types[type[nodeCount - 1]].name === '<native code>' ? nodeCount - 1 : -1;
}
