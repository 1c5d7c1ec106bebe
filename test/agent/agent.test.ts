/** What the agent sees from inside beside what a freeze sees from outside, of the same stopped process, at the same addresses. */
import { copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readAgentFile } from '../../src/agent/index.ts';
import { disjointPaths, expressionOf } from '../../src/analysis/index.ts';
import { decode, type HeapColumns, LabelKind, labelKind, labelPayload, NodeFlag } from '../../src/cpython/index.ts';
import { HeapGraph } from '../../src/heap/index.ts';
import { capture } from '../../src/process/index.ts';
import { directory, leakscope } from '../cli/command.ts';
import { killTargets, onePythonPerMinor, pythons, spawnTarget } from '../support/pythons.ts';
import { AGENT_FILES, stoppedTarget } from './beside.ts';

afterAll(killTargets);

const ORACLE = join(import.meta.dirname, '../oracle/target.py');

const SERVICE = `
import gc, sys, threading, types
import observe
class Session:
    def __init__(self, n):
        self.number = n
        self.more = {"n": n}
class Slotted:
    __slots__ = ("held",)
class Cache:
    def __init__(self):
        self._items = {}
    def __len__(self): raise SystemExit("the agent has called the program")
    __iter__ = __getattr__ = __eq__ = __sizeof__ = __len__
    __hash__ = None
class Deadly(list):
    def __iter__(self): raise SystemExit("the agent has called the program")
    __len__ = __iter__
app = types.ModuleType("app"); sys.modules["app"] = app
app.SESSIONS = {"token %d" % i: Session(i) for i in range(500)}
app.CACHE = Cache()
app.CACHE._items[1] = bytearray(b"x")
app.SLOTTED = Slotted(); app.SLOTTED.held = frozenset([3.25])
app.DEADLY = Deadly([complex(1, 2)])
started = threading.Event()
def worker():
    pending = [memoryview(b"pending")]
    started.set()
    threading.Event().wait()
threading.Thread(target=worker, name="worker-3", daemon=True).start()
started.wait()
observe.barrier()
`;

function objects(c: HeapColumns): Map<number, number> {
  const nodes = new Map<number, number>();
  for (let n = 1; n < c.nodeCount; n++)
    if ((c.flags[n] & (NodeFlag.synthetic | NodeFlag.nativeBlock)) === 0) nodes.set(c.address[n], n);
  return nodes;
}

/** References to what was missed, of tracked objects that were seen; without those that no type tells its collector of. */
function seenReferences(
  c: HeapColumns,
  there: ReadonlyMap<number, number>,
  here: ReadonlyMap<number, number>,
  missing: ReadonlySet<number>,
): string[] {
  const found: string[] = [];
  for (const [address, n] of there) {
    if (!here.has(address) || (c.flags[n] & NodeFlag.tracked) === 0) continue;
    for (let e = c.edgeStart[n]; e < c.edgeStart[n + 1]; e++) {
      const label = c.edgeLabel[e];
      const kind = labelKind(label);
      if (!missing.has(c.edgeTarget[e]) || kind === LabelKind.weak) continue;
      const name = kind === LabelKind.internal ? c.strings[labelPayload(label)] : '';
      if (name !== 'subclasses') found.push(`${typeName(c, n)} ${name} -> ${typeName(c, c.edgeTarget[e])}`);
    }
  }
  return found;
}

const typeName = (c: HeapColumns, n: number) => c.types[c.type[n]].name;

function expressionTo(graph: HeapGraph, type: string): string[] {
  for (let n = 1; n < graph.nodeCount; n++)
    if (graph.typeName(n) === type) return disjointPaths(graph, n, 1).map(path => expressionOf(graph, path));
  return [];
}

describe.each(pythons().map(p => [`${p.version} ${p.command.at(-1)}`, p] as const))('%s', (_, python) => {
  test('the same tracked objects, types and sizes as from outside, of everything that CPython has', async () => {
    using target = await stoppedTarget(python, { file: ORACLE });
    using image = capture(target.pid, { via: 'freeze' });
    const outside = decode(image).columns;
    const inside = readAgentFile(join(target.directory, 'heap.agent')).columns;
    const there = objects(outside);
    const here = objects(inside);
    const missing = new Set<number>();
    const wrong: string[] = [];
    const sizes: string[] = [];
    let tracked = 0;
    for (const [address, n] of there) {
      if ((outside.flags[n] & NodeFlag.tracked) === 0) continue;
      tracked++;
      const m = here.get(address);
      if (m === undefined || (inside.flags[m] & NodeFlag.tracked) === 0) missing.add(n);
    }
    const own: string[] = [];
    for (const [address, m] of here) {
      const n = there.get(address);
      if (n === undefined) {
        own.push(typeName(inside, m));
        continue;
      }
      if (typeName(inside, m) !== typeName(outside, n))
        wrong.push(`${typeName(outside, n)} here ${typeName(inside, m)}`);
      if (inside.size[m] !== outside.size[n]) sizes.push(typeName(outside, n));
    }
    // Frozen objects that nothing which can be asked refers to stay unseen; of those that are not frozen all are seen.
    const frozen = (n: number) => (outside.flags[n] & NodeFlag.generationMask) === NodeFlag.generationMask;
    expect([...missing].filter(n => !frozen(n)).map(n => typeName(outside, n))).toEqual([]);
    const askable = seenReferences(outside, there, here, missing);
    expect(askable.length, `${askable.slice(0, 20)}`).toBeLessThan(tracked / 200);
    expect(missing.size).toBeLessThan(tracked / 50);
    expect(wrong).toEqual([]);
    // What the agent has made itself; code that it has run has caches, its classes have new keys.
    expect(own.length, `${own}`).toBeLessThan(60);
    expect(sizes.filter(type => !['code', 'type', 'dict'].includes(type))).toEqual([]);
    expect(sizes.length).toBeLessThan(60);
  });

  test('names what holds an object as from outside, and calls nothing of the program', async () => {
    using target = await stoppedTarget(python, { source: SERVICE });
    using image = capture(target.pid, { via: 'freeze' });
    const decoded = decode(image);
    const outside = new HeapGraph(decoded.columns, decoded.origin);
    const inside = readAgentFile(join(target.directory, 'heap.agent'));
    expect(inside.origin).toMatchObject({ via: 'agent', python: python.version });
    expect(expressionTo(inside, '__main__.Session')).toEqual(["app.SESSIONS['…']"]);
    expect(expressionTo(inside, '__main__.Slotted')).toEqual(['app.SLOTTED']);
    expect(expressionTo(inside, 'bytearray')).toEqual(["app.CACHE._items['…']"]);
    expect(expressionTo(inside, 'complex')).toEqual(['app.DEADLY[0]']);
    for (const type of ['__main__.Session', 'bytearray', 'complex'])
      expect(expressionTo(inside, type)).toEqual(expressionTo(outside, type));
    expect(expressionTo(inside, 'memoryview')).toEqual(['thread worker-3, frame worker, local pending[0]']);
    // The tokens were made at run time: no names.
    expect(inside.columns.strings.filter(text => text.startsWith('token '))).toEqual([]);
  });
});

const [python] = onePythonPerMinor();
const WRITES = `
import os, signal, sys
import leakscope_agent
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "heap.agent")
KEPT = [{"id": i} for i in range(300)]
before = set(sys.modules)
leakscope_agent.snapshot(path)
assert set(sys.modules) == before, set(sys.modules) - before
leakscope_agent.install(signal.SIGUSR1, os.path.dirname(path))
print("ready", flush=True)
for line in sys.stdin: print("still here", flush=True)
`;

test('every command takes the file; a damaged one gets one sentence and exit code 4', async () => {
  using target = await spawnTarget(python!, { source: WRITES }, [], { beside: AGENT_FILES });
  const file = join(directory, 'heap.agent');
  copyFileSync(join(target.directory, 'heap.agent'), file);
  const types = JSON.parse((await leakscope(['types', file, '--json'])).stdout);
  expect(types.types.find((t: { name: string }) => t.name === 'dict').count).toBeGreaterThan(300);
  const kept = join(directory, 'kept.lss');
  const snapshot = await leakscope(['snapshot', file, '-o', kept, '--json']);
  expect(JSON.parse(snapshot.stdout)).toMatchObject({ via: 'agent', file: kept });
  expect(JSON.parse((await leakscope(['types', kept, '--json'])).stdout).types).toEqual(types.types);

  const whole = readFileSync(file);
  const damaged = async () => {
    const { status, stdout, stderr } = await leakscope(['types', file]);
    expect(status, stderr).toBe(4);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^leakscope: the agent file .* (is damaged: .*|has version .*)\n.*\n$/);
  };
  for (const length of [9, 40, whole.length >> 1, whole.length - 1]) {
    truncateSync(file, length);
    await damaged();
    writeFileSync(file, whole);
  }
  for (const at of [8, 20, 3000, whole.length >> 1, whole.length - 30]) {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 0x55;
    writeFileSync(file, bytes);
    await damaged();
  }
});

test('a signal has the program write one, and it goes on', async () => {
  using target = await spawnTarget(python!, { source: WRITES }, [], { beside: AGENT_FILES });
  target.kill('SIGUSR1');
  target.send('go on');
  expect(await target.nextLine()).toBe('still here');
  const [file] = readdirSync(target.directory).filter(name => /^heap-\d+-\d+\.agent$/.test(name));
  expect(readAgentFile(join(target.directory, file!)).nodeCount).toBeGreaterThan(1000);
  // What it says of it has come through its own pipe when it has ended.
  target.closeInput();
  expect(await target.ended).toBe(0);
  expect(target.stderr).toMatch(/^leakscope_agent: .*objects in/);
});

const BUSY = `
import sys, threading
class Session: pass
SESSIONS = {i: Session() for i in range(400)}
before = set(sys.modules)
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), done.set()), daemon=True).start()
print("ready", flush=True)
while not done.wait(0.01): pass
print(sorted(set(sys.modules) - before), [k for k in globals() if "leakscope" in k], flush=True)
`;
const remote = onePythonPerMinor().filter(p => Number(p.minor.split('.')[1]) >= 14);

test.each(remote.map(p => [p.version, p] as const))('%s is asked by sys.remote_exec', async (_, asked) => {
  using target = await spawnTarget(asked, { source: BUSY });
  const file = join(directory, `remote-${asked.version}.lss`);
  const { status, stdout, stderr } = await leakscope([
    'snapshot',
    String(target.pid),
    '--via',
    'agent',
    '-o',
    file,
    '--json',
  ]);
  expect(status, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ via: 'agent', target: { pid: target.pid, python: asked.version } });
  const who = JSON.parse((await leakscope(['who', file, 'Session', '--json'])).stdout);
  expect(who).toMatchObject({ count: 400, paths: [{ share: 1 }] });
  target.send('end');
  // Nothing of the agent is left in the program.
  expect(await target.nextLine()).toBe('[] []');
  expect(await target.ended).toBe(0);
  expect(existsSync(file)).toBe(true);
});

test('an older Python cannot be asked; one sentence says how to load the agent', async () => {
  using target = await spawnTarget(python!, { source: 'print("ready", flush=True)\ninput()' });
  const file = join(directory, 'none.lss');
  const { status, stderr } = await leakscope(['snapshot', String(target.pid), '--via', 'agent', '-o', file]);
  expect(status).toBe(4);
  expect(stderr).toMatch(
    /only Python 3\.14 and newer can be asked.*\nLoad it in the program: .*leakscope_agent\.install/,
  );
  expect(existsSync(file)).toBe(false);
});
