/** `leakscope fix N`: the patch of suspect N of the last verdict, ready for `git apply`. */
import type { Command } from 'commander';
import { ExitCode, LeakscopeError } from '../../process/index.ts';
import { addCommand } from '../command.ts';
import { lastVerdict } from '../last-verdict.ts';
import { answer, type CommonOptions } from '../output.ts';
import { positive } from '../values.ts';

export function addFix(program: Command): void {
  addCommand(program, {
    usage: 'fix',
    summary: 'the patch of suspect N of the last verdict',
    examples: [
      ['leakscope fix 1', 'show the change that ends the first leak'],
      ['leakscope fix 1 | git apply', 'make it'],
    ],
    notes: 'A patch is a proposal: read it before you apply it.',
  })
    .argument('[N]', 'which suspect of the verdict, counted from 1', positive, 1)
    .action(fix);
}

async function fix(rank: number, options: CommonOptions): Promise<void> {
  const verdict = lastVerdict();
  const of = `the last verdict (process ${verdict.target.pid}, ${verdict.target.command.join(' ')})`;
  if (verdict.suspects.length === 0) throw new LeakscopeError(`${of} has no suspect`, ExitCode.usage, verdict.summary);
  const suspect = verdict.suspects.find(candidate => candidate.rank === rank);
  if (suspect === undefined) {
    const count = verdict.suspects.length;
    const some = count === 1 ? 'only suspect 1' : `suspects 1 to ${count}`;
    throw new LeakscopeError(`${of} has no suspect ${rank}`, ExitCode.usage, `It has ${some}.`);
  }
  const { summary, patch } = suspect.fix;
  if (patch === null && !options.json) {
    throw new LeakscopeError(
      `there is no patch for suspect ${rank}`,
      ExitCode.unsupportedTarget,
      `What to do: ${summary}`,
    );
  }
  const { target } = verdict;
  await answer(options, { schema: 1, target, rank, summary, patch }, () =>
    patch?.endsWith('\n') ? patch : `${patch}\n`,
  );
}
