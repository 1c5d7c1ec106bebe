/**
 * Does a busy service notice that it is looked into, or that the one who looks is killed?
 *
 *   ./leakscope --in-node node bench/soak.ts captures [TIMES]   captures in a row (default 1000; each tenth by freeze)
 *   ./leakscope --in-node node bench/soak.ts kills [TIMES]      SIGKILL to a leakscope that captures and watches, at
 *                                                               random moments (default 1000)
 *
 * PYTHON names the interpreter (default python3). Prints what was counted; exits with 1 when anything is not as it was.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { capture, Memory, processStatus, watch } from '../src/process/index.ts';
import { CLIENT, SERVICE } from './busy-service.ts';

const [, self, mode = 'captures', timesText = '1000', ...rest] = process.argv;
const python = process.env.PYTHON ?? 'python3';
/** What a wait in epoll_wait() gives when it ends with EINTR, as after SIGSTOP and SIGCONT; Python itself would repeat it. */
const INTERRUPTED = '(-1, 4)';
const NOT_BLOCKED = '0000000000000000';
const started: ChildProcess[] = [];
const failures: string[] = [];
const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));
const descriptors = () => readdirSync('/proc/self/fd').length;

function check(holds: boolean, sentence: string): void {
  if (!holds) failures.push(sentence);
}

function start(program: string, ...args: string[]) {
  const child = spawn(python, ['-u', '-c', program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, pid: child.pid!, line: async () => (await lines.next()).value as string };
}

/** Zombies below a process. */
function zombies(pid: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(other => other > 0)
    .filter(other => {
      const status = processStatus(other);
      return status?.parent === pid && status.state === 'Z';
    });
}

/** Those that stay: the service has zombies of its own between the end of a child and the wait for it. */
async function lastingZombies(pid: number): Promise<number[]> {
  let lasting = zombies(pid);
  for (let look = 0; look < 5 && lasting.length > 0; look++) {
    await sleep(100);
    const now = new Set(zombies(pid));
    lasting = lasting.filter(z => now.has(z));
  }
  return lasting;
}

async function service() {
  const target = start(SERVICE);
  await target.line();
  const cells = Number(await target.line());
  const port = Number(await target.line());
  const client = start(CLIENT, String(port));
  await client.line();
  return { target, client, cells, port };
}

/** Ends client and service, and judges what they counted. */
async function judge(
  { target, client }: Awaited<ReturnType<typeof service>>,
  signals: number,
  mostInterrupted = 0,
): Promise<void> {
  client.child.stdin.end();
  const asked = JSON.parse(await client.line()) as { answered: number; failed: string[]; slowest_ms: number };
  target.child.stdin.end();
  const ended = once(target.child, 'exit');
  const { bad: all, ...counts } = JSON.parse(await target.line()) as Record<string, number> & { bad: unknown[][] };
  const bad = all.filter(what => what[3] !== INTERRUPTED);
  const interrupted = all.length - bad.length;
  const [status] = (await ended) as [number | null];
  console.log(
    `client: ${asked.answered} requests answered, ${asked.failed.length} failed, slowest ${asked.slowest_ms.toFixed(0)} ms`,
  );
  console.log(
    `service: ${Object.entries(counts)
      .map(([name, n]) => `${n} ${name}`)
      .join(', ')}`,
  );
  console.log(`service: ${bad.length} early wake-ups, wrong exit statuses or errors; its own exit status ${status}`);
  console.log(`service: ${interrupted} of its waits in epoll_wait() with a time limit ended with EINTR`);
  check(interrupted <= mostInterrupted, 'epoll_wait was interrupted');
  check(asked.failed.length === 0, `requests failed: ${asked.failed.slice(0, 5).join('; ')}`);
  check(bad.length === 0, `the service noticed: ${JSON.stringify(bad.slice(0, 10))}`);
  check(counts.usr1 === signals, `${signals} signals were sent and ${counts.usr1} arrived`);
  check(counts.chld <= counts.subprocesses + counts.forks, 'a SIGCHLD came that none of its children made');
  check(status === 3, `its exit status was ${status}`);
}

async function soakCaptures(times: number): Promise<void> {
  const all = await service();
  const { pid } = all.target;
  for (let i = 0; i < 5; i++) capture(pid)[Symbol.dispose]();
  const before = descriptors();
  const status = processStatus(pid)!;
  const vias = new Map<string, number>();
  const notes = new Map<string, number>();
  const pauses: number[] = [];
  let signals = 0;
  const began = performance.now();
  for (let i = 0; i < times; i++) {
    {
      using image = capture(pid, { via: i % 10 === 9 ? 'freeze' : 'auto' });
      vias.set(image.via, (vias.get(image.via) ?? 0) + 1);
      for (const note of image.notes) notes.set(note, (notes.get(note) ?? 0) + 1);
      pauses.push(image.pauseMs);
      if (i % 5 === 0) Memory.copy(image);
    }
    if (i % 10 === 0) {
      process.kill(pid, 'SIGUSR1');
      signals++;
    }
    // Signals of one kind do not queue: the next comes ten captures later.
    await sleep(Math.random() * 20);
    if (i % 100 === 99) {
      const left = await lastingZombies(pid);
      check(left.length === 0, `after ${i + 1} captures zombies were left: ${left.join(' ')}`);
    }
  }
  const seconds = (performance.now() - began) / 1000;
  pauses.sort((a, b) => a - b);
  console.log(
    `${times} captures in ${seconds.toFixed(0)} s: ${[...vias].map(([via, n]) => `${n} by ${via}`).join(', ')}; pause median ${pauses[times >> 1].toFixed(1)} ms, longest ${pauses[times - 1].toFixed(1)} ms`,
  );
  for (const [note, n] of notes) console.log(`  noted ${n} times: ${note}`);
  console.log(`open files of leakscope: ${before} before, ${descriptors()} after`);
  check(descriptors() === before, 'leakscope leaked file descriptors');
  const { tracer, ignoredSignals, caughtSignals } = processStatus(pid)!;
  check(tracer === 0, 'it is still traced');
  check(
    ignoredSignals === status.ignoredSignals && caughtSignals === status.caughtSignals,
    'what it does with signals changed',
  );
  // While it starts a subprocess it blocks them all itself.
  let blocked = '';
  for (let look = 0; look < 50 && blocked !== NOT_BLOCKED; look++) {
    blocked = processStatus(pid)!.blockedSignals;
    await sleep(5);
  }
  check(blocked === NOT_BLOCKED, `its blocked signals changed to ${blocked}`);
  await judge(all, signals);
}

/** A leakscope that waits for a line and then captures and watches until it is killed. */
async function victim(pid: number, cells: number): Promise<void> {
  process.stdout.write('loaded\n');
  await once(process.stdin, 'data');
  process.stdout.write('begun\n');
  for (;;) {
    capture(pid)[Symbol.dispose]();
    {
      using image = capture(pid, { via: 'freeze' });
      Memory.copy(image);
    }
    await watch(pid, [{ address: cells, length: 8 }], { maxMs: 25, onHit: () => 'continue' });
  }
}

async function soakKills(times: number): Promise<void> {
  const all = await service();
  const { target, cells, port } = all;
  const ready = async () => {
    const child = spawn(process.execPath, [self!, 'victim', '0', String(target.pid), String(cells)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    started.push(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await lines.next();
    return { child, lines };
  };
  const states = new Map<string, number>();
  let mostZombies = 0;
  let slowestMs = 0;
  const began = performance.now();
  let next = ready();
  for (let i = 0; i < times; i++) {
    const { child, lines } = await next;
    const ended = once(child, 'exit');
    child.stdin.write('go\n');
    await lines.next();
    await sleep(Math.random() * 120);
    const { tracer, state } = processStatus(target.pid)!;
    const seen = tracer === child.pid ? `traced (${state})` : 'not traced just then';
    states.set(seen, (states.get(seen) ?? 0) + 1);
    child.kill('SIGKILL');
    const [code, signal] = await ended;
    check(signal === 'SIGKILL', `leakscope ended by itself in round ${i} (${code})`);
    started.splice(started.indexOf(child), 1);
    next = ready();
    const asked = performance.now();
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/round/${i}`, { signal: AbortSignal.timeout(30_000) });
      check((await answer.text()).startsWith(`/round/${i} `), `round ${i}: a wrong answer`);
    } catch (error) {
      throw new Error(`round ${i}: the target did not answer: ${String(error)}`);
    }
    slowestMs = Math.max(slowestMs, performance.now() - asked);
    const status = processStatus(target.pid);
    check(status?.tracer === 0, `round ${i}: it is still traced`);
    if (i % 25 === 24) mostZombies = Math.max(mostZombies, (await lastingZombies(target.pid)).length);
  }
  const spare = await next;
  spare.child.kill('SIGKILL');
  console.log(
    `${times} times killed in ${((performance.now() - began) / 1000).toFixed(0)} s; the target answered each time, slowest ${slowestMs.toFixed(0)} ms`,
  );
  console.log(`at the moment of the kill: ${[...states].map(([what, n]) => `${n} ${what}`).join(', ')}`);
  console.log(`zombies that its own wait() does not see: at most ${mostZombies} at a time`);
  check(mostZombies <= 1, `${mostZombies} zombies had gathered`);
  const trapIgnored = () => (BigInt(`0x${processStatus(target.pid)!.ignoredSignals}`) & 16n) !== 0n;
  const before = trapIgnored();
  capture(target.pid)[Symbol.dispose]();
  console.log(`SIGTRAP ignored after the last kill: ${before}; after one more capture: ${trapIgnored()}`);
  check(!trapIgnored(), 'SIGTRAP stays ignored');
  const left = await lastingZombies(target.pid);
  check(left.length === 0, `zombies after one more capture: ${left.join(' ')}`);
  // A thread that was stopped as it went to sleep there, and whose leakscope was killed before it could repair that.
  await judge(all, 0, Math.ceil(times / 50));
}

try {
  if (mode === 'victim') await victim(Number(rest[0]), Number(rest[1]));
  else if (mode === 'kills') await soakKills(Number(timesText));
  else await soakCaptures(Number(timesText));
  for (const failure of failures.slice(0, 20)) console.log(`FAILED: ${failure}`);
  if (mode !== 'victim')
    console.log(failures.length === 0 ? 'nothing was noticed' : `${failures.length} checks failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
} finally {
  for (const child of started) child.kill('SIGKILL');
}
// node:readline keeps the pipes of children open.
process.exit();
