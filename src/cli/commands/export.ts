/** `leakscope export TARGET --to FORMAT -o PATH`: the heap for other tools. */
import { statSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { HeapGraph } from '../../heap/index.ts';
import { exportText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answer, type CommonOptions } from '../output.ts';
import { progressTo } from '../progress.ts';
import { documentHead, onWallClock, openTarget } from '../target.ts';

interface ExportOptions extends CommonOptions, ViaOptions {
  readonly to: 'parquet' | 'heapsnapshot';
  readonly output: string;
  readonly since?: readonly string[];
}

export function addExport(program: Command): void {
  addCommand(program, {
    usage: 'export',
    summary: 'the heap as files for other tools: Parquet, V8 heap snapshot',
    examples: [
      ['leakscope export app.lss --to parquet -o app/', 'a file a table: nodes, edges, types, growth, growth_holders'],
      ['leakscope export 4242 --to heapsnapshot -o app.heapsnapshot', 'for the Memory panel of Chrome DevTools'],
    ],
    withoutOutput: true,
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .addOption(new Option('--to <FORMAT>', 'what to write').choices(['parquet', 'heapsnapshot']).makeOptionMandatory())
    .requiredOption('-o, --output <PATH>', 'the file to write; for parquet a directory')
    .option('--since <TARGET...>', 'earlier snapshots of the same process, oldest first, for the tables of growth')
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(exportHeap);
}

async function exportHeap(target: string, options: ExportOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const graphs: HeapGraph[] = [];
  for (const one of [...(options.since ?? []), target]) {
    graphs.push(onWallClock((await openTarget(one, { ...options, progress })).graph));
  }
  progress.say(`writing ${options.output}`);
  const { exportHeapSnapshot, openTables } = await import('../../export/index.ts');
  const names: string[] = [];
  if (options.to === 'parquet') {
    using tables = await openTables(graphs);
    names.push(...(await tables.exportParquet(options.output)));
  } else {
    exportHeapSnapshot(graphs.at(-1)!, options.output);
    names.push(options.output);
  }
  progress.clear();
  const files = names.map(file => ({ file, bytes: statSync(file).size }));
  const document = { ...documentHead(graphs.at(-1)!), format: options.to, files };
  // The heap is in the files; what is said of them goes to standard output.
  const { output: _path, ...said } = options;
  await answer(said, document, style => exportText(document, style));
}
