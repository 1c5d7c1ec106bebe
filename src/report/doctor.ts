/** May leakscope look into this process, and if not, what exactly to do. */
import type { DoctorDocument } from './documents.ts';
import { finish, paint, printable, type Style } from './style.ts';

const MARKS = {
  ok: ['ok', 'green'],
  warning: ['note', 'yellow'],
  obstacle: ['NO', 'red'],
} as const;

export function doctorText(document: DoctorDocument, style: Style): string {
  const { ok, summary, checks, captures } = printable(document);
  const lines = [paint(summary, ok ? 'green' : 'red', style), ''];
  const widest = Math.max(...checks.map(check => check.name.length), ...captures.map(({ via }) => via.length), 4);
  for (const check of checks) {
    const [word, colour] = MARKS[check.status];
    lines.push(
      `  ${paint(word, colour, style)}${' '.repeat(6 - word.length)}${check.name.padEnd(widest)}  ${check.detail}`,
    );
    for (const { where, command } of check.remedies) lines.push(`${' '.repeat(10 + widest)}${where}: ${command}`);
  }
  if (captures.length > 0) lines.push('', 'ways to take a snapshot here');
  for (const { via, works, detail } of captures) {
    const [word, colour] = works ? MARKS.ok : MARKS.obstacle;
    lines.push(`  ${paint(word, colour, style)}${' '.repeat(6 - word.length)}${via.padEnd(widest)}  ${detail}`);
  }
  return finish(lines, style);
}
