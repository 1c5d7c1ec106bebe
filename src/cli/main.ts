#!/usr/bin/env node
/**
 * cli: the command line, one file a command. It reads arguments, opens targets, asks the other rooms and prints the answer.
 * It must not decode, compute or judge: what it prints was found out elsewhere.
 */
import './node-version.ts';
import { CommanderError } from 'commander';
import { failureOf } from './failure.ts';
import { print } from './output.ts';
import { buildProgram } from './program.ts';

// A reader that goes away (`leakscope types 4242 | head`) ends the output, not with an error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

async function main(): Promise<number> {
  try {
    await buildProgram().parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // Commander has printed what is wrong, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const failure = failureOf(error, Boolean(process.env.LEAKSCOPE_DEBUG));
    await print(failure.text, process.stderr);
    return failure.exitCode;
  }
}

// Leaves at once: nothing that a library keeps open (a database, a socket) may hold the user's prompt back.
process.exit(await main());
