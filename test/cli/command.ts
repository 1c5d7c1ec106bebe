/** The real command line as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll } from 'vitest';

export const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts');

/** A directory for this test file, removed at its end; leakscope keeps its state in it. */
export const directory = mkdtempSync(join(tmpdir(), 'leakscope-cli-'));

const running = new Set<ChildProcess>();

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Run as this user. */
  readonly uid?: number;
  /** Called with the child once it runs. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Runs `leakscope …args` to its end. */
export function leakscope(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  return execute(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], options);
}

/** Runs a program to its end; it is killed when the test file ends first. */
export function execute(program: string, args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  return new Promise((done, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? directory,
      env: { ...process.env, XDG_STATE_HOME: join(directory, 'state'), LC_ALL: 'C.UTF-8', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    running.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (status, signal) => {
      running.delete(child);
      done({ status, signal, stdout, stderr });
    });
    options.onStart?.(child);
  });
}
