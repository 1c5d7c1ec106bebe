/** `leakscope memory TARGET`: every resident byte: objects, blocks, free space, stacks, files. */
import type { Command } from 'commander';
import { ExitCode, LeakscopeError } from '../../process/index.ts';
import { memoryText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answerAbout, type CommonOptions } from '../output.ts';
import { progressTo } from '../progress.ts';
import { documentHead, openTarget } from '../target.ts';

export function addMemory(program: Command): void {
  addCommand(program, {
    usage: 'memory',
    summary: 'every resident byte: objects, blocks, free space, files',
    examples: [
      ['leakscope memory 4242', 'is it Python objects, native memory, or fragmentation?'],
      ['leakscope memory app.lss --json', 'as it was when the snapshot was taken'],
    ],
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(memory);
}

async function memory(target: string, options: CommonOptions & ViaOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const { graph, facts } = await openTarget(target, { ...options, progress, account: true });
  progress.clear();
  if (facts.memory === undefined) {
    throw new LeakscopeError(
      `${target} does not say where memory is`,
      ExitCode.unsupportedTarget,
      'Take a new snapshot with leakscope snapshot.',
    );
  }
  const { resident, parts, notes } = facts.memory;
  const head = documentHead(graph);
  const document = { ...head, notes: [...new Set([...head.notes, ...notes])], resident, parts };
  await answerAbout(document, options, style => memoryText(document, style));
}
