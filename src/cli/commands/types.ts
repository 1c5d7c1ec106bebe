/** `leakscope types TARGET`: how many objects of which type, how big, and what they keep alive. */
import { type Command, Option } from 'commander';
import { dominatorsOf, retainedByGroup } from '../../analysis/index.ts';
import { NodeFlag } from '../../cpython/index.ts';
import type { HeapGraph } from '../../heap/index.ts';
import { type TypeRow, typesText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answerAbout, type CommonOptions } from '../output.ts';
import { progressTo } from '../progress.ts';
import { documentHead, openTarget } from '../target.ts';
import { limit } from '../values.ts';

const ROWS = 25;

interface TypesOptions extends CommonOptions, ViaOptions {
  readonly by: 'count' | 'size' | 'retained';
  readonly limit?: number;
}

export function addTypes(program: Command): void {
  addCommand(program, {
    usage: 'types',
    summary: 'types by count, size or retained size',
    examples: [
      ['leakscope types 4242', 'the types that take most memory'],
      ['leakscope types 4242 --by count', 'the most numerous ones'],
      ['leakscope types app.lss --by retained --limit 0', 'all types of a snapshot, by what they keep alive'],
    ],
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .addOption(new Option('--by <WHAT>', 'what to sort by').choices(['count', 'size', 'retained']).default('size'))
    .option('--limit <N>', `show so many types, 0 for all (default: ${ROWS}, all with --json)`, limit)
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(types);
}

async function types(target: string, options: TypesOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const { graph } = await openTarget(target, { ...options, progress });
  progress.say('computing retained sizes');
  const { rows, objects, bytes } = countTypes(graph);
  const key = { count: 'count', size: 'shallow_bytes', retained: 'retained_bytes' } as const;
  const by = key[options.by];
  rows.sort((a, b) => b[by] - a[by] || (a.name < b.name ? -1 : 1));
  progress.clear();
  const shown = rows.slice(0, options.limit ?? (options.json ? Number.POSITIVE_INFINITY : ROWS));
  const document = {
    ...documentHead(graph),
    by: options.by,
    objects,
    bytes,
    types: shown,
    type_count: rows.length,
  };
  await answerAbout(document, options, style => typesText(document, style));
}

/**
 * One row a type name that has objects: two types of one name (a module imported twice, a class made in a function)
 * are one row. Synthetic nodes (the root, threads, frames without an object) are no objects.
 */
function countTypes(graph: HeapGraph): { rows: TypeRow[]; objects: number; bytes: number } {
  const { nodeCount, types, type, size, flags } = graph.columns;
  const names = [...new Set(types.map(({ name }) => name))];
  const indexOfName = new Map(names.map((name, index) => [name, index]));
  const rowOfType = Uint32Array.from(types, ({ name }) => indexOfName.get(name) ?? 0);
  const row = new Uint32Array(nodeCount);
  const count = new Float64Array(names.length);
  const shallow = new Float64Array(names.length);
  let objects = 0;
  let bytes = 0;
  for (let node = 0; node < nodeCount; node++) {
    const of = rowOfType[type[node]!]!;
    row[node] = of;
    if ((flags[node]! & NodeFlag.synthetic) !== 0) continue;
    count[of]!++;
    shallow[of]! += size[node]!;
    objects++;
    bytes += size[node]!;
  }
  const retained = retainedByGroup(dominatorsOf(graph), row, names.length);
  const rows = names.flatMap((name, of) =>
    count[of] === 0 ? [] : [{ name, count: count[of]!, shallow_bytes: shallow[of]!, retained_bytes: retained[of]! }],
  );
  return { rows, objects, bytes };
}
