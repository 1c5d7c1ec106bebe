/** How every command is declared: its usage, its examples (shown first), and the options that all of them take. */
import { type Command, Option } from 'commander';
import { duration } from './values.ts';

export interface CommandText {
  /** `types <TARGET>`. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `help` shows first: each a command line and what it is for. */
  readonly examples: readonly (readonly [command: string, purpose: string])[];
  /** Further sentences for `help`, after the options. */
  readonly notes?: string;
  /** For a command whose `--output` is not where its answer goes. */
  readonly withoutOutput?: boolean;
}

/** Adds a command with the common options to the program. */
export function addCommand(program: Command, text: CommandText): Command {
  const command = program.command(text.usage).summary(text.summary).description(text.summary);
  const width = Math.max(...text.examples.map(([line]) => line.length));
  const examples = text.examples.map(([line, purpose]) => `  ${line.padEnd(width)}  ${purpose}`.trimEnd());
  command.addHelpText('before', `Examples:\n${examples.join('\n')}\n`);
  if (text.notes !== undefined) command.addHelpText('after', `\n${text.notes}`);
  command.option('--json', 'print one JSON document');
  if (!text.withoutOutput) command.option('-o, --output <FILE>', 'write the answer to FILE, whole or not at all');
  command.option('--no-color', 'no colours').option('-q, --quiet', 'no progress');
  return command;
}

/** How long to watch at most, in milliseconds. */
export function forOption(): Option {
  return new Option('--for <DURATION>', 'watch at most this long: 45s, 2m, 1h')
    .argParser(duration)
    .default(60_000, '60s');
}

/** How a live process is looked at; without it, leakscope chooses and says why. */
export function viaOption(): Option {
  return new Option('--via <WAY>', 'how to look into a live process')
    .choices(['auto', 'fork', 'freeze'])
    .default('auto');
}

/** Where the files of the machine are that a core is from: the kernel leaves out of a core what is in them. */
export function sysrootOption(): Option {
  return new Option('--sysroot <DIR>', "where the files of a core's machine are");
}

export interface ViaOptions {
  readonly via: 'auto' | 'fork' | 'freeze';
  readonly sysroot?: string;
}
