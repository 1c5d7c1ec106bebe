/**
 * How long does a capture by fork stop the target, as the target sees it? A thread of the target ticks every
 * millisecond and keeps the longest gap; a bare os.fork() in the same process is the measure.
 *
 *   ./leakscope --in-node node bench/pause.ts [DICTS] [ROUNDS]     default 1000000 10
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { capture, processStatus } from '../src/process/index.ts';

const dicts = Number(process.argv[2] ?? 1_000_000);
const rounds = Number(process.argv[3] ?? 10);

const PROGRAM = `
import gc, os, sys, threading, time
gc.disable()
data = [{"id": i, "name": "n%d" % i, "v": [i, i + 1]} for i in range(${dicts})]
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
print('ready', flush=True)
for line in sys.stdin:
    if line == 'reset\\n': longest = 0.0
    elif line == 'fork\\n':
        pid = os.fork()
        if pid == 0:
            time.sleep(60); os._exit(0)
        time.sleep(0.1)
        os.kill(pid, 9); os.waitpid(pid, 0)
    print(longest * 1000, flush=True)
`;

const target = spawn(process.env.PYTHON ?? 'python3', ['-W', 'ignore', '-c', PROGRAM], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const lines = createInterface({ input: target.stdout })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value as string;
const ask = async (line: string) => {
  target.stdin.write(`${line}\n`);
  return Number(await next());
};
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const settle = () => new Promise(resolve => setTimeout(resolve, 200));

try {
  await next();
  const pid = target.pid!;
  const before = processStatus(pid)!;
  const bare: number[] = [];
  const ours: number[] = [];
  const reported: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await settle();
    await ask('reset');
    bare.push(await ask('fork'));
    await settle();
    await ask('reset');
    const image = capture(pid, { via: 'fork' });
    reported.push(image.pauseMs);
    await new Promise(resolve => setTimeout(resolve, 100));
    image[Symbol.dispose]();
    ours.push(await ask('gap'));
  }
  const after = processStatus(pid)!;
  const row = (name: string, values: number[]) =>
    console.log(
      `${name.padEnd(34)} median ${median(values).toFixed(2)} ms   longest ${Math.max(...values).toFixed(2)} ms`,
    );
  console.log(
    `${dicts} dicts, ${(before.residentBytes / 2 ** 20).toFixed(0)} MiB resident, ${rounds} rounds; longest gap of a 1 ms ticker`,
  );
  row('os.fork() in the target', bare);
  row('leakscope, capture by fork', ours);
  row('pause as leakscope reports it', reported);
  console.log(`ratio of medians ${(median(ours) / median(bare)).toFixed(2)} (goal: at most 1.5)`);
  console.log(
    `VmData before and after: ${before.dataBytes} ${after.dataBytes}; VmRSS: ${before.residentBytes} ${after.residentBytes}`,
  );
} finally {
  target.kill('SIGKILL');
}
