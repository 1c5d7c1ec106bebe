/**
 * Ways to keep a heap in a file, measured on one snapshot: bytes, time to write and to read everything back.
 *
 *   ./leakscope --in-node node bench/snapshot-file.ts FILE      a snapshot made by `leakscope snapshot`
 */
import { rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  gunzipSync,
  gzipSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib';
import { readSnapshot, writeSnapshot } from '../src/heap/index.ts';

const source = process.argv[2];
if (source === undefined) throw new Error('name a snapshot file');
const graph = await readSnapshot(source);
const { columns } = graph;
const arrays = [
  columns.edgeStart,
  columns.address,
  columns.type,
  columns.size,
  columns.refcount,
  columns.length,
  columns.flags,
  columns.edgeTarget,
  columns.edgeLabel,
];
const raw = arrays.map(array => Buffer.from(array.buffer, array.byteOffset, array.byteLength));

/** The bytes of all numbers' lowest bytes, then the next, …: what changes little stands together. */
function planes(bytes: Buffer, width: number): Buffer {
  const out = Buffer.allocUnsafe(bytes.length);
  const count = bytes.length / width;
  for (let plane = 0; plane < width; plane++)
    for (let i = 0; i < count; i++) out[plane * count + i] = bytes[i * width + plane]!;
  return out;
}

function timed<T>(work: () => T): [T, number] {
  const began = performance.now();
  const result = work();
  return [result, performance.now() - began];
}

const rows: string[] = [];
function measure(
  name: string,
  transform: (bytes: Buffer, width: number) => Buffer,
  back: boolean,
  pack: (bytes: Buffer) => Buffer,
  unpack: (bytes: Buffer) => Buffer,
): void {
  const [packed, writeMs] = timed(() => raw.map((bytes, i) => pack(transform(bytes, arrays[i]!.BYTES_PER_ELEMENT))));
  const [, readMs] = timed(() =>
    packed.map((bytes, i) => {
      const unpacked = unpack(bytes);
      return back ? planes(unpacked, unpacked.length / Math.max(1, arrays[i]!.length)) : unpacked;
    }),
  );
  add(
    name,
    packed.reduce((sum, bytes) => sum + bytes.length, 0),
    writeMs,
    readMs,
  );
}
function add(name: string, bytes: number, writeMs: number, readMs: number): void {
  rows.push(
    `| ${name} | ${(bytes / 2 ** 20).toFixed(1)} MiB | ${(bytes / columns.nodeCount).toFixed(2)} | ${(writeMs / 1000).toFixed(2)} s | ${(readMs / 1000).toFixed(2)} s |`,
  );
}

const asIs = (bytes: Buffer): Buffer => bytes;
const zstd =
  (level: number) =>
  (bytes: Buffer): Buffer =>
    zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level } });
measure('columns as they are', asIs, false, asIs, asIs);
measure('columns, zstd 3', asIs, false, zstd(3), zstdDecompressSync);
measure('columns, zstd 9', asIs, false, zstd(9), zstdDecompressSync);
measure('columns, gzip 6', asIs, false, bytes => gzipSync(bytes), gunzipSync);
measure(
  'columns, brotli 4',
  asIs,
  false,
  bytes => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  brotliDecompressSync,
);
measure('byte planes, zstd 3', planes, true, zstd(3), zstdDecompressSync);
const file = join(tmpdir(), `leakscope-bench-${process.pid}.lss`);
const [, writeMs] = await (async () => {
  const began = performance.now();
  await writeSnapshot(file, columns, graph.origin);
  return [0, performance.now() - began] as const;
})();
/** Median of five, after one for the compiler. */
async function median(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < 6; run++) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  return times.slice(1).sort((a, b) => a - b)[2]!;
}
const opened = await median(() => readSnapshot(file));
// The late columns too.
const everything = await median(async () => Object.values((await readSnapshot(file)).columns));
add('differences in varints, zstd 3 (the format): opened, ready for dominators', statSync(file).size, writeMs, opened);
add('the same, every column read', statSync(file).size, writeMs, everything);
rmSync(file);
process.stdout.write(
  `${columns.nodeCount.toLocaleString('en')} nodes, ${columns.edgeCount.toLocaleString('en')} edges\n\n| | size | bytes a node | write | read |\n|---|---|---|---|---|\n${rows.join('\n')}\n`,
);
