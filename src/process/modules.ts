/**
 * The ELF files a target has mapped, and how to get at their bytes: the file may be in another mount namespace, below
 * another root, replaced by an upgrade, or deleted. What is mapped is what counts, so a file is believed only when its
 * inode is the mapped one, or its build id is the one in memory; when there is none, the memory itself is parsed.
 */
import { closeSync, fstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { Elf, type ElfBytes, type ElfSymbol, type ReadBytes } from './elf.ts';
import type { LoadedModule, Mapping } from './image.ts';

/** A loaded module with the file behind it, for those who need more than the contract's symbols. */
export interface ElfModule extends LoadedModule {
  /** The parsed file, or undefined when neither file nor memory could be read. */
  elf(): Elf | undefined;
  readonly mappings: readonly Mapping[];
}

export interface ModuleOptions {
  /** Path of the executable as in `mappings`; by default what `/proc/PID/exe` says. */
  readonly executable?: string;
  /** Reads the target's memory; by default `/proc/PID/mem`. */
  readonly read?: ReadBytes;
}

const DELETED = / \(deleted\)$/;
const BLOCK = 1 << 16;
const BLOCKS_KEPT = 8;

/**
 * The modules of a live process: the executable first, then shared objects in map order. Nothing is opened before a
 * symbol or a section is asked for, and then no file stays open.
 */
export function loadedModules(pid: number, mappings: readonly Mapping[], options: ModuleOptions = {}): ElfModule[] {
  const read = options.read ?? processMemory(pid);
  const executable = options.executable ?? readLink(`/proc/${pid}/exe`)?.replace(DELETED, '') ?? '';
  return groupModules(mappings, executable).map((group, i) =>
    module(group, () => openMapped(pid, group, i === 0, executable, read)),
  );
}

/** Modules over mappings for which `open` finds the ELF (a core's, for instance). Order as `loadedModules`. */
export function modulesOf(
  mappings: readonly Mapping[],
  executable: string,
  open: (group: readonly Mapping[]) => Elf | undefined,
): ElfModule[] {
  return groupModules(mappings, executable).map(group => module(group, () => open(group)));
}

/** Reads of a file, opened for each read and closed after it; small reads come from a few blocks that are kept. */
export function fileBytes(path: string): ReadBytes {
  const blocks = new Map<number, Uint8Array>();
  const direct: ReadBytes = (at, length) => {
    const fd = openOrUndefined(path);
    if (fd === undefined) return new Uint8Array(0);
    try {
      const size = fstatSync(fd).size;
      return readFully(fd, at, Math.min(length, Math.max(0, size - at)));
    } finally {
      closeSync(fd);
    }
  };
  return (at, length) => {
    if (!(at >= 0 && length > 0 && Number.isSafeInteger(at))) return new Uint8Array(0);
    const start = Math.floor(at / BLOCK) * BLOCK;
    if (at + length > start + BLOCK) return direct(at, length);
    let block = blocks.get(start);
    if (!block) {
      block = direct(start, BLOCK);
      const oldest = blocks.keys().next().value;
      if (blocks.size >= BLOCKS_KEPT && oldest !== undefined) blocks.delete(oldest);
      blocks.set(start, block);
    }
    return block.subarray(at - start, at - start + length);
  };
}

/** The ELF at a path, or undefined when there is none. */
export function openElf(path: string): Elf | undefined {
  return Elf.parse({ kind: 'file', atOffset: fileBytes(path) });
}

/** The build id that a module has in the target's memory, where no file can lie; undefined when it has none or it is not readable. */
export function mappedBuildId(group: readonly Mapping[], read: ReadBytes): string | undefined {
  return memoryElf(group, read)?.buildId();
}

/** A module's ELF as far as it can be seen in memory (exported symbols, no sections). */
export function memoryElf(group: readonly Mapping[], read: ReadBytes): Elf | undefined {
  const first = group[0];
  if (first.offset !== 0) return undefined;
  const bytes: ElfBytes = { kind: 'memory', atAddress: read, start: first.start };
  return Elf.parse(bytes);
}

function module(group: readonly Mapping[], open: () => Elf | undefined): ElfModule {
  let elf: Elf | undefined;
  let opened = false;
  const get = () => {
    if (!opened) {
      opened = true;
      elf = open();
    }
    return elf;
  };
  let bias: number | undefined;
  const getBias = () => {
    bias ??= get()?.bias(group[0].start, group[0].offset) ?? 0;
    return bias;
  };
  const symbols = new Map<string, number | undefined>();
  const address = (s: ElfSymbol | undefined) => s && (s.absolute ? s.value : s.value + getBias());
  return {
    path: group[0].path,
    start: group[0].start,
    end: group[group.length - 1].end,
    mappings: group,
    elf: get,
    get bias() {
      return getBias();
    },
    symbol(name) {
      if (!symbols.has(name)) symbols.set(name, address(get()?.symbol(name)));
      return symbols.get(name);
    },
    section(name) {
      const found = get()?.section(name);
      return found && found.address > 0 ? { address: found.address + getBias(), size: found.size } : undefined;
    },
  };
}

/** Mappings of one file each, only of files with executable mappings; the executable's first, the rest in map order. */
function groupModules(mappings: readonly Mapping[], executable: string): Mapping[][] {
  const groups: Mapping[][] = [];
  const current = new Map<string, Mapping[]>();
  for (const m of mappings) {
    if (!m.path.startsWith('/') || m.path.startsWith('/dev/')) continue;
    const key = `${m.inode} ${m.path}`;
    const group = current.get(key);
    // Segments are loaded in the order of their offsets: an earlier offset begins another load of the same file.
    if (group && m.offset >= group[group.length - 1].offset) group.push(m);
    else {
      const started = [m];
      current.set(key, started);
      groups.push(started);
    }
  }
  // libffi maps pages of its own code once more, as trampolines: that is no load of the file.
  const loaded = new Set(groups.filter(g => g[0].offset === 0).map(g => g[0].path));
  const modules = groups.filter(g => g.some(m => m.executable) && (g[0].offset === 0 || !loaded.has(g[0].path)));
  const at = modules.findIndex(g => g[0].path === executable);
  if (at > 0) modules.unshift(...modules.splice(at, 1));
  return modules;
}

/** Where a mapped file could be, by its path as the target and as we see it. */
function pathsOf(pid: number, path: string): string[] {
  const paths = [`/proc/${pid}/root${path}`];
  // The kernel names files as seen from our root; a target in a chroot has that part of the name in its root already.
  const root = readLink(`/proc/${pid}/root`);
  if (root && root !== '/' && path.startsWith(`${root}/`)) paths.push(`/proc/${pid}/root${path.slice(root.length)}`);
  paths.push(path);
  return paths;
}

/**
 * Bytes of the file that a mapping shows, from the file and not from the target's memory: reading that makes pages
 * resident which were not. Undefined when the file cannot be found.
 */
export function bytesOfMapped(pid: number, m: Mapping): Uint8Array | undefined {
  const byKernel = `/proc/${pid}/map_files/${m.start.toString(16)}-${m.end.toString(16)}`;
  const candidates = m.deleted ? [byKernel] : [byKernel, ...pathsOf(pid, m.path)];
  const found = candidates.find(path => inodeOf(path) === m.inode);
  return found === undefined ? undefined : fileBytes(found)(m.offset, m.end - m.start);
}

function openMapped(
  pid: number,
  group: readonly Mapping[],
  first: boolean,
  executable: string,
  read: ReadBytes,
): Elf | undefined {
  const { path, inode, start, end, deleted } = group[0];
  const byPath = pathsOf(pid, path);
  if (!deleted) {
    for (const candidate of byPath) {
      const elf = inodeOf(candidate) === inode ? openElf(candidate) : undefined;
      if (elf) return elf;
    }
  }
  const byKernel = [`/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`];
  if (first && path === executable) byKernel.push(`/proc/${pid}/exe`);
  for (const candidate of byKernel) {
    const elf = openElf(candidate);
    if (elf) return elf;
  }
  // An overlay may show another inode than the one mapped; then the build id decides.
  const memory = memoryElf(group, read);
  const wanted = memory?.buildId();
  for (const candidate of byPath) {
    const elf = openElf(candidate);
    if (elf && (wanted === undefined ? !deleted && memory === undefined : elf.buildId() === wanted)) return elf;
  }
  return memory;
}

function processMemory(pid: number): ReadBytes {
  return (at, length) => {
    const fd = at >= 0 && length > 0 ? openOrUndefined(`/proc/${pid}/mem`) : undefined;
    if (fd === undefined) return new Uint8Array(0);
    try {
      return readFully(fd, at, Math.min(length, 64 * 2 ** 20));
    } finally {
      closeSync(fd);
    }
  };
}

function readFully(fd: number, at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let got = 0;
  try {
    while (got < length) {
      const n = readSync(fd, bytes, got, length - got, at + got);
      if (n === 0) break;
      got += n;
    }
  } catch {
    // What was read up to a hole or an error is the answer.
  }
  return bytes.subarray(0, got);
}

function inodeOf(path: string): number | undefined {
  const fd = openOrUndefined(path);
  if (fd === undefined) return undefined;
  try {
    return fstatSync(fd).ino;
  } finally {
    closeSync(fd);
  }
}

function openOrUndefined(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
