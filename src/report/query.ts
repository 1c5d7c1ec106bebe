/** The rows of a query, and the files of an export. */
import type { ExportDocument, QueryDocument } from './documents.ts';
import { finish, printable, type Style } from './style.ts';
import { table } from './table.ts';
import { bytesText, plural } from './units.ts';

export function queryText(document: QueryDocument, style: Style): string {
  const { columns, rows } = printable(document);
  const numeric = columns.map((_, at) => rows.some(row => typeof row[at] === 'number'));
  const lines = [
    ...table(
      columns.map((title, at) => ({ title, align: numeric[at] ? 'right' : 'left', cut: 'end' }) as const),
      rows.map(row => row.map(value => (value === null ? 'NULL' : String(value)))),
      style,
    ),
    '',
    plural(rows.length, 'row'),
  ];
  return finish(lines, style);
}

export function exportText(document: ExportDocument, style: Style): string {
  return finish(
    printable(document).files.map(({ file, bytes }) => `${file}  ${bytesText(bytes)}`),
    style,
  );
}
