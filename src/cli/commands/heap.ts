/** `leakscope heap TARGET`: the heap in parts that add up to it. */
import { type Command, Option } from 'commander';
import { findWaste, type PartitionBy, partitionHeap } from '../../analysis/index.ts';
import { heapText, wasteText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answerAbout, type CommonOptions } from '../output.ts';
import { progressTo } from '../progress.ts';
import { documentHead, openTarget, totalsOf } from '../target.ts';
import { limit } from '../values.ts';

const ROWS = 25;

interface HeapOptions extends CommonOptions, ViaOptions {
  readonly by: PartitionBy;
  readonly waste?: boolean;
  readonly limit?: number;
}

export function addHeap(program: Command): void {
  addCommand(program, {
    usage: 'heap',
    summary: 'the heap in parts: by type, module, holder, size or cause',
    examples: [
      ['leakscope heap 4242 --by module', 'which module holds how much'],
      ['leakscope heap app.lss --by holder', 'which containers and attributes do'],
      ['leakscope heap app.lss --waste', 'what takes more memory than it needs, leak or not'],
    ],
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .addOption(
      new Option('--by <WHAT>', 'how to divide it')
        .choices(['type', 'module', 'holder', 'size', 'cause'])
        .default('type'),
    )
    .addOption(new Option('--waste', 'show what could be saved instead').conflicts('by'))
    .option('--limit <N>', `show so many parts, 0 for all (default: ${ROWS}, all with --json)`, limit)
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(heap);
}

async function heap(target: string, options: HeapOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const { graph, facts } = await openTarget(target, { ...options, progress, duplicates: options.waste === true });
  const shown = options.limit ?? (options.json ? Number.POSITIVE_INFINITY : ROWS);
  const head = { ...documentHead(graph), ...totalsOf(graph) };
  if (options.waste) {
    progress.say('looking for waste');
    const waste = findWaste(graph, facts.duplicates)
      .slice(0, shown)
      .map(({ kind, type, count, bytes, gain }) => ({ kind, type, count, bytes, bytes_to_gain: gain }));
    progress.clear();
    const document = { ...head, waste };
    await answerAbout(document, options, style => wasteText(document, style));
    return;
  }
  progress.say('dividing the heap');
  const parts = partitionHeap(graph, options.by);
  progress.clear();
  const rows = parts.slice(0, shown).map(({ name, count, bytes }) => ({ name, count, shallow_bytes: bytes }));
  const document = { ...head, by: options.by, parts: rows, part_count: parts.length };
  await answerAbout(document, options, style => heapText(document, style));
}
