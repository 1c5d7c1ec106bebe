/** The biggest retained sizes, as a tree: what would be freed with each. */
import type { DominatorRow, DominatorsDocument } from './documents.ts';
import { finish, printable, type Style } from './style.ts';
import { table } from './table.ts';
import { branches } from './tree.ts';
import { bytesText, percentText, plural } from './units.ts';

export function dominatorsText(document: DominatorsDocument, style: Style): string {
  const { objects, bytes, top } = printable(document);
  const below = new Map<DominatorRow | null, DominatorRow[]>([[null, []]]);
  for (const row of top) {
    const above = row.dominator === null ? null : (top[row.dominator] ?? null);
    below.set(above, [...(below.get(above) ?? []), row]);
  }
  const rows = branches<DominatorRow>(below.get(null) ?? [], row => below.get(row) ?? []).map(({ item, lead }) => [
    bytesText(item.retained_bytes),
    bytes > 0 ? percentText(item.retained_bytes / bytes) : '',
    bytesText(item.shallow_bytes),
    `${lead}${place(item, item.dominator === null ? undefined : top[item.dominator])}`,
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

/** Where an object is, without repeating where its dominator is. */
function place({ expression, type }: DominatorRow, above: DominatorRow | undefined): string {
  const from = above?.expression ?? '';
  const rest = from !== '' && expression.startsWith(from) ? expression.slice(from.length) : expression;
  return rest === '' ? type : `${rest}  ${type}`;
}
