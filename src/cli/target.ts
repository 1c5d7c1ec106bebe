/** TARGET on the command line: a pid, a core file or a snapshot file, opened as a heap graph in this one place. */
import { existsSync, statSync } from 'node:fs';
import { type Decoded, decode, type HeapOrigin, NodeFlag } from '../cpython/index.ts';
import { HeapGraph, readSnapshot } from '../heap/index.ts';
import { capture, ExitCode, isCore, LeakscopeError, openCore, type ProcessImage } from '../process/index.ts';
import type { TargetDocument } from '../report/index.ts';
import type { ViaOptions } from './command.ts';
import type { Progress } from './progress.ts';

export type TargetKind = 'process' | 'core' | 'snapshot';

export interface OpenedTarget {
  readonly kind: TargetKind;
  readonly graph: HeapGraph;
  /** What decoding found out besides the graph; absent for a snapshot file. */
  readonly decoded?: Decoded;
  /** Seconds for copying memory (or reading the file) and for decoding it. */
  readonly seconds: { readonly read: number; readonly decode: number };
}

export interface OpenOptions extends Partial<ViaOptions> {
  readonly progress: Progress;
}

/** What TARGET means: only digits are a pid, anything else is a file. Throws LeakscopeError when it is neither. */
export function kindOf(target: string): TargetKind {
  if (/^\d+$/.test(target)) {
    const pid = Number(target);
    if (pid >= 1 && pid < 2 ** 31) return 'process';
    throw new LeakscopeError(`${target} is not a process id`, ExitCode.usage, 'Write the pid as ps shows it.');
  }
  if (!existsSync(target)) {
    throw new LeakscopeError(
      `there is no file ${target}`,
      ExitCode.usage,
      'A target is a pid, a core file or a snapshot file.',
    );
  }
  if (!statSync(target).isFile()) {
    throw new LeakscopeError(
      `${target} is not a file`,
      ExitCode.usage,
      'A target is a pid, a core file or a snapshot file.',
    );
  }
  return isCore(target) ? 'core' : 'snapshot';
}

/** Opens a target and reads its whole heap. */
export async function openTarget(target: string, options: OpenOptions): Promise<OpenedTarget> {
  const kind = kindOf(target);
  if (kind === 'snapshot') {
    options.progress.say(`reading ${target}`);
    const begun = performance.now();
    const graph = await readSnapshot(target);
    return { kind, graph, seconds: { read: (performance.now() - begun) / 1000, decode: 0 } };
  }
  using image = openImage(target, kind, options);
  options.progress.say(`reading the heap of ${kind === 'core' ? target : `process ${target}`}`);
  const decoded = decode(image);
  return {
    kind,
    graph: new HeapGraph(decoded.columns, decoded.origin),
    decoded,
    seconds: { read: decoded.readMs / 1000, decode: decoded.decodeMs / 1000 },
  };
}

/** A frozen moment of a live process or of a core; close it with `using`. */
export function openImage(target: string, kind: 'process' | 'core', options: OpenOptions): ProcessImage {
  if (kind === 'core') return openCore(target);
  return capture(Number(target), { via: options.via ?? 'auto' });
}

export function targetDocument(origin: HeapOrigin): TargetDocument {
  const { pid, python, executable, command } = origin;
  return { pid, python, executable, command };
}

/** `schema`, `target` and `notes`, which every document about a heap begins with. */
export function documentHead(graph: HeapGraph): { schema: 1; target: TargetDocument; notes: readonly string[] } {
  return { schema: 1, target: targetDocument(graph.origin), notes: graph.origin.notes };
}

/** How many objects there are, and their bytes; synthetic nodes are no objects. */
export function totalsOf(graph: HeapGraph): { objects: number; bytes: number } {
  const { nodeCount, size, flags } = graph.columns;
  let objects = 0;
  let bytes = 0;
  for (let node = 0; node < nodeCount; node++) {
    if ((flags[node]! & NodeFlag.synthetic) !== 0) continue;
    objects++;
    bytes += size[node]!;
  }
  return { objects, bytes };
}
