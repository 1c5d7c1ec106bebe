/** Interpreters of the machine and small targets that run until they are disposed of. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, readdirSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { openElf } from '../../src/process/modules.ts';

/** Every CPython 3.8 or newer in PATH, the usual directories and pyenv's, each real file once. */
export function interpreters(): string[] {
  const versions = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions');
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  const candidates = directories.flatMap(d =>
    names(d)
      .filter(n => /^python3\.\d+$/.test(n))
      .map(n => join(d, n)),
  );
  candidates.push(...names(versions).map(v => join(versions, v, 'bin', 'python3')));
  const found = new Map<string, string>();
  for (const path of candidates) {
    try {
      accessSync(path, constants.X_OK);
      const real = realpathSync(path);
      const minor = Number(/python3\.(\d+)$/.exec(real)?.[1] ?? 0);
      // A version manager's shims are scripts.
      if (minor >= 8 && openElf(real)) found.set(real, path);
    } catch {
      // Not an interpreter that can be run.
    }
  }
  return [...found.values()].sort();
}

export interface Target extends AsyncDisposable {
  readonly pid: number;
  readonly child: ChildProcess;
  /** The next line it prints. */
  line(): Promise<string>;
  /** Writes to its standard input. */
  send(text: string): void;
  readonly ended: Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program and waits for its first line; kills it when disposed of. */
export async function startTarget(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Target> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
  running.add(child);
  const ended = new Promise<void>(resolve =>
    child.once('close', () => {
      running.delete(child);
      resolve();
    }),
  );
  let buffer = '';
  const lines: string[] = [];
  const waiting: ((line: string) => void)[] = [];
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const parts = (buffer + text).split('\n');
    buffer = parts.pop()!;
    for (const part of parts) {
      const waiter = waiting.shift();
      if (waiter) waiter(part);
      else lines.push(part);
    }
  });
  const line = () =>
    new Promise<string>((resolve, reject) => {
      const ready = lines.shift();
      if (ready !== undefined) resolve(ready);
      else {
        waiting.push(resolve);
        void ended.then(() => reject(new Error(`${command} ended before it printed a line`)));
      }
    });
  const target: Target = {
    pid: child.pid!,
    child,
    line,
    send: text => void child.stdin!.write(text),
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  try {
    await line();
  } catch (error) {
    await target[Symbol.asyncDispose]();
    throw error;
  }
  return target;
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
