/**
 * What does a capture by fork leave behind in the target, and how long does it stop it, as the target sees it? First, the
 * first captures of its life: VmData, VmRSS and the allocators' counters before and after. Then a thread of the target
 * ticks every millisecond and keeps the longest gap; a bare os.fork() in the same process is the measure.
 *
 *   ./leakscope --in-node node bench/pause.ts [DICTS] [ROUNDS]     default 1000000 10
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { capture, memoryRollup, processStatus } from '../src/process/index.ts';

const dicts = Number(process.argv[2] ?? 1_000_000);
const rounds = Number(process.argv[3] ?? 10);

const PROGRAM = `
import ctypes, gc, os, sys, threading, time
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
class Mallinfo(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in 'arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost'.split()]
libc = ctypes.CDLL(None)
mallinfo = getattr(libc, 'mallinfo2', None)
if mallinfo: mallinfo.restype = Mallinfo
def counters():
    m = mallinfo() if mallinfo else Mallinfo()
    return '%d blocks of pymalloc, malloc: %d bytes of arenas, %d in use, %d by mmap' % (sys.getallocatedblocks(), m.arena, m.uordblks, m.hblkhd)
for _ in range(3): counters()
print('ready', flush=True)
for line in sys.stdin:
    if line == 'reset\\n': longest = 0.0
    elif line == 'fork\\n':
        pid = os.fork()
        if pid == 0:
            time.sleep(60); os._exit(0)
        time.sleep(0.1)
        os.kill(pid, 9); os.waitpid(pid, 0)
    elif line == 'start\\n': threading.Thread(target=tick, daemon=True).start()
    if line == 'counters\\n': print(counters(), flush=True)
    else: print(longest * 1000, flush=True)
`;

const target = spawn(process.env.PYTHON ?? 'python3', ['-W', 'ignore', '-c', PROGRAM], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const lines = createInterface({ input: target.stdout })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value as string;
const ask = (line: string) => {
  target.stdin.write(`${line}\n`);
  return next();
};
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const settle = (ms = 200) => new Promise(resolve => setTimeout(resolve, ms));

/** What the kernel and the allocators say about the target; the same question each time, so that asking changes nothing. */
async function holdings() {
  const counters = await ask('counters');
  await settle(50);
  const { dataBytes, residentBytes } = processStatus(target.pid!)!;
  const rollup = memoryRollup(target.pid!)!;
  const pageTables = Number(/^VmPTE:\s+(\d+)/m.exec(readFileSync(`/proc/${target.pid}/status`, 'utf8'))?.[1]) * 1024;
  const { resident, anonymous } = rollup;
  return { dataBytes, residentBytes, resident, anonymous, pageTables, counters };
}

function showHoldings(title: string, [before, after]: Awaited<ReturnType<typeof holdings>>[]): void {
  const row = (name: string, a: number, b: number) =>
    console.log(
      `  ${name.padEnd(32)} ${a} ${b}   ${a === b ? 'equal' : `${b - a > 0 ? '+' : ''}${(b - a) / 1024} KiB`}`,
    );
  console.log(title);
  row('VmData', before.dataBytes, after.dataBytes);
  row('VmRSS', before.residentBytes, after.residentBytes);
  row('Rss of smaps_rollup', before.resident, after.resident);
  row('of that anonymous', before.anonymous, after.anonymous);
  row('VmPTE (page tables)', before.pageTables, after.pageTables);
  console.log(
    `  ${before.counters}\n  ${after.counters}   ${before.counters === after.counters ? 'equal' : 'CHANGED'}`,
  );
}

try {
  await next();
  const pid = target.pid!;
  for (let i = 0; i < 3; i++) await holdings();
  const idle = [await holdings()];
  await settle(rounds * 100);
  idle.push(await holdings());
  showHoldings('without a capture, before and after the same time:', idle);
  const held = [await holdings()];
  for (let round = 0; round < rounds; round++) {
    using _ = capture(pid, { via: 'fork' });
    await settle(100);
  }
  held.push(await holdings());
  showHoldings(`${rounds} captures, before and after:`, held);

  await ask('start');
  const bare: number[] = [];
  const ours: number[] = [];
  const reported: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await settle();
    await ask('reset');
    bare.push(Number(await ask('fork')));
    await settle();
    await ask('reset');
    const image = capture(pid, { via: 'fork' });
    reported.push(image.pauseMs);
    await settle(100);
    image[Symbol.dispose]();
    ours.push(Number(await ask('gap')));
  }
  const row = (name: string, values: number[]) =>
    console.log(
      `${name.padEnd(34)} median ${median(values).toFixed(2)} ms   longest ${Math.max(...values).toFixed(2)} ms`,
    );
  const resident = processStatus(pid)!.residentBytes / 2 ** 20;
  console.log(
    `${dicts} dicts, ${resident.toFixed(0)} MiB resident, ${rounds} rounds; longest gap of a 1 ms ticker, read by one leakscope`,
  );
  row('os.fork() in the target', bare);
  row('leakscope, capture by fork', ours);
  row('pause as leakscope reports it', reported);
  console.log(`ratio of medians ${(median(ours) / median(bare)).toFixed(2)} (goal: at most 1.5)`);
} finally {
  target.kill('SIGKILL');
}
