/**
 * Finds every CPython 3 of this machine and adds those Debian has: a chroot of sid with its newest minor versions,
 * their headers, one that is not position independent and one debug build, made once by debootstrap in the cache directory (outside the checkout).
 *
 *   node scripts/provision.ts
 *
 * Prints one line an interpreter. What cannot be added is said, with what is missing, and is no error: the machine is
 * then tested with what it has.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory, debianReady, debianRoot, describe, findPythons } from './pythons.ts';

/** Minor versions that are wanted from Debian when it has them. */
export const debianMinors: readonly string[] = ['3.13', '3.14', '3.15'];
/** Raise it when what is installed below changes, so that an older chroot is made anew. */
const edition = '1';

const say = (text: string): void => console.error(`provision: ${text}`);

/**
 * What keeps this machine from having Debian's interpreters in a chroot; '' when nothing does. Looks at the machine only:
 * whether the mirror answers is seen when it is asked.
 */
export function obstacle(): string {
  if (process.platform !== 'linux') return 'a Debian chroot needs Linux';
  if (process.getuid?.() !== 0) return 'a Debian chroot needs root, for debootstrap and chroot';
  if (debianMirror() === '') return 'no Debian mirror is configured in /etc/apt';
  if (!hasCommand('debootstrap') && !hasCommand('apt-get')) return 'neither debootstrap nor apt-get is there';
  return '';
}

/**
 * The mirror that apt is configured with: the first URI whose suite is this release's own name, so that a vendor's
 * repository or the security archive is not taken for it; '' when there is none or this is not Debian.
 */
export function debianMirror(): string {
  const release = readOr('/etc/os-release');
  if (!/^ID=debian$/m.test(release)) return '';
  const suites = [/^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] ?? '', 'sid', 'unstable', 'testing'];
  const files = [
    '/etc/apt/sources.list',
    ...namesIn('/etc/apt/sources.list.d').map(n => join('/etc/apt/sources.list.d', n)),
  ];
  for (const file of files) {
    const text = readOr(file);
    if (file.endsWith('.sources')) {
      for (const stanza of text.split(/\n\s*\n/)) {
        const field = (name: string) =>
          new RegExp(`^${name}:\\s*(.+)$`, 'm').exec(stanza)?.[1].trim().split(/\s+/) ?? [];
        if (field('Suites').some(suite => suites.includes(suite)) && field('Components').includes('main')) {
          const uri = field('URIs').find(u => /^https?:/.test(u));
          if (uri !== undefined) return uri;
        }
      }
    } else {
      for (const line of text.split('\n')) {
        const [, uri, suite, components] = /^deb\s+(?:\[[^\]]*\]\s+)?(https?:\S+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
        if (uri !== undefined && suites.includes(suite) && /\bmain\b/.test(components)) return uri;
      }
    }
  }
  return '';
}

/** Why the last try to make the chroot failed; '' when none has failed since. A mirror out of reach is seen only by trying. */
export const lastFailure = (): string => readOr(failureFile()).trim();
const failureFile = (): string => join(cacheDirectory(), 'debian-sid.failure');

/** Makes or mends the chroot. Returns '' when it is there, else one sentence that says what is missing. */
export function provisionDebian(): string {
  const root = debianRoot();
  if (isReady()) {
    if (process.getuid?.() !== 0) return 'the Debian chroot is there, but entering it needs root';
    mountProc(root);
    return addDebugBuild(root);
  }
  const hindrance = obstacle();
  if (hindrance !== '') return hindrance;
  mkdirSync(cacheDirectory(), { recursive: true });
  const partial = `${root}.partial`;
  try {
    if (!hasCommand('debootstrap')) {
      say('installing debootstrap');
      const install = ['install', '-y', '-q', '--no-install-recommends', 'debootstrap'];
      if (!quietly('apt-get', install)) run('apt-get', ['update', '-q']);
      if (!hasCommand('debootstrap')) run('apt-get', install);
    }
    remove(partial);
    say(`making a Debian chroot with ${debianMinors.join(', ')} in ${root} (once, about a minute)`);
    run('debootstrap', ['--variant=minbase', 'sid', partial, debianMirror()]);
    mountProc(partial);
    const inside = (...command: string[]) => run('chroot', [partial, ...command]);
    // A mirror that stands still for a while has an expired release file; its packages are as good.
    const apt = [
      'apt-get',
      '-q',
      '-y',
      '-o',
      'Acquire::Check-Valid-Until=false',
      '-o',
      'APT::Install-Recommends=false',
    ];
    inside(...apt, 'update');
    const known = new Set(inside('apt-cache', 'pkgnames', 'python3.').split('\n'));
    const minors = debianMinors.filter(minor => known.has(`python${minor}`));
    if (minors.length < debianMinors.length) {
      say(`Debian sid has no ${debianMinors.filter(minor => !minors.includes(minor)).join(', ')} today`);
    }
    // One interpreter that is not position independent, where Debian has it.
    const nopie = minors
      .map(minor => `python${minor}-nopie`)
      .filter(name => known.has(name))
      .slice(0, 1);
    inside(...apt, 'install', ...minors.map(minor => `python${minor}`), ...nopie);
    for (const minor of minors) unpack(partial, `libpython${minor}-dev`, ['./usr/include']);
    inside('apt-get', 'clean');
    unmountProc(partial);
    remove(root);
    renameSync(partial, root);
    writeFileSync(debianReady(), edition);
    rmSync(failureFile(), { force: true });
    mountProc(root);
    return addDebugBuild(root);
  } catch (error) {
    unmountProc(partial);
    const failure = `the Debian chroot could not be made: ${lastLine(error)}`;
    writeFileSync(failureFile(), failure);
    return failure;
  }
}

/** Debian's debug build: its executable and extension modules, without the detached symbols of the ordinary one. */
function addDebugBuild(root: string): string {
  if (existsSync(join(root, 'usr/bin/python3.13-dbg'))) return '';
  try {
    unpack(root, 'python3.13-dbg', ['./usr/bin']);
    unpack(root, 'libpython3.13-dbg', ['./usr/lib/python3.13/lib-dynload', './usr/lib/python3.13/_sysconfigdata*']);
    return '';
  } catch (error) {
    return `Debian's debug build could not be fetched: ${lastLine(error)}`;
  }
}

/** Fetches a package and unpacks these paths of it, without what it depends on. */
function unpack(root: string, name: string, paths: readonly string[]): void {
  run('chroot', [root, 'sh', '-c', `cd /tmp && rm -f ${name}_*.deb && apt-get download -q ${name}`]);
  const file = namesIn(join(root, 'tmp')).find(entry => entry.startsWith(`${name}_`));
  if (file === undefined) throw new Error(`apt-get did not fetch ${name}`);
  const archive = join(root, 'tmp', file);
  run('sh', [
    '-c',
    'archive=$1 root=$2; shift 2; dpkg-deb --fsys-tarfile "$archive" | tar x --wildcards -C "$root" "$@"',
    'sh',
    archive,
    root,
    ...paths,
  ]);
  rmSync(archive);
}

function isReady(): boolean {
  return readOr(debianReady()).trim() === edition;
}

/** Interpreters run without /proc, but what looks at them from inside the chroot needs it. */
function mountProc(root: string): void {
  if (existsSync(join(root, 'proc/self'))) return;
  if (
    !quietly('mount', ['-t', 'proc', 'proc', join(root, 'proc')]) &&
    !quietly('mount', ['--bind', '/proc', join(root, 'proc')])
  ) {
    say(`could not mount /proc in ${root}; going on without`);
  }
}

function unmountProc(root: string): void {
  if (existsSync(join(root, 'proc/self'))) quietly('umount', [join(root, 'proc')]);
}

/** Removes a chroot, never through a mounted /proc. */
function remove(root: string): void {
  if (!existsSync(root)) return;
  unmountProc(root);
  if (existsSync(join(root, 'proc/self'))) throw new Error(`${root}/proc is mounted and cannot be unmounted`);
  rmSync(root, { recursive: true, force: true });
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
  });
}

function quietly(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function hasCommand(name: string): boolean {
  return quietly('sh', ['-c', 'command -v "$1"', 'sh', name]);
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

function lastLine(error: unknown): string {
  const { stderr, stdout, message } = error as { stderr?: string; stdout?: string; message: string };
  const lines = `${stdout ?? ''}\n${stderr ?? ''}`.trim().split('\n');
  return lines.findLast(line => /^(E:|W: Failure)/.test(line)) ?? (lines.at(-1) || message.split('\n')[0]);
}

function main(args: readonly string[]): void {
  const locked = args.includes('--locked');
  // Two at once (two test runs on a fresh machine) would build in each other's directory: the second waits.
  if (!locked && !isReady() && obstacle() === '' && hasCommand('flock')) {
    mkdirSync(cacheDirectory(), { recursive: true });
    const command = [
      join(cacheDirectory(), 'provision.lock'),
      process.execPath,
      import.meta.filename,
      '--locked',
      ...args,
    ];
    process.exitCode = spawnSync('flock', command, { stdio: 'inherit' }).status ?? 1;
    return;
  }
  const missing = provisionDebian();
  if (missing !== '') say(`${missing}; going on with the interpreters that are here`);
  const pythons = findPythons();
  for (const python of pythons) console.log(describe(python));
  if (pythons.length === 0) {
    say('no CPython 3 was found: install one, in PATH or with pyenv');
    process.exitCode = 1;
  }
}

if (import.meta.main) main(process.argv.slice(2));
