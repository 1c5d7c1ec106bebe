/** Open file descriptors over time: which kinds become more, and what they are open on. */
import type { OpenFile, OpenFileKind } from '../process/index.ts';
import { type Slope, slopeOf } from './slope.ts';

/** The descriptors of one moment (`openFiles(pid)`). */
export interface HandleReading {
  readonly atMs: number;
  readonly files: readonly OpenFile[];
}

/** Descriptors of one kind and one sort of target. */
export interface HandleGroup {
  readonly kind: OpenFileKind;
  /** What they are open on, without what differs from one to the next: `socket`, `pipe`, `anon_inode:[eventpoll]`, `/var/log/app-#.log`. */
  readonly target: string;
  /** Per reading. */
  readonly counts: readonly number[];
  readonly slope: Slope;
  /** Of those in the last reading, those that were open, on the same target, in every reading but the first. */
  readonly kept: number;
  /** Did it never fall by more than a tenth of what it grew? A pool of connections that breathes does. */
  readonly steady: boolean;
}

export interface HandleGrowth {
  readonly seconds: number;
  /** Per reading: all descriptors. */
  readonly counts: readonly number[];
  readonly slope: Slope;
  /** Groups that have more in the last reading than in the first, fastest growing first. */
  readonly groups: readonly HandleGroup[];
}

/** Growth of open descriptors over the readings of one run, in order. */
export function handleGrowth(readings: readonly HandleReading[]): HandleGrowth {
  const seconds = readings.map(r => (r.atMs - readings[0]!.atMs) / 1000);
  const rows = new Map<string, { kind: OpenFileKind; target: string; counts: number[] }>();
  readings.forEach(({ files }, k) => {
    for (const file of files) {
      const target = sortOf(file);
      const key = `${file.kind} ${target}`;
      let row = rows.get(key);
      if (row === undefined) {
        row = { kind: file.kind, target, counts: readings.map(() => 0) };
        rows.set(key, row);
      }
      row.counts[k] = row.counts[k]! + 1;
    }
  });
  const counts = readings.map(r => r.files.length);
  const groups = [...rows.values()]
    .filter(row => row.counts.at(-1)! > row.counts[0]!)
    .map(row => ({
      ...row,
      slope: slopeOf(seconds, row.counts),
      kept: keptOf(readings, row.kind, row.target),
      steady: isSteady(row.counts),
    }))
    .filter(group => group.slope.perSecond > 0)
    .sort((a, b) => b.slope.perSecond - a.slope.perSecond);
  return { seconds: seconds.at(-1) ?? 0, counts, slope: slopeOf(seconds, counts), groups };
}

/** `socket:[123]` and `socket:[456]` are of one sort, and so are files whose names differ by numbers only. */
function sortOf({ kind, target }: OpenFile): string {
  if (kind === 'socket' || kind === 'pipe') return kind;
  if (kind === 'anon') return target;
  return target
    .replace(/ \(deleted\)$/, '')
    .replace(/\d+/g, '#')
    .replace(/(?<=\/)tmp\w+/g, 'tmp#');
}

/** The same descriptor on the same target at every reading but the first. */
function keptOf(readings: readonly HandleReading[], kind: OpenFileKind, target: string): number {
  const [, second, ...later] = readings;
  if (second === undefined) return 0;
  const key = (f: OpenFile) => `${f.descriptor} ${f.target}`;
  const kept = new Set(second.files.filter(f => f.kind === kind && sortOf(f) === target).map(key));
  for (const { files } of later) {
    const now = new Set(files.map(key));
    for (const one of kept) if (!now.has(one)) kept.delete(one);
  }
  return kept.size;
}

function isSteady(counts: readonly number[]): boolean {
  const grown = counts.at(-1)! - counts[0]!;
  for (let i = 1; i < counts.length; i++) if (counts[i]! < counts[i - 1]! - grown / 10) return false;
  return true;
}
