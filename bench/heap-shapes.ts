/**
 * Heaps that no process had: HeapColumns made by code, for benchmarks and tests. `HeapBuilder` is for small exact
 * ones; `millionDicts` makes what a decoder gives for `[{"id": i, "name": "n%d" % i, "v": [i, i+1]} for i in range(n)]`.
 */
import {
  type HeapColumns,
  type HeapOrigin,
  LabelKind,
  makeLabel,
  NodeFlag,
  type TypeInfo,
} from '../src/cpython/index.ts';

export const syntheticOrigin: HeapOrigin = {
  pid: 1,
  executable: '/usr/bin/python3',
  command: ['python3', 'app.py'],
  python: '3.11.7',
  via: 'fork',
  takenAtMs: 1_700_000_000_000,
  capturedAtMs: 0,
  pauseMs: 0,
  notes: [],
};

export interface NodeSpec {
  readonly type: string;
  /** Layout of the type; the first node of a type decides. */
  readonly layout?: string;
  readonly size?: number;
  readonly address?: number;
  readonly length?: number;
  readonly flags?: number;
  /** Left out: as many references as edges lead here and count. */
  readonly refcount?: number;
  readonly name?: string;
}

/** Builds columns node by node. Node 0, the root, is there from the start. */
export class HeapBuilder {
  readonly nodes: NodeSpec[] = [{ type: '<root>', layout: 'root', size: 0, flags: NodeFlag.synthetic }];
  readonly edges: { from: number; to: number; label: number }[] = [];
  readonly strings: string[] = [];
  readonly #stringIndex = new Map<string, number>();

  string(text: string): number {
    let index = this.#stringIndex.get(text);
    if (index === undefined) {
      index = this.strings.length;
      this.strings.push(text);
      this.#stringIndex.set(text, index);
    }
    return index;
  }

  node(spec: NodeSpec): number {
    this.nodes.push(spec);
    return this.nodes.length - 1;
  }

  edge(from: number, to: number, kind: LabelKind, payload: string | number = 0): void {
    this.edges.push({ from, to, label: makeLabel(kind, typeof payload === 'string' ? this.string(payload) : payload) });
  }

  /** A module: node, its dict, both linked from the root. Returns the dict. */
  module(name: string): number {
    const module = this.node({ type: 'module', layout: 'module', size: 72, name });
    this.edge(0, module, LabelKind.root, `module ${name}`);
    const dict = this.node({ type: 'dict', layout: 'dict', size: 232 });
    this.edge(module, dict, LabelKind.internal, '__dict__');
    return dict;
  }

  columns(): HeapColumns {
    const n = this.nodes.length;
    const typeIndex = new Map<string, number>();
    const types: TypeInfo[] = [];
    const type = new Uint32Array(n);
    this.nodes.forEach((spec, i) => {
      let t = typeIndex.get(spec.type);
      if (t === undefined) {
        t = types.length;
        typeIndex.set(spec.type, t);
        types.push({
          // The same in every heap, whatever the order of nodes.
          address: [...spec.type].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 0x7fffffff, 7) * 16,
          name: spec.type,
          layout: spec.layout ?? 'instance',
          node: 0,
          basicSize: 16,
          itemSize: 0,
          heapType: true,
        });
      }
      type[i] = t;
    });
    const edges = [...this.edges].map((edge, at) => ({ ...edge, at })).sort((a, b) => a.from - b.from || a.at - b.at);
    const edgeStart = new Uint32Array(n + 1);
    const references = new Uint32Array(n);
    for (const edge of edges) {
      edgeStart[edge.from + 1]!++;
      const kind = edge.label >>> 28;
      if (kind !== LabelKind.weak && kind !== LabelKind.borrowed) references[edge.to]!++;
    }
    for (let i = 0; i < n; i++) edgeStart[i + 1]! += edgeStart[i]!;
    const named = this.nodes.map((spec, i) => ({ i, name: spec.name })).filter(item => item.name !== undefined);
    const nodeName = Uint32Array.from(named.map(item => this.string(item.name!)));
    return {
      nodeCount: n,
      edgeCount: edges.length,
      address: Float64Array.from(
        this.nodes.map((spec, i) => spec.address ?? (i === 0 ? 0 : 0x7f00_0000_0000 + i * 64)),
      ),
      type,
      size: Float64Array.from(this.nodes.map(spec => spec.size ?? 64)),
      refcount: Uint32Array.from(
        this.nodes.map((spec, i) => spec.refcount ?? ((spec.flags ?? 0) & NodeFlag.synthetic ? 0 : references[i]!)),
      ),
      length: Uint32Array.from(this.nodes.map(spec => spec.length ?? 0)),
      flags: Uint8Array.from(this.nodes.map(spec => spec.flags ?? NodeFlag.tracked)),
      edgeStart,
      edgeTarget: Uint32Array.from(edges.map(edge => edge.to)),
      edgeLabel: Uint32Array.from(edges.map(edge => edge.label)),
      types,
      strings: this.strings,
      namedNode: Uint32Array.from(named.map(item => item.i)),
      nodeName,
      undecoded: [],
    };
  }
}

/**
 * The columns of a process that holds `count` dicts of three keys in a list of `__main__`: 5 objects and 14 edges a
 * dict (`["id"]` an int, `["name"]` a str, `["v"]` a list of two ints, one of them shared with the next dict's id).
 * Nodes are numbered by address with allocation patterns like pymalloc's: pools of one size class, interleaved.
 */
export function millionDicts(count: number): HeapColumns {
  const types: TypeInfo[] = ['<root>', 'module', 'dict', 'list', 'int', 'str', 'type'].map((name, i) => ({
    address: 0x900000 + i * 0x1a0,
    name,
    layout: i === 0 ? 'root' : name,
    node: 0,
    basicSize: 16,
    itemSize: 0,
    heapType: false,
  }));
  const [ROOT, MODULE, DICT, LIST, INT, STR, TYPE] = [0, 1, 2, 3, 4, 5, 6] as const;
  const fixed = 10;
  // 4 to 9: dict, list, int, str, type and the keys share one node.
  const perDict = 5;
  const nodeCount = fixed + count * perDict;
  const edgeCount = 1 + 1 + 1 + 4 + 4 + count * 15;
  const address = new Float64Array(nodeCount);
  const type = new Uint32Array(nodeCount);
  const size = new Float64Array(nodeCount);
  const refcount = new Uint32Array(nodeCount);
  const length = new Uint32Array(nodeCount);
  const flags = new Uint8Array(nodeCount);
  const edgeStart = new Uint32Array(nodeCount + 1);
  const edgeTarget = new Uint32Array(edgeCount);
  const edgeLabel = new Uint32Array(edgeCount);
  const strings = [
    'module __main__',
    '__dict__',
    'DATA',
    'id',
    'name',
    'v',
    '__main__',
    'type',
    'dict',
    'list',
    'int',
    'str',
  ];
  const types0 = 4;
  let edges = 0;
  const link = (to: number, kind: LabelKind, payload: number): void => {
    edgeTarget[edges] = to;
    edgeLabel[edges++] = makeLabel(kind, payload);
  };
  const put = (node: number, t: number, bytes: number, items: number, bits: number): void => {
    type[node] = t;
    size[node] = bytes;
    length[node] = items;
    flags[node] = bits;
    // 160 dicts or so of each kind fill a 16 KiB pool; then the next pool begins elsewhere.
    address[node] =
      node < fixed ? 0x900000 + node * 0x1000 : 0x7f2000000000 + Math.floor(node / 640) * 0x40000 + (node % 640) * 64;
  };
  put(0, ROOT, 0, 0, NodeFlag.synthetic);
  address[0] = 0;
  put(1, MODULE, 72, 0, NodeFlag.tracked);
  put(2, DICT, 232, 1, NodeFlag.tracked);
  put(3, LIST, 56 + 8 * count, count, NodeFlag.tracked);
  for (let i = 0; i < 6; i++) put(types0 + i, TYPE, 408, 0, NodeFlag.static | NodeFlag.tracked);
  // Per dict: dict, list, str, int (id), int (id + 1): nodes first + 0 … 4, in that order.
  for (let node = 0; node < nodeCount; node++) {
    edgeStart[node] = edges;
    if (node === 0) link(1, LabelKind.root, 0);
    else if (node === 1) link(2, LabelKind.internal, 1);
    else if (node === 2) link(3, LabelKind.key, 2);
    else if (node === 3) for (let i = 0; i < count; i++) link(fixed + i * perDict, LabelKind.index, i);
    else if (node >= fixed) {
      const i = Math.floor((node - fixed) / perDict);
      const first = fixed + i * perDict;
      switch (node - first) {
        case 0:
          put(node, DICT, 184, 3, NodeFlag.tracked);
          link(types0, LabelKind.internal, 7);
          link(types0 + 5, LabelKind.keyObject, 0);
          link(first + 3, LabelKind.key, 3);
          link(types0 + 5, LabelKind.keyObject, 0);
          link(first + 2, LabelKind.key, 4);
          link(types0 + 5, LabelKind.keyObject, 0);
          link(first + 1, LabelKind.key, 5);
          break;
        case 1:
          put(node, LIST, 88, 2, NodeFlag.tracked);
          link(types0 + 1, LabelKind.internal, 7);
          link(first + 3, LabelKind.index, 0);
          link(first + 4, LabelKind.index, 1);
          break;
        case 2:
          put(node, STR, 55, 6, 0);
          link(types0 + 3, LabelKind.internal, 7);
          break;
        default:
          put(node, INT, 28, 0, 0);
          link(types0 + 2, LabelKind.internal, 7);
      }
    }
  }
  edgeStart[nodeCount] = edges;
  for (let edge = 0; edge < edges; edge++) refcount[edgeTarget[edge]!]!++;
  refcount[0] = 0;
  return {
    nodeCount,
    edgeCount: edges,
    address,
    type,
    size,
    refcount,
    length,
    flags,
    edgeStart,
    edgeTarget: edgeTarget.subarray(0, edges),
    edgeLabel: edgeLabel.subarray(0, edges),
    types,
    strings,
    namedNode: Uint32Array.of(1, 4, 5, 6, 7),
    nodeName: Uint32Array.of(6, 8, 9, 10, 11),
    undecoded: [],
  };
}

/** xorshift32: the same heap on every run. */
export function randomSource(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}

/** What one record of `serviceHeap` is made of: types by kind, and which part refers to which. */
const RECORD_PARTS = 8;

/**
 * A heap like a large service's, about `nodeCount` nodes with 3.1 edges each: records of eight objects (instance, its
 * dict, two strings, an int, a list, a tuple, a child instance) in containers of 1 to 4,000, in a tree of owners. Each
 * part lies among its own size class, as pymalloc puts it, in slightly mixed order. One record in three refers to
 * another anywhere, children refer back to their owners, all refer to their types.
 */
export function serviceHeap(nodeCount: number, seed = 7): HeapColumns {
  const random = randomSource(seed);
  const typeCount = 64;
  const records = Math.max(1, Math.floor((nodeCount - typeCount - 1) / (RECORD_PARTS + 0.02)));
  const containers = Math.max(1, Math.floor(records * 0.02));
  const total = 1 + typeCount + containers + records * RECORD_PARTS;
  const types: TypeInfo[] = Array.from({ length: typeCount }, (_, i) => ({
    address: 0x900000 + i * 0x1a0,
    name: ['<root>', 'type', 'dict', 'list', 'str', 'int', 'tuple'][i] ?? `app.models.Type${i}`,
    layout: ['root', 'type', 'dict', 'list', 'str', 'int', 'tuple'][i] ?? 'instance',
    node: i === 0 ? 0 : 1 + i,
    basicSize: 48,
    itemSize: 0,
    heapType: i > 6,
  }));
  const firstContainer = 1 + typeCount;
  const firstRecord = firstContainer + containers;
  // Record r's part p: mixed within windows of 64 records.
  const slot = new Uint32Array(records);
  for (let r = 0; r < records; r++) slot[r] = r;
  for (let r = 0; r < records; r++) {
    const other = Math.min(records - 1, r + Math.floor(random() * 64));
    const kept = slot[r]!;
    slot[r] = slot[other]!;
    slot[other] = kept;
  }
  const nodeOf = (r: number, p: number): number => firstRecord + p * records + slot[r]!;
  const recordOf = new Uint32Array(records);
  for (let r = 0; r < records; r++) recordOf[slot[r]!] = r;
  // Containers take records in runs, the runs in a random order of sizes.
  const runEnd = new Uint32Array(containers);
  let given = 0;
  for (let c = 0; c < containers; c++) {
    const share = c === containers - 1 ? records - given : Math.min(records - given, Math.floor(random() ** 6 * 350));
    given += share;
    runEnd[c] = given;
  }
  const ownerOf = new Uint32Array(containers);
  for (let c = 0; c < containers; c++) ownerOf[c] = c < 200 || random() < 0.3 ? 0 : 1 + Math.floor(random() * records);
  const ownedHead = new Int32Array(records + 1).fill(-1);
  const ownedNext = new Int32Array(containers).fill(-1);
  for (let c = 0; c < containers; c++) {
    // A record before the container's own run owns it, so that nothing is held by itself.
    const before = c === 0 ? 0 : runEnd[c - 1]!;
    const owner = ownerOf[c]! === 0 || before === 0 ? 0 : 1 + (ownerOf[c]! % before);
    ownedNext[c] = ownedHead[owner]!;
    ownedHead[owner] = c;
  }
  const capacity = total * 4;
  const edgeTarget = new Uint32Array(capacity);
  const edgeLabel = new Uint32Array(capacity);
  const edgeStart = new Uint32Array(total + 1);
  const type = new Uint32Array(total);
  const size = new Float64Array(total);
  const length = new Uint32Array(total);
  const address = new Float64Array(total);
  const refcount = new Uint32Array(total);
  const flags = new Uint8Array(total).fill(NodeFlag.tracked);
  const strings = ['type', 'owner', 'module app', '__dict__', ...Array.from({ length: 200 }, (_, i) => `field_${i}`)];
  let edges = 0;
  const link = (to: number, kind: LabelKind, payload: number): void => {
    edgeTarget[edges] = to;
    edgeLabel[edges++] = makeLabel(kind, payload);
    refcount[to]!++;
  };
  const partType = [0, 2, 4, 4, 5, 3, 6, 0];
  const partSize = [56, 104, 61, 72, 28, 88, 64, 56];
  for (let node = 0; node < total; node++) {
    edgeStart[node] = edges;
    address[node] = node === 0 ? 0 : 0x7f0000000000 + node * 64 + Math.floor(node / 4096) * 0x1000;
    if (node === 0) {
      for (let t = 1; t < typeCount; t++) link(1 + t, LabelKind.root, 2);
      for (let c = ownedHead[0]!; c >= 0; c = ownedNext[c]!) link(firstContainer + c, LabelKind.root, 2);
      flags[node] = NodeFlag.synthetic;
    } else if (node < firstContainer) {
      type[node] = 1;
      size[node] = 1064;
    } else if (node < firstRecord) {
      const c = node - firstContainer;
      const first = c === 0 ? 0 : runEnd[c - 1]!;
      type[node] = 3;
      length[node] = runEnd[c]! - first;
      size[node] = 56 + 8 * length[node]!;
      link(4, LabelKind.internal, 0);
      for (let r = first; r < runEnd[c]!; r++) link(nodeOf(r, 0), LabelKind.index, r - first);
    } else {
      const part = Math.floor((node - firstRecord) / records);
      const r = recordOf[(node - firstRecord) % records]!;
      const class1 = 7 + (r % 10) * ((r >> 8) % 5);
      type[node] = part === 0 ? class1 : part === 7 ? 60 : partType[part]!;
      size[node] = partSize[part]!;
      link(1 + type[node]!, LabelKind.internal, 0);
      if (part === 0) {
        link(nodeOf(r, 1), LabelKind.internal, 3);
        for (let c = ownedHead[1 + r]!; c >= 0; c = ownedNext[c]!) link(firstContainer + c, LabelKind.attribute, 9);
      } else if (part === 1) {
        length[node] = 7;
        for (let p = 2; p <= 7; p++) link(nodeOf(r, p), LabelKind.key, 4 + p);
        for (let k = 0; k < 2; k++) link(nodeOf(0, 2), LabelKind.keyObject, 0);
        if (random() < 0.33) link(nodeOf(Math.floor(random() * records), 0), LabelKind.key, 20);
      } else if (part === 5) {
        length[node] = 3;
        link(nodeOf(r, 4), LabelKind.index, 0);
        link(nodeOf(r, 3), LabelKind.index, 1);
        if (r > 0) link(nodeOf(r - 1, 4), LabelKind.index, 2);
      } else if (part === 6) {
        length[node] = 2;
        link(nodeOf(r, 2), LabelKind.index, 0);
        link(nodeOf(r, 4), LabelKind.index, 1);
      } else if (part === 7) {
        link(nodeOf(r, 0), LabelKind.attribute, 1);
        link(nodeOf(r, 6), LabelKind.attribute, 30);
      }
    }
  }
  edgeStart[total] = edges;
  refcount[0] = 0;
  return {
    nodeCount: total,
    edgeCount: edges,
    address,
    type,
    size,
    refcount,
    length,
    flags,
    edgeStart,
    edgeTarget: edgeTarget.slice(0, edges),
    edgeLabel: edgeLabel.slice(0, edges),
    types,
    strings,
    namedNode: new Uint32Array(0),
    nodeName: new Uint32Array(0),
    undecoded: [],
  };
}
