/** The last verdict is kept for `leakscope fix`, in the user's state directory. */
import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import type { Verdict } from '../diagnosis/index.ts';
import { ExitCode, LeakscopeError } from '../process/index.ts';
import { writeWhole } from './output.ts';

/** Where the last verdict is kept (XDG Base Directory: state that should persist, but matters little). */
export function lastVerdictFile(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const state = environment.XDG_STATE_HOME;
  const directory = state && isAbsolute(state) ? state : join(environment.HOME || homedir(), '.local', 'state');
  return join(directory, 'leakscope', 'last.json');
}

/** Keeps a verdict. A home that cannot be written to costs the user `leakscope fix`, not the verdict. */
export function keepVerdict(verdict: Verdict): void {
  const file = lastVerdictFile();
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeWhole(file, Buffer.from(`${JSON.stringify(verdict)}\n`));
  } catch (error) {
    if (process.env.LEAKSCOPE_DEBUG) process.stderr.write(`leakscope: the verdict was not kept: ${error}\n`);
  }
}

/** The last verdict. Throws a LeakscopeError when there is none. */
export function lastVerdict(): Verdict {
  const file = lastVerdictFile();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new LeakscopeError(
      'there is no verdict yet',
      ExitCode.usage,
      'Run leakscope attach PID (or demo, or run) first; fix shows the patch of a suspect of its verdict.',
    );
  }
  try {
    const verdict = JSON.parse(text) as Verdict;
    if (verdict.schema === 1 && Array.isArray(verdict.suspects)) return verdict;
  } catch {
    // Falls through to the sentence below: a damaged file and one of another version have the same remedy.
  }
  throw new LeakscopeError(
    `the last verdict in ${file} cannot be read`,
    ExitCode.unsupportedTarget,
    'Run leakscope attach PID again.',
  );
}
