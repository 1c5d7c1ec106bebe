import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { capture } from '../../src/process/capture.ts';
import { ExitCode, LeakscopeError } from '../../src/process/errors.ts';
import { injectionProbe } from '../../src/process/injection.ts';
import { memoryRollup, processStatus, statFields } from '../../src/process/maps.ts';
import { startTarget } from './interpreters.ts';
import { anyPython, childrenOf, pythonTarget, untilAsleep } from './targets.ts';
import { WAITING_PROGRAM } from './waits.ts';

const SECONDS = 3;
/** When the captures begin: long before the end, for those of a group come one after the other. */
const CAPTURED_AFTER = 1;
/** Below the second that a call restarted from its beginning would add. */
const LATE = 0.8;
/** How far two clocks may be apart. */
const EARLY = 0.001;
const turn = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

/** A process with a marker in memory that changes all the time, and the marker's address. */
const COUNTER = `
import ctypes, sys, threading, time
cell = (ctypes.c_long * 2)()
def count():
    while True:
        cell[0] += 1
threading.Thread(target=count, daemon=True, name='counter').start()
print('ready')
print(ctypes.addressof(cell))
sys.stdin.readline()
`;

describe.each(['fork', 'freeze'] as const)('capture by %s', via => {
  it('shows one moment, with the threads as they were', async () => {
    await using target = await pythonTarget(COUNTER);
    const address = Number(await target.line());
    const read = (image: ReturnType<typeof capture>) => {
      const bytes = new Uint8Array(8);
      expect(image.read(address, bytes)).toBe(8);
      return new DataView(bytes.buffer).getBigInt64(0, true);
    };
    using image = capture(target.pid, { via });
    const first = read(image);
    await turn(30);
    expect(read(image)).toBe(first);
    using later = capture(target.pid, { via });
    expect(read(later)).toBeGreaterThan(first);
    expect(image.via).toBe(via);
    expect(image.pauseMs).toBeGreaterThan(0);
    expect(image.threads.map(t => t.tid)).toEqual(
      readdirSync(`/proc/${target.pid}/task`)
        .map(Number)
        .sort((a, b) => a - b),
    );
    for (const thread of image.threads) {
      const self = new Uint8Array(8);
      expect(image.read(thread.threadPointer + 16, self)).toBe(8);
      expect(Number(new DataView(self.buffer).getBigUint64(0, true))).toBe(thread.threadPointer);
      expect(image.mappings.some(m => thread.stackPointer >= m.start && thread.stackPointer < m.end)).toBe(true);
    }
    expect(image.modules[0].path).toBe(image.executable);
    expect(image.modules.some(m => m.symbol('_PyRuntime') !== undefined)).toBe(true);
    expect(image.read(16, new Uint8Array(8))).toBe(0);
  });

  // Several at a time, for most of it is waiting.
  const kinds = [
    ['nanosleep', 'clock_nanosleep', 'clock_nanosleep_abs', 'sleep', 'lock', 'poll', 'ppoll', 'select', 'pselect'],
    ['epoll_wait', 'epoll_pwait', 'epoll_forever', 'pipe', 'accept', 'recv'],
    ['futex', 'futex_abs', 'wait4', 'waitid', 'wait_any'],
  ];
  it.each(kinds.map(group => [group]))('does not disturb threads that wait in %j', async group => {
    await Promise.all(group.map(kind => unnoticed(kind, via)));
  });
});

async function unnoticed(kind: string, via: 'fork' | 'freeze'): Promise<void> {
  await using target = await pythonTarget(WAITING_PROGRAM, [kind === 'wait_any' ? 'wait4' : kind, String(SECONDS)]);
  await untilAsleep(target.pid);
  const children = childrenOf(target.pid);
  await turn(CAPTURED_AFTER * 1000);
  for (let i = 0; i < 3; i++) {
    using image = capture(target.pid, { via });
    expect(image.pid).toBe(target.pid);
  }
  expect(childrenOf(target.pid)).toEqual(children);
  const { result, errno, elapsed } = JSON.parse(await target.line()) as {
    result: number;
    errno: number;
    elapsed: number;
  };
  const TIMED_OUT = 110;
  expect(errno, kind).toBe(kind.startsWith('futex') ? TIMED_OUT : 0);
  if (!kind.startsWith('futex')) expect(result, kind).toBeGreaterThanOrEqual(0);
  expect(elapsed, kind).toBeGreaterThanOrEqual(SECONDS - EARLY);
  expect(elapsed, kind).toBeLessThan(SECONDS + LATE);
}

describe('a busy target', () => {
  it('notices nothing of 100 captures', async () => {
    // Threads, subprocesses, signals, and a wait for any child, all counting what they see.
    await using target = await pythonTarget(`
import ctypes, json, os, select, signal, subprocess, sys, threading, time, warnings
warnings.simplefilter('ignore')
counts = {'chld': 0, 'usr1': 0, 'subprocesses': 0, 'forks': 0, 'threads': 0, 'bad': []}
def on_usr1(*_): counts['usr1'] += 1
def on_chld(*_): counts['chld'] += 1
signal.signal(signal.SIGUSR1, on_usr1)
running = True
def churn():
    while running:
        t = threading.Thread(target=lambda: sum(range(1000))); t.start(); t.join()
        counts['threads'] += 1
def sleeper():
    while running:
        began = time.monotonic(); time.sleep(0.01)
        if time.monotonic() - began < 0.01: counts['bad'].append('early')
def epolls():
    # Through ctypes, for Python itself would hide an EINTR; the signals of the program are for the main thread.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGCHLD])
    libc = ctypes.CDLL(None, use_errno=True); ep = select.epoll(); events = ctypes.create_string_buffer(256)
    while running:
        began = time.monotonic(); got = libc.epoll_wait(ep.fileno(), events, 8, 5)
        if got != 0 or time.monotonic() - began < 0.005: counts['bad'].append(['epoll', got, time.monotonic() - began])
workers = [threading.Thread(target=f) for f in (churn, sleeper, epolls, epolls)]
for w in workers: w.start()
def ask():
    global running
    sys.stdin.readline(); running = False
asker = threading.Thread(target=ask); asker.start()
print('ready')
while running:
    code = subprocess.run([sys.executable, '-S', '-E', '-c', 'raise SystemExit(9)']).returncode
    if code != 9: counts['bad'].append(['subprocess', code])
    counts['subprocesses'] += 1
    pid = os.fork()
    if pid == 0: os._exit(5)
    got, status = os.wait()
    if got != pid or status != 5 << 8: counts['bad'].append(['wait', got, pid, status])
    counts['forks'] += 1
for w in workers + [asker]: w.join()
signal.signal(signal.SIGCHLD, on_chld)
try:
    os.wait(); counts['bad'].append('a child was left')
except ChildProcessError: pass
print(json.dumps(counts))
time.sleep(0.2)
print(counts['chld'])
sys.stdin.readline()
`);
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    let signals = 0;
    for (let i = 0; i < 100; i++) {
      using image = capture(target.pid, { via: i % 10 === 9 ? 'freeze' : 'auto' });
      expect(image.via).toBe(i % 10 === 9 ? 'freeze' : 'fork');
      if (i % 4 === 0) {
        process.kill(target.pid, 'SIGUSR1');
        signals++;
        // Signals of one kind do not queue: let each arrive before the next.
        await turn(10);
      }
    }
    target.send('end\n');
    const counts = JSON.parse(await target.line()) as Record<string, number> & { bad: unknown[] };
    expect(counts.bad).toEqual([]);
    expect(counts.usr1).toBe(signals);
    expect(counts.subprocesses).toBeGreaterThan(0);
    expect(counts.forks).toBeGreaterThan(0);
    expect(await target.line()).toBe('0');
    expect(childrenOf(target.pid)).toEqual([]);
    expect(descriptors()).toBe(before);
  });

  it('has the same memory, masks and threads afterwards', async () => {
    await using target = await pythonTarget(
      "import sys, threading\nx = [{'id': i} for i in range(100000)]\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\nprint('ready')\nsys.stdin.read()",
    );
    await untilAsleep(target.pid);
    const state = () => {
      const { dataBytes, virtualBytes, threads, blockedSignals, pendingSignals } = processStatus(target.pid)!;
      const resident = memoryRollup(target.pid)?.resident;
      const children = childrenOf(target.pid);
      return { dataBytes, virtualBytes, resident, threads, blockedSignals, pendingSignals, children };
    };
    const before = state();
    for (let i = 0; i < 10; i++) {
      using image = capture(target.pid, { via: 'fork' });
      expect(image.via).toBe('fork');
    }
    expect(state()).toEqual(before);
  });

  it('closes its files for good while it is being read', async () => {
    await using target = await pythonTarget(
      "import os, sys\nr, w = os.pipe()\nprint('ready')\nsys.stdin.readline()\nos.close(w)\nprint(len(os.read(r, 1)))\nsys.stdin.readline()",
    );
    using image = capture(target.pid, { via: 'fork' });
    target.send('\n');
    // The twin must not hold the writing end open.
    expect(await target.line()).toBe('0');
    expect(image.notes).toEqual([]);
  });
});

describe('a fork that fails', () => {
  it('is tried again with another thread when the twin is killed at its birth, and says so when no thread is left', async () => {
    await using target = await pythonTarget(
      "import sys, threading\nfor _ in range(2): threading.Thread(target=threading.Event().wait, daemon=True).start()\nprint('ready')\nprint(sys.stdin.readline())\nsys.stdin.read()",
    );
    const killTwin = (times: number) => {
      injectionProbe.step = name => {
        if (name !== 'cloned' || times-- <= 0) return;
        for (const child of childrenOf(target.pid)) process.kill(child, 'SIGKILL');
        while (childrenOf(target.pid).some(child => statFields(`/proc/${child}/stat`)?.[0] !== 'Z'));
      };
    };
    try {
      killTwin(1);
      using image = capture(target.pid);
      expect(image.via).toBe('fork');
      expect(image.notes).toEqual([]);
      image[Symbol.dispose]();
      killTwin(Number.POSITIVE_INFINITY);
      using frozen = capture(target.pid);
      expect(frozen.via).toBe('freeze');
      expect(frozen.notes.join()).toContain('ended at its birth');
    } finally {
      delete injectionProbe.step;
    }
    capture(target.pid, { via: 'fork' })[Symbol.dispose]();
    expect(childrenOf(target.pid)).toEqual([]);
    target.send('on\n');
    expect(await target.line()).toBe('on');
  });

  // Root is never short of processes, so the target gives up being root.
  it.runIf(process.getuid?.() === 0)('is a copy with the reason when the limit on processes is reached', async () => {
    await using target = await pythonTarget(`
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
os.setgid(54321); os.setuid(54321)
print('ready')
print(sys.stdin.readline())
`);
    using image = capture(target.pid);
    expect(image.via).toBe('freeze');
    expect(image.notes.join()).toContain('RLIMIT_NPROC');
    expect(childrenOf(target.pid)).toEqual([]);
    target.send('on\n');
    expect(await target.line()).toBe('on');
  });
});

describe('a target in a pid namespace of its own', () => {
  const IN_A_CONTAINER = ['--fork', '--pid', '--mount-proc', '--kill-child'];
  it.runIf(canUnshare())('is forked and collected as process 1, and as a later one', async () => {
    const python = anyPython();
    // As process 1 it gets every orphan: the twin must not become one that it sees.
    const program = `
import os, sys
def one():
    print('ready'); print(os.getpid())
    for line in sys.stdin:
        try: print('left', os.waitpid(-1, os.WNOHANG | 0x40000000))
        except ChildProcessError: print('none')
if sys.argv[1] == 'later':
    pid = os.fork()
    if pid: os.waitpid(pid, 0); os._exit(0)
one()
`;
    for (const kind of ['first', 'later']) {
      await using outer = await startTarget('unshare', [...IN_A_CONTAINER, python, '-u', '-c', program, kind]);
      expect(await outer.line()).toBe(kind === 'first' ? '1' : '2');
      let [pid] = childrenOf(outer.pid);
      if (kind === 'later') [pid] = childrenOf(pid);
      expect(processStatus(pid)?.namespacePids.at(-1)).toBe(kind === 'first' ? 1 : 2);
      for (let i = 0; i < 3; i++) {
        using image = capture(pid);
        expect(image.notes).toEqual([]);
        expect(image.via).toBe('fork');
        expect(image.modules.some(m => m.symbol('_PyRuntime') !== undefined)).toBe(true);
      }
      expect(childrenOf(pid)).toEqual([]);
      outer.send('ask\n');
      expect(await outer.line()).toBe('none');
    }
  });
});

function canUnshare(): boolean {
  return spawnSync('unshare', ['--fork', '--pid', '--mount-proc', 'true']).status === 0;
}

describe('choice and refusal', () => {
  it('tries another moment when the first is not good, and takes the last as it is', async () => {
    await using target = await pythonTarget("import sys\nprint('ready')\nsys.stdin.read()");
    let asked = 0;
    using second = capture(target.pid, { tryAgain: () => ++asked === 1 });
    expect(asked).toBe(2);
    expect(second.notes).toEqual([]);
    using last = capture(target.pid, { tryAgain: () => true });
    expect(last.notes.join()).toContain('moments');
    // The two images that are still open.
    expect(childrenOf(target.pid)).toHaveLength(2);
  });

  it('freezes a stopped process instead of forking it, and leaves it stopped', async () => {
    await using target = await pythonTarget(
      "import sys\nprint('ready')\nprint(sys.stdin.readline())\nsys.stdin.readline()",
    );
    process.kill(target.pid, 'SIGSTOP');
    while (processStatus(target.pid)?.state !== 'T') await turn(1);
    using image = capture(target.pid);
    expect(image.via).toBe('freeze');
    expect(image.notes.join()).toContain('stopped');
    while (processStatus(target.pid)?.state !== 'T') await turn(1);
    process.kill(target.pid, 'SIGCONT');
    target.send('on\n');
    expect(await target.line()).toBe('on');
  });

  it('freezes a process under seccomp that forbids clone', async () => {
    await using target = await pythonTarget(`
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
program = b''.join(struct.pack('HBBI', *i) for i in [(0x20, 0, 0, 0), (0x15, 0, 1, 56), (0x06, 0, 0, 0x80000000), (0x06, 0, 0, 0x7fff0000)])
code = ctypes.create_string_buffer(program)
assert libc.prctl(22, 2, struct.pack('HxxxxxxQ', 4, ctypes.addressof(code)), 0, 0) == 0
print('ready')
print(sys.stdin.readline())
`);
    using image = capture(target.pid);
    expect(image.via).toBe('freeze');
    expect(image.notes.join()).toContain('seccomp');
    target.send('alive\n');
    expect(await target.line()).toBe('alive');
  });

  const refused = (pid: number): LeakscopeError => {
    try {
      capture(pid)[Symbol.dispose]();
    } catch (error) {
      if (error instanceof LeakscopeError) return error;
      throw error;
    }
    throw new Error('it was not refused');
  };

  it('says why a process cannot be looked into', async () => {
    expect(refused(2 ** 22 + 1)).toMatchObject({
      exitCode: ExitCode.usage,
      message: expect.stringContaining('no process'),
    });
    expect(refused(-1).exitCode).toBe(ExitCode.usage);
    expect(refused(process.pid).exitCode).toBe(ExitCode.usage);
    expect(refused(2)).toMatchObject({
      exitCode: ExitCode.unsupportedTarget,
      message: expect.stringContaining('kernel'),
    });
    // Another tracer: a process that traces its child and says so.
    await using tracer = await pythonTarget(`
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
pid = os.fork()
if pid == 0:
    time.sleep(60); os._exit(0)
assert libc.ptrace(0x4206, pid, None, None) == 0
print('ready'); print(pid)
sys.stdin.read(); os.kill(pid, 9)
`);
    const traced = Number(await tracer.line());
    try {
      expect(refused(traced)).toMatchObject({
        exitCode: ExitCode.notPermitted,
        message: expect.stringContaining(String(tracer.pid)),
      });
    } finally {
      process.kill(traced, 'SIGKILL');
    }
  });
});
