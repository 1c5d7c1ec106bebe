import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decode, type HeapColumns } from '../../src/cpython/index.ts';
import { capture } from '../../src/process/capture.ts';
import { isCore, openCore } from '../../src/process/core.ts';
import { LeakscopeError } from '../../src/process/errors.ts';
import type { Mapping, ProcessImage } from '../../src/process/image.ts';
import { readMaps } from '../../src/process/maps.ts';
import { Memory } from '../../src/process/memory.ts';
import { loadedModules } from '../../src/process/modules.ts';
import type { Python } from '../support/pythons.ts';
import { allPythons, startTarget, type Target } from './interpreters.ts';
import { lz4Frame } from './lz4-frame.ts';

const PAGE = 4096;
const made: string[] = [];
const directory = mkdtempSync(join(tmpdir(), 'leakscope-core-'));
const PATTERN = '/proc/sys/kernel/core_pattern';
const pattern = readFileSync(PATTERN, 'utf8');
let kernelWritesHere = !pattern.startsWith('|') && !pattern.startsWith('/');
if (!kernelWritesHere) {
  try {
    writeFileSync(PATTERN, 'core');
    kernelWritesHere = true;
  } catch {
    // Not ours to set: the cores are gcore's alone.
  }
}
afterAll(() => {
  if (kernelWritesHere && readFileSync(PATTERN, 'utf8') !== pattern) writeFileSync(PATTERN, pattern);
  for (const d of [...made, directory]) rmSync(d, { recursive: true, force: true });
});

// Three threads that sleep for good, so that the memory of the process stands still.
const PROGRAM = `
import os, sys, threading
os.chdir(sys.argv[1])
rows = [{"id": i, "name": "n%d" % i} for i in range(5000)]
event = threading.Event()
for i in range(2):
    threading.Thread(target=event.wait, daemon=True).start()
print('ready', flush=True)
sys.stdin.read()
`;

interface Maker {
  readonly name: string;
  make(target: Target, where: string): Promise<string>;
}

const makers: Maker[] = [
  {
    name: 'gcore',
    async make(target, where) {
      execFileSync('gcore', ['-o', join(where, 'gcore'), String(target.pid)], { stdio: 'ignore' });
      return join(where, `gcore.${target.pid}`);
    },
  },
];
if (kernelWritesHere) {
  makers.push({
    name: 'the kernel',
    async make(target, where) {
      target.child.kill('SIGABRT');
      await target.ended;
      return join(where, readdirSync(where).find(n => n.startsWith('core'))!);
    },
  });
}

interface Live {
  readonly mappings: readonly Mapping[];
  readonly bytes: ReadonlyMap<Mapping, Uint8Array>;
  /** Mappings with pages that nobody can read. */
  readonly guards: ReadonlySet<Mapping>;
  readonly tids: readonly number[];
  readonly runtime: number | undefined;
  readonly command: readonly string[];
}

/** Starts of mappings that never get into a core: the kernel's own, and the random number state of glibc 2.41 (flag `dd`). */
function notDumped(pid: number): Set<number> {
  const starts = new Set<number>();
  let start = 0;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-/.test(line)) start = Number.parseInt(line, 16);
    else if (/^VmFlags:.* (dd|pf|io)\b/.test(line)) starts.add(start);
  }
  return starts;
}

/** Everything readable of a process that stands still. */
function copyLive(pid: number): Live {
  const left = notDumped(pid);
  const mappings = readMaps(pid).filter(m => !left.has(m.start));
  const bytes = new Map<Mapping, Uint8Array>();
  const guards = new Set<Mapping>();
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  for (const m of mappings) {
    if (!m.readable) continue;
    const into = new Uint8Array(m.end - m.start);
    bytes.set(m, into);
    for (let at = 0; at < into.length; at += PAGE) {
      try {
        at += readSync(fd, into, at, into.length - at, m.start + at) - PAGE;
      } catch {
        // A guard page in a thread's stack.
        guards.add(m);
      }
    }
  }
  closeSync(fd);
  const runtime = loadedModules(pid, mappings)
    .map(m => m.symbol('_PyRuntime'))
    .find(a => a !== undefined);
  const tids = readdirSync(`/proc/${pid}/task`).map(Number);
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0$/, '').split('\0');
  return { mappings, bytes, guards, tids, runtime, command };
}

/** Until every thread sleeps in a system call and stays there: what it printed last came a little before. */
async function standsStill(pid: number): Promise<void> {
  const state = () =>
    readdirSync(`/proc/${pid}/task`).map(
      tid =>
        `${readFileSync(`/proc/${pid}/task/${tid}/syscall`)}${/ctxt_switches:.*/s.exec(readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8'))}`,
    );
  for (let before = ['running']; ; ) {
    const now = state();
    if (now.every((s, i) => s === before[i] && !s.startsWith('running'))) return;
    before = now;
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** The heap as the rooms above see it; closes the image. */
function graphOf(image: ProcessImage): HeapColumns {
  using opened = image;
  return decode(opened).columns;
}

/** The cores that some makers, the last of which may end it, make of one process. */
async function coresOf(
  python: Python,
  by: readonly Maker[],
): Promise<{ cores: { maker: Maker; path: string; live: Live }[]; graph: HeapColumns; pid: number }> {
  // The kernel writes to the working directory, which for some is below another root.
  const where = mkdtempSync(join(python.root === '' ? directory : join(python.root, 'tmp'), 'leakscope-cwd-'));
  made.push(where);
  const inside = where.slice(python.root.length);
  const args = [
    '-c',
    `ulimit -c unlimited; exec "$@"`,
    'sh',
    ...python.command,
    '-c',
    PROGRAM,
    inside,
    'an argument',
    '',
  ];
  await using target = await startTarget('sh', args);
  await standsStill(target.pid);
  const graph = graphOf(capture(target.pid, { via: 'freeze' }));
  const cores: { maker: Maker; path: string; live: Live }[] = [];
  for (const maker of by) {
    await standsStill(target.pid);
    // Anew for each: a thread that was stopped may go on on another processor, and has its number in memory (rseq).
    const live = copyLive(target.pid);
    cores.push({ maker, path: await maker.make(target, where), live });
  }
  return { cores, graph, pid: target.pid };
}

/** The columns in which two graphs differ, with the first difference. */
function differences(a: HeapColumns, b: HeapColumns): string[] {
  const found: string[] = [];
  for (const column of Object.keys(a) as (keyof HeapColumns)[]) {
    const [x, y] = [a[column], b[column]] as unknown as [ArrayLike<unknown>, ArrayLike<unknown>];
    if (typeof x !== 'object') {
      if (x !== y) found.push(`${column}: ${x}, ${y}`);
      continue;
    }
    for (let i = 0; i < Math.max(x.length, y.length); i++) {
      if (x[i] === y[i] || JSON.stringify(x[i]) === JSON.stringify(y[i])) continue;
      found.push(`${column}[${i}]: ${JSON.stringify(x[i])}, ${JSON.stringify(y[i])}`);
      break;
    }
  }
  return found;
}

function read(image: ProcessImage, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, image.read(address, bytes));
}

const isProgram = (m: Mapping) => /\.so(\.|$)|\/bin\//.test(m.path);

describe.each(allPythons().map(python => ({ python })))('cores of $python.version $python.command', ({ python }) => {
  it(`from ${makers.map(m => m.name).join(' and ')} are the process, byte for byte and object for object`, async () => {
    const { cores, graph, pid } = await coresOf(python, makers);
    for (const { maker, path, live } of cores) {
      expect(isCore(path)).toBe(true);
      // The kernel writes paths as the process sees them, gcore as gdb sees them.
      const root = maker.name === 'gcore' ? '' : python.root;
      const seen = (p: string) => (root !== '' && p.startsWith(`${root}/`) ? p.slice(root.length) : p);
      const options = root === '' ? {} : { sysroot: root };
      using image = openCore(path, options);
      // gdb gives up at a guard page, and with it loses the stack behind it.
      const lost = maker.name === 'gcore' && live.guards.size > 0;
      if (lost) expect(image.notes.join()).toMatch(/stacks of 2 threads are missing/);
      else expect(image.notes).toEqual([]);
      expect(image.pid).toBe(pid);
      expect(image.command).toEqual(live.command);
      expect(image.executable).toBe(seen(live.mappings[0].path));
      expect(image.threads.map(t => t.tid).sort((a, b) => a - b)).toEqual(live.tids);
      for (const t of image.threads) {
        expect(live.mappings.some(m => m.writable && t.stackPointer >= m.start && t.stackPointer < m.end)).toBe(true);
        expect(
          live.mappings.some(m => m.executable && t.instructionPointer >= m.start && t.instructionPointer < m.end),
        ).toBe(true);
        expect(live.mappings.some(m => m.writable && t.threadPointer >= m.start && t.threadPointer < m.end)).toBe(true);
      }
      expect(image.modules.map(m => m.symbol('_PyRuntime')).find(a => a !== undefined)).toBe(live.runtime);
      expect(live.runtime).toBeDefined();
      let compared = 0;
      for (const [m, bytes] of live.bytes) {
        const same = image.mappings.find(c => c.start === m.start);
        expect(same, `${m.path} at ${m.start.toString(16)}`).toMatchObject({
          end: m.end,
          path: seen(m.path),
          writable: m.writable,
          offset: m.offset,
          deleted: m.deleted,
        });
        if (m.path.startsWith('/') && !isProgram(m)) continue;
        expect(same?.executable).toBe(m.executable);
        if (lost && live.guards.has(m)) continue;
        const got = read(image, m.start, bytes.length);
        expect(got.length).toBe(bytes.length);
        expect(Buffer.compare(got, bytes), `${m.path} at ${m.start.toString(16)}`).toBe(0);
        compared += bytes.length;
      }
      expect(compared).toBeGreaterThan(8 * 2 ** 20);
      // A read may begin and end anywhere, and stops where there is nothing.
      const [heap, bytes] = [...live.bytes].find(([m]) => m.path === '[heap]')!;
      expect(read(image, heap.start + 4001, 1000)).toEqual(bytes.slice(4001, 5001));
      expect(read(image, heap.end - 10, 1000).length).toBe(10);
      expect(read(image, 8, 8).length).toBe(0);
      if (!lost) expect(differences(graphOf(openCore(path, options)), graph), maker.name).toEqual([]);
      rmSync(path);
    }
  });
});

describe('a core', () => {
  let path: string;
  let live: Live;
  beforeAll(async () => {
    // Without a shared library and stripped, where the machine has one: the smallest core.
    const python = allPythons().find(p => !p.shared && p.root === '') ?? allPythons()[0];
    [{ path, live }] = (await coresOf(python, makers.slice(-1))).cores;
  });

  function expectSameAsPlain(image: ProcessImage): void {
    using plain = openCore(path);
    expect(image.mappings).toEqual(plain.mappings);
    expect(image.threads).toEqual(plain.threads);
    for (const m of plain.mappings) {
      if (!m.readable) continue;
      expect(Buffer.compare(read(image, m.start, m.end - m.start), read(plain, m.start, m.end - m.start))).toBe(0);
    }
  }

  it.each([
    ['zstd', (b: Uint8Array) => zstdCompressSync(b)],
    ['gzip', (b: Uint8Array) => gzipSync(b, { level: 1 })],
    ['lz4', (b: Uint8Array) => lz4Frame(b, { blockSize: 4 << 20, linked: true, checksums: true })],
  ])('is read through %s, and what a cut leaves of it', (name, compress) => {
    const packed = `${path}.${name}`;
    const bytes = compress(readFileSync(path));
    writeFileSync(packed, bytes);
    expect(isCore(packed)).toBe(true);
    {
      using image = openCore(packed);
      expect(image.notes).toEqual([]);
      expectSameAsPlain(image);
    }
    truncateSync(packed, Math.floor(bytes.length * 0.7));
    expect(isCore(packed)).toBe(true);
    {
      using image = openCore(packed);
      expect(image.notes.join()).toMatch(new RegExp(`truncated.*${name}.*MiB of memory are there`));
      expect(image.threads.length).toBe(name === 'lz4' && makers.length === 1 ? 0 : 3);
    }
    rmSync(packed);
  });

  it('leaves no file behind and keeps none open', () => {
    const packed = `${path}.left`;
    writeFileSync(packed, gzipSync(readFileSync(path), { level: 1 }));
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    for (const file of [packed, path]) {
      using image = openCore(file);
      expect(image.mappings.length).toBeGreaterThan(0);
    }
    expect(open()).toBe(before);
    expect(
      readdirSync(tmpdir()).filter(
        n => n.startsWith(`leakscope-core-`) && !n.includes(basename(directory)) && n.length > 30,
      ),
    ).toEqual([]);
    rmSync(packed);
  });

  it('can be copied as a target is', () => {
    using image = openCore(path);
    const memory = Memory.copy(image);
    expect(memory.has(live.runtime!)).toBe(true);
  });

  it('of a program that is not here says so', () => {
    const sysroot = join(directory, 'sysroot');
    mkdirSync(sysroot);
    {
      using image = openCore(path, { sysroot });
      expect(image.notes.join()).toMatch(/needs files that are not here: .*--sysroot/);
      expect(image.mappings.length).toBeGreaterThan(10);
    }
    // Another program under the same name is not believed.
    copyFileSync('/bin/sh', join(sysroot, basename(live.mappings[0].path)));
    {
      using image = openCore(path, { sysroot });
      expect(image.notes.join()).toMatch(/other builds than the core's/);
    }
    // The files in one folder are enough.
    for (const m of live.mappings.filter(isProgram)) copyFileSync(m.path, join(sysroot, basename(m.path)));
    {
      using image = openCore(path, { sysroot });
      expect(image.notes).toEqual([]);
      expectSameAsPlain(image);
    }
  });

  it('that is truncated anywhere gives what is there, or one clear sentence', () => {
    const cut = `${path}.cut`;
    copyFileSync(path, cut);
    using whole = openCore(path);
    const size = readFileSync(path).length;
    const lengths = [...fc.sample(fc.nat(size - 1), 60), ...fc.sample(fc.nat(20_000), 60), 0, 1, 63, 64, 65].sort(
      (a, b) => b - a,
    );
    let opened = 0;
    for (const length of lengths) {
      truncateSync(cut, length);
      const image = openOrSentence(cut);
      if (!image) continue;
      opened++;
      // The last page is the vsyscall page, which is not memory of the process.
      if (length < size - 4096) expect(image.notes.join()).toMatch(/truncated/);
      for (const m of image.mappings) {
        const got = read(image, m.start, 8192);
        expect(Buffer.compare(got, read(whole, m.start, got.length))).toBe(0);
      }
      image[Symbol.dispose]();
    }
    expect(opened).toBeGreaterThan(30);
    rmSync(cut);
  });

  it('with a damaged header never does more than refuse', () => {
    const broken = `${path}.broken`;
    copyFileSync(path, broken);
    const size = readFileSync(path).length;
    const fd = openSync(broken, 'r+');
    const original = new Uint8Array(20_000);
    readSync(fd, original, 0, original.length, 0);
    const value = fc.oneof(
      fc.constant([255]),
      fc.constant(new Array<number>(8).fill(255)),
      fc.constant([0, 0, 0, 0, 0, 0, 0, 128]),
      fc.array(fc.nat(255), { minLength: 1, maxLength: 8 }),
    );
    const place = fc.oneof(fc.nat(63), fc.nat(60 * 56), fc.nat(original.length - 8));
    fc.assert(
      fc.property(fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 6 }), changes => {
        for (const [at, bytes] of changes) writeSync(fd, Uint8Array.from(bytes), 0, bytes.length, at);
        try {
          const image = openOrSentence(broken);
          if (!image) return;
          let readable = 0;
          for (const m of image.mappings) {
            if (m.readable && m.path === '') readable += m.end - m.start;
            read(image, m.start, 4096);
          }
          for (const m of image.modules) m.symbol('_PyRuntime');
          // What a damaged header can make a reader copy stays in proportion to the file.
          expect(readable).toBeLessThanOrEqual(size);
          image[Symbol.dispose]();
        } finally {
          writeSync(fd, original, 0, original.length, 0);
        }
      }),
      { numRuns: 300 },
    );
    closeSync(fd);
    rmSync(broken);
  });

  /** Undefined when it was refused as it should be. */
  function openOrSentence(file: string): ProcessImage | undefined {
    try {
      return openCore(file);
    } catch (error) {
      expect(error).toBeInstanceOf(LeakscopeError);
      expect((error as LeakscopeError).exitCode).toBe(4);
      expect((error as LeakscopeError).message).toMatch(/^[^\n]+[^.\n]$/);
      return undefined;
    }
  }
});

describe('what is not a core', () => {
  it.each([
    ['an empty file', '', /empty/],
    ['text', 'hello, world\n', /not an ELF file/],
    ['a damaged zstd file', Buffer.from('28b52ffd00000000ffff', 'hex'), /zstd data ends too early|not an ELF|empty/],
    ['an xz file', Buffer.from('fd377a585a000004', 'hex'), /xz/],
  ])('%s is refused with a sentence', (_name, content, sentence) => {
    const file = join(directory, 'not-a-core');
    writeFileSync(file, content);
    expect(isCore(file)).toBe(false);
    expect(() => openCore(file)).toThrow(sentence);
    expect(() => openCore(file)).toThrow(LeakscopeError);
  });

  it('a program, a directory, and nothing at all are refused with a sentence', () => {
    expect(() => openCore('/proc/self/exe')).toThrow(/program or library/);
    expect(() => openCore(directory)).toThrow(/not a regular file/);
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(() => openCore(pipe)).toThrow(/not a regular file/);
    expect(isCore(pipe)).toBe(false);
    expect(() => openCore(join(directory, 'nothing'))).toThrow(/there is no file/);
    expect(isCore('/proc/self/exe')).toBe(false);
    expect(isCore(directory)).toBe(false);
    expect(isCore(join(directory, 'nothing'))).toBe(false);
  });

  it('a core of a 32-bit process is refused', () => {
    const file = join(directory, 'small');
    const header = new Uint8Array(64);
    header.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
    writeFileSync(file, header);
    expect(() => openCore(file)).toThrow(/32-bit/);
  });
});

describe('LZ4 frames', () => {
  it('are what the lz4 program writes, where there is one', () => {
    const text = Buffer.from('to be or not to be, that is the question. '.repeat(5000));
    const done = spawnSync('lz4', ['-dc'], {
      input: lz4Frame(text, { blockSize: 1 << 16, linked: false, checksums: false }),
    });
    expect(done.error ? text : done.stdout).toEqual(text);
  });
});
