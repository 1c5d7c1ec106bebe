/**
 * From an agent file to a heap graph, in two passes over the file: the first makes the nodes and counts the references,
 * the second reads those.
 *
 * What is not in the file is worked out here: labels of dict entries from the texts of their keys, the reference of an
 * instance to its class where CPython does not visit it (3.8), and what only native code holds: objects that no root
 * leads to, and whose reference count exceeds the references among themselves (the rule of CPython's own collector).
 */
import {
  type CollectorFacts,
  type HeapColumns,
  type HeapOrigin,
  IMMORTAL_REFCOUNT,
  LabelKind,
  makeLabel,
  NodeFlag,
  type TypeInfo,
} from '../cpython/index.ts';
import { HeapGraph } from '../heap/index.ts';
import { AddressTable } from './address-table.ts';
import { AgentFile, type Json, type Section, SectionKind } from './agent-sections.ts';

export { isAgentFile } from './agent-sections.ts';

/** Deep-frozen objects of 3.11 have 999,999,999; immortal ones of 3.12 and later have more. */
const FIRST_IMMORTAL = 999_000_000;
const KEY_OBJECT = makeLabel(LabelKind.keyObject, 0);
const MAX_PAYLOAD = 0x0fff_ffff;

/** Reads an agent file. Throws a LeakscopeError (exit code 4) when it is none, of another version, cut short or damaged. */
export function readAgentFile(file: string): HeapGraph {
  using agent = new AgentFile(file);
  if (agent.head.text('byteorder') !== 'little')
    throw agent.damaged('it was written on a big-endian machine, which is not supported');
  const builder = new AgentHeap(agent);
  for (const section of agent.sections()) builder.readNodes(section);
  builder.startEdges();
  for (const section of agent.sections()) builder.readEdges(section);
  const columns = builder.finish();
  return new HeapGraph(columns, builder.origin(), { collector: builder.collector(columns) });
}

interface AgentType {
  readonly info: TypeInfo;
  readonly id: number;
  readonly finalizer: boolean;
}

/** Whose targets come next in the file. */
interface Pending {
  readonly kind: number;
  readonly sources: Uint32Array;
  readonly counts: Uint32Array;
  /** Position in `sources`, and what has come of that one. */
  at: number;
  done: number;
  left: number;
  /** Written twice, it is read once. */
  skip: boolean;
}

class AgentHeap {
  readonly #agent: AgentFile;
  readonly #types: AgentType[] = [];
  readonly #strings: string[] = [];
  readonly #stringIds = new Map<string, number>();
  readonly #table = new AddressTable();
  readonly #names = new Map<number, number>();
  #keyLabels = new Uint32Array(0);
  #roots: Json | undefined;
  #end: Json | undefined;
  #nodeCount = 1;
  #reused = 0;
  #dropped = 0;
  #edgeBound = 0;
  #address = new Float64Array(1024);
  #size = new Float64Array(1024);
  #type = new Uint32Array(1024);
  #refcount = new Uint32Array(1024);
  #length = new Uint32Array(1024);
  #flags = new Uint8Array(1024);
  // References in the order of the file.
  #edgeCount = 0;
  #source = new Uint32Array(0);
  #target = new Uint32Array(0);
  #label = new Uint32Array(0);
  /** Per node: the forms in which its references have been read; and, as the highest bit, that its type is among them. */
  #forms = new Uint8Array(0);
  #pending: Pending | undefined;
  #referent = 0;
  #typeLabel = 0;

  constructor(agent: AgentFile) {
    this.#agent = agent;
  }

  // ---- first pass ----

  readNodes({ kind, data }: Section): void {
    switch (kind) {
      case SectionKind.types:
        for (const type of this.#json(data).list()) this.#types.push(this.#typeOf(type));
        return;
      case SectionKind.strings:
        for (const text of this.#json(data).list()) {
          this.#stringIds.set(text.text(), this.#strings.length);
          this.#strings.push(text.text());
        }
        return;
      case SectionKind.nodes:
        this.#addNodes(data);
        return;
      case SectionKind.pairs:
        this.#edgeBound += 2 * sum(this.#sourcesIn(data).counts);
        return;
      case SectionKind.items:
      case SectionKind.elements:
        this.#edgeBound += sum(this.#sourcesIn(data).counts);
        return;
      case SectionKind.named:
        this.#edgeBound += this.#namedIn(data).targets.length / 2;
        return;
      case SectionKind.roots:
        this.#roots = this.#json(data);
        return;
      case SectionKind.end:
        this.#end = this.#json(data);
        return;
      case SectionKind.targets:
      case SectionKind.names:
      case SectionKind.keys:
        return;
      default:
        throw this.#agent.damaged('it has a section of an unknown kind');
    }
  }

  #typeOf(type: Json): AgentType {
    const info: TypeInfo = {
      address: type.number('id'),
      name: type.text('name'),
      layout: type.text('layout'),
      node: 0,
      basicSize: type.number('basic'),
      itemSize: type.number('item'),
      heapType: type.flag('heap'),
    };
    return { info, id: info.address, finalizer: type.flag('finalizer') };
  }

  #addNodes(data: ArrayBuffer): void {
    const head = this.#words(data, 0, 4);
    const [count, type, flags] = head;
    if (data.byteLength !== 16 + 28 * count) throw this.#agent.damaged('objects have a wrong length');
    if (type >= this.#types.length) throw this.#agent.damaged('an object has an unknown type');
    const ids = new Uint32Array(data, 16, 2 * count);
    const sizes = new Uint32Array(data, 16 + 8 * count, 2 * count);
    const lengths = new Uint32Array(data, 16 + 16 * count, 2 * count);
    const refcounts = new Uint32Array(data, 16 + 24 * count, count);
    const bits =
      (flags & (NodeFlag.tracked | NodeFlag.generationMask)) | (this.#types[type].finalizer ? NodeFlag.finalizer : 0);
    while (this.#nodeCount + count > this.#address.length) this.#growNodes();
    for (let i = 0; i < count; i++) {
      const id = wide(ids, i);
      if (id === 0) throw this.#agent.damaged('an object has no address');
      const known = this.#table.get(id);
      if (known !== 0) {
        if (this.#type[known] !== type) this.#reused++;
        continue;
      }
      const node = this.#nodeCount++;
      this.#table.add(id, node);
      this.#address[node] = id;
      this.#type[node] = type;
      this.#size[node] = wide(sizes, i);
      this.#length[node] = Math.min(0xffff_ffff, wide(lengths, i));
      const immortal = refcounts[i] >= FIRST_IMMORTAL;
      this.#refcount[node] = immortal ? IMMORTAL_REFCOUNT : refcounts[i];
      this.#flags[node] = immortal ? bits | NodeFlag.immortal : bits;
    }
  }

  /** Sources (as pairs of words) and counts of a section that announces targets. */
  #sourcesIn(data: ArrayBuffer): { sources: Uint32Array; counts: Uint32Array } {
    const [count] = this.#words(data, 0, 2);
    if (data.byteLength !== 8 + 12 * count) throw this.#agent.damaged('references have a wrong length');
    return { sources: new Uint32Array(data, 8, 2 * count), counts: new Uint32Array(data, 8 + 8 * count, count) };
  }

  #namedIn(data: ArrayBuffer): {
    sources: Uint32Array;
    targets: Uint32Array;
    counts: Uint32Array;
    labels: Uint32Array;
  } {
    const [count, total] = this.#words(data, 0, 2);
    if (data.byteLength !== 8 + 12 * count + 12 * total) throw this.#agent.damaged('references have a wrong length');
    const at = 8 + 8 * (count + total);
    return {
      sources: new Uint32Array(data, 8, 2 * count),
      targets: new Uint32Array(data, 8 + 8 * count, 2 * total),
      counts: new Uint32Array(data, at, count),
      labels: new Uint32Array(data, at + 4 * count, total),
    };
  }

  #words(data: ArrayBuffer, at: number, count: number): Uint32Array {
    if (data.byteLength < at + 4 * count) throw this.#agent.damaged('a section is cut short');
    return new Uint32Array(data, at, count);
  }

  #json(data: ArrayBuffer): Json {
    return this.#agent.json(new Uint8Array(data));
  }

  #growNodes(): void {
    const n = this.#address.length * 2;
    this.#address = grown(this.#address, new Float64Array(n));
    this.#size = grown(this.#size, new Float64Array(n));
    this.#type = grown(this.#type, new Uint32Array(n));
    this.#refcount = grown(this.#refcount, new Uint32Array(n));
    this.#length = grown(this.#length, new Uint32Array(n));
    this.#flags = grown(this.#flags, new Uint8Array(n));
  }

  #string(text: string): number {
    let index = this.#stringIds.get(text);
    if (index === undefined) {
      index = this.#strings.length;
      this.#strings.push(text);
      this.#stringIds.set(text, index);
    }
    return index;
  }

  // ---- second pass ----

  /** After the first pass: what is no object (threads, frames that are none) becomes a node, and there is room for references. */
  startEdges(): void {
    this.#string('');
    this.#referent = makeLabel(LabelKind.internal, this.#string('referent'));
    this.#typeLabel = makeLabel(LabelKind.internal, this.#string('type'));
    const bound = this.#edgeBound + this.#nodeCount + 1024;
    this.#source = new Uint32Array(bound);
    this.#target = new Uint32Array(bound);
    this.#label = new Uint32Array(bound);
    this.#keyLabels = new Uint32Array(this.#nodeCount);
    const types = this.#types;
    for (const section of this.#agent.sections()) {
      if (section.kind === SectionKind.keys)
        this.#eachName(section.data, (node, text) => (this.#keyLabels[node] = makeLabel(LabelKind.key, text)));
      else if (section.kind === SectionKind.names)
        this.#eachName(section.data, (node, text) => this.#names.set(node, text));
    }
    for (const [i, type] of types.entries())
      types[i] = { ...type, info: { ...type.info, node: this.#table.get(type.id) } };
    this.#addRoots();
    this.#forms = new Uint8Array(this.#nodeCount);
  }

  #eachName(data: ArrayBuffer, visit: (node: number, text: number) => void): void {
    const { sources, counts } = this.#sourcesIn(data);
    for (let i = 0; i < counts.length; i++) {
      if (counts[i] >= this.#strings.length) throw this.#agent.damaged('a name is missing');
      const node = this.#table.get(wide(sources, i));
      if (node !== 0) visit(node, counts[i]);
    }
  }

  #synthetic(type: number, address: number, name: string): number {
    if (this.#nodeCount === this.#address.length) this.#growNodes();
    const node = this.#nodeCount++;
    this.#type[node] = type;
    this.#address[node] = address;
    this.#flags[node] = NodeFlag.synthetic;
    this.#names.set(node, this.#string(name));
    return node;
  }

  #syntheticType(name: string): number {
    const info: TypeInfo = { address: 0, name, layout: name, node: 0, basicSize: 0, itemSize: 0, heapType: false };
    return this.#types.push({ info, id: 0, finalizer: false }) - 1;
  }

  #addRoots(): void {
    const roots = this.#roots;
    if (roots === undefined) throw this.#agent.damaged('its roots are missing');
    const rootType = this.#syntheticType('<root>');
    this.#type[0] = rootType;
    this.#flags[0] = NodeFlag.synthetic;
    const root = (node: number, name: string) => this.#edge(0, node, makeLabel(LabelKind.root, this.#string(name)));
    for (const module of roots.get('modules').list()) {
      const [name, id] = module.list();
      const node = this.#table.get(id?.number() ?? 0);
      if (node !== 0) root(node, `module ${name.text()}`);
    }
    const state = this.#synthetic(this.#syntheticType('<interpreter>'), 0, 'interpreter state');
    root(state, 'interpreter state');
    for (const field of roots.get('state').list()) {
      const [name, id] = field.list();
      const node = this.#table.get(id?.number() ?? 0);
      if (node !== 0) this.#edge(state, node, makeLabel(LabelKind.internal, this.#string(name.text())));
    }
    const threadType = this.#syntheticType('<thread>');
    const frameType = this.#syntheticType('frame');
    for (const thread of roots.get('threads').list()) {
      const ident = thread.number('ident');
      const name = `thread ${thread.text('name') || `0x${ident.toString(16)}`}`;
      const node = this.#synthetic(threadType, 0, name);
      root(node, name);
      for (const frame of thread.get('frames').list()) {
        const id = frame.number('id');
        const called = frame.text('name');
        let at = this.#table.get(id);
        if (at === 0 && id !== 0) {
          at = this.#synthetic(frameType, id, called);
          this.#table.add(id, at);
        }
        const label = `frame ${called.slice(0, called.lastIndexOf(' '))}`;
        this.#edge(node, at, makeLabel(LabelKind.internal, this.#string(label)));
      }
    }
    // What only native code holds is known last; its edge is the root's last one.
    const native = this.#synthetic(this.#syntheticType('<native code>'), 0, 'native code');
    root(native, 'native code');
  }

  readEdges({ kind, data }: Section): void {
    if (kind === SectionKind.targets) {
      this.#addTargets(data);
      return;
    }
    const pending = this.#pending;
    if (kind === SectionKind.pairs || kind === SectionKind.items || kind === SectionKind.elements) {
      if (pending !== undefined && pending.left > 0) this.#interrupted.push(pending);
      const { sources, counts } = this.#sourcesIn(data);
      const left = sum(counts) * (kind === SectionKind.pairs ? 2 : 1);
      this.#pending = { kind, sources, counts, at: 0, done: 0, left, skip: false };
      this.#skipEmpty(this.#pending);
    } else if (kind === SectionKind.named) this.#addNamed(data);
  }

  /** A large container's targets come in parts; between two parts stand those of what was found in them. */
  readonly #interrupted: Pending[] = [];

  #addTargets(data: ArrayBuffer): void {
    const count = Math.floor(data.byteLength / 8);
    const ids = new Uint32Array(data, 0, 2 * count);
    for (let i = 0; i < count; ) {
      let pending = this.#pending;
      if (pending === undefined || pending.left === 0) pending = this.#pending = this.#interrupted.pop();
      if (pending === undefined) throw this.#agent.damaged('there are references of nothing');
      i = this.#take(pending, ids, i, count);
    }
  }

  /** Takes targets from position `i` on for one source; returns the position behind them. */
  #take(pending: Pending, ids: Uint32Array, i: number, end: number): number {
    const { kind, sources, counts } = pending;
    const each = kind === SectionKind.pairs ? 2 : 1;
    const source = this.#table.get(wide(sources, pending.at));
    const bit = 1 << (kind % 8);
    if (pending.done === 0) pending.skip = source === 0 || (this.#forms[source] & bit) !== 0;
    const n = Math.min(counts[pending.at] * each - pending.done, end - i);
    if (!pending.skip) {
      this.#forms[source] |= bit;
      if (kind === SectionKind.pairs) this.#takePairs(source, ids, i, n, pending.done);
      else
        for (let k = 0; k < n; k++) {
          const label =
            kind === SectionKind.items
              ? makeLabel(LabelKind.index, Math.min(MAX_PAYLOAD, pending.done + k))
              : KEY_OBJECT;
          this.#edgeToId(source, wide(ids, i + k), label);
        }
    }
    pending.done += n;
    pending.left -= n;
    if (pending.done === counts[pending.at] * each) {
      pending.at++;
      pending.done = 0;
      this.#skipEmpty(pending);
    }
    return i + n;
  }

  #skipEmpty(pending: Pending): void {
    while (pending.at < pending.counts.length && pending.counts[pending.at] === 0) pending.at++;
  }

  #takePairs(source: number, ids: Uint32Array, from: number, n: number, done: number): void {
    for (let k = 0; k < n; k++) {
      const id = wide(ids, from + k);
      if ((done + k) % 2 === 0) {
        this.#lastKey = this.#edgeToId(source, id, KEY_OBJECT);
        continue;
      }
      const key = this.#lastKey;
      const label =
        key < this.#keyLabels.length && this.#keyLabels[key] !== 0
          ? this.#keyLabels[key]
          : makeLabel(LabelKind.keyNode, key);
      this.#edgeToId(source, id, label);
    }
  }
  #lastKey = 0;

  #addNamed(data: ArrayBuffer): void {
    const { sources, targets, counts, labels } = this.#namedIn(data);
    if (sum(counts) !== labels.length) throw this.#agent.damaged('references do not add up');
    for (let i = 0, at = 0; i < counts.length; i++) {
      const source = this.#table.get(wide(sources, i));
      const end = at + counts[i];
      const bit = 1 << (SectionKind.named % 8);
      if (source === 0 || (this.#forms[source] & bit) !== 0) {
        at = end;
        continue;
      }
      this.#forms[source] |= bit;
      const type = this.#types[this.#type[source]].info;
      for (; at < end; at++) {
        let label = labels[at];
        const kind = label >>> 28;
        if (kind !== LabelKind.internal && kind !== LabelKind.attribute && kind !== LabelKind.local)
          throw this.#agent.damaged('a reference has an unknown label');
        if ((label & MAX_PAYLOAD) >= this.#strings.length) throw this.#agent.damaged('a name is missing');
        const target = this.#table.get(wide(targets, at));
        if (label === this.#referent) {
          if (target !== 0 && target === type.node) label = this.#typeLabel;
          else if (type.layout === 'cell') label = makeLabel(LabelKind.cell, this.#names.get(source) ?? 0);
        }
        if (label === this.#typeLabel) this.#forms[source] |= 2;
        if (target !== 0) this.#edge(source, target, label);
        else this.#dropped++;
      }
    }
  }

  /** Appends a reference; returns the node it leads to, 0 when there is none. */
  #edgeToId(source: number, id: number, label: number): number {
    const target = this.#table.get(id);
    if (target !== 0) this.#edge(source, target, label);
    else this.#dropped++;
    return target;
  }

  #edge(source: number, target: number, label: number): void {
    if (this.#edgeCount === this.#source.length) {
      const n = this.#edgeCount * 2;
      this.#source = grown(this.#source, new Uint32Array(n));
      this.#target = grown(this.#target, new Uint32Array(n));
      this.#label = grown(this.#label, new Uint32Array(n));
    }
    this.#source[this.#edgeCount] = source;
    this.#target[this.#edgeCount] = target;
    this.#label[this.#edgeCount++] = label;
  }

  // ---- the columns ----

  finish(): HeapColumns {
    if ((this.#pending?.left ?? 0) > 0 || this.#interrupted.some(p => p.left > 0))
      throw this.#agent.damaged('references are missing');
    this.#addTypeEdges();
    const n = this.#nodeCount;
    const native = n - 1;
    this.#addNative(native);
    const { start, order } = bySource(this.#source, this.#edgeCount, n);
    const edgeTarget = new Uint32Array(this.#edgeCount);
    const edgeLabel = new Uint32Array(this.#edgeCount);
    for (let i = 0; i < this.#edgeCount; i++) {
      edgeTarget[i] = this.#target[order[i]];
      edgeLabel[i] = this.#label[order[i]];
    }
    const named = [...this.#names.keys()].sort((a, b) => a - b);
    const undecoded = [
      { reason: 'reference to an object that was gone before it was looked at', count: this.#dropped },
      { reason: 'address that was used again while the agent looked', count: this.#reused },
      { reason: 'container that changed while the agent looked', count: this.#cost('torn') },
    ];
    return {
      nodeCount: n,
      edgeCount: this.#edgeCount,
      address: this.#address.slice(0, n),
      type: this.#type.slice(0, n),
      size: this.#size.slice(0, n),
      refcount: this.#refcount.slice(0, n),
      length: this.#length.slice(0, n),
      flags: this.#flags.slice(0, n),
      edgeStart: start,
      edgeTarget,
      edgeLabel,
      types: this.#types.map(type => type.info),
      strings: this.#strings,
      namedNode: Uint32Array.from(named),
      nodeName: Uint32Array.from(named, node => this.#names.get(node)!),
      undecoded: undecoded.filter(({ count }) => count > 0),
    };
  }

  #addTypeEdges(): void {
    for (let node = 1; node < this.#nodeCount; node++) {
      const { heapType, node: type } = this.#types[this.#type[node]].info;
      if (heapType && type !== 0 && (this.#forms[node] & 2) === 0) this.#edge(node, type, this.#typeLabel);
    }
  }

  /** References of native code: to what no root reaches and more refers to than is known. */
  #addNative(native: number): void {
    const n = this.#nodeCount;
    const edges = this.#edgeCount;
    const { start, order } = bySource(this.#source, edges, n);
    const reached = new Uint8Array(n);
    const queue = new Uint32Array(n);
    let end = 0;
    const reach = (node: number) => {
      if (reached[node] !== 0) return;
      reached[node] = 1;
      queue[end++] = node;
    };
    reach(0);
    let at = 0;
    const spread = () => {
      for (; at < end; at++)
        for (let e = start[queue[at]]; e < start[queue[at] + 1]; e++) reach(this.#target[order[e]]);
    };
    spread();
    const found = new Uint32Array(n);
    for (let e = 0; e < edges; e++) if (reached[this.#source[e]] === 0) found[this.#target[e]]++;
    const label = makeLabel(LabelKind.root, this.#string('native code'));
    for (let node = 1; node < n; node++)
      if (reached[node] === 0 && this.#refcount[node] > found[node]) this.#edge(native, node, label);
  }

  // ---- where it comes from ----

  #cost(name: string): number {
    return this.#end?.get('cost').number(name) ?? 0;
  }

  origin(): HeapOrigin {
    const { head } = this.#agent;
    const seconds = this.#cost('seconds');
    const added = Math.max(0, this.#cost('resident_peak') - this.#cost('resident_before'));
    const threads = this.#cost('threads');
    const mib = (added / 2 ** 20).toFixed(1);
    return {
      pid: head.number('pid'),
      executable: head.text('executable'),
      command: head
        .get('command')
        .list()
        .map(word => word.text()),
      python: head.text('python'),
      via: 'agent',
      takenAtMs: head.number('taken_at_ms'),
      capturedAtMs: head.number('taken_at_ms'),
      pauseMs: seconds * 1000,
      notes: [
        `the agent ran inside the program for ${seconds.toFixed(2)} s and needed ${mib} MiB of its memory meanwhile`,
        ...(threads > 1 ? ['the other threads went on meanwhile, in turn with the agent: this is not one moment'] : []),
        'from inside these cannot be seen: untracked objects that only C code holds, native memory, references that types do not tell the collector of, values on the stacks of running frames',
      ],
    };
  }

  collector(columns: HeapColumns): CollectorFacts {
    const facts = this.#agent.head.get('collector');
    const objects = [0, 0, 0];
    for (let node = 1; node < columns.nodeCount; node++) {
      const flags = columns.flags[node];
      if ((flags & NodeFlag.tracked) !== 0) objects[(flags & NodeFlag.generationMask) >> NodeFlag.generationShift]++;
    }
    const counts = facts.get('counts').list();
    return {
      enabled: facts.flag('enabled'),
      debug: facts.number('debug'),
      collecting: false,
      generations: facts
        .get('thresholds')
        .list()
        .map((threshold, i) => ({
          threshold: threshold.number(),
          count: counts[i]?.number() ?? 0,
          objects: objects[i] ?? 0,
        })),
      frozen: facts.number('frozen'),
    };
  }
}

/** Edges by source: where those of each node begin in `order`. A counting sort; edges of a node keep their order. */
function bySource(source: Uint32Array, edges: number, nodes: number): { start: Uint32Array; order: Uint32Array } {
  const start = new Uint32Array(nodes + 1);
  for (let e = 0; e < edges; e++) start[source[e] + 1]++;
  for (let n = 0; n < nodes; n++) start[n + 1] += start[n];
  const next = start.slice();
  const order = new Uint32Array(edges);
  for (let e = 0; e < edges; e++) order[next[source[e]]++] = e;
  return { start, order };
}

function wide(words: Uint32Array, i: number): number {
  return words[2 * i] + words[2 * i + 1] * 0x1_0000_0000;
}

function sum(counts: Uint32Array): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

function grown<T extends Float64Array | Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
