import { afterEach, describe, expect, it } from 'vitest';
import { fragmentation, MEMORY_KINDS, residencyGrowth } from '../../src/analysis/index.ts';
import { processStatus } from '../../src/process/index.ts';
import { killTargets, onePythonPerMinor, spawnTarget } from '../support/pythons.ts';
import { bytesOf, lookAt } from './look.ts';

afterEach(killTargets);

const MIB = 2 ** 20;

/** Runs one step for each line it reads; says what it did. */
const STEPS = `
import mmap, os, sys, tempfile, threading
try:
    import ctypes
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
except ImportError:
    ctypes = None
gate = threading.Event()
kept = []
native = []
def objects():
    kept.append([float(i) for i in range(400000)])
    kept.append(b'x' * 10000000)
    kept.append({i: None for i in range(100000)})
def blocks():
    for i in range(6000):
        p = libc.malloc(2000)
        ctypes.memset(p, 1, 2000)
        native.append(p)
def holes():
    for p in native[::2]: libc.free(p)
def threads():
    def deep(n):
        if n: deep(n - 1)
        else: gate.wait()
    for i in range(4):
        threading.Thread(target=deep, args=(100,), daemon=True).start()
def file():
    f = tempfile.TemporaryFile()
    f.write(b'y' * 8000000); f.flush()
    m = mmap.mmap(f.fileno(), 8000000)
    sum(m[i] for i in range(0, 8000000, 4096))
    kept.append(m)
def anonymous():
    m = mmap.mmap(-1, 8000000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for i in range(0, 8000000, 4096): m[i] = 1
    kept.append(m)
print('ready', flush=True)
for line in sys.stdin:
    step = line.strip()
    if step in ('blocks', 'holes') and ctypes is None: print('cannot', flush=True); continue
    globals()[step]()
    print('done', flush=True)
`;

describe('residency', () => {
  for (const python of onePythonPerMinor()) {
    it(`puts what was just allocated where it belongs (${python.version})`, async () => {
      using target = await spawnTarget(python, { source: STEPS });
      let before = lookAt(target.pid);
      const step = async (name: string) => {
        target.send(name);
        const able = (await target.nextLine()) === 'done';
        const after = lookAt(target.pid);
        const { resident, parts } = after.report;
        expect(parts.map(p => p.kind)).toEqual([...MEMORY_KINDS]);
        expect(parts.reduce((sum, p) => sum + p.bytes, 0)).toBe(resident);
        expect(Math.min(...parts.map(p => p.bytes))).toBeGreaterThanOrEqual(0);
        expect(after.report.notes).toEqual([]);
        const grown = Object.fromEntries(
          MEMORY_KINDS.map(kind => [kind, bytesOf(after, kind) - bytesOf(before, kind)]),
        );
        before = after;
        return { able, grown: grown as Record<(typeof MEMORY_KINDS)[number], number> };
      };
      // What the kernel says of the whole, kept in counters that lag a little.
      expect(Math.abs(before.report.resident - processStatus(target.pid)!.residentBytes)).toBeLessThan(MIB);

      const objects = (await step('objects')).grown;
      // 400,000 floats of 24 bytes in blocks of 32 before 3.14 had its own size class, a list, 10 MB of bytes, a dict.
      expect(objects['python-objects']).toBeGreaterThan(400_000 * 24 + 400_000 * 8 + 10_000_000 + 100_000 * 40);
      expect(objects['python-objects']).toBeLessThan(400_000 * 32 + 400_000 * 9 + 10_000_000 + 100_000 * 140);
      expect(objects['native-blocks']).toBeLessThan(MIB / 2);
      expect(objects.other).toBeLessThan(MIB / 4);

      const blocks = await step('blocks');
      if (blocks.able) {
        expect(blocks.grown['native-blocks'] / (6000 * 2016)).toBeCloseTo(1, 1);
        const holes = await step('holes');
        expect(holes.grown['native-blocks'] / (-3000 * 2016)).toBeCloseTo(1, 1);
        expect(holes.grown['free-malloc'] / (3000 * 2016)).toBeCloseTo(1, 1);
      }
      const threads = (await step('threads')).grown;
      expect(threads.stacks).toBeGreaterThanOrEqual(4 * 4096);
      const file = (await step('file')).grown;
      expect(file.files).toBeGreaterThan(7_900_000);
      const anonymous = (await step('anonymous')).grown;
      expect(anonymous.other / 8_000_000).toBeCloseTo(1, 1);
    });
  }

  it('calls the memory that few survivors pin fragmentation', async () => {
    const python = onePythonPerMinor().at(-1)!;
    const source = `
import sys
class Line:
    __slots__ = ('a', 'b')
    def __init__(self, a, b): self.a, self.b = a, b
print('ready', flush=True)
sys.stdin.readline()
many = [Line(i, float(i)) for i in range(400000)]
kept = many[::400]
del many
print('done', flush=True)
sys.stdin.readline()
`;
    using target = await spawnTarget(python, { source });
    const before = lookAt(target.pid);
    target.send('go');
    await target.nextLine();
    const after = lookAt(target.pid);
    const { allocator } = after.decoded;
    const found = fragmentation(after.report, allocator);
    expect(found.sparseArenas).toBeGreaterThan(allocator.arenas / 2);
    expect(found.bytes).toBe(bytesOf(after, 'free-pymalloc') + bytesOf(after, 'free-malloc'));
    expect(found.share).toBeGreaterThan(0.4);
    expect(found.sentence).toMatch(/kept from the system by few survivors/);
    const growth = residencyGrowth([before.report, after.report]);
    const free = growth.parts.find(p => p.kind === 'free-pymalloc')!;
    expect(free.perSecond * growth.seconds).toBeCloseTo(
      bytesOf(after, 'free-pymalloc') - bytesOf(before, 'free-pymalloc'),
      0,
    );
    expect(free.perSecond / growth.resident.perSecond).toBeGreaterThan(0.8);
  });
});
