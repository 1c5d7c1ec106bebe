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
  // What stands in the way of all of them has been said; it need not be said once more for each.
  const reasons = new Set(checks.filter(check => check.status === 'obstacle').map(check => check.detail));
  const ways = captures.filter(({ works, detail }) => works || !reasons.has(detail));
  if (ways.length > 0) lines.push('', 'ways to look');
  for (const { via, works, detail } of ways) {
    const [word, colour] = works ? MARKS.ok : MARKS.obstacle;
    lines.push(`  ${paint(word, colour, style)}${' '.repeat(6 - word.length)}${via.padEnd(widest)}  ${detail}`);
  }
  return finish(lines, style);
}
