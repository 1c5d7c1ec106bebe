/**
 * leakscope beside what people use today, in one run: the same process of 1,000,000 dicts
 * `{"id": i, "name": "n%d" % i, "v": [i, i + 1]}` (5.0 M objects), a fresh one for every figure, medians.
 *
 *   ./leakscope --in-node node bench/peers.ts [--runs 5] [--dicts 1000000] [--python PYTHON] [--memlab DIRECTORY]
 *
 * objgraph, guppy3 and pympler come from PyPI into ~/.cache/leakscope-bench, once. Their code runs in the target, as it
 * must; leakscope is compiled first, and runs beside it as a user runs it, start of Node included. With `--memlab` (a
 * directory with memlab 2.0.5 from npm) bench/heap.ts --memlab follows.
 *
 * pause: the longest gap between two ticks of a thread of the target that ticks every millisecond, while the tool works.
 * memory: the target's highest resident memory while the tool works, less what it was before.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, homedir, loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { pythonsOf } from '../test/support/pythons.ts';
import { compile } from './compile.ts';

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    dicts: { type: 'string', default: '1000000' },
    python: { type: 'string' },
    memlab: { type: 'string' },
  },
});

const TARGET = `
import json, sys, threading, time
DATA = [{"id": i, "name": "n%d" % i, "v": [i, i + 1]} for i in range(int(sys.argv[1]))]
longest = 0.0
def tick():
    global longest
    last = time.perf_counter()
    while True:
        time.sleep(0.001)
        now = time.perf_counter()
        if now - last > longest: longest = now - last
        last = now
threading.Thread(target=tick, daemon=True).start()
def kib(what):
    for line in open("/proc/self/status"):
        if line.startswith(what): return int(line.split()[1])
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if order is None:
        time.sleep(0.05)
        print(json.dumps({"pause": longest, "kib": kib("VmHWM") - before, "left": kib("VmRSS") - before}), flush=True)
        continue
    with open("/proc/self/clear_refs", "w") as f: f.write("5")
    before = kib("VmRSS")
    longest = 0.0
    began = time.perf_counter()
    exec(order, {"__name__": "tool"})
    print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
`;

interface Tool {
  readonly name: string;
  /** What the answer covers. */
  readonly sees: string;
  /** Python that the target runs; what leakscope runs instead gets the pid and a file to write. */
  readonly inside?: string;
  readonly beside?: readonly ((pid: number, file: string) => string[])[];
}

const TOOLS: readonly Tool[] = [
  {
    name: 'objgraph 3.7.0, most_common_types',
    sees: 'counts of what gc tracks',
    inside: 'import objgraph; objgraph.most_common_types(limit=20)',
  },
  {
    name: 'pure Python, get_objects and get_referents',
    sees: 'count and shallow size by type, what is reachable',
    inside: `
import gc, sys
seen = set(); counts = {}
stack = gc.get_objects()
while stack:
    o = stack.pop()
    if id(o) in seen: continue
    seen.add(id(o))
    t = type(o)
    n, b = counts.get(t, (0, 0))
    counts[t] = (n + 1, b + sys.getsizeof(o))
    stack.extend(gc.get_referents(o))
`,
  },
  {
    name: 'guppy3 3.1.7, heap() and print',
    sees: 'count and shallow size by type, what is reachable',
    inside: 'from guppy import hpy; str(hpy().heap())',
  },
  {
    name: 'pympler 1.1, muppy summarize',
    sees: 'count and shallow size by type, one level below what gc tracks',
    inside: `
from pympler import muppy, summary
list(summary.format_(summary.summarize(muppy.get_objects())))
`,
  },
  {
    name: 'leakscope dominators PID',
    sees: 'retained size of every object',
    beside: [pid => ['dominators', String(pid), '--json']],
  },
  {
    name: 'leakscope snapshot PID -o FILE, dominators FILE',
    sees: 'retained size of every object, and a file',
    beside: [
      (pid, file) => ['snapshot', String(pid), '-o', file, '--json'],
      (_pid, file) => ['dominators', file, '--json'],
    ],
  },
];

interface Figures {
  readonly seconds: number;
  readonly pause: number;
  readonly kib: number;
  readonly left: number;
}

const directory = mkdtempSync(join(tmpdir(), 'leakscope-peers-'));
const running = new Set<ChildProcess>();

/** A Python with the three packages, made once. */
function peersPython(): string {
  const base = options.python ?? pythonsOf('3.11').at(-1)?.executable;
  if (base === undefined) throw new Error('no CPython 3.11 on this machine: name another with --python');
  const version = execFileSync(base, ['-c', 'import platform; print(platform.python_version())'], { encoding: 'utf8' });
  const home = join(homedir(), '.cache', 'leakscope-bench', `peers-${version.trim()}`);
  const python = join(home, 'bin', 'python');
  if (!existsSync(join(home, 'ready'))) {
    mkdirSync(dirname(home), { recursive: true });
    execFileSync(base, ['-m', 'venv', '--clear', home]);
    execFileSync(python, ['-m', 'pip', '-q', 'install', 'objgraph==3.7.0', 'guppy3==3.1.7', 'pympler==1.1']);
    mkdirSync(join(home, 'ready'));
  }
  return python;
}

/** One figure: a target of its own, a tool, and an end to both. */
async function measure(python: string, cli: string, tool: Tool): Promise<Figures> {
  const target = spawn(python, ['-c', TARGET, options.dicts], { stdio: ['pipe', 'pipe', 'inherit'] });
  running.add(target);
  try {
    const lines = createInterface({ input: target.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => {
      const line = await lines.next();
      if (line.done === true) throw new Error(`the target of ${tool.name} ended`);
      return line.value;
    };
    const ask = async (order: string | null): Promise<Record<string, number>> => {
      target.stdin.write(`${JSON.stringify(order)}\n`);
      return JSON.parse(await next()) as Record<string, number>;
    };
    await next();
    let { seconds } = await ask(tool.inside ?? 'pass');
    if (tool.beside !== undefined) {
      const began = performance.now();
      const file = join(directory, 'heap.lss');
      for (const words of tool.beside) {
        await run(process.execPath, [cli, ...words(target.pid!, file)]);
      }
      seconds = (performance.now() - began) / 1000;
    }
    return { seconds: seconds!, ...(await ask(null)) } as unknown as Figures;
  } finally {
    target.kill('SIGKILL');
    running.delete(target);
  }
}

function run(command: string, words: readonly string[]): Promise<void> {
  const child = spawn(command, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  running.add(child);
  let said = '';
  child.stderr!.on('data', text => {
    said += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', status => {
      running.delete(child);
      if (status === 0) resolve();
      else reject(new Error(`${words.join(' ')} ended with ${status}: ${said}`));
    });
  });
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

try {
  const python = peersPython();
  const cli = join(compile(join(directory, 'built')), 'cli/main.js');
  const figures = new Map<Tool, Figures[]>(TOOLS.map(tool => [tool, []]));
  const loads: number[] = [];
  // Round by round, so that a busy minute of the machine is everybody's.
  for (let round = 0; round < Number(options.runs); round++) {
    for (const tool of TOOLS) {
      loads.push(loadavg()[0]!);
      figures.get(tool)!.push(await measure(python, cli, tool));
    }
  }
  console.log(
    `${Number(options.dicts).toLocaleString('en')} dicts, ${options.runs} rounds; ${cpus().length} cores, load ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}\n`,
  );
  console.log('| | pause of the target | memory added to the target | of it left | time to the answer | the answer |');
  console.log('|---|---|---|---|---|---|');
  for (const [tool, runs] of figures) {
    const at = (pick: (run: Figures) => number): number => median(runs.map(pick));
    const mib = (pick: (run: Figures) => number): string => `${Math.max(0, at(pick) / 1024).toFixed(0)} MiB`;
    console.log(
      `| ${tool.name} | ${(at(r => r.pause) * 1000).toFixed(0)} ms | ${mib(r => r.kib)} | ${mib(r => r.left)} | ${at(r => r.seconds).toFixed(2)} s | ${tool.sees} |`,
    );
  }
} finally {
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}
if (options.memlab !== undefined) {
  const words = [join(import.meta.dirname, 'heap.ts'), '--runs', options.runs, '--memlab', options.memlab];
  process.stdout.write(
    `\n${execFileSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })}`,
  );
}
