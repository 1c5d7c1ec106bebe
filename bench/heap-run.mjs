// What bench/heap.ts measures, in a process that has nothing else: plain JavaScript, since Node's type stripping alone
// takes 16 MiB. Arguments: the compiled sources, a snapshot file, and where retained sizes go, if anywhere.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [built, file, retained] = process.argv.slice(2);
const { readSnapshot } = await import(join(built, 'heap/index.js'));
const { computeDominators } = await import(join(built, 'analysis/index.js'));
const began = performance.now();
const graph = await readSnapshot(file);
const loaded = performance.now();
const cpu = process.cpuUsage();
const tree = computeDominators(graph);
const done = performance.now();
const dominators = process.cpuUsage(cpu);
const all = process.cpuUsage();
const run = {
  loadMs: loaded - began,
  dominatorsMs: done - loaded,
  dominatorsCpuMs: (dominators.user + dominators.system) / 1000,
  nodes: graph.nodeCount,
  edges: graph.edgeCount,
  peakMiB: process.resourceUsage().maxRSS / 1024,
  cpuMs: (all.user + all.system) / 1000,
};
process.stdout.write(`${JSON.stringify(run)}\n`);
if (retained !== undefined) writeFileSync(retained, Buffer.from(tree.retained.buffer));
