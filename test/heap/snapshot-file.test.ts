import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HeapBuilder, millionDicts, randomSource, serviceHeap, syntheticOrigin } from '../../bench/heap-shapes.ts';
import { type HeapColumns, IMMORTAL_REFCOUNT, LabelKind } from '../../src/cpython/index.ts';
import { isSnapshot, readSnapshot, writeSnapshot } from '../../src/heap/index.ts';
import { LeakscopeError } from '../../src/process/index.ts';
import { randomGraph } from '../support/random-graphs.ts';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'leakscope-snapshot-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

const place = () => join(directory, 'heap.leaksnap');

function same(a: HeapColumns, b: HeapColumns): void {
  expect(b.nodeCount).toBe(a.nodeCount);
  expect(b.edgeCount).toBe(a.edgeCount);
  for (const name of [
    'address',
    'type',
    'size',
    'refcount',
    'length',
    'flags',
    'edgeStart',
    'edgeTarget',
    'edgeLabel',
    'namedNode',
    'nodeName',
  ] as const) {
    expect(
      Buffer.from(b[name].buffer, b[name].byteOffset, b[name].byteLength).equals(
        Buffer.from(a[name].buffer, a[name].byteOffset, a[name].byteLength),
      ),
      name,
    ).toBe(true);
  }
  expect(b.types).toEqual(a.types);
  expect(b.strings).toEqual(a.strings);
  expect(b.undecoded).toEqual(a.undecoded);
}

describe('what is written is what is read', () => {
  test('any heap', async () => {
    await fc.assert(
      fc.asyncProperty(randomGraph(), async graph => {
        await writeSnapshot(place(), graph.columns, graph.origin);
        const read = await readSnapshot(place());
        same(graph.columns, read.columns);
        expect(read.origin).toEqual(graph.origin);
      }),
      { numRuns: 150 },
    );
  });

  test('extreme values', async () => {
    const heap = new HeapBuilder();
    heap.node({
      type: 'bytes',
      size: 2 ** 50,
      address: 2 ** 47 - 1,
      refcount: IMMORTAL_REFCOUNT,
      length: 0xffff_ffff,
      flags: 255,
    });
    heap.node({ type: 'int', size: 0, address: 3, refcount: IMMORTAL_REFCOUNT - 1, name: 'ä \u0000 "x"' });
    heap.edge(1, 2, LabelKind.index, 0x0fff_ffff);
    heap.edge(1, 1, LabelKind.index, 0);
    heap.edge(1, 0, LabelKind.inferred, 0x0fff_fff8);
    heap.edge(2, 1, LabelKind.keyNode, 2);
    const columns = { ...heap.columns(), undecoded: [{ reason: 'unreadable', count: 3 }] };
    await writeSnapshot(place(), columns, syntheticOrigin, { collector: { enabled: true } });
    const read = await readSnapshot(place());
    same(columns, read.columns);
    expect(read.facts).toEqual({ collector: { enabled: true } });
  });

  test('heaps of several blocks, and in few bytes', async () => {
    for (const columns of [millionDicts(250_000), serviceHeap(600_000)]) {
      const { bytes } = await writeSnapshot(place(), columns, syntheticOrigin);
      expect(statSync(place()).size).toBe(bytes);
      expect(bytes).toBeLessThan(12 * columns.nodeCount + 4 * columns.edgeCount);
      same(columns, (await readSnapshot(place())).columns);
    }
  });

  test('a heap that packs to nearly nothing is still believed', async () => {
    const n = 5_000_000;
    const empty = {
      ...millionDicts(0),
      nodeCount: n,
      edgeCount: 0,
      address: new Float64Array(n),
      type: new Uint32Array(n),
      size: new Float64Array(n),
      refcount: new Uint32Array(n),
      length: new Uint32Array(n),
      flags: new Uint8Array(n),
      edgeStart: new Uint32Array(n + 1),
      edgeTarget: new Uint32Array(0),
      edgeLabel: new Uint32Array(0),
      namedNode: new Uint32Array(0),
      nodeName: new Uint32Array(0),
    };
    await writeSnapshot(place(), empty, syntheticOrigin);
    expect((await readSnapshot(place())).nodeCount).toBe(n);
  });
});

/** One sentence and exit code 4, nothing else. */
async function refused(file: string): Promise<string> {
  // Some columns are read when they are first looked at.
  const error = await readSnapshot(file)
    .then(({ columns }) => Object.values(columns))
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  expect(error).toBeInstanceOf(LeakscopeError);
  expect((error as LeakscopeError).exitCode).toBe(4);
  expect((error as LeakscopeError).message).not.toContain('\n');
  return (error as LeakscopeError).message;
}

describe('files that are not what they say', () => {
  const good = async (): Promise<Buffer> => {
    await writeSnapshot(place(), serviceHeap(3000), syntheticOrigin);
    return readFileSync(place());
  };

  test('cut short anywhere', async () => {
    const bytes = await good();
    for (const length of [0, 5, 8, 20, 47, 48, 60, 100, bytes.length >> 1, bytes.length - 1]) {
      writeFileSync(place(), bytes);
      truncateSync(place(), length);
      expect(await refused(place())).toMatch(
        length < 8 ? /is not a leakscope snapshot/ : /is damaged: it is cut short/,
      );
    }
  });

  test('one byte changed, anywhere', async () => {
    const bytes = await good();
    const random = randomSource(11);
    for (let i = 0; i < 400; i++) {
      const changed = Buffer.from(bytes);
      const at = i < 60 ? i : Math.floor(random() * bytes.length);
      changed[at]! ^= 1 + Math.floor(random() * 255);
      writeFileSync(place(), changed);
      expect(await refused(place())).toMatch(/damaged|not a leakscope snapshot|version/);
    }
  });

  test('of a later version, or something else', async () => {
    const bytes = await good();
    bytes.writeUInt32LE(7, 8);
    writeFileSync(place(), bytes);
    expect(await refused(place())).toContain('version 7');
    writeFileSync(place(), 'PK\u0003\u0004 this is a zip');
    expect(await refused(place())).toContain('is not a leakscope snapshot');
    expect(isSnapshot(place())).toBe(false);
    expect(await refused(join(directory, 'nowhere'))).toContain('there is no such file');
    expect(await refused(directory)).toContain('it is a directory');
  });

  /** A file whose checksums are right, whatever it says. */
  function forge({
    nodes = 1,
    edges = 0,
    names = 0,
    head = {},
    blocks = [] as { values: number; raw: Uint8Array; rawLength?: number }[],
  }): void {
    const headJson = Buffer.from(
      JSON.stringify({ origin: syntheticOrigin, types: [], strings: [], undecoded: [], ...head }),
    );
    const parts = [
      { values: 1, raw: headJson as Uint8Array, rawLength: undefined as number | undefined },
      ...blocks,
    ].flatMap(({ values, raw, rawLength }) => {
      const stored = zstdCompressSync(raw);
      const header = Buffer.alloc(16);
      [values, rawLength ?? raw.length, stored.length].forEach((value, i) => {
        header.writeUInt32LE(value, 4 * i);
      });
      header.writeUInt32LE(crc32(stored, crc32(header.subarray(0, 12))), 12);
      return [header, stored];
    });
    const header = Buffer.alloc(48);
    header.write('LEAKSNAP');
    header.writeUInt32LE(1, 8);
    [48 + Buffer.concat(parts).length, nodes, edges, names].forEach((value, i) => {
      header.writeDoubleLE(value, 16 + 8 * i);
    });
    header.writeUInt32LE(crc32(header.subarray(16)), 12);
    writeFileSync(place(), Buffer.concat([header, ...parts]));
  }

  test('counts that would need all memory are refused before anything is allocated', async () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const counts of [
      { nodes: 4e9 },
      { nodes: 2e7 },
      { nodes: 10, edges: 4e9 },
      { nodes: 1e300 },
      { nodes: -1 },
      { nodes: 1.5 },
      { nodes: Number.NaN },
      { nodes: 5, names: 6 },
      { nodes: 0 },
    ]) {
      forge(counts);
      expect(await refused(place())).toContain('its counts are impossible');
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20);
  });

  test('a block that unpacks to more than it says, or says too much', async () => {
    const others = Array.from({ length: 8 }, () => ({ values: 1, raw: new Uint8Array(1) }));
    forge({ nodes: 1, blocks: [{ values: 1, raw: new Uint8Array(200_000_000), rawLength: 1 }, ...others] });
    expect(await refused(place())).toContain('a block cannot be unpacked');
    forge({ nodes: 1, blocks: [{ values: 1, raw: new Uint8Array(10), rawLength: 0x7fff_ffff }] });
    expect(await refused(place())).toContain('larger than any that is written');
  });

  test('a description that makes no sense', async () => {
    for (const head of [
      { origin: null },
      { origin: { ...syntheticOrigin, via: 'telepathy' } },
      { types: [{}] },
      { types: 5 },
      { strings: [5] },
      { undecoded: [1] },
      { types: [{ address: 1, name: 'x', layout: 'dict', node: 99, basicSize: 1, itemSize: 1, heapType: true }] },
    ]) {
      forge({ head });
      expect(await refused(place())).toMatch(/makes? no sense|where it comes from/);
    }
  });

  test('indices that lead outside', async () => {
    const type = { address: 1, name: 'x', layout: 'dict', node: 0, basicSize: 1, itemSize: 1, heapType: true };
    const one = (value: number) => ({ values: 1, raw: Uint8Array.of(value) });
    // degree, address, type, size, refcount, length, flags, label, target
    const columns = [1, 0, 0, 0, 0, 0, 0, 0, 0];
    for (const [at, value] of [
      [0, 2],
      [2, 1],
      [8, 2],
      [8, 1],
      [7, 0x13],
    ] as const) {
      forge({ edges: 1, head: { types: [type] }, blocks: columns.map((normal, i) => one(i === at ? value : normal)) });
      expect(await refused(place())).toMatch(/makes no sense|add up/);
    }
    forge({ edges: 1, head: { types: [type] }, blocks: columns.map(one) });
    expect((await readSnapshot(place())).edgeCount).toBe(1);
  });
});

describe('written whole or not at all', () => {
  test('a failure leaves the old file and nothing else', async () => {
    await writeSnapshot(place(), millionDicts(10), syntheticOrigin);
    const before = readFileSync(place());
    const broken = {
      ...millionDicts(1000),
      get edgeTarget(): Uint32Array {
        throw new RangeError('broken');
      },
    };
    await expect(writeSnapshot(place(), broken, syntheticOrigin)).rejects.toBeInstanceOf(LeakscopeError);
    expect(readFileSync(place()).equals(before)).toBe(true);
    expect(readdirSync(directory)).toEqual(['heap.leaksnap']);
  });

  test('a directory that is not there, or not to be written to', async () => {
    await expect(writeSnapshot(join(directory, 'no', 'x.leaksnap'), millionDicts(1), syntheticOrigin)).rejects.toThrow(
      /there is no such file or directory/,
    );
    chmodSync(place(), 0o600);
    expect(statSync(place()).mode & 0o077).toBe(0);
  });
});
