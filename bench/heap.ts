/**
 * Dominators and retained sizes, beside memlab on the same graph. One table, medians of five runs, each in a process of
 * its own so that peak memory is its own.
 *
 *   ./leakscope --in-node node bench/heap.ts [--nodes 8000000] [--runs 5] [--snapshot FILE] [--memlab DIRECTORY]
 *
 * leakscope is measured as it is installed: compiled. (From source, Node's type stripping takes 40 MiB more.)
 * The graph is `serviceHeap` of bench/heap-shapes.ts, or a snapshot of a real process. `--memlab` names a directory in
 * which `npm install memlab@2.0.5` was run; both read the same `.heapsnapshot` and their retained sizes are compared.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compile } from './compile.ts';

interface Run {
  readonly loadMs: number;
  /** null where they are not to be told from loading. */
  readonly dominatorsMs: number | null;
  readonly peakMiB: number;
  /** CPU of the dominators alone; null where they are not to be told from loading. */
  readonly dominatorsCpuMs: number | null;
  /** Of the process, all threads, from start to end: what the wall clock would be worth on a machine with nothing else to do. */
  readonly cpuMs: number;
  readonly nodes: number;
  readonly edges: number;
}

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '8000000' },
    runs: { type: 'string', default: '5' },
    snapshot: { type: 'string' },
    memlab: { type: 'string' },
    child: { type: 'string' },
    file: { type: 'string' },
    retained: { type: 'string' },
  },
});

/** One part of the work, in this process; what it measured goes to standard output. */
async function child(kind: string): Promise<void> {
  const file = options.file!;
  if (kind === 'make') {
    const { writeSnapshot } = await import('../src/heap/index.ts');
    const { serviceHeap, syntheticOrigin } = await import('./heap-shapes.ts');
    const columns = serviceHeap(Number(options.nodes));
    await writeSnapshot(file, columns, syntheticOrigin);
  } else if (kind === 'export') {
    const { readSnapshot } = await import('../src/heap/index.ts');
    const { exportHeapSnapshot } = await import('../src/export/index.ts');
    const began = performance.now();
    exportHeapSnapshot(await readSnapshot(file), `${file}.heapsnapshot`);
    process.stderr.write(`exported in ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  } else {
    // memlab's own entry point: parse, index, dominators, retained sizes.
    const { createRequire } = await import('node:module');
    const load = createRequire(join(options.memlab!, 'package.json'));
    const { getFullHeapFromFile } = load('@memlab/heap-analysis') as {
      getFullHeapFromFile(file: string): Promise<MemlabHeap>;
    };
    const began = performance.now();
    const heap = await getFullHeapFromFile(`${file}.heapsnapshot`);
    report({
      loadMs: performance.now() - began,
      dominatorsMs: null,
      dominatorsCpuMs: null,
      nodes: heap.nodes.length,
      edges: heap.edges.length,
    });
    if (options.retained !== undefined) {
      const retained = new Float64Array(heap.nodes.length);
      heap.nodes.forEach(node => {
        retained[(node.id - 1) / 2] = node.retainedSize;
      });
      writeFileSync(options.retained, Buffer.from(retained.buffer));
    }
  }
}

let built = '';

interface MemlabHeap {
  readonly nodes: {
    readonly length: number;
    forEach(visit: (node: { readonly id: number; readonly retainedSize: number }) => void): void;
  };
  readonly edges: { readonly length: number };
}

function report(run: Omit<Run, 'peakMiB' | 'cpuMs'>): void {
  process.stdout.write(
    `${JSON.stringify({ ...run, peakMiB: process.resourceUsage().maxRSS / 1024, cpuMs: (process.cpuUsage().user + process.cpuUsage().system) / 1000 })}\n`,
  );
}

function spawn(kind: string, file: string, more: readonly string[] = [], heapMiB = 4096): Run | undefined {
  const output = execFileSync(
    process.execPath,
    [
      `--max-old-space-size=${heapMiB}`,
      '--disable-warning=ExperimentalWarning',
      import.meta.filename,
      '--child',
      kind,
      '--file',
      file,
      '--nodes',
      options.nodes,
      ...more,
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  return lastLine(output);
}

/** leakscope's own run, see heap-run.mjs. */
function ours(file: string, retained: readonly string[] = []): Run {
  const words = [join(import.meta.dirname, 'heap-run.mjs'), built, file, ...retained];
  return lastLine(execFileSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }))!;
}

function lastLine(output: string): Run | undefined {
  const line = output.split('\n').findLast(text => text.startsWith('{'));
  return line === undefined ? undefined : (JSON.parse(line) as Run);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

function row(name: string, runs: readonly Run[]): string {
  const at = (pick: (run: Run) => number, digits: number): string => {
    return median(runs.map(pick)).toFixed(digits);
  };
  return `| ${name} | ${at(run => run.loadMs / 1000, 2)} s | ${runs[0]!.dominatorsMs === null ? '(in load)' : `${at(run => (run.dominatorsMs ?? 0) / 1000, 2)} s`} | ${at(run => (run.loadMs + (run.dominatorsMs ?? 0)) / 1000, 2)} s | ${runs[0]!.dominatorsCpuMs === null ? '' : `${at(run => (run.dominatorsCpuMs ?? 0) / 1000, 2)} s`} | ${at(run => run.cpuMs / 1000, 2)} s | ${at(run => run.peakMiB, 0)} MiB |`;
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'leakscope-bench-'));
  try {
    built = compile(join(directory, 'built'));
    const file = options.snapshot ?? join(directory, 'heap.lss');
    if (options.snapshot === undefined) spawn('make', file);
    const runs = Array.from({ length: Number(options.runs) }, () => ours(file));
    const { nodes, edges } = runs[0]!;
    const lines = [
      `${nodes.toLocaleString('en')} nodes, ${edges.toLocaleString('en')} edges; snapshot file ${(statSync(file).size / nodes).toFixed(2)} bytes a node`,
      '',
      '| | load | dominators and retained sizes | together | CPU of dominators | CPU, whole process | peak memory |',
      '|---|---|---|---|---|---|---|',
      row('leakscope', runs),
    ];
    if (options.memlab !== undefined && existsSync(options.memlab)) {
      const copy = options.snapshot === undefined ? file : join(directory, 'heap.lss');
      if (copy !== file) writeFileSync(copy, readFileSync(file));
      spawn('export', copy);
      const mine = join(directory, 'ours.bin');
      const theirs = join(directory, 'theirs.bin');
      ours(copy, [mine]);
      const memlab = [spawn('memlab', copy, ['--memlab', options.memlab, '--retained', theirs], 12_000)!];
      lines.push(row('memlab 2.0.5 (one run)', memlab), '', compare(mine, theirs, nodes));
    }
    process.stdout.write(`${lines.join('\n')}\n`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function compare(ours: string, theirs: string, nodes: number): string {
  const read = (file: string): Float64Array => {
    const bytes = readFileSync(file);
    return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  };
  const a = read(ours);
  const b = read(theirs);
  let same = 0;
  for (let node = 1; node < nodes; node++) if (a[node] === b[node]) same++;
  return `retained sizes equal for ${same.toLocaleString('en')} of ${(nodes - 1).toLocaleString('en')} nodes`;
}

if (options.child === undefined) await main();
else await child(options.child);
