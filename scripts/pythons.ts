/**
 * Finds every CPython 3 of this machine: in PATH, pyenv, /usr/bin, /usr/local/bin, /opt, conda, uv, and in the Debian
 * chroot that scripts/provision.ts makes. What an interpreter says of itself is remembered in the cache directory by
 * the file's identity, so that a second look takes milliseconds.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';

/** An interpreter that can be run. */
export interface Python {
  /** '3.13.18' */
  readonly version: string;
  /** '3.13' */
  readonly minor: string;
  /** What starts it, such as ['/opt/python/bin/python3.13'] or ['chroot', DIR, '/usr/bin/python3.14']; both keep the pid. */
  readonly command: readonly string[];
  /** '' or the directory that is its root. */
  readonly root: string;
  /** Its path, as seen inside its root. */
  readonly executable: string;
  /** Directory of Python.h with `internal` headers, as seen from here; '' when there is none. */
  readonly include: string;
  readonly origin: 'pyenv' | 'debian' | 'conda' | 'uv' | 'chroot' | 'other';
  /** Py_DEBUG: `sys.gettotalrefcount` is there. */
  readonly debug: boolean;
  /** Py_GIL_DISABLED. */
  readonly freeThreaded: boolean;
  /** --enable-shared: the interpreter is in libpython, not in the executable. */
  readonly shared: boolean;
}

/** Where this project keeps what it fetches for itself: LEAKSCOPE_CACHE, else XDG_CACHE_HOME/leakscope, else ~/.cache/leakscope. */
export function cacheDirectory(): string {
  const own = process.env.LEAKSCOPE_CACHE;
  if (own !== undefined && own !== '') return own;
  const xdg = process.env.XDG_CACHE_HOME;
  return join(xdg !== undefined && xdg !== '' ? xdg : join(homedir(), '.cache'), 'leakscope');
}

/** The chroot with Debian's newest interpreters. */
export const debianRoot = (): string => join(cacheDirectory(), 'debian-sid');
/** Written into it when it is complete. */
export const debianReady = (): string => join(debianRoot(), '.leakscope-ready');

/** All CPython 3 interpreters, oldest first; of two with the same path one. */
export function findPythons(): Python[] {
  const memory = new Memory();
  const found = new Map<string, Python>();
  for (const { path, root, origin } of candidates()) {
    let real: string;
    let identity: string;
    try {
      // Links inside a chroot are not resolved here: their targets are paths inside it.
      real = root === '' ? realpathSync(path) : join(root, path);
      const { dev, ino } = statSync(real);
      identity = `${dev}:${ino}`;
    } catch {
      continue;
    }
    if (found.has(identity) || !isElf(real)) continue;
    const python = memory.describe(real, root === '' ? real : path, root, origin);
    if (python !== undefined) found.set(identity, python);
  }
  memory.save();
  const order = (version: string) => version.split(/\D+/).reduce((sum, part) => sum * 1000 + Number(part), 0);
  return [...found.values()].sort(
    (a, b) => order(a.version) - order(b.version) || a.executable.localeCompare(b.executable),
  );
}

interface Candidate {
  readonly path: string;
  readonly root: string;
  readonly origin: Python['origin'];
}

/** Names of interpreters: python3, python3.13, python3.13t, python3.13d, python3.13-dbg, python3.13-nopie, python3.13-intel64. */
const pythonName = /^python(3(\.\d+)?[dt]*(-[a-z0-9]+)?)?$/;

function candidates(): Candidate[] {
  const list: Candidate[] = [];
  const add = (directory: string, origin: Python['origin'], root = '') => {
    for (const name of namesIn(join(root, directory))) {
      if (pythonName.test(name) && !name.endsWith('-config')) list.push({ path: join(directory, name), root, origin });
    }
  };
  const home = homedir();
  const pyenvRoots = [process.env.PYENV_ROOT ?? '', join(home, '.pyenv'), '/opt/pyenv', '/usr/local/pyenv'];
  for (const root of pyenvRoots.filter(dir => dir !== '')) {
    for (const version of namesIn(join(root, 'versions'))) add(join(root, 'versions', version, 'bin'), 'pyenv');
  }
  for (const root of ['miniconda3', 'anaconda3', 'miniforge3', 'mambaforge']
    .map(n => join(home, n))
    .concat('/opt/conda')) {
    add(join(root, 'bin'), 'conda');
    for (const environment of namesIn(join(root, 'envs'))) add(join(root, 'envs', environment, 'bin'), 'conda');
  }
  const data = process.env.XDG_DATA_HOME ?? join(home, '.local/share');
  for (const version of namesIn(join(data, 'uv/python'))) add(join(data, 'uv/python', version, 'bin'), 'uv');
  add('/usr/bin', existsSync('/etc/debian_version') ? 'debian' : 'other');
  add('/usr/local/bin', 'other');
  for (const name of namesIn('/opt')) add(join('/opt', name, 'bin'), 'other');
  for (const directory of (process.env.PATH ?? '').split(':')) if (directory.startsWith('/')) add(directory, 'other');
  if (existsSync(debianReady())) add('/usr/bin', 'chroot', debianRoot());
  return list;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

/** Shims of version managers are scripts; an interpreter is not. */
function isElf(path: string): boolean {
  try {
    const file = openSync(path, 'r');
    try {
      const magic = Buffer.alloc(4);
      return readSync(file, magic, 0, 4, 0) === 4 && magic.toString('latin1') === '\x7fELF';
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
}

/** What an interpreter says of itself; `implementation` keeps PyPy and others out. */
const question = `
import json, sys, sysconfig
get = sysconfig.get_config_var
# Not Py_ENABLE_SHARED: Debian builds both and links the executable statically.
try:
  with open('/proc/self/maps') as maps: shared = 'libpython' in maps.read()
except OSError:
  shared = bool(get('Py_ENABLE_SHARED'))
print(json.dumps({
  'implementation': sys.implementation.name, 'version': '%d.%d.%d' % sys.version_info[:3] + ({'final': ''}.get(
      sys.version_info[3], sys.version_info[3][0] + str(sys.version_info[4]))),
  'minor': '%d.%d' % sys.version_info[:2], 'include': sysconfig.get_path('include'),
  'debug': hasattr(sys, 'gettotalrefcount'), 'freeThreaded': bool(get('Py_GIL_DISABLED')), 'shared': shared,
}))`;

interface Answer {
  readonly implementation: string;
  readonly version: string;
  readonly minor: string;
  readonly include: string;
  readonly debug: boolean;
  readonly freeThreaded: boolean;
  readonly shared: boolean;
}

/** Answers of interpreters, kept by path, size and time of change. */
class Memory {
  private readonly file = join(cacheDirectory(), 'pythons.json');
  private readonly answers: Record<string, Answer | null>;
  private changed = false;

  constructor() {
    let known: Record<string, Answer | null> = {};
    try {
      known = JSON.parse(readFileSync(this.file, 'utf8')) as Record<string, Answer | null>;
    } catch {
      // The first time, or a file cut short: ask again.
    }
    this.answers = known;
  }

  /** @param real the file here; @param executable its path inside `root`. */
  describe(real: string, executable: string, root: string, origin: Python['origin']): Python | undefined {
    const { size, mtimeMs } = statSync(real);
    const key = `${real} ${size} ${Math.floor(mtimeMs)}`;
    const command = root === '' ? [executable] : ['chroot', root, executable];
    if (!(key in this.answers)) {
      this.answers[key] = ask(command);
      this.changed = true;
    }
    const answer = this.answers[key];
    if (answer === null || answer.implementation !== 'cpython' || !answer.minor.startsWith('3.')) return undefined;
    const include = join(root, answer.include);
    return {
      version: answer.version,
      minor: answer.minor,
      command,
      root,
      executable,
      // Not remembered: headers come and go without the interpreter.
      include: existsSync(join(include, 'internal/pycore_pystate.h')) ? include : '',
      origin,
      debug: answer.debug,
      freeThreaded: answer.freeThreaded,
      shared: answer.shared,
    };
  }

  save(): void {
    if (!this.changed) return;
    try {
      mkdirSync(cacheDirectory(), { recursive: true });
      const temporary = `${this.file}.${process.pid}`;
      writeFileSync(temporary, JSON.stringify(this.answers, null, 1));
      renameSync(temporary, this.file);
    } catch {
      // A home that cannot be written to: the answers are asked for again next time.
    }
  }
}

function ask(command: readonly string[]): Answer | null {
  try {
    const [program, ...args] = command;
    const output = execFileSync(program, [...args, '-I', '-S', '-c', question], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 20_000,
      cwd: '/',
    });
    return JSON.parse(output) as Answer;
  } catch {
    return null;
  }
}

/** One line for people: version, how to run it, where it is from. */
export function describe(python: Python): string {
  const traits = [
    python.shared ? 'shared' : 'static',
    python.debug ? 'debug' : '',
    python.freeThreaded ? 'free-threaded' : '',
    python.include === '' ? '' : 'headers',
    basename(python.executable).includes('nopie') ? 'nopie' : '',
  ];
  return `${python.version.padEnd(9)} ${python.origin.padEnd(7)} ${python.command.join(' ')}  (${traits.filter(t => t !== '').join(', ')})`;
}
