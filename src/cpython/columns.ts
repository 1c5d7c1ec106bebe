/**
 * What decoding gives: the heap of one moment in columns. No JavaScript object stands for a heap object.
 *
 * Nodes are numbered densely. Node 0 is the root; its edges lead to what is alive by itself: one synthetic node per
 * thread, interpreter, registry. Edges stand in the order of their source (compressed sparse rows).
 */

/** The index of a node. Branded, so that an index of one kind cannot be used as another. */
export type NodeIndex = number & { readonly __node?: never };
export type EdgeIndex = number & { readonly __edge?: never };
/** Index into `types`. */
export type TypeIndex = number & { readonly __type?: never };
/** Index into `strings`. */
export type StringIndex = number & { readonly __string?: never };

/** What an edge's label says. An edge label is `kind << 28 | payload`, as an unsigned 32-bit number. */
export const LabelKind = {
  /** `<word>`; payload: string. A field of a C structure, such as `<globals>` or `<type>`. */
  internal: 0,
  /** `.name`; payload: string. An attribute, a slot, an inline value. */
  attribute: 1,
  /** `['name']`; payload: string. The value under a key that is an identifier. */
  key: 2,
  /** `[…]`; payload: node of the key. The value under any other key. */
  keyNode: 3,
  /** `[3]`; payload: position. */
  index: 4,
  /** `<frame local y>`; payload: string. */
  local: 5,
  /** `<closure cell x>`; payload: string. */
  cell: 6,
  /** `<key>`; payload: 0. From a dict or set to a key or element. */
  keyObject: 7,
  /** `<+0x18>`; payload: byte offset. A pointer found by scanning memory of an unknown layout; may be no reference. */
  inferred: 8,
  /** `<weak>`; payload: 0. Does not keep its target alive and is not counted in its reference count. */
  weak: 9,
  /** `<word>`; payload: string. A pointer that owns no reference (frame's previous frame, …): shown, not counted, does not retain. */
  borrowed: 10,
  /** A root's edge; payload: string, such as `module app.cache`, `thread worker-3`, `interpreter state`. */
  root: 11,
} as const;
export type LabelKind = (typeof LabelKind)[keyof typeof LabelKind];

export const NodeFlag = {
  /** Has a gc header and is in a gc list. */
  tracked: 1,
  /** Bits 1 and 2: 0 young, 1, 2 old, 3 permanent (frozen); only for tracked ones. */
  generationShift: 1,
  generationMask: 6,
  immortal: 8,
  /** Not a Python object: a thread, an interpreter, a frame that has no object yet, the root. */
  synthetic: 16,
  /** A block of native memory (malloc) that an object owns. */
  nativeBlock: 32,
  /** Lies in the executable or a library. */
  static: 64,
  /** Its type's tp_finalize or tp_del would run (`__del__`). */
  finalizer: 128,
} as const;

export interface TypeInfo {
  /** Address of the type object; 0 for synthetic types. */
  readonly address: number;
  /** `module.qualname`, without `builtins.` and, for the main program, with `__main__.`. Synthetic: `<thread>`, `<native block>`. */
  readonly name: string;
  /** What family of built-in layout its instances have: 'dict', 'list', 'set', 'deque', 'instance', 'type', 'frame', 'unknown', … */
  readonly layout: string;
  /** The node of the type object itself; 0 when it is not a node. */
  readonly node: NodeIndex;
  readonly basicSize: number;
  readonly itemSize: number;
  readonly heapType: boolean;
}

/** Reference count column's value for objects that are immortal. */
export const IMMORTAL_REFCOUNT = 0xffff_ffff;

export interface HeapColumns {
  readonly nodeCount: number;
  readonly edgeCount: number;
  /** Per node: address in the target; 0 for synthetic nodes that have none. */
  readonly address: Float64Array;
  /** Per node: its type, as an index into `types`. */
  readonly type: Uint32Array;
  /** Per node: shallow size in bytes, as `sys.getsizeof` says it (gc header included). */
  readonly size: Float64Array;
  /** Per node: `ob_refcnt`; IMMORTAL_REFCOUNT for immortal ones, 0 for synthetic nodes. */
  readonly refcount: Uint32Array;
  /** Per node: `len()` of containers and strings: dict, list, set, deque, tuple, str, bytes; 0 for others. */
  readonly length: Uint32Array;
  /** Per node: NodeFlag bits. */
  readonly flags: Uint8Array;
  /** nodeCount + 1 positions in `edgeTarget`: the edges of node n are edgeStart[n] … edgeStart[n + 1] - 1. */
  readonly edgeStart: Uint32Array;
  /** Per edge: the node it leads to. */
  readonly edgeTarget: Uint32Array;
  /** Per edge: its label, `kind << 28 | payload`. */
  readonly edgeLabel: Uint32Array;
  readonly types: readonly TypeInfo[];
  /** Names used by labels and nodes. Never values of the program: only identifiers and qualified names. */
  readonly strings: readonly string[];
  /** Names of the nodes that have one, as strings: modules (`app.cache`), functions, methods and classes (qualified), frames and code (`function file:line`), threads. Sorted by node. */
  readonly namedNode: Uint32Array;
  readonly nodeName: Uint32Array;
  /** Blocks that could not be decoded, by reason. */
  readonly undecoded: readonly { readonly reason: string; readonly count: number }[];
}

/** Where the columns come from. */
export interface HeapOrigin {
  readonly pid: number;
  readonly executable: string;
  readonly command: readonly string[];
  /** `3.11.7`. */
  readonly python: string;
  readonly via: 'fork' | 'freeze' | 'core' | 'agent';
  /** Unix time of the moment, ms. */
  readonly takenAtMs: number;
  /** Monotonic ms of the observer, to compute seconds between snapshots of one run. */
  readonly capturedAtMs: number;
  readonly pauseMs: number;
  readonly notes: readonly string[];
}

export function labelKind(label: number): LabelKind {
  return (label >>> 28) as LabelKind;
}
export function labelPayload(label: number): number {
  return label & 0x0fff_ffff;
}
export function makeLabel(kind: LabelKind, payload: number): number {
  return ((kind << 28) | (payload & 0x0fff_ffff)) >>> 0;
}
