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
  for (const cycle of gc.cycles) {
    const state = cycle.reachable ? 'alive' : 'garbage';
    const finalizers = cycle.finalizers > 0 ? ', with a finalizer' : '';
    const title = `${plural(cycle.count, 'cycle')}, ${plural(cycle.objects, 'object')}, ${bytesText(cycle.bytes)}, ${state}${finalizers}`;
    lines.push('', paint(title, 'bold', style), ...around(cycle.around));
  }
  return finish(lines[0] === '' ? lines.slice(1) : lines, style);
}

/** Once around a cycle, a line a reference; the last leads back to where it began. */
function around(steps: CyclesDocument['cycles'][number]['around']): string[] {
  return steps.map(({ type, label, address }, at) => {
    const next = steps[(at + 1) % steps.length]!;
    const closes = at === steps.length - 1 ? '   closes it' : '';
    return `  ${type} at ${address}  ${label}  ->  ${next.type}${closes}`;
  });
}

function counted(rows: readonly (readonly [string, number])[]): string {
  return rows.map(([name, count]) => `${countText(count)} ${name}`).join(', ');
}
