/** Each JSON document against CLI.md, field by field, on a live process whose heap is known. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { onePythonPerMinor, spawnTarget, type Target } from '../support/pythons.ts';
import { directory, leakscope } from './command.ts';

/** Holds 500 sessions; a line of input makes 100 more, and a line of output says so. */
const PROGRAM = [
  'import gc',
  'class Session:',
  '    def __init__(self, n):',
  '        self.n = n',
  '        self.notes = ["note", str(n) * 3]',
  'SESSIONS = {n: Session(n) for n in range(500)}',
  'class Node:',
  '    def __init__(self): self.children = [self]',
  '    def __del__(self): pass',
  'gc.collect()',
  'gc.disable()',
  'gc.garbage.append(Node())',
  'for n in range(7): Node()',
  'print("ready", flush=True)',
  'while True:',
  '    try: line = input()',
  '    except EOFError: break',
  '    for n in range(len(SESSIONS), len(SESSIONS) + 100): SESSIONS[n] = Session(n)',
  '    print("more", flush=True)',
].join('\n');

const hex = expect.stringMatching(/^0x[0-9a-f]+$/);
const number = expect.any(Number);
const string = expect.any(String);

/** The interpreters most in use and one of the newest layout are enough here: decoding has tests of its own. */
const wanted = onePythonPerMinor().filter(({ minor }) => ['3.11', '3.13'].includes(minor));
const interpreters = wanted.length > 0 ? wanted : onePythonPerMinor().slice(0, 1);

describe.each(interpreters)('$version', python => {
  let target: Target;
  beforeAll(async () => {
    target = await spawnTarget(python, { source: PROGRAM });
  });
  afterAll(() => target.kill());

  async function documentOf(...args: string[]) {
    const { stdout, stderr, status } = await leakscope([...args, '--json']);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({
      schema: 1,
      target: { pid: target.pid, python: python.version, executable: string, command: expect.any(Array) },
    });
    return document;
  }

  test('types: all of them, sizes and retained sizes', async () => {
    const document = await documentOf('types', String(target.pid));
    expect(document).toMatchObject({ objects: number, bytes: number });
    for (const type of document.types) {
      expect(type).toEqual({ name: string, count: number, shallow_bytes: number, retained_bytes: number });
      expect(type.retained_bytes).toBeGreaterThanOrEqual(type.shallow_bytes);
    }
    const session = document.types.find((type: { name: string }) => type.name === '__main__.Session');
    expect(session.count).toBe(500);
    expect(session.retained_bytes).toBeGreaterThan(session.shallow_bytes + 500 * 64);
    const sum = (field: string) =>
      document.types.reduce((total: number, type: Record<string, number>) => total + (type[field] ?? 0), 0);
    expect(sum('count')).toBe(document.objects);
    expect(sum('shallow_bytes')).toBe(document.bytes);
    const few = await documentOf('types', String(target.pid), '--limit', '3', '--by', 'count');
    expect(few.types).toHaveLength(3);
    expect(few.type_count).toBe(document.types.length);
  });

  test('dominators: biggest first, each below the one that dominates it', async () => {
    const document = await documentOf('dominators', String(target.pid), '--limit', '40');
    expect(document).toMatchObject({
      objects: number,
      edges: number,
      seconds: { decode: number, dominators: number },
    });
    expect(document.top).toHaveLength(40);
    for (const [at, row] of document.top.entries()) {
      expect(row).toMatchObject({ address: hex, type: string, expression: string });
      expect(row.retained_bytes).toBeGreaterThanOrEqual(row.shallow_bytes);
      if (at > 0) expect(row.retained_bytes).toBeLessThanOrEqual(document.top[at - 1].retained_bytes);
      if (row.dominator !== null) {
        expect(document.top[row.dominator].retained_bytes).toBeGreaterThanOrEqual(row.retained_bytes);
      }
    }
    expect(document.top.map((row: { expression: string }) => row.expression)).toContain('SESSIONS');
  });

  test('who and object: the path to the instances, and the holder with its references', async () => {
    const document = await documentOf('who', String(target.pid), 'Session');
    expect(document).toMatchObject({ type: '__main__.Session', count: 500 });
    const [path] = document.paths;
    expect(path.share).toBeGreaterThan(0.99);
    expect(path.nodes).toMatchObject([
      { label: 'module __main__', type: 'module', address: hex },
      { label: '.SESSIONS', type: 'dict', address: hex },
      { label: "['…']", type: '__main__.Session', address: hex },
    ]);
    const holder = await documentOf('object', String(target.pid), path.nodes[1].address);
    expect(holder).toMatchObject({
      address: path.nodes[1].address,
      type: 'dict',
      expression: 'SESSIONS',
      length: 500,
      refcount: 1,
      references_found: 1,
      referrers: [{ address: hex, type: 'dict', label: "['SESSIONS']" }],
    });
    expect(holder.retained_bytes).toBeGreaterThan(holder.shallow_bytes);
    expect(holder.referents).toHaveLength(1000);
    expect(holder.referents).toContainEqual({ address: hex, type: '__main__.Session', label: "['…']" });

    const one = await documentOf('who', String(target.pid), path.nodes[2].address);
    expect(one).toMatchObject({ type: '__main__.Session', count: 1 });
    expect(one.paths[0].nodes[2].address).toBe(path.nodes[2].address);
  });

  test('snapshot: a file that every command takes, and what it holds', async () => {
    const file = join(directory, `${python.version}.lss`);
    const document = await documentOf('snapshot', String(target.pid), '-o', file);
    expect(document).toMatchObject({
      file,
      bytes: statSync(file).size,
      via: expect.stringMatching(/^(fork|freeze)$/),
      pause_ms: number,
      objects: number,
      edges: number,
      native_blocks: number,
      undecoded: expect.any(Array),
      seconds: { read: number, decode: number, write: number },
    });
    const live = await documentOf('types', String(target.pid));
    const kept = await documentOf('types', file);
    expect(kept.types).toEqual(live.types);
    expect(kept.objects).toBe(document.objects);
    expect(kept.target).toEqual(document.target);
    const who = await documentOf('who', file, 'Session');
    expect(who.count).toBe(500);
    // A file that exists is replaced; one that cannot be written leaves nothing behind.
    const failed = await leakscope(['snapshot', String(target.pid), '-o', join(directory, 'no', 'folder.lss')]);
    expect(failed.status).not.toBe(0);
    expect(failed.stderr).toMatch(/^leakscope: .*folder\.lss/);
  });

  test('a snapshot that is cut short or damaged gets one sentence', async () => {
    const file = join(directory, `${python.version}.lss`);
    const bytes = readFileSync(file);
    const damaged = Buffer.from(bytes);
    damaged[bytes.length >> 1]! ^= 0xff;
    for (const [name, content] of [
      ['cut.lss', bytes.subarray(0, bytes.length >> 1)],
      ['damaged.lss', damaged],
      ['empty.lss', Buffer.alloc(0)],
    ] as const) {
      writeFileSync(join(directory, name), content);
      const { status, stdout, stderr } = await leakscope(['types', join(directory, name)]);
      expect(stderr).toMatch(new RegExp(`^leakscope: [^\\n]*${name.replace('.', '\\.')}[^\\n]*\\n[^\\n]*\\n$`));
      expect(stdout).toBe('');
      expect(status).toBe(4);
    }
  });

  test('memory: the parts add up to the resident size, live and from a snapshot', async () => {
    for (const of of [String(target.pid), join(directory, `${python.version}.lss`)]) {
      const document = await documentOf('memory', of);
      expect(document.resident).toBeGreaterThan(2 ** 20);
      for (const part of document.parts) expect(part).toEqual({ kind: string, bytes: number, detail: string });
      const sum = document.parts.reduce((total: number, part: { bytes: number }) => total + part.bytes, 0);
      expect(sum).toBe(document.resident);
      expect(document.parts.map((part: { kind: string }) => part.kind)).toEqual(
        expect.arrayContaining(['python-objects', 'native-blocks', 'free-pymalloc', 'free-malloc', 'files']),
      );
    }
  });

  test('growth between a snapshot and now: types, and who holds them', async () => {
    const before = join(directory, `${python.version}.lss`);
    target.send('more');
    await target.lineStarting('more');
    const document = await documentOf('growth', before, String(target.pid));
    expect(document.seconds).toBeGreaterThan(0);
    expect(document.types).toContainEqual({ name: '__main__.Session', count_growth: 100, bytes_growth: number });
    const holder = document.holders.find((row: { expression: string }) => row.expression === 'SESSIONS');
    expect(holder).toMatchObject({
      path: ['module __main__', '.SESSIONS'],
      type: '__main__.Session',
      holder_type: 'dict',
      fingerprint: string,
    });
    expect(holder.count_growth).toBeGreaterThanOrEqual(100);
    const alone = await leakscope(['growth', before]);
    expect(alone.stderr).toContain('growth needs two snapshots or more');
    expect(alone.status).toBe(2);
  });

  test('heap: every way of dividing it adds up', async () => {
    for (const by of ['type', 'module', 'holder', 'size', 'cause']) {
      const document = await documentOf('heap', join(directory, `${python.version}.lss`), '--by', by);
      const sum = (field: string) =>
        document.parts.reduce((total: number, part: Record<string, number>) => total + (part[field] ?? 0), 0);
      expect(sum('count')).toBe(document.objects);
      expect(sum('shallow_bytes')).toBe(document.bytes);
    }
    const { waste } = await documentOf('heap', join(directory, `${python.version}.lss`), '--waste');
    for (const row of waste) {
      expect(row).toEqual({ kind: string, type: string, count: number, bytes: number, bytes_to_gain: number });
    }
  });

  test('query: rows of SQL over the tables', async () => {
    const file = join(directory, `${python.version}.lss`);
    const sql = "select type, count(*) as n from nodes where type = '__main__.Session' group by type";
    const document = await documentOf('query', file, sql);
    expect(document).toMatchObject({ columns: ['type', 'n'], rows: [['__main__.Session', 500]] });
    const grown = "select count_growth from growth where type = '__main__.Session'";
    expect((await documentOf('query', String(target.pid), grown, '--since', file)).rows).toEqual([[100]]);
    const wrong = await leakscope(['query', file, 'select nothing from nowhere']);
    expect(wrong.stderr).toMatch(/^leakscope: the query failed: .*nowhere.*\nThe tables are nodes, edges/);
    expect(wrong.status).toBe(2);
  });

  test('export: Parquet and a heap snapshot', async () => {
    const file = join(directory, `${python.version}.lss`);
    const tables = await documentOf(
      'export',
      file,
      '--to',
      'parquet',
      '-o',
      join(directory, `${python.version}-tables`),
    );
    for (const { file: table, bytes } of tables.files) {
      expect(bytes).toBe(statSync(table).size);
      expect(readFileSync(table).subarray(0, 4).toString()).toBe('PAR1');
    }
    expect(tables.files).toHaveLength(5);
    const output = join(directory, `${python.version}.heapsnapshot`);
    const snapshot = await documentOf('export', file, '--to', 'heapsnapshot', '-o', output);
    expect(snapshot).toMatchObject({ format: 'heapsnapshot', files: [{ file: output, bytes: statSync(output).size }] });
    expect(JSON.parse(readFileSync(output, 'utf8')).snapshot.node_count).toEqual(number);
  });

  test('cycles: garbage, finalizers, gc.garbage, whether collection is on', async () => {
    const document = await documentOf('cycles', String(target.pid));
    expect(document.enabled).toBe(false);
    for (const generation of document.generations) {
      expect(generation).toMatchObject({ generation: number, objects: number, threshold: number, count: number });
    }
    expect(document.unreachable.objects).toBe(14);
    expect(document.garbage).toEqual([{ type: '__main__.Node', count: 1 }]);
    expect(document.finalizers).toEqual([{ type: '__main__.Node', count: 7 }]);
    const cycle = document.cycles.find((row: { reachable: boolean }) => !row.reachable);
    expect(cycle).toMatchObject({ count: 7, objects: 14, finalizers: 7 });
    expect(cycle.around.map((step: { type: string; label: string }) => [step.type, step.label])).toEqual(
      expect.arrayContaining([
        ['__main__.Node', '.children'],
        ['list', '[0]'],
      ]),
    );
  });

  test('doctor', async () => {
    const document = JSON.parse((await leakscope(['doctor', String(target.pid), '--json'])).stdout);
    expect(document).toMatchObject({
      schema: 1,
      target: { pid: target.pid, python: string, executable: string },
      ok: true,
      summary: string,
    });
    for (const check of document.checks) {
      expect(check).toEqual({ name: string, status: string, detail: string, remedies: expect.any(Array) });
    }
    expect(document.captures.map((capture: { via: string }) => capture.via)).toEqual(
      expect.arrayContaining(['fork', 'freeze', 'core']),
    );
  });
});

test('a process of another user: not permitted, and how to be', async () => {
  // As root, leakscope itself becomes nobody; as anybody else, process 1 is another user's.
  const isRoot = process.getuid?.() === 0;
  const target = await spawnTarget(interpreters[0]!, { source: 'print("ready", flush=True)\ninput()' });
  try {
    const pid = String(isRoot ? target.pid : 1);
    const options = isRoot ? { uid: 65_534, cwd: '/', env: { HOME: '/nonexistent', XDG_STATE_HOME: undefined } } : {};
    const { status, stdout, stderr } = await leakscope(['types', pid], options);
    expect(stderr).toMatch(/^leakscope: .*(belongs to|another user|root)/);
    expect(stderr).toMatch(/sudo|CAP_SYS_PTRACE|docker|root/);
    expect(stdout).toBe('');
    expect(status).toBe(3);
  } finally {
    target.kill();
  }
});

describe('on one interpreter', () => {
  let target: Target;
  beforeAll(async () => {
    target = await spawnTarget(interpreters[0]!, { source: PROGRAM });
  });
  afterAll(() => target.kill());

  test('a type or an object that is not there', async () => {
    const pid = String(target.pid);
    const type = await leakscope(['who', pid, 'Sesion']);
    expect(type.stderr).toContain('there is no type Sesion in this heap');
    expect(type.status).toBe(2);
    const alike = await leakscope(['who', pid, 'session']);
    expect(alike.stderr).toContain('Did you mean __main__.Session');
    const object = await leakscope(['object', pid, '0x10']);
    expect(object.stderr).toContain('there is no object at 0x10');
    expect(object.status).toBe(2);
  });

  test('text is for people: no JSON, no colours in a pipe', async () => {
    const { stdout } = await leakscope(['types', String(target.pid), '--limit', '5']);
    expect(stdout).toMatch(/^[\d,]+ objects of \d+ types, [\d.]+ [KM]iB\n/);
    expect(stdout).not.toContain('\x1b');
  });
});
