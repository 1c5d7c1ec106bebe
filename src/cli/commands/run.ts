/** `leakscope run -- python app.py`: starts a program, watches it, and passes its exit status on. */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { ExitCode, LeakscopeError } from '../../process/index.ts';
import { printable } from '../../report/index.ts';
import { addCommand, forOption, viaOption } from '../command.ts';
import { type Launched, launch, pythonBelow } from '../launch.ts';
import { sayVerdict, type Watched, type WatchOptions, watch } from '../watch.ts';

type RunOptions = WatchOptions & { readonly failOnLeak?: boolean };

/** Signals that are sent to leakscope and meant for the program. */
const FORWARDED = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
const POLL_MS = 50;
/** An interpreter that has just started may not have a heap to read yet. */
const STARTING_MS = 5000;

export function addRun(program: Command): void {
  addCommand(program, {
    usage: 'run',
    summary: 'start a program and watch it; passes its exit status on',
    examples: [
      ['leakscope run -- python app.py', 'the verdict goes to standard error'],
      ['leakscope run --for 5m -o verdict.txt -- gunicorn app:app', 'and here to a file'],
      ['leakscope run --fail-on-leak -- pytest tests/soak.py', 'in CI: status 1 when it leaks'],
    ],
    notes: [
      "The program's input and output are left alone. With --json and without --output, the document is alone on standard",
      "output and what the program prints goes to standard error. The first Python among the program's processes is watched.",
    ].join('\n'),
  })
    .argument('<COMMAND...>', 'the program and its arguments')
    .passThroughOptions()
    .addOption(forOption())
    .addOption(viaOption())
    .option('--fail-on-leak', 'exit with status 1 when a leak was found')
    .action(run);
}

async function run(command: readonly string[], options: RunOptions): Promise<void> {
  const jsonOnOutput = options.json === true && options.output === undefined;
  const program = launch(command, { stdio: jsonOnOutput ? ['inherit', process.stderr, 'inherit'] : 'inherit' });
  const stopForwarding = forwardSignals(program);
  try {
    const begun = performance.now();
    const outcome = await watchProgram(program, options);
    if (outcome.watched !== undefined) {
      await sayVerdict(outcome.watched, options, jsonOnOutput ? process.stdout : process.stderr);
    }
    if (outcome.error instanceof LeakscopeError && !isEnd(outcome.error)) {
      // The program was started for its own sake: it goes on, and why there is no verdict is said.
      process.stderr.write(`leakscope: ${printable(outcome.error.message)}\n${outcome.error.remedy}\n`.trimEnd());
      process.stderr.write('\n');
    } else if (outcome.error !== undefined && !(outcome.error instanceof LeakscopeError)) throw outcome.error;
    const status = await program.ended;
    if (outcome.watched === undefined && (outcome.error === undefined || isEnd(outcome.error))) {
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      process.stderr.write(`leakscope: the program ended after ${seconds} s, before there was a verdict\n`);
    }
    const leaked = outcome.watched?.verdict.verdict === 'leak';
    process.exitCode = options.failOnLeak && leaked ? ExitCode.leakFound : status;
  } finally {
    stopForwarding();
  }
}

interface Outcome {
  readonly watched?: Watched;
  readonly error?: unknown;
}

/** A short program may be gone before it is first looked at, or while: either way it has ended. */
function isEnd(error: unknown): boolean {
  return (
    error instanceof LeakscopeError && (error.exitCode === ExitCode.targetEnded || error.exitCode === ExitCode.usage)
  );
}

/** Waits until there is a Python among the program's processes, and watches it. Never throws: the program matters more. */
async function watchProgram(program: Launched, options: RunOptions): Promise<Outcome> {
  let ended = false;
  const end = program.ended.then(
    () => {
      ended = true;
    },
    error => {
      ended = true;
      throw error;
    },
  );
  let found: number | undefined;
  while (!ended && found === undefined) {
    const root = program.pid();
    found = root === undefined ? undefined : pythonBelow(root);
    if (found === undefined) await Promise.race([delay(POLL_MS), end]);
  }
  if (found === undefined) return {};
  const startedAt = performance.now();
  for (;;) {
    try {
      return { watched: await watch(found, options) };
    } catch (error) {
      const starting = performance.now() - startedAt < STARTING_MS;
      const retry = starting && error instanceof LeakscopeError && error.exitCode === ExitCode.unsupportedTarget;
      if (!retry || ended) return { error };
      await delay(2 * POLL_MS);
    }
  }
}

/**
 * Passes signals on to the program. A terminal's Ctrl-C reaches the program by itself and must only not end leakscope;
 * one that was sent to leakscope alone is passed on like the others.
 */
function forwardSignals(program: Launched): () => void {
  const forward = (signal: NodeJS.Signals) => {
    const target = program.pid();
    if (target !== undefined) process.kill(target, constants.signals[signal]);
  };
  const onInterrupt = (signal: NodeJS.Signals) => {
    if (!process.stdin.isTTY) forward(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  process.on('SIGINT', onInterrupt);
  process.on('SIGQUIT', onInterrupt);
  return () => {
    for (const signal of FORWARDED) process.off(signal, forward);
    process.off('SIGINT', onInterrupt);
    process.off('SIGQUIT', onInterrupt);
  };
}
