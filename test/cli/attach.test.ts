/** attach on real programs: exit statuses, being interrupted, a target that ends, an untouched target. */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { killTargets, pythons, spawnTarget } from '../support/pythons.ts';
import { leakscope } from './command.ts';

const own = pythons().filter(candidate => candidate.root === '');
const python = own.find(({ minor }) => minor === '3.11') ?? own[0]!;

afterEach(killTargets);

const LEAKING = [
  'import time',
  'class Ticket:',
  '    def __init__(self, n): self.n = n',
  'TICKETS = []',
  'def issue(n):',
  '    TICKETS.append(Ticket(n))',
  'print("ready", flush=True)',
  'n = 0',
  'while True:',
  '    issue(n)',
  '    n += 1',
  '    time.sleep(0.005)',
].join('\n');

/** What of a process must be the same before and after. */
function stateOf(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
  return {
    threads: readdirSync(`/proc/${pid}/task`).sort(),
    children: readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'),
    tracer: field('TracerPid'),
    blocked: field('SigBlk'),
    ignored: field('SigIgn'),
    caught: field('SigCgt'),
  };
}

/** Calls back when leakscope has been watching for a while: nothing it prints says so, but its system calls are loaded. */
function whenWatching(child: ChildProcess, then: () => void): void {
  const timer = setInterval(() => {
    try {
      if (!readFileSync(`/proc/${child.pid}/maps`, 'utf8').includes('koffi')) return;
      setTimeout(then, 1500);
    } catch {
      // It has ended; the test sees how.
    }
    clearInterval(timer);
  }, 20);
}

test('a leak ends with 1 under --fail-on-leak, and the target is as it was', async () => {
  const target = await spawnTarget(python, { source: LEAKING });
  const before = stateOf(target.pid);
  const { status, stdout, stderr } = await leakscope(['attach', String(target.pid), '--fail-on-leak', '--json']);
  expect(status, stderr).toBe(1);
  const verdict = JSON.parse(stdout);
  expect(verdict).toMatchObject({
    schema: 1,
    leakscope: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    target: { pid: target.pid, python: python.version, executable: expect.any(String), command: expect.any(Array) },
    observation: {
      seconds: expect.any(Number),
      snapshots: expect.any(Number),
      via: expect.any(String),
      pauses_ms: expect.arrayContaining([expect.any(Number)]),
      stops: expect.any(Number),
      bytes_allocated_in_target: 0,
    },
    verdict: 'leak',
    summary: expect.any(String),
    memory: {
      resident: expect.any(Number),
      parts: expect.any(Array),
      growth_bytes_per_second: expect.any(Number),
      growth_parts: expect.any(Array),
    },
  });
  expect(verdict.suspects[0]).toMatchObject({
    rank: 1,
    category: expect.any(String),
    confidence: expect.any(Number),
    fingerprint: expect.any(String),
    retained_bytes: expect.any(Number),
    holder: { expression: 'TICKETS', type: 'list', address: expect.stringMatching(/^0x/), entries: expect.any(Number) },
    path: expect.arrayContaining(['module __main__', '.TICKETS']),
    explanation: expect.any(String),
    fix: { summary: expect.any(String) },
  });
  expect(verdict.suspects[0].types[0]).toEqual({
    name: '__main__.Ticket',
    count: expect.any(Number),
    count_per_second: expect.any(Number),
    bytes_per_second: expect.any(Number),
  });
  expect(verdict.suspects[0].store_sites[0]).toEqual({
    file: target.file,
    line: 6,
    function: 'issue',
    hits: expect.any(Number),
    evidence: 'watchpoint',
  });
  const sum = verdict.memory.parts.reduce((total: number, part: { bytes: number }) => total + part.bytes, 0);
  expect(sum).toBe(verdict.memory.resident);
  expect(stateOf(target.pid)).toEqual(before);
});

test('Ctrl-C prints the verdict so far', async () => {
  const target = await spawnTarget(python, { source: 'print("ready", flush=True)\ninput()' });
  const { status, stdout, stderr } = await leakscope(['attach', String(target.pid), '--for', '10m', '--json'], {
    onStart: child => whenWatching(child, () => child.kill('SIGINT')),
  });
  expect(status === 0 ? JSON.parse(stdout).verdict : stderr).toMatch(/^(no-leak|inconclusive)$/);
});

test('a target that ends while it is watched', async () => {
  const target = await spawnTarget(python, { source: 'print("ready", flush=True)\ninput()' });
  const { status, stdout, stderr } = await leakscope(['attach', String(target.pid), '--for', '60s'], {
    onStart: child => whenWatching(child, () => target.send('')),
  });
  expect(stderr).toMatch(/^leakscope: .*ended/);
  expect(stdout).toBe('');
  expect(status).toBe(5);
});
