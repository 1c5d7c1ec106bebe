/** The lines around the sites of a verdict, read where the target sees them: its root directory, its working directory. */
import { readFileSync, readlinkSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { SourceExcerpt, Verdict } from '../diagnosis/index.ts';
import { decodeSource } from '../source/index.ts';

const LINES_BEFORE = 1;
const LINES_AFTER = 1;
const LARGEST_FILE = 20 * 2 ** 20;

/** The target's working directory; '' when it is gone or hidden. Ask before the target may end. */
export function workingDirectory(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

/** Excerpts for the first store site and creation site of every suspect; those that cannot be read are left out. */
export function excerptsOf(verdict: Verdict, directory: string): SourceExcerpt[] {
  const excerpts: SourceExcerpt[] = [];
  for (const suspect of verdict.suspects) {
    for (const site of [suspect.store_sites[0], suspect.creation_sites[0]]) {
      if (site === undefined) continue;
      const text = readAsTarget(verdict.target.pid, site.file, directory);
      if (text === undefined) continue;
      const lines = text.split(/\r\n|\r|\n/);
      if (site.line < 1 || site.line > lines.length) continue;
      const first = Math.max(1, site.line - LINES_BEFORE);
      const last = Math.min(lines.length, site.line + LINES_AFTER);
      const shown = lines
        .slice(first - 1, last)
        .map((line, at) => ({ number: first + at, text: line.replace(/\t/g, '    ') }));
      while (shown.at(-1)?.text.trim() === '' && shown.length > 1) shown.pop();
      while (shown[0]?.text.trim() === '' && shown.length > 1) shown.shift();
      excerpts.push({ file: site.file, line: site.line, lines: shown });
    }
  }
  return excerpts;
}

function readAsTarget(pid: number, file: string, directory: string): string | undefined {
  const path = isAbsolute(file) ? file : join(directory, file);
  if (!isAbsolute(path)) return undefined;
  // A target in a container has a root of its own; one that has ended is read from ours.
  for (const candidate of [`/proc/${pid}/root${path}`, path]) {
    try {
      const bytes = readFileSync(candidate);
      if (bytes.length <= LARGEST_FILE) return decodeSource(bytes);
    } catch {
      // The next candidate, or no excerpt: the verdict names file and line anyway.
    }
  }
  return undefined;
}
