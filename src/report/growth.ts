/** What grew between snapshots: types, and who holds what grew. */
import type { GrowthDocument } from './documents.ts';
import { finish, paint, printable, type Style } from './style.ts';
import { table } from './table.ts';
import { durationText, plural, signedBytes, signedCount } from './units.ts';

export function growthText(document: GrowthDocument, style: Style): string {
  const { seconds, snapshots, types, holders } = printable(document);
  const lines = [`${plural(snapshots, 'snapshot')}, ${durationText(seconds)} from the first to the last`, ''];
  if (types.length === 0) {
    lines.push('No type has more objects at the end than at the beginning.');
    return finish(lines, style);
  }
  lines.push(
    ...table(
      [
        { title: 'objects', align: 'right' },
        { title: 'size', align: 'right' },
        { title: 'type', align: 'left', cut: 'start' },
      ],
      types.map(type => [signedCount(type.count_growth), signedBytes(type.bytes_growth), type.name]),
      style,
    ),
  );
  if (holders.length > 0) {
    lines.push('', paint('who holds what grew', 'bold', style));
    lines.push(
      ...table(
        [
          { title: 'objects', align: 'right' },
          { title: 'size', align: 'right' },
          { title: 'holder', align: 'left', cut: 'start' },
          { title: 'type', align: 'left', cut: 'start' },
        ],
        holders.map(holder => [
          signedCount(holder.count_growth),
          signedBytes(holder.bytes_growth),
          holder.expression,
          holder.type,
        ]),
        style,
      ),
    );
  }
  return finish(lines, style);
}
