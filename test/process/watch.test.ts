import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/process/errors.ts';
import { processStatus } from '../../src/process/maps.ts';
import { type HitAnswer, type WatchOptions, type WatchPoint, watch } from '../../src/process/watch.ts';
import { pythonTarget } from './targets.ts';

/** Writes cell 0 as often as it is told on standard input, in the thread it is told (`main`, `new`, `fork`). */
const WRITER = `
import ctypes, os, signal, sys, threading, time, warnings
warnings.simplefilter('ignore')
cells = (ctypes.c_long * 8)()
signals = [0]
def on_usr1(*_): signals[0] += 1
signal.signal(signal.SIGUSR1, on_usr1)
print('ready')
print(ctypes.addressof(cells))
def write(cell, times):
    for _ in range(times): cells[cell] += 1
for line in sys.stdin:
    where, cell, times = line.split()
    cell, times = int(cell), int(times)
    if where == 'main': write(cell, times)
    elif where == 'new':
        t = threading.Thread(target=write, args=(cell, times)); t.start(); t.join()
    elif where == 'fork':
        pid = os.fork()
        if pid == 0:
            write(cell, times); os._exit(6)
        assert os.waitpid(pid, 0)[1] == 6 << 8
    elif where == 'exec': os.execv(sys.executable, [sys.executable, '-c', 'print("other")'])
    elif where == 'exit': os._exit(times)
    print(cells[cell], signals[0])
`;

async function writer() {
  const target = await pythonTarget(WRITER);
  return { target, cells: Number(await target.line()) };
}

/** Starts a watch and waits until it is armed; the watch itself is `watching`. */
async function armed(pid: number, points: readonly WatchPoint[], options: WatchOptions) {
  let watching!: ReturnType<typeof watch>;
  await new Promise<void>((resolve, reject) => {
    watching = watch(pid, points, { ...options, onArmed: resolve });
    watching.catch(reject);
  });
  return { watching };
}

describe('watch', () => {
  it('stops at every write of old and new threads, in order, and at none of a child', async () => {
    const { target, cells } = await writer();
    await using _ = target;
    const ignored = processStatus(target.pid)!.ignoredSignals;
    const values: number[] = [];
    const tids = new Set<number>();
    const { watching } = await armed(target.pid, [{ address: cells, length: 8 }], {
      maxMs: 60_000,
      maxHits: 25,
      onHit: hit => {
        tids.add(hit.tid);
        expect(hit.point).toBe(0);
        expect(hit.registers.fsBase).toBeGreaterThan(0);
        values.push(hit.reader.word(cells));
        return 'continue';
      },
    });
    target.send('main 0 5\n');
    expect(await target.line()).toBe('5 0');
    target.send('fork 0 7\n');
    expect(await target.line()).toBe('5 0');
    target.send('new 0 10\n');
    expect(await target.line()).toBe('15 0');
    target.send('new 0 20\n');
    const result = await watching;
    expect(await target.line()).toBe('35 0');
    expect(values).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
    expect(tids.size).toBe(3);
    expect(result).toMatchObject({ hits: 25, stops: 25, reason: 'hits' });
    target.send('main 0 5\n');
    expect(await target.line()).toBe('40 0');
    expect(processStatus(target.pid)).toMatchObject({ tracer: 0, ignoredSignals: ignored });
  });

  it('tells four points apart, and removes one without the others', async () => {
    const { target, cells } = await writer();
    await using _ = target;
    const seen: number[] = [];
    const descriptors = readdirSync('/proc/self/fd').length;
    const { watching } = await armed(
      target.pid,
      [0, 1, 2, 3].map(i => ({ address: cells + i * 8, length: i === 3 ? 4 : 8 })),
      {
        maxMs: 60_000,
        stopAll: true,
        onHit: ({ point }): HitAnswer => {
          seen.push(point);
          return point === 1 ? 'remove' : point === 3 ? 'stop' : 'continue';
        },
      },
    );
    for (const cell of [0, 1, 2]) {
      target.send(`new ${cell} 2\n`);
      expect(await target.line()).toBe('2 0');
    }
    target.send('new 1 1\n');
    expect(await target.line()).toBe('3 0');
    target.send('main 3 4\n');
    expect(await watching).toMatchObject({ reason: 'answer', hits: 6 });
    expect(await target.line()).toBe('4 0');
    expect(seen).toEqual([0, 0, 1, 2, 2, 3]);
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors);
  });

  it('hands signals on, each once, and lets a stopped process stop', async () => {
    const { target, cells } = await writer();
    await using _ = target;
    let over = false;
    const { watching } = await armed(target.pid, [{ address: cells, length: 8 }], {
      maxMs: 60_000,
      onHit: () => 'continue',
      onWait: () => !over,
    });
    for (let i = 1; i <= 5; i++) {
      process.kill(target.pid, 'SIGUSR1');
      target.send('main 0 1\n');
      expect(await target.line()).toBe(`${i} ${i}`);
    }
    process.kill(target.pid, 'SIGSTOP');
    while (!/[Tt]/.test(processStatus(target.pid)!.state)) await new Promise(r => setTimeout(r, 1));
    process.kill(target.pid, 'SIGCONT');
    target.send('main 0 1\n');
    expect(await target.line()).toBe('6 5');
    over = true;
    expect(await watching).toMatchObject({ hits: 6, reason: 'answer' });
    process.kill(target.pid, 'SIGSTOP');
    while (processStatus(target.pid)!.state !== 'T') await new Promise(r => setTimeout(r, 1));
    const whileStopped = watch(target.pid, [{ address: cells, length: 8 }], { maxMs: 30, onHit: () => 'continue' });
    await expect(whileStopped).rejects.toMatchObject({ exitCode: ExitCode.unsupportedTarget });
    process.kill(target.pid, 'SIGCONT');
    target.send('main 0 1\n');
    expect(await target.line()).toBe('7 5');
  });

  it('ends when the target does, and tells its exit status to both of us', async () => {
    const { target, cells } = await writer();
    await using _ = target;
    const { watching } = await armed(target.pid, [{ address: cells, length: 8 }], {
      maxMs: 60_000,
      onHit: () => 'continue',
    });
    target.send('exit 0 42\n');
    expect(await watching).toMatchObject({ reason: 'ended', exitStatus: 42 });
    await target.ended;
    expect(target.child.exitCode).toBe(42);
  });

  it('ends when the target executes another program, which runs on', async () => {
    const { target, cells } = await writer();
    await using _ = target;
    const { watching } = await armed(target.pid, [{ address: cells, length: 8 }], {
      maxMs: 60_000,
      onHit: () => 'continue',
    });
    target.send('exec 0 0\n');
    expect(await watching).toMatchObject({ reason: 'ended' });
    expect(await target.line()).toBe('other');
    await target.ended;
    expect(target.child.exitCode).toBe(0);
  });

  it('lets the target go when the callback throws', async () => {
    const { target, cells } = await writer();
    await using _ = target;
    const { watching } = await armed(target.pid, [{ address: cells, length: 8 }], {
      maxMs: 60_000,
      onHit: () => {
        throw new Error('of the callback');
      },
    });
    target.send('main 0 9\n');
    await expect(watching).rejects.toThrow('of the callback');
    expect(await target.line()).toBe('9 0');
  });

  it('says that there is no such process', async () => {
    const watching = watch(2 ** 22 + 1, [{ address: 4096, length: 8 }], { maxMs: 10, onHit: () => 'stop' });
    await expect(watching).rejects.toMatchObject({ exitCode: ExitCode.usage });
  });
});
