/** The bundled service itself, on every interpreter: it serves, leaks only what it should, and never outlives its parent. */

import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { onePythonPerMinor } from '../support/pythons.ts';

const demo = resolve(import.meta.dirname, '../../demo');
const running = new Set<ChildProcess>();

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** Interpreters of this machine itself; one in a chroot does not see the project. */
const interpreters = onePythonPerMinor().filter(python => python.root === '');

test.each(interpreters)('the service runs on $version', async python => {
  const child = spawn(python.command[0]!, ['-B', 'serve.py', '--stdin', '--pace', '0.01'], {
    cwd: demo,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  let printed = '';
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', text => {
    errors += text;
  });
  const ended = new Promise(done => child.on('close', done));
  await new Promise<void>((ready, failed) => {
    child.stdout.setEncoding('utf8').on('data', text => {
      printed += text;
      if (/^ready \d+$/m.test(printed)) ready();
    });
    void ended.then(() => failed(new Error(errors)));
  });
  const url = /^serving (\S+)$/m.exec(printed)![1]!;
  const status = async () => (await fetch(`${url}/status`)).json() as Promise<Record<string, unknown>>;
  // Ready comes before the last visitor has begun: the threads are counted when all are at work.
  let before = await status();
  while ((before.requests as number) < 100) before = await status();
  expect(before).toMatchObject({ failures: 0 });
  expect(before.threads).toEqual(
    expect.arrayContaining(['MainThread', 'housekeeping', 'listener', 'visitor-1', 'visitor-2']),
  );
  let after = await status();
  while ((after.requests as number) < (before.requests as number) + 200) after = await status();
  expect(after).toMatchObject({ failures: 0, threads: before.threads });
  expect((await fetch(`${url}/nowhere`)).status).toBe(404);

  child.stdin.end();
  expect(await ended).toBe(0);
  running.delete(child);
  expect(errors).toBe('');
});
