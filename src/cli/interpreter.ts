/** Finds a CPython on this machine for the demo. */
import { spawnSync } from 'node:child_process';
import { ExitCode, LeakscopeError } from '../process/index.ts';

export interface Interpreter {
  readonly executable: string;
  /** `3.11.7`. */
  readonly version: string;
}

const OLDEST_MINOR = 8;
const CANDIDATES = ['python3', 'python', ...[15, 14, 13, 12, 11, 10, 9, 8].map(minor => `python3.${minor}`)];
const QUESTION = [
  'import sys',
  'print(sys.implementation.name)',
  'print("%d.%d.%d" % sys.version_info[:3])',
  'print(sys.executable)',
  'print(getattr(sys, "_is_gil_enabled", bool)() or sys.version_info < (3, 13))',
].join('; ');

/** The interpreter of LEAKSCOPE_PYTHON, or the first CPython from 3.8 on in PATH. Throws a LeakscopeError when there is none. */
export function findInterpreter(environment: NodeJS.ProcessEnv = process.env): Interpreter {
  const chosen = environment.LEAKSCOPE_PYTHON;
  if (chosen) {
    const found = ask(chosen);
    if (typeof found !== 'string') return found;
    throw new LeakscopeError(
      `LEAKSCOPE_PYTHON is ${chosen}, and that ${found}`,
      ExitCode.usage,
      'Set it to a CPython 3.8 or newer, or unset it.',
    );
  }
  const seen: string[] = [];
  for (const candidate of CANDIDATES) {
    const found = ask(candidate);
    if (typeof found !== 'string') return found;
    if (found !== NOT_THERE) seen.push(`${candidate} ${found}`);
  }
  const because = seen.length > 0 ? ` (${seen.join('; ')})` : '';
  throw new LeakscopeError(
    `no CPython 3.8 or newer was found in PATH${because}`,
    ExitCode.unsupportedTarget,
    'Install one, or name it: LEAKSCOPE_PYTHON=/path/to/python3 leakscope demo',
  );
}

const NOT_THERE = 'cannot be started';

/** The interpreter behind a command, or why it cannot be used. */
function ask(command: string): Interpreter | string {
  const { status, stdout, error } = spawnSync(command, ['-c', QUESTION], {
    encoding: 'utf8',
    timeout: 20_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (error !== undefined || status !== 0) return NOT_THERE;
  const [implementation, version = '', executable = '', gil] = stdout.split('\n');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (implementation !== 'cpython') return `is ${implementation}, not CPython`;
  if (major !== 3 || minor < OLDEST_MINOR) return `is Python ${version}, older than 3.${OLDEST_MINOR}`;
  if (gil === 'False') return `is the free-threaded build of Python ${version}`;
  return { executable: executable || command, version };
}
