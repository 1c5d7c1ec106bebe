/** leakscope may be killed at any instant, and the target goes on as if nothing had been. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { capture } from '../../src/process/capture.ts';
import { processStatus, readMaps, statFields } from '../../src/process/maps.ts';
import { watch } from '../../src/process/watch.ts';
import { childrenOf, pythonTarget, untilAsleep } from './targets.ts';
import { WAITING_PROGRAM } from './waits.ts';

const VICTIM = fileURLToPath(new URL('victim.ts', import.meta.url));

/** A leakscope that has loaded; it takes that longer than what it is killed in. */
async function loaded() {
  const child = spawn(process.execPath, [VICTIM], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

/** One that is loading already when it is asked for. */
let spare: ReturnType<typeof loaded> | undefined;
afterAll(async () => void (await spare)?.kill('SIGKILL'));

async function victim(...orders: string[]) {
  const child = await (spare ?? loaded());
  spare = loaded();
  child.stdin.write(`${orders.join(' ')}\n`);
  return child;
}

const STEPS = [
  'prepared',
  'registers set',
  'signals blocked',
  'at the call',
  'cloned',
  'child taken',
  'after the call',
];
STEPS.push('restoring', 'signals restored', 'registers restored');

describe('killed at a step of an injection', () => {
  it.each(STEPS.map(step => [step]))('%s: waiting threads go on waiting', async step => {
    const kinds = ['pipe', 'sleep', 'futex_abs'];
    const victims = await Promise.all(kinds.map(loaded));
    await Promise.all(
      kinds.map(async (kind, i) => {
        await using target = await pythonTarget(WAITING_PROGRAM, [kind, '1']);
        await untilAsleep(target.pid);
        const ended = once(victims[i], 'exit');
        victims[i].stdin.write(`step ${target.pid} ${step}\n`);
        expect((await ended)[1]).toBe('SIGKILL');
        const { errno, elapsed } = JSON.parse(await target.line()) as { errno: number; elapsed: number };
        expect(errno).toBe(kind === 'futex_abs' ? 110 : 0);
        expect(elapsed).toBeGreaterThanOrEqual(0.999);
      }),
    );
  });

  it('keeps the floating point state, signal mask and alternate stack of a thread that computes', async () => {
    await using target = await pythonTarget(`
import ctypes, faulthandler, json, math, signal, sys, threading
faulthandler.enable()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
libc = ctypes.CDLL(None)
def alternate_stack():
    old = ctypes.create_string_buffer(24); assert libc.sigaltstack(None, old) == 0; return old.raw.hex()
before = alternate_stack(), sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))
over = False
def ask():
    global over
    sys.stdin.readline(); over = True
threading.Thread(target=ask).start()
def work(): return math.fsum(math.sin(i) * math.sqrt(i) for i in range(20000))
expected = work(); wrong = 0
print('ready')
while not over:
    if work() != expected: wrong += 1
after = alternate_stack(), sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))
print(json.dumps({'wrong': wrong, 'same': before == after, 'blocked': after[1]}))
`);
    for (const step of STEPS) {
      const leakscope = await victim('step', String(target.pid), step);
      expect((await once(leakscope, 'exit'))[1]).toBe('SIGKILL');
    }
    target.send('over\n');
    expect(JSON.parse(await target.line())).toEqual({ wrong: 0, same: true, blocked: [12] });
  });

  it('the next capture has the target collect what a killed one left', async () => {
    await using target = await pythonTarget("import sys\nprint('ready')\nprint(sys.stdin.readline())");
    const leakscope = await victim('step', String(target.pid), 'child taken');
    await once(leakscope, 'exit');
    for (const child of childrenOf(target.pid))
      while (statFields(`/proc/${child}/stat`)?.[0] !== 'Z') await new Promise(setImmediate);
    expect(childrenOf(target.pid)).toHaveLength(1);
    capture(target.pid, { via: 'fork' })[Symbol.dispose]();
    expect(childrenOf(target.pid)).toEqual([]);
    target.send('on\n');
    expect(await target.line()).toBe('on');
  });
});

function ignoresTrap(pid: number): boolean {
  return (BigInt(`0x${processStatus(pid)!.ignoredSignals}`) & 16n) !== 0n;
}

/** Counts in a watched cell in several threads, and answers lines. */
const SERVICE = `
import ctypes, sys, threading, time
cells = (ctypes.c_long * 8)()
print('ready')
print(ctypes.addressof(cells))
def count():
    while True:
        cells[0] += 1
        time.sleep(0.0005)
for _ in range(3): threading.Thread(target=count, daemon=True).start()
for line in sys.stdin: print(line.strip())
`;

describe('killed while capturing and watching', () => {
  it('inside a hit', async () => {
    await using target = await pythonTarget(SERVICE);
    const cells = await target.line();
    for (let round = 0; round < 10; round++) {
      const leakscope = await victim('hit', String(target.pid), cells);
      expect((await once(leakscope, 'exit'))[1]).toBe('SIGKILL');
      target.send(`round ${round}\n`);
      expect(await target.line()).toBe(`round ${round}`);
    }
    expect(processStatus(target.pid)).toMatchObject({ threads: 4, tracer: 0 });
    expect(ignoresTrap(target.pid)).toBe(true);
    capture(target.pid, { via: 'fork' })[Symbol.dispose]();
    expect(ignoresTrap(target.pid)).toBe(false);
  });

  it('a program that ignores SIGTRAP by itself goes on doing so', async () => {
    await using target = await pythonTarget(
      "import signal, sys\nsignal.signal(signal.SIGTRAP, signal.SIG_IGN)\nprint('ready')\nsys.stdin.read()",
    );
    capture(target.pid, { via: 'fork' })[Symbol.dispose]();
    expect(ignoresTrap(target.pid)).toBe(true);
    const heap = readMaps(target.pid).find(m => m.path === '[heap]')!;
    await watch(target.pid, [{ address: heap.start, length: 8 }], { maxMs: 1, onHit: () => 'continue' });
    expect(ignoresTrap(target.pid)).toBe(true);
  });

  // bench/soak.ts does it a thousand times.
  it('at random moments', async () => {
    await using target = await pythonTarget(SERVICE);
    const cells = await target.line();
    for (let round = 0; round < 12; round++) {
      const leakscope = await victim('loop', String(target.pid), cells);
      const ended = once(leakscope, 'exit');
      await once(leakscope.stdout!, 'data');
      await new Promise(resolve => setTimeout(resolve, Math.random() * 60));
      leakscope.kill('SIGKILL');
      await ended;
      target.send(`round ${round}\n`);
      expect(await target.line()).toBe(`round ${round}`);
    }
    expect(processStatus(target.pid)).toMatchObject({ threads: 4, tracer: 0 });
    // What a killed one leaves, the next one tidies up.
    capture(target.pid, { via: 'fork' })[Symbol.dispose]();
    expect(ignoresTrap(target.pid)).toBe(false);
    expect(childrenOf(target.pid)).toEqual([]);
  });
});
