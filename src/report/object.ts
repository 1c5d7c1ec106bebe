/** One object: what it is, what it costs, who points at it and whom it points at. */
import type { Neighbour, ObjectDocument } from './documents.ts';
import { finish, paint, printable, type Style } from './style.ts';
import { table } from './table.ts';
import { bytesText, countText, plural } from './units.ts';

export function objectText(document: ObjectDocument, style: Style): string {
  const object = printable(document);
  const lines = [paint(`${object.type} at ${object.address}`, 'bold', style)];
  if (object.expression !== '') lines.push(`  is        ${object.expression}`);
  const length = object.length > 0 ? `, length ${countText(object.length)}` : '';
  lines.push(`  size      ${bytesText(object.shallow_bytes)}${length}`);
  lines.push(`  retained  ${bytesText(object.retained_bytes)} would be freed with it`);
  lines.push(`  count     ${references(object)}`);
  lines.push('', ...neighbours('referred to by', object.referrers, object.referrer_count, style));
  lines.push('', ...neighbours('refers to', object.referents, object.referent_count, style));
  return finish(lines, style);
}

function references({ refcount, references_found: found }: ObjectDocument): string {
  if (refcount === null) return `immortal; ${plural(found, 'reference')} found`;
  const counted = `reference count ${countText(refcount)}, ${plural(found, 'reference')} found`;
  if (refcount === found) return `${counted}: all are accounted for`;
  if (refcount < found) return `${counted}: some of them own no reference`;
  const missing = refcount - found;
  return `${counted}: ${countText(missing)} held by native code, or never released by it`;
}

function neighbours(title: string, list: readonly Neighbour[], count: number, style: Style): string[] {
  if (count === 0) return [`${title} nothing`];
  return [
    `${title} ${plural(count, 'object')}`,
    ...table(
      [
        { title: '', align: 'left' },
        { title: '', align: 'left', cut: 'start' },
        { title: '', align: 'left', cut: 'end' },
      ],
      list.map(({ address, type, label }) => [`  ${address}`, type, label]),
      style,
    ),
    ...(count > list.length ? [`  and ${plural(count - list.length, 'more', 'more')}; --limit 0 shows all`] : []),
  ];
}
