/**
 * The interpreters that tests run, and real targets started with them. Interpreters are found, never assumed at a path;
 * `node scripts/provision.ts` adds those Debian has.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { debianMinors, lastFailure, obstacle } from '../../scripts/provision.ts';
import { findPythons, type Python } from '../../scripts/pythons.ts';
import { supportedVersions } from '../../src/cpython/versions/index.ts';

export type { Python };

let found: readonly Python[] | undefined;

/** Every CPython 3 of this machine that can be run by this user, oldest first, also those that leakscope does not support. */
export function everyPython(): readonly Python[] {
  found ??= findPythons();
  return found;
}

/** The interpreters leakscope must decode: supported minor versions with a GIL, oldest first. Never empty. */
export function pythons(): readonly Python[] {
  const supported = supportedVersions();
  const usable = everyPython().filter(p => supported.includes(p.minor) && !p.freeThreaded && !p.debug);
  if (usable.length === 0) throw new Error('no supported CPython on this machine; try node scripts/provision.ts');
  return usable;
}

/** The supported interpreters of one minor version, '3.11'; may be empty. */
export function pythonsOf(minor: string): readonly Python[] {
  return pythons().filter(p => p.minor === minor);
}

/** One interpreter a minor version, the newest patch release of each: for tests that need each form once. */
export function onePythonPerMinor(): readonly Python[] {
  return [...new Map(pythons().map(p => [p.minor, p])).values()];
}

/**
 * The minor versions that must be tested on this machine: those it has, and those of Debian unless something keeps it from
 * having them (`obstacle`; or the mirror is out of reach, which is no excuse in CI). A run that tested fewer has failed.
 */
export function expectedMinors(): string[] {
  const can = new Set(pythons().map(p => p.minor));
  if (obstacle() === '' && (process.env.CI !== undefined || lastFailure() === ''))
    for (const minor of debianMinors) can.add(minor);
  return supportedVersions().filter(minor => can.has(minor));
}

/** What a target runs: text, or a file of the project. */
export type Program = { readonly source: string } | { readonly file: string };

export interface TargetOptions {
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Further files beside the program, name to text; a name may have folders. */
  readonly beside?: Readonly<Record<string, string>>;
  /** Interpreter options before the program, such as ['-X', 'dev']. */
  readonly flags?: readonly string[];
}

/** A running Python process. Close it with `using target = await spawnTarget(…)`, or `kill()`. */
export class Target {
  readonly python: Python;
  readonly pid: number;
  /** The program's path as the target sees it (inside its root). */
  readonly file: string;
  /** The program's directory as the tests see it. */
  readonly directory: string;
  private readonly child: ChildProcess;
  private readonly lines: string[] = [];
  private waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  private errors = '';
  /** Resolves when the process has ended, with its exit code or the name of the signal. */
  readonly ended: Promise<number | string>;
  private hasEnded = false;

  /** Use spawnTarget. */
  constructor(python: Python, child: ChildProcess, file: string, directory: string) {
    this.python = python;
    this.child = child;
    this.pid = child.pid ?? -1;
    this.file = file;
    this.directory = directory;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    // The target may end before it has read a line.
    child.stdin?.on('error', () => {});
    this.ended = new Promise(resolve => {
      child.on('error', error => {
        this.errors += error.message;
        resolve(-1);
      });
      child.on('close', (code, signal) => resolve(code ?? signal ?? -1));
    });
    void this.ended.then(how => {
      this.hasEnded = true;
      live.delete(this);
      rmSync(directory, { recursive: true, force: true });
      for (const { reject } of this.waiting.splice(0)) reject(this.endError(how));
    });
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', line => {
        const waiter = this.waiting.shift();
        if (waiter === undefined) this.lines.push(line);
        else waiter.resolve(line);
      });
    }
    live.add(this);
  }

  /** What the target has written to standard error until now. */
  get stderr(): string {
    return this.errors;
  }

  /** Writes a line to the target's standard input. */
  send(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** Closes the target's standard input. */
  closeInput(): void {
    this.child.stdin?.end();
  }

  /** The next line of the target's standard output; rejects, with its standard error, when it ends first. */
  nextLine(): Promise<string> {
    const line = this.lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.hasEnded) return this.ended.then(how => Promise.reject(this.endError(how)));
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
    });
  }

  /** Reads lines until one begins with `start`, and returns it. */
  async lineStarting(start: string): Promise<string> {
    for (;;) {
      const line = await this.nextLine();
      if (line.startsWith(start)) return line;
    }
  }

  /** Sends a signal, SIGKILL by default; only ever to this process. Wait for `ended` to be sure. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    if (!this.hasEnded) this.child.kill(signal);
  }

  [Symbol.dispose](): void {
    this.kill();
  }

  private endError(how: number | string): Error {
    return new Error(`the target (${this.python.command.join(' ')}) ended with ${how}\n${this.errors}`);
  }
}

const live = new Set<Target>();
// A test run that dies takes its targets with it.
process.on('exit', killTargets);

/** Kills every target that is still running; for afterEach. */
export function killTargets(): void {
  for (const target of live) target.kill();
}

/**
 * Starts a program and waits for a line of it that begins with `ready`, such as `print('ready', flush=True)`; lines before it
 * are dropped. The program is copied to a directory of its own, inside the interpreter's root, which goes when it ends.
 * Its standard input is a pipe: `input()` is how it waits without sleeping, and it ends when the tests do.
 */
export async function spawnTarget(
  python: Python,
  program: Program,
  args: readonly string[] = [],
  options: TargetOptions = {},
): Promise<Target> {
  const parent = python.root === '' ? realpathSync(tmpdir()) : join(python.root, 'tmp');
  const directory = mkdtempSync(join(parent, 'leakscope-target-'));
  const name = 'file' in program ? basename(program.file) : 'target.py';
  const text = 'file' in program ? readFileSync(program.file, 'utf8') : program.source;
  for (const [path, content] of Object.entries({ ...options.beside, [name]: text })) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  const inside = join(python.root === '' ? parent : '/tmp', basename(directory));
  const file = join(inside, name);
  const [command, ...rest] = python.command;
  const child = spawn(command, [...rest, ...(options.flags ?? []), file, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    cwd: '/',
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      LC_ALL: 'C.UTF-8',
      PYTHONDONTWRITEBYTECODE: '1',
      ...options.env,
    },
  });
  const target = new Target(python, child, file, directory);
  try {
    await target.lineStarting('ready');
    return target;
  } catch (error) {
    target.kill();
    throw error;
  }
}
