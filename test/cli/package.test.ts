import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { directory, execute } from './command.ts';

const checkout = resolve(import.meta.dirname, '../..');
const env = { PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` };

test('the package is built, packed, installed and runs', async () => {
  const packed = await execute('npm', ['pack', '--pack-destination', directory, '--loglevel=error'], {
    cwd: checkout,
    env,
  });
  expect(packed.status, packed.stdout + packed.stderr).toBe(0);
  const tarball = readdirSync(directory).find(name => name.endsWith('.tgz'))!;

  const home = join(directory, 'installed');
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{"private": true}');
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  const installed = await execute('npm', ['install', ...flags, join(directory, tarball)], { cwd: home, env });
  expect(installed.status, installed.stdout + installed.stderr).toBe(0);

  const bin = join(home, 'node_modules', '.bin', 'leakscope');
  const version = await execute(bin, ['--version'], { env });
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const doctor = await execute(bin, ['doctor', '--json'], { env });
  expect(JSON.parse(doctor.stdout)).toMatchObject({ schema: 1, target: null });
  expect(doctor.stderr).toBe('');

  const inside = join(home, 'node_modules', 'leakscope');
  for (const file of [
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'demo/serve.py',
    'demo/app/server.py',
    'src/agent/leakscope_agent/capture.py',
  ]) {
    expect(existsSync(join(inside, file)), file).toBe(true);
  }
  expect(readdirSync(inside).sort()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'demo',
    'dist',
    'package.json',
    'src',
  ]);
});
