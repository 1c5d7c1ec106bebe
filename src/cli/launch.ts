/**
 * Starts a program that is going to be watched.
 *
 * The program is not a child of this process but of a small shell: Node waits for its children on every SIGCHLD and
 * would take the ptrace stops of a child of its own for the child's end. As a descendant it can still be traced where
 * the kernel allows a process to trace its descendants only (Yama ptrace_scope 1).
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ExitCode, LeakscopeError } from '../process/index.ts';

/** The shell catches the terminal's signals (so that it outlives the program) without passing that on: traps are reset. */
const SHELL = 'trap : INT QUIT TERM HUP; "$@"; exit $?';

export interface Launched {
  readonly shell: ChildProcess;
  /** Resolves to the program's exit status, 128 + n when signal n ended it. */
  readonly ended: Promise<number>;
  /** The program's process, once the shell has started it. */
  pid(): number | undefined;
}

export interface LaunchOptions {
  readonly stdio: StdioOptions;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** In a session of its own, to outlive this process. */
  readonly detached?: boolean;
}

/** Starts a program; throws a LeakscopeError when there is no such program. */
export function launch(command: readonly string[], options: LaunchOptions): Launched {
  const name = command[0] ?? '';
  if (!canRun(name, options.env ?? process.env)) {
    throw new LeakscopeError(
      `there is no program ${name}`,
      ExitCode.usage,
      'Write the command as you would in a shell.',
    );
  }
  const shell = spawn('/bin/sh', ['-c', SHELL, 'leakscope', ...command], options);
  const ended = new Promise<number>((resolve, reject) => {
    shell.on('error', error => reject(new LeakscopeError(`cannot start ${name}: ${error.message}`, ExitCode.usage)));
    shell.on('exit', status => resolve(status ?? ExitCode.targetEnded));
  });
  // Whoever awaits it handles the failure; until then it is not an unhandled one.
  ended.catch(() => {});
  return { shell, ended, pid: () => (shell.pid === undefined ? undefined : childrenOf(shell.pid)[0]) };
}

function canRun(name: string, environment: NodeJS.ProcessEnv): boolean {
  const isProgram = (path: string) => {
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  };
  if (name.includes('/')) return isProgram(name);
  return (environment.PATH ?? '/usr/bin:/bin')
    .split(delimiter)
    .some(directory => isProgram(join(directory || '.', name)));
}

/** Children of a process, oldest first; none when it is gone. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

/** The first process below `pid` (itself included) that runs a Python, or undefined. Breadth first: wrappers come before what they start. */
export function pythonBelow(pid: number): number | undefined {
  const waiting = [pid];
  for (const next of waiting) {
    if (runsPython(next)) return next;
    waiting.push(...childrenOf(next));
  }
  return undefined;
}

function runsPython(pid: number): boolean {
  try {
    return /\/(?:libpython3[^/\n]*\.so[^/\n]*|python3?(?:\.\d+)?[a-z]*)$/m.test(
      readFileSync(`/proc/${pid}/maps`, 'utf8'),
    );
  } catch {
    return false;
  }
}
