/** Edits of a file as a unified diff that `patch -p1` and `git apply` take, from edits of its text. */
import type { SourceFile } from './file.ts';
import { parsePython } from './syntax.ts';

/** Replaces text[start, end) (UTF-16 offsets) by `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Inserts whole lines before line `line` (from 1); past the last line appends. */
export function insertLines(file: SourceFile, line: number, lines: readonly string[]): Edit {
  const starts = lineStarts(file.text);
  const newline = newlineOf(file.text);
  if (line - 1 < starts.length) {
    const at = starts[line - 1]!;
    return { start: at, end: at, text: lines.map(l => l + newline).join('') };
  }
  const gap = file.text.endsWith('\n') || file.text === '' ? '' : newline;
  return { start: file.text.length, end: file.text.length, text: gap + lines.map(l => l + newline).join('') };
}

/** Replaces lines first..last (inclusive, from 1). */
export function replaceLines(file: SourceFile, first: number, last: number, lines: readonly string[]): Edit {
  const starts = lineStarts(file.text);
  const start = starts[first - 1]!;
  const end = starts[last] ?? file.text.length;
  const ended = file.text.slice(start, end).endsWith('\n') || lines.length === 0;
  const newline = newlineOf(file.text);
  return { start, end, text: lines.join(newline) + (ended && lines.length > 0 ? newline : '') };
}

/** The text after the edits; null when they overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string | null {
  const ordered = edits.map((e, i) => ({ e, i })).sort((a, b) => a.e.start - b.e.start || a.i - b.i);
  let done = '';
  let at = 0;
  for (const { e } of ordered) {
    if (e.start < at) return null;
    done += text.slice(at, e.start) + e.text;
    at = e.end;
  }
  return done + text.slice(at);
}

/** A unified diff of the edits, or null when they overlap, change nothing or would break the file's syntax. */
export function patchOf(file: SourceFile, edits: readonly Edit[], root?: string): string | null {
  const changed = applyEdits(file.text, edits);
  if (changed === null || changed === file.text) return null;
  if (!file.broken && hasErrors(changed)) return null;
  return unifiedDiff(patchPath(file.file, root), file.text, changed);
}

function hasErrors(text: string): boolean {
  return parsePython(text).tree.broken;
}

/** A file's path inside a patch: relative to the root, without a leading slash. */
export function patchPath(file: string, root?: string): string {
  const clean = root === undefined ? '' : `${root.replace(/\/+$/, '')}/`;
  return (clean !== '' && file.startsWith(clean) ? file.slice(clean.length) : file).replace(/^(\.?\/)+/, '');
}

/** Three lines of context, `\ No newline at end of file` where it applies. */
export function unifiedDiff(path: string, before: string, after: string): string {
  const a = splitKeeping(before);
  const b = splitKeeping(after);
  const script = align(a, b);
  const out: string[] = [];
  let i = 0;
  while (i < script.length) {
    if (script[i]!.sign === ' ') {
      i++;
      continue;
    }
    let from = i;
    let to = i;
    for (let j = i; j < script.length && j - to <= 6; j++) if (script[j]!.sign !== ' ') to = j;
    from = Math.max(0, from - 3);
    to = Math.min(script.length - 1, to + 3);
    const hunk = script.slice(from, to + 1);
    const oldCount = hunk.filter(l => l.sign !== '+').length;
    const newCount = hunk.filter(l => l.sign !== '-').length;
    const oldStart = script.slice(0, from).filter(l => l.sign !== '+').length + (oldCount > 0 ? 1 : 0);
    const newStart = script.slice(0, from).filter(l => l.sign !== '-').length + (newCount > 0 ? 1 : 0);
    out.push(`@@ -${oldStart},${oldCount} +${newStart},${newCount} @@\n`);
    for (const l of hunk)
      out.push(l.text.endsWith('\n') ? `${l.sign}${l.text}` : `${l.sign}${l.text}\n\\ No newline at end of file\n`);
    i = to + 1;
  }
  return `--- a/${path}\n+++ b/${path}\n${out.join('')}`;
}

interface Line {
  readonly sign: ' ' | '-' | '+';
  readonly text: string;
}

/** Longest common subsequence on what is left after the equal head and tail: the edits here are small. */
function align(a: readonly string[], b: readonly string[]): Line[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const x = a.slice(head, a.length - tail);
  const y = b.slice(head, b.length - tail);
  const lengths: Int32Array[] = Array.from({ length: x.length + 1 }, () => new Int32Array(y.length + 1));
  for (let i = x.length - 1; i >= 0; i--)
    for (let j = y.length - 1; j >= 0; j--)
      lengths[i]![j] = x[i] === y[j] ? lengths[i + 1]![j + 1]! + 1 : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
  const script: Line[] = a.slice(0, head).map(text => ({ sign: ' ', text }));
  let i = 0;
  let j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) {
      script.push({ sign: ' ', text: x[i]! });
      i++;
      j++;
    } else if (i < x.length && (j >= y.length || lengths[i + 1]![j]! >= lengths[i]![j + 1]!))
      script.push({ sign: '-', text: x[i++]! });
    else script.push({ sign: '+', text: y[j++]! });
  }
  return [...script, ...a.slice(a.length - tail).map((text): Line => ({ sign: ' ', text }))];
}

function splitKeeping(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) if (i + 1 < text.length) starts.push(i + 1);
  return starts;
}

export function newlineOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

/** The white space a line starts with. */
export function indentOf(file: SourceFile, line: number): string {
  return /^[ \t]*/.exec(file.lines[line - 1] ?? '')![0];
}

/** One level of indentation as the file uses it. */
export function indentUnit(file: SourceFile): string {
  for (const line of file.lines) {
    const indent = /^([ \t]+)\S/.exec(line)?.[1];
    if (indent !== undefined) return indent.startsWith('\t') ? '\t' : indent.length <= 8 ? indent : '    ';
  }
  return '    ';
}
