/** Real programs from PyPI to compare with CPython, in a virtual environment outside the checkout. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory } from '../../scripts/pythons.ts';
import { type Python, pythons } from '../support/pythons.ts';

export interface RealProgram {
  readonly name: string;
  readonly file: string;
  readonly env?: Readonly<Record<string, string>>;
}

const at = (file: string) => join(dirname(fileURLToPath(import.meta.url)), 'programs', file);
// Threads of linear algebra would only wait.
const oneThread = { OPENBLAS_NUM_THREADS: '1' };

export const programs: readonly RealProgram[] = [
  { name: 'Flask service', file: at('flask_service.py') },
  { name: 'pandas session', file: at('pandas_session.py'), env: oneThread },
  { name: 'asyncio server on uvloop', file: at('uvloop_server.py') },
  { name: 'Celery tasks', file: at('celery_worker.py') },
  { name: 'numpy job', file: at('numpy_job.py'), env: oneThread },
];

const PACKAGES = ['flask', 'pandas', 'numpy', 'uvloop', 'celery'];

let prepared: Python | string | undefined;

/** The interpreter of the environment with everything installed, made when it is missing; or why there is none. */
export function prepareProgram(_program: RealProgram): Python | string {
  prepared ??= install();
  return prepared;
}

function install(): Python | string {
  // The newest one outside the chroot: a virtual environment has to reach the network.
  const base = pythons().findLast(p => p.root === '' && p.minor === '3.12') ?? pythons().findLast(p => p.root === '');
  if (base === undefined) return 'no interpreter to make a virtual environment with';
  const directory = join(cacheDirectory(), `programs-${base.version}`);
  const done = join(directory, '.installed');
  const python = join(directory, 'bin', 'python');
  try {
    if (!existsSync(python)) execFileSync(base.command[0], [...base.command.slice(1), '-m', 'venv', directory]);
    if (!existsSync(done)) {
      execFileSync(python, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...PACKAGES], {
        stdio: 'inherit',
      });
      writeFileSync(done, '');
    }
  } catch (error) {
    return `could not install ${PACKAGES.join(', ')}: ${error instanceof Error ? error.message : error}`;
  }
  return { ...base, command: [python] };
}
