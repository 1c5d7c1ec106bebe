/** A table of text: columns aligned, the one that may shrink cut so that a row fits the terminal. */
import { columnsOf, paint, type Style } from './style.ts';

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
  /** Which end of a cell is cut off when the row is wider than the terminal; without it, the column keeps its width. */
  readonly cut?: 'start' | 'end';
}

const GAP = '  ';
const NARROWEST = 12;

/** Lines of a table, its titles first. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], style: Style): string[] {
  const widths = columns.map((column, at) =>
    rows.reduce((widest, row) => Math.max(widest, columnsOf(row[at] ?? '')), columnsOf(column.title)),
  );
  let excess = widths.reduce((sum, width) => sum + width, GAP.length * (columns.length - 1)) - style.width;
  const cuttable = columns.map((column, at) => ({ column, at })).filter(({ column }) => column.cut !== undefined);
  while (excess > 0) {
    // The widest column gives way first, so that two long ones end up alike.
    const widest = cuttable.reduce<number>((best, { at }) => (best < 0 || widths[at]! > widths[best]! ? at : best), -1);
    if (widest < 0 || widths[widest]! <= NARROWEST) break;
    widths[widest] = widths[widest]! - 1;
    excess--;
  }
  const line = (cells: readonly string[]) =>
    columns.map((column, at) => padded(cells[at] ?? '', widths[at]!, column)).join(GAP);
  const titles = columns.some(column => column.title !== '')
    ? [paint(line(columns.map(column => column.title)).trimEnd(), 'dim', style)]
    : [];
  return [...titles, ...rows.map(line)];
}

function padded(text: string, width: number, column: Column): string {
  const length = columnsOf(text);
  if (length > width) return cut(text, width, column.cut ?? 'end');
  const blanks = ' '.repeat(width - length);
  return column.align === 'right' ? blanks + text : text + blanks;
}

/** At most `width` columns of a text, `…` standing for what was cut. */
export function cut(text: string, width: number, end: 'start' | 'end'): string {
  const characters = [...text];
  if (characters.length <= width) return text;
  return end === 'start'
    ? `…${characters.slice(characters.length - width + 1).join('')}`
    : `${characters.slice(0, width - 1).join('')}…`;
}
