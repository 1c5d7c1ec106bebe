/**
 * The columns while they grow: nodes found by address, edges appended in the order of their source.
 *
 * A node is found again through an array with one slot for each 16 bytes of copied memory (no object is smaller, so
 * no two begin in one slot): a single load instead of a hash table of ten million entries.
 */
import type { Memory } from '../process/index.ts';
import { type HeapColumns, LabelKind, makeLabel, NodeFlag } from './columns.ts';
import type { Layout } from './layout.ts';
import { isInterned, readText } from './text.ts';
import { TypeFlag, type TypeTable } from './types.ts';
import { type SizeFacts, sizeFacts } from './versions/sizes.ts';

const MAX_LABEL_LENGTH = 120;
const IDENTIFIER = /^[\p{L}_][\p{L}\p{N}_]*$/u;

export class HeapBuilder {
  readonly memory: Memory;
  readonly layout: Layout;
  readonly types: TypeTable;
  /** What sys.getsizeof counts in this version. */
  readonly sizes: SizeFacts;
  nodeCount = 0;
  edgeCount = 0;
  /** Columns, see HeapColumns; longer than nodeCount. */
  address: Float64Array;
  type: Uint32Array;
  size: Float64Array;
  refcount: Uint32Array;
  length: Uint32Array;
  flags: Uint8Array;
  edgeStart: Uint32Array;
  edgeTarget: Uint32Array;
  edgeLabel: Uint32Array;
  /** Per node that is a str used as a dict key: its label, 0 when not asked yet. */
  private keyLabel: Uint32Array;
  /** Node + 0 at the slot of each 16 bytes of the memory copy; 0 for none. */
  private readonly nodeAt: Uint32Array;
  private readonly stringIds = new Map<string, number>();
  readonly strings: string[] = [];
  private readonly names = new Map<number, number>();
  private readonly undecoded = new Map<string, number>();

  constructor(memory: Memory, layout: Layout, types: TypeTable, expectedNodes: number) {
    this.memory = memory;
    this.layout = layout;
    this.types = types;
    this.sizes = sizeFacts(layout.version);
    const n = Math.max(1024, Math.ceil(expectedNodes));
    this.address = new Float64Array(n);
    this.type = new Uint32Array(n);
    this.size = new Float64Array(n);
    this.refcount = new Uint32Array(n);
    this.length = new Uint32Array(n);
    this.flags = new Uint8Array(n);
    this.edgeStart = new Uint32Array(n + 1);
    this.keyLabel = new Uint32Array(n);
    this.edgeTarget = new Uint32Array(n * 2);
    this.edgeLabel = new Uint32Array(n * 2);
    this.nodeAt = new Uint32Array(Math.ceil(memory.bytes.length / 16));
    this.string('');
  }

  /** The number of a string in the table. */
  string(text: string): number {
    let id = this.stringIds.get(text);
    if (id === undefined) {
      id = this.strings.length;
      this.strings.push(text);
      this.stringIds.set(text, id);
    }
    return id;
  }

  label(kind: LabelKind, text: string): number {
    return makeLabel(kind, this.string(text));
  }

  setName(node: number, name: string): void {
    this.names.set(node, this.string(name));
  }

  nameOf(node: number): string {
    return this.strings[this.names.get(node) ?? 0];
  }

  hasName(node: number): boolean {
    return this.names.has(node);
  }

  /** Counts a block that could not be decoded. */
  miss(reason: string): void {
    this.undecoded.set(reason, (this.undecoded.get(reason) ?? 0) + 1);
  }

  /** Appends a node. With an address inside the memory copy it can be found again by it. */
  addNode(address: number, type: number): number {
    if (this.nodeCount === this.address.length) this.growNodes();
    const node = this.nodeCount++;
    this.address[node] = address;
    this.type[node] = type;
    return node;
  }

  /** Appends a node for the object at `address` and makes it known by it. */
  addObject(address: number, type: number): number {
    const node = this.addNode(address, type);
    this.nodeAt[Math.floor(this.memory.offsetOf(address) / 16)] = node;
    return node;
  }

  /** The node of the object at an address when there is one already; 0 otherwise. Safe for any number. */
  known(address: number): number {
    if (!this.memory.has(address)) return 0;
    const node = this.nodeAt[Math.floor(this.memory.offsetOf(address) / 16)];
    return node !== 0 && this.address[node] === address ? node : 0;
  }

  /** The node of the object that a reference leads to, made when it is new; 0 when there is no object. */
  nodeFor(address: number): number {
    if (!(address >= 0x1000 && address < 0x8000_0000_0000)) {
      if (address !== 0) this.miss('reference to an impossible address');
      return 0;
    }
    const offset = this.memory.offsetOf(address);
    const node = this.nodeAt[offset < 0x1_0000_0000 ? offset >>> 4 : Math.floor(offset / 16)];
    if (node !== 0 && this.address[node] === address) return node;
    return this.discover(address);
  }

  private discover(address: number): number {
    if (!this.memory.has(address)) {
      this.miss('reference to memory that is not mapped');
      return 0;
    }
    if (address % 8 !== 0) {
      this.miss('reference to an address that is not aligned');
      return 0;
    }
    const type = this.types.indexOf(this.memory.word(address + this.layout.object.type));
    if (type < 0) {
      this.miss('reference to something that is no object');
      return 0;
    }
    return this.addOutsidePools(address, type);
  }

  private addOutsidePools(address: number, type: number): number {
    const node = this.addObject(address, type);
    if (this.isStatic(address)) this.flags[node] |= NodeFlag.static;
    return node;
  }

  /** The node at an address that may be anything, for pointers found by scanning: nothing is counted as broken. 0 when there is no object. */
  plausible(address: number): number {
    const { memory } = this;
    if (address % 8 !== 0 || !memory.has(address)) return 0;
    const node = this.nodeAt[Math.floor(memory.offsetOf(address) / 16)];
    if (node !== 0) return this.address[node] === address ? node : 0;
    // Blocks of pools are all known by now: what is new lies elsewhere, and must look like an object in use.
    if (this.inPool(address)) return 0;
    const type = this.types.indexOf(memory.word(address + this.layout.object.type));
    if (type < 0) return 0;
    // From 3.14 on the upper half of the word holds flags.
    const { refcount: at, refcountSize } = this.layout.object;
    const refcount = refcountSize === 4 ? memory.uint32(address + at) : memory.word(address + at);
    return refcount > 0 && refcount < 0x1_0000_0000 ? this.addOutsidePools(address, type) : 0;
  }

  /** Is the address in a pymalloc pool? Set by the decoder once pools are known. */
  inPool: (address: number) => boolean = () => false;

  /** Bytes of the block of native memory at an address, 0 when there is none that can be told; set by the decoder. */
  nativeBlockBytes: (address: number) => number = () => 0;

  /** Does the address lie in the executable or a library? Set by the decoder. */
  isStatic: (address: number) => boolean = () => false;

  /** The label of a pointer found at a byte offset. */
  inferredLabel(offset: number): number {
    return makeLabel(LabelKind.inferred, offset);
  }

  readonly weakLabel = makeLabel(LabelKind.weak, 0);

  /** Appends a reference of the node that is being decoded. Null and broken references are left out. */
  edge(target: number, label: number): void {
    if (target === 0) return;
    const node = this.nodeFor(target);
    if (node !== 0) this.edgeTo(node, label);
  }

  /** Appends an edge to a node. */
  edgeTo(node: number, label: number): void {
    if (this.edgeCount === this.edgeTarget.length) this.growEdges();
    this.edgeTarget[this.edgeCount] = node;
    this.edgeLabel[this.edgeCount++] = label;
  }

  /** The label of the value under the key that is `keyNode`. */
  labelOfKey(keyNode: number): number {
    const cached = this.keyLabel[keyNode];
    if (cached !== 0) return cached;
    const label = this.makeKeyLabel(keyNode);
    this.keyLabel[keyNode] = label;
    return label;
  }

  private makeKeyLabel(keyNode: number): number {
    const plan = this.types.plans[this.type[keyNode]];
    if ((plan.flags & TypeFlag.strSubclass) !== 0) {
      const address = this.address[keyNode];
      // Only names: what the program computed at run time may be a secret, and is not interned.
      if (isInterned(this.memory, this.layout, address)) {
        const text = readText(this.memory, this.layout, address, MAX_LABEL_LENGTH + 1);
        if (text !== undefined && text.length <= MAX_LABEL_LENGTH && IDENTIFIER.test(text))
          return this.label(LabelKind.key, text);
      }
    }
    return makeLabel(LabelKind.keyNode, keyNode);
  }

  /** Sets where the edges of `node` begin; called for each node in order. */
  startEdges(node: number): void {
    this.edgeStart[node] = this.edgeCount;
  }

  private growNodes(): void {
    const n = Math.ceil(this.address.length * 1.5) + 1024;
    this.address = grown(this.address, new Float64Array(n));
    this.type = grown(this.type, new Uint32Array(n));
    this.size = grown(this.size, new Float64Array(n));
    this.refcount = grown(this.refcount, new Uint32Array(n));
    this.length = grown(this.length, new Uint32Array(n));
    this.flags = grown(this.flags, new Uint8Array(n));
    this.edgeStart = grown(this.edgeStart, new Uint32Array(n + 1));
    this.keyLabel = grown(this.keyLabel, new Uint32Array(n));
  }

  private growEdges(): void {
    const n = Math.ceil(this.edgeTarget.length * 1.5) + 1024;
    this.edgeTarget = grown(this.edgeTarget, new Uint32Array(n));
    this.edgeLabel = grown(this.edgeLabel, new Uint32Array(n));
  }

  /** Remembers that the next edge is a cell's contents: its label is the variable's name, known only when its function was met. */
  cellEdge(target: number, cellNode: number): void {
    const before = this.edgeCount;
    this.edge(target, makeLabel(LabelKind.cell, 0));
    if (this.edgeCount > before) this.cellEdges.push(before, cellNode);
  }
  private readonly cellEdges: number[] = [];

  /** The finished columns. */
  finish(): HeapColumns {
    for (let i = 0; i < this.cellEdges.length; i += 2) {
      this.edgeLabel[this.cellEdges[i]] = makeLabel(LabelKind.cell, this.names.get(this.cellEdges[i + 1]) ?? 0);
    }
    // Views, not copies: what was reserved and not used was never touched, and takes no memory.
    const n = this.nodeCount;
    this.edgeStart[n] = this.edgeCount;
    const named = [...this.names.keys()].sort((a, b) => a - b);
    return {
      nodeCount: n,
      edgeCount: this.edgeCount,
      address: this.address.subarray(0, n),
      type: this.type.subarray(0, n),
      size: this.size.subarray(0, n),
      refcount: this.refcount.subarray(0, n),
      length: this.length.subarray(0, n),
      flags: this.flags.subarray(0, n),
      edgeStart: this.edgeStart.subarray(0, n + 1),
      edgeTarget: this.edgeTarget.subarray(0, this.edgeCount),
      edgeLabel: this.edgeLabel.subarray(0, this.edgeCount),
      types: this.types.infos(address => this.known(address)),
      strings: this.strings,
      namedNode: Uint32Array.from(named),
      nodeName: Uint32Array.from(named, node => this.names.get(node)!),
      undecoded: [...this.undecoded].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count),
    };
  }
}

function grown<T extends Float64Array | Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
