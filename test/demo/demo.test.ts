/** `leakscope demo`, the main job: type, holder, path and store line, and the service goes on serving. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { leakscope } from '../cli/command.ts';
import { pythons } from '../support/pythons.ts';

const demo = resolve(import.meta.dirname, '../../demo');

function lineOf(file: string, text: string): number {
  return (
    readFileSync(join(demo, file), 'utf8')
      .split('\n')
      .findIndex(line => line.includes(text)) + 1
  );
}

const own = pythons().filter(python => python.root === '');
const wanted = own.filter(({ minor }) => ['3.11', '3.13'].includes(minor));

test.each(wanted.length > 0 ? wanted : own.slice(0, 1))('the demo on $version', async python => {
  const env = { LEAKSCOPE_PYTHON: python.command[0]! };
  const { status, stdout, stderr } = await leakscope(['demo', '--json'], { env });
  expect(status, stderr).toBe(0);
  expect(stderr).toMatch(
    /The service still answers \(in .*, the same 6 threads\): [\d,]+ requests served .* 0 failed\./,
  );
  const verdict = JSON.parse(stdout);
  expect(verdict).toMatchObject({
    schema: 1,
    target: { python: python.version },
    observation: { bytes_allocated_in_target: 0 },
    verdict: 'leak',
    demo: { requests_failed: 0 },
  });
  expect(verdict.demo.requests_served).toBeGreaterThan(0);
  expect(verdict.demo.threads_after).toEqual(verdict.demo.threads_before);
  // One leak, and nothing that is fine beside it.
  expect(verdict.suspects).toHaveLength(1);
  const [suspect] = verdict.suspects;
  expect(suspect.types[0].name).toBe('app.handlers.Session');
  expect(suspect.types[0].count_per_second).toBeGreaterThan(0);
  expect(suspect.holder).toMatchObject({ expression: 'app.cache.SESSIONS', type: 'dict' });
  expect(suspect.path.slice(0, 2)).toEqual(['module app.cache', '.SESSIONS']);
  expect(suspect.store_sites[0]).toMatchObject({
    file: expect.stringMatching(/app\/cache\.py$/),
    line: lineOf('app/cache.py', 'SESSIONS[token] = session'),
    function: 'remember',
    evidence: 'watchpoint',
  });
  expect(suspect.creation_sites[0]).toMatchObject({
    file: expect.stringMatching(/app\/handlers\.py$/),
    line: lineOf('app/handlers.py', 'session = Session('),
    function: 'login',
  });

  // The verdict is kept: its patch applies to what was running.
  const fix = await leakscope(['fix', '1']);
  expect(fix.status, fix.stderr).toBe(0);
  expect(fix.stdout).toMatch(/^--- .*app\/cache\.py/);
  // Nothing of the service is left.
  expect(() => process.kill(verdict.target.pid, 0)).toThrow();
});

test('the verdict as text shows the line with its neighbours', async () => {
  const { status, stdout } = await leakscope(['demo', '--quiet']);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^LEAK {3}Session {2}\+[\d,]+ objects\/min/);
  expect(stdout).toContain('held by    app.cache.SESSIONS   dict, ');
  expect(stdout).toMatch(/stored at {2}app\/cache\.py:\d+ in remember\(\) {4}\d+ of \d+ watched inserts/);
  expect(stdout).toMatch(/> \d+ {3}.*SESSIONS\[token\] = session/);
  expect(stdout).toMatch(/^MEMORY /m);
  expect(stdout).toMatch(/^COST .*0 bytes allocated in the target/m);
});
