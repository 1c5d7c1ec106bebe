import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeapBuilder, syntheticOrigin } from '../../bench/heap-shapes.ts';
import {
  agesOf,
  growthByContainer,
  growthByHolder,
  growthByType,
  matchNodes,
  NOBODY,
  slopeOf,
  survivorsOf,
} from '../../src/analysis/index.ts';
import { LabelKind, NodeFlag } from '../../src/cpython/index.ts';
import { HeapGraph } from '../../src/heap/index.ts';

/** A small program whose heap can be looked at again and again: objects by name, with the same address every time. */
class Program {
  readonly objects = new Map<
    string,
    { type: string; layout: string; address: number; length: number; generation: number; size: number }
  >();
  readonly references: { from: string; to: string; kind: LabelKind; payload: string | number }[] = [];
  next = 0x7f0000001000;

  make(
    name: string,
    type: string,
    layout = 'instance',
    { address = 0, length = 0, generation = 2, size = 64 } = {},
  ): string {
    this.next += 64;
    this.objects.set(name, { type, layout, address: address || this.next, length, generation, size });
    return name;
  }
  refer(from: string, to: string, kind: LabelKind, payload: string | number = 0): void {
    this.references.push({ from, to, kind, payload });
    const object = this.objects.get(from);
    if (object !== undefined && kind !== LabelKind.attribute) object.length++;
  }
  remove(name: string): void {
    this.objects.delete(name);
    for (let i = this.references.length - 1; i >= 0; i--) {
      const { from, to } = this.references[i]!;
      if (from === name || to === name) this.references.splice(i, 1);
    }
  }
  snapshot(seconds: number): HeapGraph {
    const heap = new HeapBuilder();
    const nodes = new Map<string, number>([['root', 0]]);
    // Numbered anew every time, as addresses come.
    for (const [name, { type, layout, address, length, generation, size }] of [...this.objects].sort(
      (a, b) => a[1].address - b[1].address,
    )) {
      nodes.set(
        name,
        heap.node({
          type,
          layout,
          address,
          length,
          size,
          flags: NodeFlag.tracked | (generation << NodeFlag.generationShift),
          ...(layout === 'module' ? { name } : {}),
        }),
      );
    }
    for (const { from, to, kind, payload } of this.references)
      heap.edge(nodes.get(from)!, nodes.get(to)!, kind, payload);
    return new HeapGraph(heap.columns(), { ...syntheticOrigin, capturedAtMs: seconds * 1000 });
  }
}

function service(): Program {
  const program = new Program();
  program.make('app.cache', 'module', 'module');
  program.refer('root', 'app.cache', LabelKind.root, 'module app.cache');
  program.make('globals', 'dict', 'dict');
  program.refer('app.cache', 'globals', LabelKind.attribute, '__dict__');
  program.make('SESSIONS', 'dict', 'dict');
  program.refer('globals', 'SESSIONS', LabelKind.key, 'SESSIONS');
  return program;
}

let serial = 0;
function addSession(program: Program, container = 'SESSIONS'): string {
  const session = program.make(`session${serial++}`, 'app.Session');
  const token = program.make(`token${serial++}`, 'str', 'str');
  program.refer(container, token, LabelKind.keyObject);
  program.refer(container, session, LabelKind.keyNode, 5);
  const data = program.make(`data${serial++}`, 'bytes', 'bytes', { size: 1000 });
  program.refer(session, data, LabelKind.attribute, 'data');
  return session;
}

describe('who holds the growth', () => {
  test('a dict in a module', () => {
    const program = service();
    const graphs = [program.snapshot(0)];
    for (let k = 1; k < 4; k++) {
      for (let i = 0; i < 10; i++) addSession(program);
      graphs.push(program.snapshot(k));
    }
    const [first, ...rest] = growthByHolder(graphs);
    expect(rest).toEqual([]);
    expect(first).toMatchObject({
      kind: 'object',
      members: 1,
      expression: 'app.cache.SESSIONS',
      path: ['module app.cache', '.SESSIONS'],
      objects: [0, 30, 60, 90],
      lengths: [0, 20, 40, 60],
    });
    expect(first!.objectSlope).toEqual({ perSecond: 30, standardError: 0 });
    expect(first!.direct).toContainEqual({ name: 'app.Session', count: 30, bytes: 30 * 64 });
    expect(first!.types[0]).toEqual({ name: 'bytes', count: 30, bytes: 30_000 });
    expect(first!.through.map(t => t.label).sort()).toEqual(["['…']", '<key>'].sort());
  });

  test('a cache that renews its entries gains nothing', () => {
    const program = service();
    let sessions = Array.from({ length: 20 }, () => addSession(program));
    const graphs = [program.snapshot(0)];
    for (let k = 1; k < 4; k++) {
      for (const session of sessions) {
        const owned = program.references.filter(r => r.from === session).map(r => r.to);
        program.remove(session);
        for (const name of owned) program.remove(name);
      }
      for (const name of [...program.objects.keys()]) if (name.startsWith('token')) program.remove(name);
      program.objects.get('SESSIONS')!.length = 0;
      sessions = Array.from({ length: 20 }, () => addSession(program));
      graphs.push(program.snapshot(k));
    }
    expect(growthByHolder(graphs)).toEqual([]);
  });

  test('a chain is held by the object it hangs on', () => {
    const program = service();
    program.make('error', 'app.NeedMore');
    program.refer('globals', 'error', LabelKind.key, 'NEED_MORE');
    const graphs = [program.snapshot(0)];
    let oldest = '';
    for (let k = 1; k < 4; k++) {
      for (let i = 0; i < 50; i++) {
        // Each new link is put in front: the whole chain moves.
        const link = program.make(`tb${serial++}`, 'traceback', 'traceback');
        const at = program.references.findIndex(r => r.from === 'error');
        if (at >= 0) program.references.splice(at, 1);
        program.refer('error', link, LabelKind.attribute, '__traceback__');
        if (oldest !== '') program.refer(link, oldest, LabelKind.attribute, 'tb_next');
        oldest = link;
      }
      graphs.push(program.snapshot(k));
    }
    const [first] = growthByHolder(graphs);
    expect(first).toMatchObject({
      expression: 'app.cache.NEED_MORE',
      objects: [0, 50, 100, 150],
      through: [{ label: '.__traceback__', count: 1 }],
    });
  });

  test('a list that is replaced by a longer one every time is held by the attribute it hangs on', () => {
    const program = service();
    program.make('store', 'app.Store');
    program.refer('globals', 'store', LabelKind.key, 'STORE');
    program.make('list0', 'list', 'list');
    program.refer('store', 'list0', LabelKind.attribute, 'items');
    const graphs = [program.snapshot(0)];
    const items: string[] = [];
    for (let k = 1; k < 4; k++) {
      program.remove(`list${k - 1}`);
      program.make(`list${k}`, 'list', 'list');
      program.refer('store', `list${k}`, LabelKind.attribute, 'items');
      for (let i = 0; i < 10; i++) items.push(program.make(`item${serial++}`, 'app.Item'));
      items.forEach((item, i) => {
        program.refer(`list${k}`, item, LabelKind.index, i);
      });
      graphs.push(program.snapshot(k));
    }
    const [first] = growthByHolder(graphs);
    expect(first).toMatchObject({
      expression: 'app.cache.STORE',
      objects: [1, 11, 21, 31],
      through: [{ label: '.items', count: 1 }],
    });
    expect(first!.types[0]).toMatchObject({ name: 'app.Item', count: 30 });
  });

  test('objects held by two containers go to one of them, not to what holds both', () => {
    const program = service();
    program.make('BY_USER', 'dict', 'dict');
    program.refer('globals', 'BY_USER', LabelKind.key, 'BY_USER');
    const graphs = [program.snapshot(0)];
    for (let k = 1; k < 4; k++) {
      for (let i = 0; i < 10; i++) {
        const session = addSession(program);
        program.refer('BY_USER', session, LabelKind.keyNode, 5);
      }
      graphs.push(program.snapshot(k));
    }
    const rows = growthByHolder(graphs);
    expect(rows[0]!.expression).toMatch(/^app\.cache\.(SESSIONS|BY_USER)$/);
    expect(rows[0]!.types.map(t => t.name)).toContain('app.Session');
    expect(rows.map(row => row.expression)).not.toContain('app.cache.__dict__');
  });

  test('many holders of one path are one row', () => {
    const program = service();
    for (let i = 0; i < 20; i++) addSession(program);
    const sessions = [...program.objects.keys()].filter(name => name.startsWith('session'));
    for (const session of sessions) {
      program.make(`${session}.log`, 'list', 'list');
      program.refer(session, `${session}.log`, LabelKind.attribute, 'log');
    }
    const graphs = [program.snapshot(0)];
    for (let k = 1; k < 4; k++) {
      for (const session of sessions) {
        const line = program.make(`line${serial++}`, 'str', 'str');
        program.refer(`${session}.log`, line, LabelKind.index, k);
      }
      graphs.push(program.snapshot(k));
    }
    const [first, ...rest] = growthByHolder(graphs);
    expect(rest).toEqual([]);
    expect(first).toMatchObject({
      members: 20,
      objects: [0, 20, 40, 60],
      path: ['module app.cache', '.SESSIONS', "['…']", '.log'],
    });
    const [container] = growthByContainer(graphs);
    expect(container).toMatchObject({ members: 20, type: 'list', lengths: [0, 20, 40, 60] });
  });

  test('garbage that nobody collects', () => {
    const program = service();
    const graphs = [program.snapshot(0)];
    for (let k = 1; k < 4; k++) {
      for (let i = 0; i < 5; i++) {
        const a = program.make(`a${serial++}`, 'app.Picture');
        const b = program.make(`b${serial++}`, 'app.Region');
        program.refer(a, b, LabelKind.attribute, 'regions');
        program.refer(b, a, LabelKind.attribute, 'picture');
      }
      graphs.push(program.snapshot(k));
    }
    expect(growthByHolder(graphs)[0]).toMatchObject({ kind: 'garbage', objects: [0, 10, 20, 30] });
  });

  test('the accounts add up to the growth of the heap', () => {
    // Any objects, any references, any changes between three snapshots.
    const reference = fc.record({
      from: fc.nat(11),
      to: fc.nat(11),
      kind: fc.constantFrom(LabelKind.attribute, LabelKind.index, LabelKind.keyNode, LabelKind.weak),
    });
    const moment = fc.record({
      present: fc.uniqueArray(fc.integer({ min: 1, max: 11 }), { maxLength: 11 }),
      references: fc.array(reference, { maxLength: 24 }),
    });
    fc.assert(
      fc.property(fc.array(moment, { minLength: 2, maxLength: 4 }), moments => {
        const graphs = moments.map(({ present, references }, k) => {
          const program = new Program();
          for (const i of present) program.make(`o${i}`, `T${i % 3}`, 'instance', { address: 0x1000 * i });
          for (const { from, to, kind } of references) {
            const source = from === 0 ? 'root' : `o${from}`;
            if ((from === 0 || present.includes(from)) && present.includes(to))
              program.refer(source, `o${to}`, kind, kind === LabelKind.attribute ? 'a' : 1);
          }
          return program.snapshot(k);
        });
        const survivors = moments.map(m => new Set(m.present)).reduce((a, b) => a.intersection(b));
        expect(survivorsOf(graphs).count).toBe(survivors.size + 3);
        const rows = growthByHolder(graphs, { limit: 1000 });
        // Gains only are rows; what they gain is at least the heap's growth.
        const gain = rows.reduce((sum, row) => sum + row.bytes.at(-1)! - row.bytes[0]!, 0);
        const grown =
          graphs.at(-1)!.columns.size.reduce((a, b) => a + b, 0) - graphs[0]!.columns.size.reduce((a, b) => a + b, 0);
        expect(gain).toBeGreaterThanOrEqual(grown);
        for (const row of rows) {
          const counted = row.types.reduce((sum, t) => sum + t.count, 0);
          expect(counted).toBe(row.objects.at(-1)! - row.objects[0]!);
        }
      }),
      { numRuns: 1500 },
    );
  });
});

describe('identity', () => {
  test('same address and type, not younger than before, and immutable ones of the same length', () => {
    const before = new Program();
    before.make('kept', 'T', 'instance', { address: 0x1000, generation: 1 });
    before.make('reused', 'T', 'instance', { address: 0x2000, generation: 2 });
    before.make('other', 'T', 'instance', { address: 0x3000 });
    before.make('tuple', 'tuple', 'tuple', { address: 0x4000, length: 2 });
    before.make('frozen', 'T', 'instance', { address: 0x5000, generation: 3 });
    before.make('gone', 'T', 'instance', { address: 0x6000 });
    const after = new Program();
    after.make('kept', 'T', 'instance', { address: 0x1000, generation: 2 });
    after.make('reused', 'T', 'instance', { address: 0x2000, generation: 0 });
    after.make('other', 'U', 'instance', { address: 0x3000 });
    after.make('tuple', 'tuple', 'tuple', { address: 0x4000, length: 3 });
    after.make('frozen', 'T', 'instance', { address: 0x5000, generation: 2 });
    const a = before.snapshot(0);
    const b = after.snapshot(1);
    // The types' addresses in the builder follow their order; U must not take T's.
    const previous = matchNodes(a, b);
    const match = (address: number) => previous[b.nodeAt(address)] === a.nodeAt(address);
    expect([0x1000, 0x2000, 0x3000, 0x4000, 0x5000].map(match)).toEqual([true, false, false, false, true]);
    expect([...previous].filter(node => node === NOBODY).length).toBe(3);
  });

  test('ages', () => {
    const program = service();
    const graphs = [program.snapshot(0)];
    const early = addSession(program);
    graphs.push(program.snapshot(1));
    addSession(program);
    const owned = program.references.filter(r => r.from === early).map(r => r.to);
    program.remove(early);
    for (const name of owned) program.remove(name);
    graphs.push(program.snapshot(2));
    const ages = agesOf(graphs);
    expect(ages.survivors).toEqual([
      [4, 4, 4],
      [0, 3, 1],
      [0, 0, 3],
    ]);
    expect(ages.intervals).toEqual([
      { added: 3, gone: 0 },
      { added: 3, gone: 2 },
    ]);
    expect([...ages.birth].filter(b => b === 2).length).toBe(3);
  });
});

describe('slopes', () => {
  test('by type, with their uncertainty', () => {
    const program = service();
    const graphs = [program.snapshot(0)];
    for (let k = 1; k < 5; k++) {
      addSession(program);
      graphs.push(program.snapshot(k * 2));
    }
    const sessions = growthByType(graphs).find(type => type.name === 'app.Session')!;
    expect(sessions.counts).toEqual([0, 1, 2, 3, 4]);
    expect(sessions.countSlope.perSecond).toBeCloseTo(0.5);
    expect(sessions.countSlope.standardError).toBeCloseTo(0);
  });

  test('are those of the textbook', () => {
    // R: summary(lm(c(1,3,2,5) ~ c(0,1,2,3)))
    const slope = slopeOf([0, 1, 2, 3], [1, 3, 2, 5]);
    expect(slope.perSecond).toBeCloseTo(1.1, 10);
    expect(slope.standardError).toBeCloseTo(0.5196152, 6);
    expect(slopeOf([0, 1], [5, 6])).toEqual({ perSecond: 1, standardError: null });
    expect(slopeOf([3, 3], [5, 6])).toEqual({ perSecond: 0, standardError: null });
  });
});
