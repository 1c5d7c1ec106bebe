/** `leakscope attach PID`: watches a running process and says whether it leaks, what, and where. */
import type { Command } from 'commander';
import { ExitCode } from '../../process/index.ts';
import { addCommand, forOption, viaOption } from '../command.ts';
import { pid } from '../values.ts';
import { sayVerdict, type WatchOptions, watch } from '../watch.ts';

export function addAttach(program: Command): void {
  addCommand(program, {
    usage: 'attach',
    summary: 'watch a running process; verdict when sure, at the latest after --for',
    examples: [
      ['leakscope attach 4242', 'watch process 4242 for up to a minute'],
      ['leakscope attach 4242 --for 10m', 'a slow leak needs a longer look'],
      ['leakscope attach 4242 --json -o verdict.json', 'the verdict for a program to read'],
      ['leakscope attach 4242 --fail-on-leak', 'exit status 1 when it leaks'],
    ],
    notes:
      'Ctrl-C ends the watching and prints the verdict so far; a second Ctrl-C ends at once. The target goes on either way.',
  })
    .argument('<PID>', 'the process to watch', pid)
    .addOption(forOption())
    .addOption(viaOption())
    .option('--fail-on-leak', 'exit with status 1 when a leak was found')
    .action(attach);
}

async function attach(target: number, options: WatchOptions & { readonly failOnLeak?: boolean }): Promise<void> {
  const enough = new AbortController();
  const interrupt = () => {
    if (enough.signal.aborted) process.exit(130);
    enough.abort();
  };
  process.on('SIGINT', interrupt);
  try {
    const watched = await watch(target, options, enough.signal);
    await sayVerdict(watched, options);
    if (options.failOnLeak && watched.verdict.verdict === 'leak') process.exitCode = ExitCode.leakFound;
  } finally {
    process.off('SIGINT', interrupt);
  }
}
