import { afterEach, describe, expect, it } from 'vitest';
import { type NativeGroup, NativeSites, nativeGrowth } from '../../src/analysis/index.ts';
import { type StackLine, StackReader } from '../../src/cpython/index.ts';
import { MallocWatch, watch } from '../../src/process/index.ts';
import { everyPython, killTargets, onePythonPerMinor, type Python, pythons, spawnTarget } from '../support/pythons.ts';
import { lookAt } from './look.ts';

afterEach(killTargets);

const LIBC = `
import sys
try:
    import ctypes
except ImportError:
    print('ready without', flush=True)
    sys.exit()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.strdup.restype = ctypes.c_char_p
libc.strdup.argtypes = [ctypes.c_char_p]
`;

const ROUNDS = `${LIBC}
kept = []
boxes = []
def lose(n):
    for i in range(n): libc.strdup(b'a line of text that nobody frees, number %08d' % i)
def keep(n):
    for i in range(n):
        box = ctypes.c_void_p(libc.malloc(700))
        ctypes.memset(box.value, 0, 700)
        boxes.append(box)
def environment(n):
    for i in range(n): libc.setenv(b'NAME_%d_%d' % (len(kept), i), b'z' * 400, 1)
    kept.append(n)
raw = ctypes.pythonapi.PyMem_Malloc
raw.restype = ctypes.c_void_p
raw.argtypes = [ctypes.c_size_t]
def forget(n):
    for i in range(n): ctypes.memset(raw(100), 7, 100)
print('ready', flush=True)
for line in sys.stdin:
    name, n = line.split()
    globals()[name](int(n))
    print('done', flush=True)
`;

function sum(groups: readonly NativeGroup[], which: (group: NativeGroup) => boolean): number {
  return groups.filter(which).reduce((total, group) => total + group.blocks, 0);
}

describe('native blocks', () => {
  for (const python of onePythonPerMinor()) {
    it(`are lost, Python's, or a library's (${python.version})`, async () => {
      using target = await spawnTarget(python, { source: ROUNDS });
      const step = async (line: string) => {
        target.send(line);
        expect(await target.nextLine()).toBe('done');
        return lookAt(target.pid).survey();
      };
      const start = lookAt(target.pid).survey();
      const lost1 = await step('lose 3000');
      const lost2 = await step('lose 2000');
      const kept = await step('keep 1500');
      const library = await step('environment 400');

      // A stale pointer on the stack or in a freed buffer may hold a few.
      expect(lost1.unreachableBlocks - start.unreachableBlocks).toBeGreaterThan(2990);
      expect(lost1.unreachableBlocks - start.unreachableBlocks).toBeLessThanOrEqual(3005);
      expect(lost2.unreachableBlocks - lost1.unreachableBlocks).toBeGreaterThan(1990);
      const text = lost2.groups.filter(g => g.holder === 'none').sort((a, b) => b.blocks - a.blocks)[0]!;
      expect([text.blockBytes, text.content]).toEqual([64, 'text']);

      const python700 = (g: NativeGroup) => g.holder === 'python' && g.blockBytes >= 720 && g.blockBytes <= 736;
      expect(Math.abs(sum(kept.groups, python700) - sum(lost2.groups, python700) - 1500)).toBeLessThanOrEqual(5);
      const largest = kept.groups.filter(python700).sort((a, b) => b.blocks - a.blocks)[0]!;
      expect(largest.content).toBe('zero');
      expect(kept.unreachableBlocks).toBeLessThanOrEqual(lost2.unreachableBlocks + 5);

      // `environ` is a variable of the C library, or of an executable that has its own copy of it.
      const ofLibrary = (g: NativeGroup) => g.holder === 'library' && g.library !== '' && g.blockBytes > 400;
      expect(sum(library.groups, ofLibrary) - sum(kept.groups, ofLibrary)).toBeGreaterThan(350);
      expect(library.unreachableBlocks).toBeLessThanOrEqual(lost2.unreachableBlocks + 5);

      const growth = nativeGrowth([start, lost1, lost2]);
      const suspect = growth.suspects[0]!;
      expect([suspect.holder, suspect.library, suspect.content]).toEqual(['none', '', 'text']);
      expect(suspect.sizes[0]!.blockBytes).toBe(64);
      expect(suspect.sizes[0]!.blocksGrown).toBeGreaterThan(4980);
      expect(growth.lostBlocks).toBeGreaterThan(2980);
      expect(nativeGrowth([lost2, lost2]).suspects).toEqual([]);
    });
  }
});

describe('small blocks of PyMem_Malloc', () => {
  for (const python of onePythonPerMinor()) {
    it(`are found when C code forgets them (${python.version})`, async () => {
      using target = await spawnTarget(python, { source: ROUNDS });
      const lostOf = (look: ReturnType<typeof lookAt>) =>
        sum(look.surveyOfBoth().groups, g => g.from === 'pymalloc' && g.holder === 'none');
      const before = lostOf(lookAt(target.pid));
      // Tables and buffers of objects are all found to be held.
      expect(before).toBeLessThan(40);
      target.send('forget 1200');
      await target.nextLine();
      const after = lookAt(target.pid);
      expect(Math.abs(lostOf(after) - before - 1200)).toBeLessThanOrEqual(8);
      const largest = after.surveyOfBoth().groups.filter(g => g.from === 'pymalloc');
      expect(largest.sort((a, b) => b.blocks - a.blocks)[0]!.blockBytes).toBe(112);
    });
  }
});

/** Two places allocate blocks of one size; one of them forgets half of its own. Runs until it is killed. */
const TWO_PLACES = `${LIBC}
import time
def innocent():
    p = libc.malloc(SIZE)
    q = libc.malloc(SIZE)
    libc.free(p)
    libc.free(q)
def forgetful(i):
    p = libc.malloc(SIZE)  # the leak
    if i % 2: libc.free(p)
print('ready', flush=True)
i = 0
while True:
    innocent()
    forgetful(i)
    i += 1
    time.sleep(0.001)
`;

async function linesOf(python: Python, size: number) {
  const source = TWO_PLACES.replaceAll('SIZE', String(size));
  using target = await spawnTarget(python, { source });
  const first = lookAt(target.pid);
  const firstSurvey = first.survey();
  // Until it has lost enough to be seen: it counts its rounds itself, we look until the growth is there.
  let last = lookAt(target.pid);
  while (last.survey().unreachableBlocks < firstSurvey.unreachableBlocks + 40) last = lookAt(target.pid);
  const [suspect] = nativeGrowth([firstSurvey, last.survey()]).suspects;
  expect(suspect?.holder).toBe('none');
  const sizes = suspect!.sizes.slice(0, 1).map(s => s.blockBytes);
  const malloc = MallocWatch.of(last.facts.malloc, sizes, last.survey().unreachableAddress);
  const sites = new NativeSites<StackLine>(line => `${line.file}:${line.line}`);
  await watch(target.pid, malloc.points, {
    maxMs: 20_000,
    onHit: hit => {
      const event = malloc.read(hit.point, hit.reader);
      const line = () => new StackReader(hit.reader, last.decoded.runtime).read(hit.registers.fsBase)[0];
      if (event) sites.add(event, line);
      return sites.seen >= 150 ? 'stop' : 'continue';
    },
  });
  const found = sites.sites(lookAt(target.pid).survey());
  const leak = source.split('\n').findIndex(line => line.includes('# the leak')) + 1;
  return { found, leak };
}

describe('the line that loses native blocks', () => {
  const newest = pythons()
    .filter(p => p.root === '')
    .at(-1)!;
  const otherLibrary = everyPython().find(p => p.root !== '' && pythons().includes(p));
  for (const python of [newest, ...(otherLibrary ? [otherLibrary] : [])]) {
    for (const [size, from] of [
      [150, "the thread's cache and the top"],
      [3000, 'bins and the top'],
    ] as const) {
      it(`is told from one that frees the same size (${python.version}, ${size} bytes, ${from})`, async () => {
        const { found, leak } = await linesOf(python, size);
        expect(found[0]!.line.line).toBe(leak);
        expect(found[0]!.line.function).toBe('forgetful');
        expect(found[0]!.lost).toBeGreaterThan(5);
        expect(found.slice(1).reduce((total, site) => total + site.lost, 0)).toBeLessThan(found[0]!.lost / 5);
      });
    }
  }
});
