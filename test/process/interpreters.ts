/** Interpreters of the machine and small targets that run until they are disposed of. */
import { type ChildProcess, spawn } from 'node:child_process';
import { everyPython, type Python } from '../support/pythons.ts';

/** Every CPython 3.8 or newer of the machine, those in a chroot too. */
export function allPythons(): readonly Python[] {
  return everyPython().filter(p => Number(p.minor.split('.')[1]) >= 8);
}

/** Paths of those that are started by their path alone. */
export function interpreters(): string[] {
  return allPythons()
    .filter(p => p.root === '')
    .map(p => p.command[0]);
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

/** Starts a Python program with an interpreter, in its chroot when it has one. */
export function startPython(python: Python, args: readonly string[]): Promise<Target> {
  return startTarget(python.command[0], [...python.command.slice(1), ...args]);
}
