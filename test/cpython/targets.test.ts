/** The targets that all other tests stand on: every interpreter starts, answers, and ends when told. */
import { existsSync, readlinkSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { expectedMinors, killTargets, pythons, spawnTarget } from '../support/pythons.ts';

afterAll(killTargets);

test('the machine has every minor version it can have', () => {
  expect([...new Set(pythons().map(p => p.minor))], 'run: ./leakscope --in-node node scripts/provision.ts').toEqual(
    expectedMinors(),
  );
});

describe.each(pythons().map(p => [`${p.version} ${p.command.join(' ')}`, p] as const))('%s', (_, python) => {
  test('starts as a process with the pid told, answers on its pipe, and leaves nothing behind', async () => {
    using target = await spawnTarget(
      python,
      {
        source:
          'import os, sys, beside\nprint("noise\\nready", os.getpid(), beside.X, sys.argv[1], __file__, flush=True)\nprint("got", input(), flush=True)\ninput()',
      },
      ['argument'],
      { beside: { 'beside.py': 'X = 7' }, flags: ['-B'] },
    );
    expect(readlinkSync(`/proc/${target.pid}/exe`)).toContain('python3');
    target.send('hello');
    expect(await target.nextLine()).toBe('got hello');
    expect(existsSync(target.directory)).toBe(true);
    target.kill();
    expect(await target.ended).toBe('SIGKILL');
    expect(existsSync(target.directory)).toBe(false);
    await expect(target.nextLine()).rejects.toThrow('ended with SIGKILL');
  });

  test('a target that fails before it is ready is an error with its own words', async () => {
    await expect(spawnTarget(python, { source: 'raise SystemExit("no reason")' })).rejects.toThrow('no reason');
  });
});
