/** TARGET on the command line: a pid, a core file, a snapshot file or a file of the agent's, opened as a heap graph in this one place. */
import { existsSync, statSync } from 'node:fs';
import { captureByAgent, isAgentFile, readAgentFile } from '../agent/index.ts';
import { type MemoryPart, residency, residencyFacts } from '../analysis/index.ts';
import {
  type CollectorFacts,
  type DuplicateText,
  decode,
  duplicateTexts,
  type HeapOrigin,
  NodeFlag,
} from '../cpython/index.ts';
import { HeapGraph, readSnapshot } from '../heap/index.ts';
import {
  capture,
  ExitCode,
  isCore,
  LeakscopeError,
  Memory,
  openCore,
  type ProcessImage,
  ResidentMemory,
} from '../process/index.ts';
import type { TargetDocument } from '../report/index.ts';
import type { ViaOptions } from './command.ts';
import type { Progress } from './progress.ts';

export type TargetKind = 'process' | 'core' | 'snapshot';

/** What is known of a target besides its graph; it is kept in snapshot files too. */
export interface TargetFacts {
  readonly collector?: CollectorFacts;
  /** Texts that are there more than once; asked for with `duplicates`. */
  readonly duplicates?: readonly DuplicateText[];
  /** Where every resident byte is; asked for with `account`. */
  readonly memory?: {
    readonly resident: number;
    readonly parts: readonly MemoryPart[];
    readonly notes: readonly string[];
  };
}

export interface OpenedTarget {
  readonly kind: TargetKind;
  readonly graph: HeapGraph;
  readonly facts: TargetFacts;
  /** Seconds for copying memory (or reading the file) and for decoding it. */
  readonly seconds: { readonly read: number; readonly decode: number };
}

export interface OpenOptions extends Partial<ViaOptions> {
  readonly progress: Progress;
  /** Also find out where every resident byte is. */
  readonly account?: boolean;
  /** Also count texts that are there more than once. */
  readonly duplicates?: boolean;
}

/** What TARGET means: only digits are a pid, anything else is a file. Throws LeakscopeError when it is neither. */
export function kindOf(target: string): TargetKind {
  if (/^\d+$/.test(target)) {
    const pid = Number(target);
    if (pid >= 1 && pid < 2 ** 31) return 'process';
    throw new LeakscopeError(`${target} is not a process id`, ExitCode.usage, 'Write the pid as ps shows it.');
  }
  const remedy = 'A target is a pid, a core file or a snapshot file.';
  if (!existsSync(target)) throw new LeakscopeError(`there is no file ${target}`, ExitCode.usage, remedy);
  if (!statSync(target).isFile()) throw new LeakscopeError(`${target} is not a file`, ExitCode.usage, remedy);
  return isCore(target) ? 'core' : 'snapshot';
}

/** Opens a target and reads its whole heap. */
export async function openTarget(target: string, options: OpenOptions): Promise<OpenedTarget> {
  const kind = kindOf(target);
  if (kind === 'snapshot') {
    options.progress.say(`reading ${target}`);
    const begun = performance.now();
    const graph = isAgentFile(target) ? readAgentFile(target) : await readSnapshot(target);
    const seconds = { read: (performance.now() - begun) / 1000, decode: 0 };
    return { kind, graph, facts: (graph.facts ?? {}) as TargetFacts, seconds };
  }
  if (options.sysroot !== undefined && !existsSync(options.sysroot)) {
    const remedy = 'Give the folder with the files of the machine that the core is from.';
    throw new LeakscopeError(`there is no folder ${options.sysroot}`, ExitCode.usage, remedy);
  }
  using image =
    kind === 'core'
      ? openCore(target, { sysroot: options.sysroot })
      : capture(Number(target), { via: options.via ?? 'auto' });
  options.progress.say(`reading the heap of ${kind === 'core' ? target : `process ${target}`}`);
  try {
    return { kind, ...readHeap(image, options.account === true, options.duplicates === true) };
  } catch (error) {
    throw withNotes(error, image);
  }
}

/** An error of reading a heap, with what its image lacks: that may be the reason. */
function withNotes(error: unknown, { via, notes }: ProcessImage): unknown {
  if (!(error instanceof LeakscopeError) || via !== 'core' || notes.length === 0) return error;
  return new LeakscopeError(`${error.message} (${notes.join('; ')})`, error.exitCode, error.remedy);
}

/** Has a live process tell of its heap itself, by code that runs inside it. */
export async function openByAgent(pid: number, progress: Progress): Promise<OpenedTarget> {
  progress.say(`asking process ${pid} to run the agent`);
  const begun = performance.now();
  using captured = await captureByAgent(pid);
  const asked = performance.now();
  progress.say('reading what the agent wrote');
  const graph = readAgentFile(captured.file);
  const seconds = { read: (asked - begun) / 1000, decode: (performance.now() - asked) / 1000 };
  return { kind: 'process', graph, facts: (graph.facts ?? {}) as TargetFacts, seconds };
}

function readHeap(image: ProcessImage, account: boolean, duplicates: boolean): Omit<OpenedTarget, 'kind'> {
  const begun = performance.now();
  const resident = account && image.via !== 'core' ? ResidentMemory.read(image.pid) : undefined;
  const memory = Memory.copy(image);
  const copiedMs = performance.now() - begun;
  const decoded = decode(image, { memory });
  const facts: TargetFacts = {
    collector: decoded.collector,
    ...(duplicates ? { duplicates: duplicateTexts(memory, decoded.runtime.layout, decoded.columns) } : {}),
  };
  return {
    graph: new HeapGraph(decoded.columns, decoded.origin),
    facts: account ? { ...facts, memory: residency(residencyFacts(image, memory, decoded, resident)) } : facts,
    seconds: { read: (copiedMs + decoded.readMs) / 1000, decode: decoded.decodeMs / 1000 },
  };
}

export function targetDocument(origin: HeapOrigin): TargetDocument {
  const { pid, python, executable, command } = origin;
  return { pid, python, executable, command };
}

/** `schema`, `target` and `notes`, which every document about a heap begins with. */
export function documentHead(graph: HeapGraph): { schema: 1; target: TargetDocument; notes: readonly string[] } {
  return { schema: 1, target: targetDocument(graph.origin), notes: graph.origin.notes };
}

/** How many objects there are, and their bytes; synthetic nodes (the root, threads, frames without an object) are none. */
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

/** Snapshots taken by different runs of leakscope have no monotonic clock in common; the time of day they have. */
export function onWallClock(graph: HeapGraph): HeapGraph {
  return new HeapGraph(graph.columns, { ...graph.origin, capturedAtMs: graph.origin.takenAtMs }, graph.facts);
}
