/** What `/proc/PID` says about a process: mappings, status, command, resident memory, open files, cgroup limits. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Mapping } from './image.ts';

const DELETED = ' (deleted)';

/** The text of a file below /proc, or undefined when it cannot be read (the process is gone, or not ours to read). */
export function procText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Parses the text of `/proc/PID/maps`, in the file's order (ascending). */
export function parseMaps(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of text.split('\n')) {
    const mapping = parseMapsLine(line);
    if (mapping) mappings.push(mapping);
  }
  return mappings;
}

// 7f0c-7f0d rw-p 00001000 fe:01 1234    /path with spaces (deleted)
const MAPS_LINE = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([ps]) ([0-9a-f]+) [0-9a-f]+:[0-9a-f]+ (\d+)(?: +(.*))?$/;

function parseMapsLine(line: string): Mapping | undefined {
  const m = MAPS_LINE.exec(line);
  if (!m) return undefined;
  let path = m[9] ?? '';
  const deleted = path.endsWith(DELETED);
  if (deleted) path = path.slice(0, -DELETED.length);
  // The kernel writes a newline in a path as \012.
  if (path.includes('\\012')) path = path.replaceAll('\\012', '\n');
  return {
    start: Number.parseInt(m[1], 16),
    end: Number.parseInt(m[2], 16),
    readable: m[3] === 'r',
    writable: m[4] === 'w',
    executable: m[5] === 'x',
    private: m[6] === 'p',
    offset: Number.parseInt(m[7], 16),
    inode: Number(m[8]),
    path,
    deleted,
  };
}

/** The mappings of a live process; empty when they cannot be read. `[vsyscall]`, which no one can read, is left out. */
export function readMaps(pid: number): Mapping[] {
  return parseMaps(procText(`/proc/${pid}/maps`) ?? '').filter(m => m.path !== '[vsyscall]');
}

/** Resident bytes of each mapping, by its start address (`Rss` of `/proc/PID/smaps`). Slow on large processes: it walks page tables. */
export function residentByMapping(pid: number): Map<number, number> {
  const resident = new Map<number, number>();
  let start = -1;
  for (const line of (procText(`/proc/${pid}/smaps`) ?? '').split('\n')) {
    if (line.startsWith('Rss:')) resident.set(start, Number.parseInt(line.slice(4), 10) * 1024);
    else if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) start = Number.parseInt(line, 16);
  }
  return resident;
}

export interface MemoryRollup {
  /** All in bytes. */
  readonly resident: number;
  readonly proportional: number;
  readonly privateDirty: number;
  readonly anonymous: number;
  readonly swapped: number;
}

/** `/proc/PID/smaps_rollup`, or undefined when it cannot be read. */
export function memoryRollup(pid: number): MemoryRollup | undefined {
  const text = procText(`/proc/${pid}/smaps_rollup`);
  if (text === undefined) return undefined;
  const field = (name: string) => kibibytes(text, name);
  return {
    resident: field('Rss'),
    proportional: field('Pss'),
    privateDirty: field('Private_Dirty'),
    anonymous: field('Anonymous'),
    swapped: field('Swap'),
  };
}

function kibibytes(text: string, name: string): number {
  const m = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text);
  return m ? Number(m[1]) * 1024 : 0;
}

export interface ProcessStatus {
  readonly name: string;
  /** R, S, D, T (stopped), t (tracing stop), Z (zombie), X … */
  readonly state: string;
  readonly threadGroup: number;
  readonly parent: number;
  /** Who traces the thread, 0 when nobody. */
  readonly tracer: number;
  /** Effective user id. */
  readonly uid: number;
  readonly gid: number;
  readonly threads: number;
  /** `VmData`, `VmRSS`, `VmSize` in bytes; 0 for a kernel thread. */
  readonly dataBytes: number;
  readonly residentBytes: number;
  readonly virtualBytes: number;
  /** 0 none, 1 strict, 2 filter. */
  readonly seccomp: number;
  /** Masks as hexadecimal text, as the kernel prints them. */
  readonly blockedSignals: string;
  readonly pendingSignals: string;
  readonly ignoredSignals: string;
  readonly caughtSignals: string;
  /** A user space shadow stack is on (x86 CET). */
  readonly shadowStack: boolean;
  /** The pid as each nested pid namespace sees it, innermost last. */
  readonly namespacePids: readonly number[];
}

/** `/proc/PID/status` of a process, or of a thread when `pid` is a thread's id; undefined when it is gone. */
export function processStatus(pid: number): ProcessStatus | undefined {
  const text = procText(`/proc/${pid}/status`);
  if (text === undefined) return undefined;
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1] ?? '';
  const ids = (name: string) => field(name).split('\t').map(Number);
  return {
    name: field('Name'),
    state: field('State').slice(0, 1),
    threadGroup: Number(field('Tgid')),
    parent: Number(field('PPid')),
    tracer: Number(field('TracerPid')),
    uid: ids('Uid')[1] ?? -1,
    gid: ids('Gid')[1] ?? -1,
    threads: Number(field('Threads')),
    dataBytes: kibibytes(text, 'VmData'),
    residentBytes: kibibytes(text, 'VmRSS'),
    virtualBytes: kibibytes(text, 'VmSize'),
    seccomp: Number(field('Seccomp') || 0),
    blockedSignals: field('SigBlk'),
    pendingSignals: field('ShdPnd'),
    ignoredSignals: field('SigIgn'),
    caughtSignals: field('SigCgt'),
    shadowStack: /\bshstk\b/.test(field('x86_Thread_features')),
    namespacePids: field('NSpid').split('\t').filter(Boolean).map(Number),
  };
}

/** The fields of `/proc/PID/stat` after the name, so that `[0]` is field 3, the state. The name may hold anything. */
export function statFields(path: string): string[] | undefined {
  const text = procText(path);
  if (text === undefined) return undefined;
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** When a process started, in clock ticks since boot; with the pid it names a process for good. Undefined when it is gone. */
export function processStartTime(pid: number): number | undefined {
  const fields = statFields(`/proc/${pid}/stat`);
  return fields ? Number(fields[19]) : undefined;
}

/** The command as an argument vector; empty for a kernel thread or a zombie. */
export function commandLine(pid: number): string[] {
  const text = procText(`/proc/${pid}/cmdline`) ?? '';
  return text === '' ? [] : text.replace(/\0$/, '').split('\0');
}

/** The executable as the target sees it, without the mark of a deleted one; '' when it cannot be read. */
export function executablePath(pid: number): string {
  try {
    const path = readlinkSync(`/proc/${pid}/exe`);
    return path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path;
  } catch {
    return '';
  }
}

/** The kernel's name of a thread. */
export function threadName(pid: number, tid: number): string {
  return (procText(`/proc/${pid}/task/${tid}/comm`) ?? '').replace(/\n$/, '');
}

export type OpenFileKind = 'socket' | 'pipe' | 'file' | 'anon';

export interface OpenFile {
  readonly descriptor: number;
  readonly kind: OpenFileKind;
  /** What the link says: a path, `socket:[123]`, `pipe:[123]`, `anon_inode:[eventpoll]`. */
  readonly target: string;
}

/** The open file descriptors of a process, ascending; undefined when they cannot be listed. */
export function openFiles(pid: number): OpenFile[] | undefined {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return undefined;
  }
  const files: OpenFile[] = [];
  for (const name of names) {
    const target = readLink(`/proc/${pid}/fd/${name}`);
    if (target !== undefined) files.push({ descriptor: Number(name), kind: openFileKind(target), target });
  }
  return files.sort((a, b) => a.descriptor - b.descriptor);
}

function openFileKind(target: string): OpenFileKind {
  if (target.startsWith('socket:')) return 'socket';
  if (target.startsWith('pipe:')) return 'pipe';
  return target.startsWith('/') ? 'file' : 'anon';
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Bytes that the machine could still give out without swapping (`MemAvailable`). */
export function availableMemory(): number {
  return kibibytes(procText('/proc/meminfo') ?? '', 'MemAvailable');
}

/**
 * Bytes left until the tightest memory limit of the process's cgroups; Infinity when there is none. Version 2 is read
 * along the whole path, version 1 at the process's own group. In a container whose cgroup namespace hides the path,
 * what is mounted at /sys/fs/cgroup is the container's own group.
 */
export function cgroupHeadroom(pid: number): number {
  const text = procText(`/proc/${pid}/cgroup`) ?? '';
  let headroom = Number.POSITIVE_INFINITY;
  const consider = (limitFile: string, usageFile: string) => {
    const limit = procText(limitFile)?.trim();
    const usage = procText(usageFile)?.trim();
    if (limit === undefined || usage === undefined || limit === 'max') return;
    // Version 1 says "no limit" with a number close to 2^63.
    if (Number(limit) < 2 ** 60) headroom = Math.min(headroom, Math.max(0, Number(limit) - Number(usage)));
  };
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === '') {
      for (let at = path; ; at = at.slice(0, at.lastIndexOf('/'))) {
        const folder = `/sys/fs/cgroup${at === '/' ? '' : at}`;
        consider(`${folder}/memory.max`, `${folder}/memory.current`);
        if (at === '' || at === '/') break;
      }
    } else if (controllers.split(',').includes('memory')) {
      const folder = `/sys/fs/cgroup/memory${path}`;
      consider(`${folder}/memory.limit_in_bytes`, `${folder}/memory.usage_in_bytes`);
    }
  }
  return headroom;
}
