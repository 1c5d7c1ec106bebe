import { afterEach, describe, expect, it } from 'vitest';
import { handleGrowth, surplusGrowth } from '../../src/analysis/index.ts';
import { decode } from '../../src/cpython/index.ts';
import { HeapGraph } from '../../src/heap/index.ts';
import { capture, openFiles } from '../../src/process/index.ts';
import { killTargets, onePythonPerMinor, spawnTarget, type Target } from '../support/pythons.ts';

afterEach(killTargets);

/** Forgets references as an extension does that leaves out a Py_DECREF; ctypes calls Py_IncRef for it. */
const FORGETFUL = `
import sys
try:
    import ctypes
    forget = ctypes.pythonapi.Py_IncRef
    forget.argtypes = [ctypes.py_object]
    forget.restype = None
except ImportError:
    forget = None
shared = object()
def lists(n):
    for i in range(n): forget([float(i), float(i + 1), float(i + 2)])
def counts(n):
    for i in range(n): forget(shared)
def nothing(n):
    kept = [[i] for i in range(n)]
    for one in kept: one.append(one)
    del kept
print('ready', 'able' if forget else 'unable', flush=True)
for line in sys.stdin:
    name, n = line.split()
    globals()[name](int(n))
    print('done', flush=True)
`;

/** What calls that have ended left on a C stack still points to the last object or two, and seems to hold them. */
function expectAbout(value: number, expected: number, fewer = 8): void {
  expect(value).toBeLessThanOrEqual(expected + 8);
  expect(value).toBeGreaterThanOrEqual(expected - fewer);
}

async function graphAfter(target: Target, line?: string): Promise<HeapGraph> {
  if (line !== undefined) {
    target.send(line);
    expect(await target.nextLine()).toBe('done');
  }
  using image = capture(target.pid, { via: 'freeze' });
  const { columns, origin } = decode(image);
  return new HeapGraph(columns, origin);
}

describe('forgotten references', () => {
  for (const python of onePythonPerMinor()) {
    it(`show as objects that nothing refers to, as many as were forgotten (${python.version})`, async () => {
      using target = await spawnTarget(python, { source: FORGETFUL });
      const graphs = [
        await graphAfter(target),
        await graphAfter(target, 'lists 500'),
        await graphAfter(target, 'lists 700'),
      ];
      const [row, ...others] = surplusGrowth(graphs);
      expect(row!.type).toBe('list');
      for (const series of [row!.lost, row!.surplus]) {
        // Once, up to 80 lists may come from a free list whose array still points to them.
        expectAbout(series[1]! - series[0]!, 500, 80);
        expectAbout(series[2]! - series[1]!, 700);
      }
      expectAbout(row!.addresses.length, 1200, 80);
      expect(row!.contents[0]).toEqual({ type: 'float', count: 3 * row!.addresses.length });
      // A list of three with its items: what each of them retains.
      const each = (row!.bytes[2]! - row!.bytes[1]!) / (row!.lost[2]! - row!.lost[1]!);
      expect(each).toBeGreaterThan(56 + 24 + 3 * 24 - 1);
      expect(each).toBeLessThan(220);
      expect(others.filter(other => other.lost[2]! - other.lost[0]! > 5)).toEqual([]);
    });
  }

  it('show as a rising surplus when the object itself is still in use, and not at all for cyclic garbage', async () => {
    const python = onePythonPerMinor().at(-1)!;
    using target = await spawnTarget(python, { source: FORGETFUL });
    const garbage = [await graphAfter(target), await graphAfter(target, 'nothing 300')];
    expect(surplusGrowth(garbage).filter(row => row.lost[1]! - row.lost[0]! > 5)).toEqual([]);
    const graphs = [garbage[1]!, await graphAfter(target, 'counts 1000')];
    const row = surplusGrowth(graphs).find(r => r.type === 'object')!;
    expectAbout(row.surplus[1]! - row.surplus[0]!, 1000);
    expect(row.lost[1]! - row.lost[0]!).toBe(0);
    expect(graphs[1]!.typeName(row.example)).toBe('object');
  });
});

describe('open descriptors', () => {
  it('grow by kind and by what they are open on', async () => {
    const source = `
import os, socket, sys, tempfile
kept = []
where = tempfile.mkdtemp()
def files(n):
    for i in range(n): kept.append(open(os.path.join(where, 'part-%d.log' % len(kept)), 'w'))
def sockets(n):
    for i in range(n): kept.append(socket.socket())
def pool(n):
    for one in kept[-n:]: one.close()
    del kept[-n:]
    sockets(n)
print('ready', flush=True)
for line in sys.stdin:
    name, n = line.split()
    globals()[name](int(n))
    print('done', flush=True)
`;
    using target = await spawnTarget(onePythonPerMinor()[0]!, { source });
    let atMs = 0;
    const read = async (line?: string) => {
      if (line !== undefined) {
        target.send(line);
        await target.nextLine();
      }
      atMs += 2000;
      return { atMs, files: openFiles(target.pid)! };
    };
    const readings = [await read(), await read('sockets 10'), await read('files 6'), await read('sockets 20')];
    const growth = handleGrowth(readings);
    expect(growth.seconds).toBe(6);
    expect(growth.counts.map(n => n - growth.counts[0]!)).toEqual([0, 10, 16, 36]);
    expect(growth.groups.map(g => [g.kind, g.counts.map(n => n - g.counts[0]!), g.steady])).toEqual([
      ['socket', [0, 10, 10, 30], true],
      ['file', [0, 0, 6, 6], true],
    ]);
    expect(growth.groups[0]!.kept - growth.groups[0]!.counts[0]!).toBe(10);
    expect(growth.groups[1]!.target).toMatch(/part-#\.log$/);
    // A pool that closes and opens keeps its size.
    const steady = [readings.at(-1)!, await read('pool 5'), await read('pool 5')];
    expect(handleGrowth(steady).groups).toEqual([]);
  });
});
