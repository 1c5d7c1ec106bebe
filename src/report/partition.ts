/** The heap in parts: by type, by anything else, and what of it is waste. */
import type { HeapDocument, TypesDocument, WasteDocument } from './documents.ts';
import { finish, printable, type Style } from './style.ts';
import { table } from './table.ts';
import { bytesText, countText, percentText, plural } from './units.ts';

export function typesText(document: TypesDocument, style: Style): string {
  const { objects, bytes, types, type_count } = printable(document);
  const rows = types.map(type => [
    countText(type.count),
    bytesText(type.shallow_bytes),
    share(type.shallow_bytes, bytes),
    bytesText(type.retained_bytes),
    type.name,
  ]);
  const lines = [
    `${plural(objects, 'object')} of ${plural(type_count, 'type')}, ${bytesText(bytes)}`,
    '',
    ...table(
      [
        { title: 'objects', align: 'right' },
        { title: 'size', align: 'right' },
        { title: 'of all', align: 'right' },
        { title: 'retained', align: 'right' },
        { title: 'type', align: 'left', cut: 'start' },
      ],
      rows,
      style,
    ),
    ...rest(type_count - types.length, 'type'),
  ];
  return finish(lines, style);
}

const TITLES: Readonly<Record<string, string>> = {
  type: 'type',
  module: 'reached through',
  holder: 'held by',
  size: 'size of one object',
  cause: 'kept alive by',
};

export function heapText(document: HeapDocument, style: Style): string {
  const { by, objects, bytes, parts, part_count } = printable(document);
  const withRetained = parts.some(part => part.retained_bytes !== undefined);
  const rows = parts.map(part => [
    countText(part.count),
    bytesText(part.shallow_bytes),
    share(part.shallow_bytes, bytes),
    ...(withRetained ? [part.retained_bytes === undefined ? '' : bytesText(part.retained_bytes)] : []),
    part.name,
  ]);
  const lines = [
    `${plural(objects, 'object')}, ${bytesText(bytes)}`,
    '',
    ...table(
      [
        { title: 'objects', align: 'right' },
        { title: 'size', align: 'right' },
        { title: 'of all', align: 'right' },
        ...(withRetained ? [{ title: 'retained', align: 'right' as const }] : []),
        { title: TITLES[by] ?? by, align: 'left', cut: 'start' },
      ],
      rows,
      style,
    ),
    ...rest(part_count - parts.length, 'part'),
  ];
  return finish(lines, style);
}

const WASTE: Readonly<Record<WasteDocument['waste'][number]['kind'], string>> = {
  'sparse-dict': 'dicts with more room than entries',
  'sparse-set': 'sets with more room than elements',
  'overallocated-list': 'lists with more room than items',
  'empty-container': 'empty containers',
  slots: 'instances that __slots__ would make smaller',
  'duplicate-text': 'texts that are there already (sys.intern, or one shared object)',
};

export function wasteText(document: WasteDocument, style: Style): string {
  const { bytes, waste } = printable(document);
  if (waste.length === 0) return finish(['Nothing found that wastes memory.'], style);
  const gain = waste.reduce((sum, row) => sum + row.bytes_to_gain, 0);
  const lines = [
    `up to ${bytesText(gain)} of ${bytesText(bytes)} could be saved; rows may overlap, and none of this is a leak`,
    '',
    ...table(
      [
        { title: 'to gain', align: 'right' },
        { title: 'objects', align: 'right' },
        { title: 'what', align: 'left' },
        { title: 'type', align: 'left', cut: 'start' },
      ],
      waste.map(row => [bytesText(row.bytes_to_gain), countText(row.count), WASTE[row.kind], row.type]),
      style,
    ),
  ];
  return finish(lines, style);
}

function share(part: number, whole: number): string {
  return whole > 0 ? percentText(part / whole) : '';
}

/** What `--limit` left out is said, never dropped in silence. */
function rest(count: number, noun: string): string[] {
  return count > 0 ? ['', `and ${plural(count, `more ${noun}`)}; --limit 0 shows all`] : [];
}
