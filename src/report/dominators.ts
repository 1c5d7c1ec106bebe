/** The biggest retained sizes, as a tree: what would be freed with each. */
import type { DominatorRow, DominatorsDocument } from './documents.ts';
import { finish, printable, type Style } from './style.ts';
import { table } from './table.ts';
import { branches } from './tree.ts';
import { bytesText, percentText, plural } from './units.ts';

export function dominatorsText(document: DominatorsDocument, style: Style): string {
  const { objects, bytes, top } = printable(document);
  const rows = branches<DominatorRow>(top, row => row.children ?? []).map(({ item, lead }) => [
    bytesText(item.retained_bytes),
    bytes > 0 ? percentText(item.retained_bytes / bytes) : '',
    bytesText(item.shallow_bytes),
    `${lead}${item.expression === '' ? item.type : `${item.expression}  ${item.type}`}`,
    item.address,
  ]);
  const lines = [
    `${plural(objects, 'object')}, ${bytesText(bytes)}; retained is what would be freed with the object`,
    '',
    ...table(
      [
        { title: 'retained', align: 'right' },
        { title: 'of all', align: 'right' },
        { title: 'itself', align: 'right' },
        { title: 'object', align: 'left', cut: 'end' },
        { title: 'address', align: 'left' },
      ],
      rows,
      style,
    ),
  ];
  return finish(lines, style);
}
