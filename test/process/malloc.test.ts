/**
 * The walk of glibc's heap against what glibc says of it itself, to the byte: a C program compiled here, in every C
 * library of the machine that runs it (the one here, and that of each root that interpreters were found in).
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { blockContaining, capture, type MallocWalk, Memory, usableBytes, walkMalloc } from '../../src/process/index.ts';
import { everyPython } from '../support/pythons.ts';
import { allPythons, startPython, startTarget } from './interpreters.ts';

const PROGRAM = String.raw`
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char text[1 << 20];
static int used;
static pthread_barrier_t filled, done;
static void *volatile blocks[4][4000];
static size_t sizes[4][4000];
static unsigned seed = 12345;
static unsigned next(void) { seed = seed * 1103515245u + 12345u; return seed >> 8; }

static void fill(int who, int count) {
  for (int i = 0; i < count; i++) {
    unsigned kind = next() % 100;
    size_t size = kind < 80 ? 1 + next() % 200 : kind < 97 ? 200 + next() % 20000 : 140000 + next() % 300000;
    blocks[who][i] = kind % 10 == 3 || kind == 98 ? aligned_alloc(64, (size + 63) / 64 * 64) : kind == 99 ? aligned_alloc(16384, (size + 16383) / 16384 * 16384) : malloc(size);
    memset(blocks[who][i], 0x11, size);
    sizes[who][i] = malloc_usable_size(blocks[who][i]);
  }
  for (int i = 0; i < count; i++)
    if (next() % 3 == 0) { free(blocks[who][i]); sizes[who][i] = 0; }
}

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static void *work(void *who) {
  pthread_mutex_lock(&turn);
  fill((int)(long)who, 1500);
  pthread_mutex_unlock(&turn);
  pthread_barrier_wait(&filled);
  pthread_barrier_wait(&done);
  return 0;
}

int main(void) {
  static char out[4096];
  setvbuf(stdout, out, _IOFBF, sizeof out);
  pthread_barrier_init(&filled, 0, 4);
  pthread_barrier_init(&done, 0, 4);
  pthread_t threads[3];
  fill(0, 4000);
  for (long i = 0; i < 3; i++) pthread_create(&threads[i], 0, work, (void *)(i + 1));
  pthread_barrier_wait(&filled);
  struct mallinfo2 m = mallinfo2();
  used = sprintf(text, "{\"arena\":%zu,\"hblks\":%zu,\"hblkhd\":%zu,\"smblks\":%zu,\"fsmblks\":%zu,\"uordblks\":%zu,\"fordblks\":%zu,\"keepcost\":%zu,\"live\":[",
    m.arena, m.hblks, m.hblkhd, m.smblks, m.fsmblks, m.uordblks, m.fordblks, m.keepcost);
  int first = 1;
  for (int w = 0; w < 4; w++) for (int i = 0; i < 4000; i++) if (sizes[w][i]) {
    used += sprintf(text + used, "%s%zu,%zu", first ? "" : ",", (size_t)blocks[w][i], sizes[w][i]);
    first = 0;
  }
  used += sprintf(text + used, "]}\n");
  if (write(1, "ready\n", 6) < 0 || write(1, text, used) < 0) return 1;
  char byte;
  if (read(0, &byte, 1) < 0) return 1;
  pthread_barrier_wait(&done);
  return 0;
}
`;

interface Stated {
  arena: number;
  hblks: number;
  hblkhd: number;
  smblks: number;
  fsmblks: number;
  uordblks: number;
  fordblks: number;
  keepcost: number;
  /** Address and usable size of each block the program has not freed. */
  live: number[];
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function compiler(): string {
  for (const name of [process.env.CC ?? '', 'cc', 'gcc', 'clang']) {
    try {
      if (name !== '' && execFileSync(name, ['--version']).length > 0) return name;
    } catch {
      // The next one.
    }
  }
  throw new Error('no C compiler was found; install gcc');
}

function compiled(flags: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'leakscope-malloc-'));
  folders.push(folder);
  writeFileSync(join(folder, 'heap.c'), PROGRAM);
  const file = join(folder, 'heap');
  execFileSync(compiler(), ['-O1', '-g', '-w', '-pthread', ...flags, join(folder, 'heap.c'), '-o', file]);
  return file;
}

async function compare(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<void> {
  await using target = await startTarget(command, args, { env: { ...process.env, ...env } });
  const stated = JSON.parse(await target.line()) as Stated;
  using image = capture(target.pid, { via: 'freeze' });
  const memory = Memory.copy(image, m => m.writable && m.private);
  expectEqual(walkMalloc(memory, image.mappings), stated);
}

function expectEqual(walk: MallocWalk, stated: Stated): void {
  const sum = (of: (arena: MallocWalk['arenas'][number]) => number) => walk.arenas.reduce((s, a) => s + of(a), 0);
  expect(walk.notes).toEqual([]);
  expect({
    arena: sum(a => a.systemBytes),
    hblks: walk.mmapped.blocks,
    hblkhd: walk.mmapped.bytes,
    fsmblks: sum(a => a.fastBinBytes),
    // To glibc, what threads keep in their caches is in use.
    uordblks: sum(a => a.inUseBytes + a.threadCacheBytes + a.overheadBytes),
    fordblks: sum(a => a.binBytes + a.fastBinBytes + a.topBytes),
    keepcost: walk.arenas[0]?.topBytes,
  }).toEqual({
    arena: stated.arena,
    hblks: stated.hblks,
    hblkhd: stated.hblkhd,
    fsmblks: stated.fsmblks,
    uordblks: stated.uordblks,
    fordblks: stated.fordblks,
    keepcost: stated.keepcost,
  });
  expect(walk.statedMmapped).toEqual({ blocks: stated.hblks, bytes: stated.hblkhd });
  expect(sum(a => a.threadCacheBytes)).toBeGreaterThan(0);
  const wrong: number[] = [];
  let live = 0;
  for (let i = 0; i < stated.live.length; i += 2) {
    const at = blockContaining(walk.blocks, stated.live[i]! + stated.live[i + 1]! - 1);
    live++;
    if (at < 0 || walk.blocks.address[at] !== stated.live[i] || usableBytes(walk.blocks, at) !== stated.live[i + 1]) {
      wrong.push(stated.live[i]!);
    }
  }
  expect(wrong).toEqual([]);
  // The rest is the C library's own: the caches themselves, what thread creation allocates.
  expect(walk.blocks.count - live).toBeLessThan(40);
}

describe('the walk of malloc', () => {
  it('agrees with mallinfo2, and finds exactly the blocks in use, in four threads', async () => {
    await compare(compiled(), []);
  });

  it('finds the heap of a statically linked program', async () => {
    await compare(compiled(['-static']), []);
  });

  it('finds the heap of a program at a fixed address', async () => {
    await compare(compiled(['-no-pie']), []);
  });

  it('follows fastbins when threads have no caches', async () => {
    await using target = await startTarget(compiled(), [], {
      env: { ...process.env, GLIBC_TUNABLES: 'glibc.malloc.tcache_count=0' },
    });
    const stated = JSON.parse(await target.line()) as Stated;
    using image = capture(target.pid, { via: 'freeze' });
    const walk = walkMalloc(
      Memory.copy(image, m => m.writable && m.private),
      image.mappings,
    );
    expect(walk.arenas.reduce((s, a) => s + a.fastBinBytes, 0)).toBe(stated.fsmblks);
    expect(walk.arenas.reduce((s, a) => s + a.binBytes + a.fastBinBytes + a.topBytes, 0)).toBe(stated.fordblks);
    expect(walk.notes).toEqual([]);
  });

  const roots = new Map(
    everyPython()
      .filter(p => p.root !== '')
      .map(p => [p.root, p]),
  );
  for (const [root, python] of roots) {
    it(`agrees with the C library in ${root}`, async () => {
      const folder = mkdtempSync(join(root, 'tmp', 'leakscope-malloc-'));
      folders.push(folder);
      copyFileSync(compiled(), join(folder, 'heap'));
      const prefix = python.command.slice(0, -1);
      await compare(prefix[0]!, [...prefix.slice(1), join(folder, 'heap').slice(root.length)]);
    });
  }

  it("sees what Python's C library says in every interpreter that can ask it", async () => {
    const source = [
      'import sys',
      'try:',
      '    import ctypes',
      '    libc = ctypes.CDLL(None)',
      '    libc.strdup.restype = ctypes.c_void_p',
      '    kept = [libc.strdup(b"x" * (20 + 37 * i)) for i in range(2000)]',
      '    for i in range(0, 2000, 3): libc.free(ctypes.c_void_p(kept[i]))',
      '    live = [p for i, p in enumerate(kept) if i % 3]',
      '    sys.stdout.write("ready\\n" + " ".join(map(str, live)) + "\\n")',
      'except ImportError:',
      '    sys.stdout.write("ready\\n\\n")',
      'sys.stdout.flush()',
      'sys.stdin.read()',
    ].join('\n');
    let asked = 0;
    for (const python of allPythons()) {
      await using target = await startPython(python, ['-c', source]);
      const live = (await target.line()).split(' ').filter(Boolean).map(Number);
      using image = capture(target.pid, { via: 'freeze' });
      const walk = walkMalloc(Memory.copy(image), image.mappings);
      expect(walk.notes, python.command.join(' ')).toEqual([]);
      expect(walk.mmapped, python.command.join(' ')).toEqual(walk.statedMmapped);
      if (live.length === 0) continue;
      asked++;
      expect(live.filter(p => walk.blocks.address[blockContaining(walk.blocks, p)] !== p)).toEqual([]);
    }
    expect(asked).toBeGreaterThan(0);
  });
});
