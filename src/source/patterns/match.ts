/** What a leak pattern found in the source says. */
import type { SourceFile } from '../file.ts';
import { fileOf, functionName, type Project } from '../project.ts';
import type { SyntaxNode } from '../syntax.ts';

/** The verdict's categories (CLI.md). */
export type Category =
  | 'unreleased-reference'
  | 'global-container'
  | 'unbounded-cache'
  | 'circular-reference'
  | 'finalizer-cycle'
  | 'closure'
  | 'event-listener'
  | 'long-lived-object'
  | 'thread-local'
  | 'exception-traceback'
  | 'generator-or-coroutine'
  | 'class-or-code-growth'
  | 'lru-cache-method'
  | 'weakref-misuse'
  | 'c-extension-refcount'
  | 'native-malloc'
  | 'fragmentation'
  | 'file-or-socket-handle';

export interface Fix {
  /** What to change, naming function and line. */
  readonly summary: string;
  /** A unified diff for `patch -p1` in the project's root, or null where no mechanical edit is safe. */
  readonly patch: string | null;
}

export interface PatternMatch {
  readonly rule: string;
  readonly category: Category;
  readonly file: string;
  readonly line: number;
  readonly function: string;
  /** The cause, one sentence without its full stop. */
  readonly sentence: string;
  readonly fix: Fix;
  /** Names of what is concerned (classes, attributes, variables, functions), to join the match with a suspect. */
  readonly subjects: readonly string[];
  /** Type names that grow when this leaks, where they can be known. */
  readonly types: readonly string[];
  /** `sure` when it leaks whenever the line runs again and again, `maybe` when it depends on what the program does. */
  readonly certainty: 'sure' | 'maybe';
}

export interface Rule {
  readonly id: string;
  readonly category: Category;
  /** One line for `lint`. */
  readonly title: string;
  readonly find: (project: Project, root?: string) => PatternMatch[];
}

/** A match at a node; the rule's own category unless another is given. */
export function matchAt(
  project: Project,
  rule: { readonly id: string; readonly category: Category },
  node: SyntaxNode,
  found: {
    sentence: string;
    fix: Fix;
    subjects?: readonly string[];
    types?: readonly string[];
    certainty?: 'sure' | 'maybe';
    category?: Category;
  },
): PatternMatch {
  return {
    rule: rule.id,
    category: found.category ?? rule.category,
    file: fileOf(project, node).file,
    line: node.line,
    function: functionName(project, node),
    sentence: found.sentence,
    fix: found.fix,
    subjects: found.subjects ?? [],
    types: found.types ?? [],
    certainty: found.certainty ?? 'sure',
  };
}

/** A fix that has no mechanical edit. */
export function advice(summary: string): Fix {
  return { summary, patch: null };
}

/** Each file of the project with what a rule finds in it. */
export function inEachFile(project: Project, look: (file: SourceFile) => PatternMatch[]): PatternMatch[] {
  return project.files.flatMap(look);
}
