/** The Python files of a target: which there are, whose they are, and their text as the target's file system has it. */
import { statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { HeapGraph } from '../heap/index.ts';
import { prepareSource, readSource, type SourceFile } from '../source/index.ts';

export type FileOwner = 'program' | 'library' | 'stdlib';

const MAX_FILES = 600;
const MAX_FILE_BYTES = 2_000_000;

/** Whose file is it: the program's own, an installed package's, or Python's? */
export function ownerOf(file: string): FileOwner {
  if (/\/(site|dist)-packages\//.test(file)) return 'library';
  if (file.startsWith('<') && file !== '<stdin>' && file !== '<string>') return 'stdlib';
  if (/\/lib(64)?\/(python3(\.\d+)?t?|pypy3[^/]*)\//.test(file)) return 'stdlib';
  return 'program';
}

/** Resolves and reads files as the target sees them: in its root and from its working directory. */
export class ProjectFiles {
  private readonly pid: number;
  private readonly live: boolean;
  private readonly cwd: string;
  private readonly sets = new Map<string, SourceFile[]>();
  private readonly opened = new Map<string, SourceFile | null>();

  /** `live`: the process is there, so that its own root is used; otherwise files are looked for on this machine. */
  constructor(pid: number, live: boolean, cwd: string) {
    this.pid = pid;
    this.live = live;
    this.cwd = cwd;
  }

  /** Prepares the parser; call once before anything else. */
  static async open(pid: number, live: boolean, cwd: string): Promise<ProjectFiles> {
    await prepareSource();
    return new ProjectFiles(pid, live, cwd);
  }

  /** Where a file that the target names is to be read from here; undefined when it is not there. */
  locate(file: string): string | undefined {
    if (file.startsWith('<')) return undefined;
    const absolute = isAbsolute(file) ? file : join(this.cwd, file);
    for (const path of this.live ? [`/proc/${this.pid}/root${absolute}`, absolute] : [absolute]) {
      try {
        const stat = statSync(path);
        if (stat.isFile() && stat.size <= MAX_FILE_BYTES) return path;
      } catch {
        // not there: try the next place
      }
    }
    return undefined;
  }

  /** The parsed file, undefined when it cannot be read. */
  open(file: string): SourceFile | undefined {
    let source = this.opened.get(file);
    if (source === undefined) {
      const path = this.locate(file);
      source = path === undefined ? null : readSource(file, path);
      this.opened.set(file, source);
    }
    return source ?? undefined;
  }

  /** All files of the program itself, and those in `also` whoever owns them. */
  all(files: Iterable<string>, also: Iterable<string> = []): SourceFile[] {
    const wanted = new Set<string>();
    for (const file of also) wanted.add(file);
    for (const file of files) {
      if (wanted.size >= MAX_FILES) break;
      if (ownerOf(file) === 'program') wanted.add(file);
    }
    // The same files give the same array: what is known of a project is kept with it.
    const key = [...wanted].sort().join('\n');
    const known = this.sets.get(key);
    if (known !== undefined) return known;
    const sources: SourceFile[] = [];
    this.sets.set(key, sources);
    for (const file of wanted) {
      const source = this.open(file);
      if (source !== undefined) sources.push(source);
    }
    return sources;
  }
}

const filesByGraph = new WeakMap<HeapGraph, Set<string>>();

/** The files that the code in a heap comes from; looked for once a graph. */
export function filesOf(graph: HeapGraph): Set<string> {
  let files = filesByGraph.get(graph);
  if (files === undefined) {
    files = collectFiles(graph);
    filesByGraph.set(graph, files);
  }
  return files;
}

function collectFiles(graph: HeapGraph): Set<string> {
  const { columns } = graph;
  const files = new Set<string>();
  const codeTypes = new Set(columns.types.flatMap((t, i) => (t.name === 'code' ? [i] : [])));
  for (let i = 0; i < columns.namedNode.length; i++) {
    if (!codeTypes.has(columns.type[columns.namedNode[i]])) continue;
    const name = columns.strings[columns.nodeName[i]];
    const match = / ([^ ].*):-?\d+$/.exec(name);
    if (match !== null) files.add(match[1]);
  }
  return files;
}
