/** The verdict: what leakscope says about a target. The JSON of `attach --json` (schema 1) is this type, field by field. */
import type { Category } from '../source/index.ts';

export type { Category };

export type Evidence = 'watchpoint' | 'tracemalloc' | 'static' | 'inferred';

export type MemoryKind =
  | 'python-objects'
  | 'native-blocks'
  | 'free-pymalloc'
  | 'free-malloc'
  | 'stacks'
  | 'files'
  | 'other';

export interface Site {
  readonly file: string;
  readonly line: number;
  readonly function: string;
  readonly hits: number;
  readonly evidence: Evidence;
}

export interface SuspectType {
  readonly name: string;
  readonly count: number;
  readonly count_per_second: number;
  readonly bytes_per_second: number;
}

export interface Suspect {
  readonly rank: number;
  readonly category: Category;
  /** 0 to 1. */
  readonly confidence: number;
  /** Stable across runs of the same program. */
  readonly fingerprint: string;
  readonly types: readonly SuspectType[];
  readonly retained_bytes: number;
  /** null where nothing in the process holds it (a native leak, an uncounted reference). */
  readonly holder: {
    readonly expression: string;
    readonly type: string;
    readonly address: string;
    readonly entries: number;
  } | null;
  readonly path: readonly string[];
  readonly store_sites: readonly Site[];
  readonly creation_sites: readonly Site[];
  readonly explanation: string;
  readonly fix: { readonly summary: string; readonly patch: string | null };
}

export interface Verdict {
  readonly schema: 1;
  readonly leakscope: string;
  readonly target: {
    readonly pid: number;
    readonly python: string;
    readonly executable: string;
    readonly command: readonly string[];
  };
  readonly observation: {
    readonly seconds: number;
    readonly snapshots: number;
    readonly via: string;
    readonly pauses_ms: readonly number[];
    readonly stops: number;
    readonly bytes_allocated_in_target: number;
  };
  readonly verdict: 'leak' | 'no-leak' | 'inconclusive';
  /** One sentence. */
  readonly summary: string;
  readonly memory: {
    readonly resident: number;
    readonly parts: readonly { readonly kind: MemoryKind; readonly bytes: number }[];
    readonly growth_bytes_per_second: number;
    readonly growth_parts: readonly { readonly kind: MemoryKind; readonly bytes_per_second: number }[];
  };
  readonly suspects: readonly Suspect[];
}

/** Lines of source around a site, for the text report; not part of the JSON. */
export interface SourceExcerpt {
  readonly file: string;
  readonly line: number;
  readonly lines: readonly { readonly number: number; readonly text: string }[];
}
