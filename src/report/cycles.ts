/** What the garbage collector of the target has to do, has done, and cannot do. */
import type { CyclesDocument } from './documents.ts';
import { finish, paint, printable, type Style } from './style.ts';
import { table } from './table.ts';
import { bytesText, countText, plural } from './units.ts';

export function cyclesText(document: CyclesDocument, style: Style): string {
  const gc = printable(document);
  const lines: string[] = [];
  if (gc.enabled === false) {
    lines.push(
      paint('Automatic collection is off: cycles stay until the program calls gc.collect().', 'yellow', style),
    );
  } else if (gc.enabled) lines.push('Automatic collection is on.');
  lines.push(
    '',
    ...table(
      [
        { title: 'generation', align: 'right' },
        { title: 'objects', align: 'right' },
        { title: 'count', align: 'right' },
        { title: 'threshold', align: 'right' },
      ],
      gc.generations.map(row => [
        String(row.generation),
        countText(row.objects),
        row.count === null ? '' : countText(row.count),
        row.threshold === null ? '' : countText(row.threshold),
      ]),
      style,
    ),
    ...(gc.frozen > 0 ? [`${plural(gc.frozen, 'object')} frozen by gc.freeze(), never collected`] : []),
    '',
    gc.unreachable.objects === 0
      ? 'No garbage waits for a collection.'
      : `${plural(gc.unreachable.objects, 'object')} of garbage, ${bytesText(gc.unreachable.bytes)}, wait for a collection.`,
  );
  if (gc.garbage.length > 0)
    lines.push('', `gc.garbage holds ${counted(gc.garbage.map(row => [row.type, row.count]))}`);
  if (gc.finalizers.length > 0) {
    lines.push('', `with a finalizer (__del__): ${counted(gc.finalizers.map(row => [row.type, row.count]))}`);
  }
  if (gc.cycles.length > 0) {
    lines.push('', paint('cycles', 'bold', style));
    lines.push(
      ...table(
        [
          { title: 'objects', align: 'right' },
          { title: 'size', align: 'right' },
          { title: 'state', align: 'left' },
          { title: 'types', align: 'left', cut: 'end' },
          { title: 'closed by', align: 'left', cut: 'end' },
        ],
        gc.cycles.map(cycle => [
          countText(cycle.objects),
          bytesText(cycle.bytes),
          `${cycle.reachable ? 'alive' : 'garbage'}${cycle.finalizer ? ', __del__' : ''}`,
          counted(cycle.types.map(type => [type.name, type.count])),
          cycle.closing === null ? '' : `${cycle.closing.from}${cycle.closing.label} -> ${cycle.closing.to}`,
        ]),
        style,
      ),
    );
  }
  return finish(lines[0] === '' ? lines.slice(1) : lines, style);
}

function counted(rows: readonly (readonly [string, number])[]): string {
  return rows.map(([name, count]) => `${countText(count)} ${name}`).join(', ');
}
