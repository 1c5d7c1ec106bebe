/** `leakscope query TARGET "select …"`: SQL over nodes, edges, types and growth. */
import type { Command } from 'commander';
import type { HeapGraph } from '../../heap/index.ts';
import { queryText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answerAbout, type CommonOptions } from '../output.ts';
import { progressTo } from '../progress.ts';
import { documentHead, onWallClock, openTarget } from '../target.ts';

interface QueryOptions extends CommonOptions, ViaOptions {
  readonly since?: readonly string[];
}

export function addQuery(program: Command): void {
  addCommand(program, {
    usage: 'query',
    summary: 'SQL over nodes, edges, types and growth',
    examples: [
      ['leakscope query app.lss "select type, count(*) n from nodes group by type order by n desc limit 9"', ''],
      ['leakscope query app.lss "select * from nodes order by retained desc limit 9" --json', ''],
      ['leakscope query now.lss --since before.lss "select * from growth order by bytes_growth desc limit 9"', ''],
    ],
    notes: [
      'Tables (the dialect is that of DuckDB):',
      '  nodes           node, address, type, layout, name, size, retained, dominator, refcount, length, generation,',
      '                  tracked, immortal, static, synthetic, native, finalizer',
      '  edges           edge, source, target, label, kind, name, position',
      '  types           type_id, name, layout, count, bytes',
      '  growth          type, count_growth, bytes_growth, count_per_second, bytes_per_second   (with --since)',
      '  growth_holders  expression, type, objects_growth, bytes_growth, fingerprint            (with --since)',
    ].join('\n'),
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .argument('<SQL>', 'one statement')
    .option('--since <TARGET...>', 'earlier snapshots of the same process, oldest first')
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(query);
}

async function query(target: string, sql: string, options: QueryOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const graphs: HeapGraph[] = [];
  for (const one of [...(options.since ?? []), target]) {
    graphs.push(onWallClock((await openTarget(one, { ...options, progress })).graph));
  }
  progress.say('asking');
  // The database is large; only the commands that need it load it.
  const { openTables } = await import('../../export/index.ts');
  using tables = await openTables(graphs);
  const { columns, rows } = await tables.query(sql);
  progress.clear();
  const document = { ...documentHead(graphs.at(-1)!), columns, rows };
  await answerAbout(document, options, style => queryText(document, style));
}
