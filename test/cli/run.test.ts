import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pythons } from '../support/pythons.ts';
import { directory, leakscope } from './command.ts';

/** An interpreter of the machine itself, not of a chroot. */
const python = pythons().find(candidate => candidate.root === '')!.command[0]!;

test('the exit status, the output and the input of the program are its own', async () => {
  const script = 'import sys; print("out"); print("err", file=sys.stderr); sys.exit(7)';
  const { status, stdout, stderr } = await leakscope(['run', '--', python, '-c', script]);
  expect(status).toBe(7);
  expect(stdout).toBe('out\n');
  expect(stderr).toMatch(/^err$/m);
  expect(stderr).toMatch(/^leakscope: the program ended after [\d.]+ s, before there was a verdict$/m);
});

test('a program that a signal ended gives 128 + n', async () => {
  const script = 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)';
  expect((await leakscope(['run', '--', python, '-c', script])).status).toBe(137);
});

test('options after the program belong to the program', async () => {
  const { stdout } = await leakscope(['run', python, '-c', 'import sys; print(sys.argv[1:])', '--json', '--for', 'x']);
  expect(stdout).toBe("['--json', '--for', 'x']\n");
});

test('a program that is not Python runs to its end', async () => {
  const { status, stdout, stderr } = await leakscope(['run', '--', 'sh', '-c', 'echo hello; exit 3']);
  expect(stdout).toBe('hello\n');
  expect(stderr).toContain('before there was a verdict');
  expect(status).toBe(3);
});

test('a signal that is sent to leakscope reaches the program', async () => {
  const file = join(directory, 'signalled.py');
  const marks = join(directory, 'marks');
  writeFileSync(
    file,
    [
      'import signal, sys',
      'def ended(number, frame):',
      `    open(${JSON.stringify(marks)}, "w").write("signal %d" % number)`,
      '    sys.exit(9)',
      'signal.signal(signal.SIGTERM, ended)',
      'print("ready", flush=True)',
      'while True: signal.pause()',
    ].join('\n'),
  );
  const { status } = await leakscope(['run', '--for', '1s', '--', python, file], {
    onStart: child => child.stdout?.once('data', () => child.kill('SIGTERM')),
  });
  expect(readFileSync(marks, 'utf8')).toBe('signal 15');
  expect(status).toBe(9);
});

const STEADY = [
  'import threading, time',
  'print("from the program", flush=True)',
  'end = time.monotonic() + 4',
  'while time.monotonic() < end: time.sleep(0.01)',
].join('\n');

test('with --json the document is alone on standard output', async () => {
  const { status, stdout, stderr } = await leakscope(['run', '--json', '--for', '2s', '--', python, '-c', STEADY]);
  const verdict = JSON.parse(stdout);
  expect(verdict).toMatchObject({ schema: 1, verdict: expect.stringMatching(/^(no-leak|inconclusive)$/) });
  expect(stderr).toContain('from the program');
  expect(status).toBe(0);
});

test('the Python that a shell script starts is found, and the verdict goes to a file', async () => {
  const file = join(directory, 'verdict.json');
  const { stdout, status } = await leakscope([
    'run',
    '--json',
    '-o',
    file,
    '--for',
    '2s',
    '--',
    'sh',
    '-c',
    '"$0" -c "$1"; exit 5',
    python,
    STEADY,
  ]);
  expect(stdout).toBe('from the program\n');
  expect(status).toBe(5);
  const verdict = JSON.parse(readFileSync(file, 'utf8'));
  expect(verdict.target.pid).toEqual(expect.any(Number));
});
