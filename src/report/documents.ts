/**
 * The documents that commands answer with: what `--json` prints, field by field, and what the text is made from.
 * Bytes are numbers, addresses hexadecimal strings, times are named with their unit. The verdict is in diagnosis.
 */

export interface TargetDocument {
  readonly pid: number;
  /** `3.11.7`. */
  readonly python: string;
  readonly executable: string;
  readonly command: readonly string[];
}

interface Document {
  readonly schema: 1;
  readonly target: TargetDocument;
  /** Sentences about the snapshot: why a freeze instead of a fork, what could not be read. */
  readonly notes?: readonly string[];
}

export interface TypeRow {
  readonly name: string;
  readonly count: number;
  readonly shallow_bytes: number;
  /** Everything that would be freed with all of them; nested instances counted once. */
  readonly retained_bytes: number;
}

export interface TypesDocument extends Document {
  readonly by: 'count' | 'size' | 'retained';
  readonly objects: number;
  readonly bytes: number;
  readonly types: readonly TypeRow[];
  /** How many types there are, `types` may be fewer. */
  readonly type_count: number;
}

export interface HeapDocument extends Document {
  readonly by: string;
  readonly objects: number;
  readonly bytes: number;
  readonly parts: readonly {
    readonly name: string;
    readonly count: number;
    readonly shallow_bytes: number;
    readonly retained_bytes?: number;
  }[];
  readonly part_count: number;
}

export interface WasteDocument extends Document {
  readonly objects: number;
  readonly bytes: number;
  readonly waste: readonly {
    readonly kind: 'sparse-dict' | 'sparse-set' | 'overallocated-list' | 'empty-container' | 'slots' | 'duplicate-text';
    /** The type of the containers or instances. */
    readonly type: string;
    readonly count: number;
    /** What they take now. */
    readonly bytes: number;
    readonly bytes_to_gain: number;
  }[];
}

export interface GrowthDocument extends Document {
  /** Between the first and the last snapshot. */
  readonly seconds: number;
  readonly snapshots: number;
  readonly types: readonly { readonly name: string; readonly count_growth: number; readonly bytes_growth: number }[];
  readonly holders: readonly {
    readonly expression: string;
    readonly path: readonly string[];
    /** Of what it holds more of. */
    readonly type: string;
    /** Of the holder itself. */
    readonly holder_type: string;
    readonly count_growth: number;
    readonly bytes_growth: number;
    readonly fingerprint: string;
  }[];
}

export interface DominatorRow {
  readonly address: string;
  readonly type: string;
  /** The place in the program, as a person would write it; '' where there is none. */
  readonly expression: string;
  readonly shallow_bytes: number;
  readonly retained_bytes: number;
  /** Index in `top` of the nearest row that dominates this one; null when none does. */
  readonly dominator: number | null;
}

export interface DominatorsDocument extends Document {
  readonly objects: number;
  readonly edges: number;
  readonly bytes: number;
  readonly seconds: { readonly decode: number; readonly dominators: number };
  readonly top: readonly DominatorRow[];
}

export interface SnapshotDocument extends Document {
  readonly file: string;
  readonly bytes: number;
  readonly via: string;
  readonly pause_ms: number;
  readonly objects: number;
  readonly edges: number;
  readonly native_blocks: number;
  readonly undecoded: readonly { readonly reason: string; readonly count: number }[];
  readonly seconds: { readonly read: number; readonly decode: number; readonly write: number };
}

export interface Neighbour {
  readonly address: string;
  readonly type: string;
  readonly label: string;
}

export interface ObjectDocument extends Document {
  readonly address: string;
  readonly type: string;
  /** Its own name (modules, classes, functions, threads) or the place that holds it; '' for neither. */
  readonly expression: string;
  readonly shallow_bytes: number;
  readonly retained_bytes: number;
  readonly length: number;
  /** null for an immortal object. */
  readonly refcount: number | null;
  readonly references_found: number;
  readonly referrers: readonly Neighbour[];
  readonly referents: readonly Neighbour[];
  readonly referrer_count: number;
  readonly referent_count: number;
}

export interface WhoDocument extends Document {
  readonly type: string;
  readonly count: number;
  readonly paths: readonly {
    /** Of the instances, the part that this path leads to: 0 to 1. */
    readonly share: number;
    readonly nodes: readonly { readonly label: string; readonly type: string; readonly address: string }[];
  }[];
}

export interface CyclesDocument extends Document {
  /** Whether automatic collection is on; null where that could not be read. */
  readonly enabled: boolean | null;
  readonly generations: readonly {
    readonly generation: number;
    readonly objects: number;
    readonly threshold: number | null;
    readonly count: number | null;
  }[];
  readonly frozen: number;
  /** Unreachable objects that wait for the next collection. */
  readonly unreachable: { readonly objects: number; readonly bytes: number };
  readonly garbage: readonly { readonly type: string; readonly count: number }[];
  readonly finalizers: readonly { readonly type: string; readonly count: number }[];
  /** Kinds of cycles, most bytes first. */
  readonly cycles: readonly {
    /** How many cycles of this kind there are. */
    readonly count: number;
    /** Objects and bytes of all of them. */
    readonly objects: number;
    readonly bytes: number;
    /** Once around: the types, and the reference from each to the next; the last one closes the cycle. */
    readonly around: readonly { readonly type: string; readonly label: string; readonly address: string }[];
    readonly finalizers: number;
    readonly reachable: boolean;
  }[];
}

export interface MemoryDocument extends Document {
  readonly resident: number;
  readonly parts: readonly { readonly kind: string; readonly bytes: number; readonly detail: string }[];
}

export interface ExportDocument extends Document {
  readonly format: string;
  readonly files: readonly { readonly file: string; readonly bytes: number }[];
}

export interface QueryDocument extends Document {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

/** One thing that was looked at: whether it stands in the way, and what to do then. */
export interface DoctorCheck {
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'obstacle';
  readonly detail: string;
  /** For whom (`plain machine`, `Docker`, `Kubernetes`), and what exactly to do. */
  readonly remedies: readonly { readonly where: string; readonly command: string }[];
}

export interface DoctorDocument {
  readonly schema: 1;
  readonly target: { readonly pid: number; readonly python: string; readonly executable: string } | null;
  /** Whether leakscope can look into it. */
  readonly ok: boolean;
  readonly summary: string;
  readonly checks: readonly DoctorCheck[];
  readonly captures: readonly { readonly via: string; readonly works: boolean; readonly detail: string }[];
}
