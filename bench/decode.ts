/**
 * How fast a heap is decoded, on one core: a process that holds a million dicts, five million objects.
 *
 *   node bench/decode.ts [3.11,3.13] [runs]     the versions (default: one interpreter a minor version) and runs (5)
 *
 * Prints medians, one line an interpreter. Add --cpu-prof to node to see where the time goes.
 */
import { decode } from '../src/cpython/index.ts';
import { capture } from '../src/process/index.ts';
import { onePythonPerMinor, spawnTarget } from '../test/support/pythons.ts';

const PROGRAM = `
import sys
DATA = [{"id": i, "name": "n%d" % i, "v": [i, i + 1]} for i in range(1_000_000)]
print("ready", flush=True)
sys.stdin.read()
`;

const wanted = process.argv[2]?.split(',');
const runs = Number(process.argv[3] ?? 5);
const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

console.log('version    objects      edges   copy ms  decode ms   million objects/s');
for (const python of onePythonPerMinor()) {
  if (wanted !== undefined && !wanted.some(v => v === python.minor || v === python.version)) continue;
  using target = await spawnTarget(python, { source: PROGRAM });
  const read: number[] = [];
  const decoding: number[] = [];
  let objects = 0;
  let edges = 0;
  for (let i = 0; i < runs; i++) {
    using image = await capture(target.pid, { via: 'freeze' });
    const decoded = decode(image);
    read.push(decoded.readMs);
    decoding.push(decoded.decodeMs);
    objects = decoded.columns.nodeCount;
    edges = decoded.columns.edgeCount;
  }
  const ms = median(decoding);
  const cells = [
    python.version.padEnd(8),
    String(objects).padStart(9),
    String(edges).padStart(10),
    median(read).toFixed(0).padStart(9),
  ];
  console.log(`${cells.join(' ')} ${ms.toFixed(0).padStart(10)} ${(objects / ms / 1000).toFixed(2).padStart(19)}`);
}
