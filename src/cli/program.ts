/** The program: every command, in the order in which a person meets them. */
import { type Argument, Command } from 'commander';
import { VERSION } from '../diagnosis/index.ts';
import { addAttach } from './commands/attach.ts';
import { addCycles } from './commands/cycles.ts';
import { addDemo } from './commands/demo.ts';
import { addDoctor } from './commands/doctor.ts';
import { addDominators } from './commands/dominators.ts';
import { addExport } from './commands/export.ts';
import { addFix } from './commands/fix.ts';
import { addGrowth } from './commands/growth.ts';
import { addHeap } from './commands/heap.ts';
import { addMemory } from './commands/memory.ts';
import { addObject } from './commands/object.ts';
import { addQuery } from './commands/query.ts';
import { addRun } from './commands/run.ts';
import { addSnapshot } from './commands/snapshot.ts';
import { addTypes } from './commands/types.ts';
import { addWho } from './commands/who.ts';

export function buildProgram(): Command {
  const program = new Command('leakscope')
    .description('Finds memory leaks in running Python programs, from outside the process, and says what to change.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand('help [COMMAND]', 'examples and options of a command')
    .enablePositionalOptions()
    .showHelpAfterError('(leakscope help COMMAND shows examples)')
    .exitOverride()
    .configureHelp({ subcommandTerm: usageOf })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'leakscope: ')) })
    .addHelpText(
      'after',
      '\nTARGET is a pid, a core file or a snapshot file. `leakscope help COMMAND` shows examples.\n' +
        'Exit status: 0 done, 1 leak found (with --fail-on-leak), 2 wrong usage, 3 not permitted,\n' +
        '4 unsupported or unreadable target, 5 the target ended before there was an answer.',
    );
  program.commandsGroup('To find a leak:');
  addDemo(program);
  addAttach(program);
  addRun(program);
  addFix(program);
  addDoctor(program);
  program.commandsGroup('To look into a heap:');
  addSnapshot(program);
  addTypes(program);
  addGrowth(program);
  addHeap(program);
  addDominators(program);
  addWho(program);
  addObject(program);
  addCycles(program);
  addMemory(program);
  program.commandsGroup('For other tools:');
  addQuery(program);
  addExport(program);
  return program;
}

/** `who <TARGET> <TYPE|ADDRESS>`: that every command has options need not be said sixteen times. */
function usageOf(command: Command): string {
  return [command.name(), ...command.registeredArguments.map(argumentText)].join(' ');
}

function argumentText(argument: Argument): string {
  const name = argument.name() + (argument.variadic ? '...' : '');
  return argument.required ? `<${name}>` : `[${name}]`;
}
