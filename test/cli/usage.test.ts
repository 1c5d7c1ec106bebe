import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { directory, leakscope } from './command.ts';

describe('wrong usage ends with 2, one sentence and what to do', () => {
  const cases: [string[], RegExp][] = [
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['attach'], /missing required argument 'PID'/],
    [['attach', 'app.py'], /A pid is a number/],
    [['attach', '0'], /A pid is a number/],
    [['attach', '4242', '--for', 'soon'], /Write a duration as 45s, 2m, 1h/],
    [['attach', '4242', '--for', '-5s'], /Write a duration as 45s/],
    [['attach', '4242', '--via', 'magic'], /Allowed choices are/],
    [['attach', '4242', 'more'], /too many arguments/],
    [['types', '4242', '--limit', 'ten'], /Write a whole number/],
    [['types', '4242', '--frob'], /unknown option '--frob'/],
    [['object', '4242', 'here'], /Write an address as 0x/],
    [['types', 'no-such-file.lss'], /there is no file no-such-file.lss/],
    [['types', '.'], /\. is not a file/],
    [['types', '99999999999'], /not a process id/],
    [['fix', 'first'], /Write a whole number from 1 on/],
    [['run', '--', '/no/such/program'], /there is no program \/no\/such\/program/],
  ];
  test.each(cases)('leakscope %j', async (args, message) => {
    const { status, stdout, stderr } = await leakscope(args);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^leakscope: /);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });
});

test('a pid that is gone', async () => {
  const child = spawn('true');
  const { pid } = child;
  await new Promise(ended => child.on('exit', ended));
  for (const command of ['attach', 'types']) {
    const { status, stderr } = await leakscope([command, String(pid)]);
    expect(stderr).toContain(`leakscope: there is no process ${pid}\n`);
    expect(status).toBe(2);
  }
});

test('a process that is not Python', async () => {
  const child = spawn('sleep', ['60']);
  try {
    const { status, stderr } = await leakscope(['attach', String(child.pid)]);
    expect(stderr).toMatch(/^leakscope: .*not a.* CPython/);
    expect(status).toBe(4);
    const doctor = await leakscope(['doctor', String(child.pid), '--json']);
    expect(JSON.parse(doctor.stdout)).toMatchObject({ schema: 1, ok: false });
    expect(doctor.status).toBe(4);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a file that is neither a core nor a snapshot', async () => {
  const file = join(directory, 'notes.txt');
  writeFileSync(file, 'buy milk\n');
  const { status, stderr } = await leakscope(['types', file]);
  expect(stderr).toMatch(/^leakscope: [^\n]*notes\.txt/);
  expect(status).toBe(4);
});

test('help shows examples first; every command has it, and none is a stub', async () => {
  const { stdout, status } = await leakscope(['help']);
  expect(status).toBe(0);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+)(?: [<[].*?)? {2,}\w/gm)].map(match => match[1]!);
  expect(commands).toEqual(expect.arrayContaining(['demo', 'attach', 'run', 'fix', 'doctor', 'types', 'who']));
  for (const unopened of ['trace', 'lines', 'timeline', 'lint']) expect(commands).not.toContain(unopened);
  for (const command of commands.filter(name => name !== 'help')) {
    const help = await leakscope(['help', command]);
    expect(help.stdout).toMatch(new RegExp(`^Examples:\\n {2}(?:[A-Z_]+=\\S+ )?leakscope ${command}`));
    expect(help.stdout).toContain('--json');
    expect(help.status).toBe(0);
  }
});

test('version', async () => {
  const { stdout, status } = await leakscope(['--version']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(status).toBe(0);
});

describe('fix', () => {
  const state = join(directory, 'fix-state');
  const env = { XDG_STATE_HOME: state };
  const keep = (verdict: unknown) => {
    mkdirSync(join(state, 'leakscope'), { recursive: true });
    writeFileSync(
      join(state, 'leakscope', 'last.json'),
      typeof verdict === 'string' ? verdict : JSON.stringify(verdict),
    );
  };
  const patch = '--- a/app/cache.py\n+++ b/app/cache.py\n@@ -1 +1 @@\n-a\n+b\n';
  const verdict = {
    schema: 1,
    target: { pid: 42, python: '3.11.7', executable: '/usr/bin/python3', command: ['python', 'app.py'] },
    summary: 'It leaks.',
    suspects: [
      { rank: 1, fix: { summary: 'drop it', patch } },
      { rank: 2, fix: { summary: 'close the file', patch: null } },
    ],
  };

  test('says so when there is no verdict, no such suspect, or no patch', async () => {
    const none = await leakscope(['fix'], { env });
    expect(none.stderr).toContain('there is no verdict yet');
    expect(none.status).toBe(2);
    keep(verdict);
    const third = await leakscope(['fix', '3'], { env });
    expect(third.stderr).toContain('has no suspect 3\nIt has suspects 1 to 2.');
    const second = await leakscope(['fix', '2'], { env });
    expect(second.stderr).toContain('there is no patch for suspect 2\nWhat to do: close the file');
    expect(second.status).toBe(4);
    keep({ ...verdict, suspects: [] });
    expect((await leakscope(['fix'], { env })).stderr).toContain('has no suspect\nIt leaks.');
    keep('{"schema": 1, "susp');
    expect((await leakscope(['fix'], { env })).stderr).toMatch(/cannot be read\nRun leakscope attach PID again/);
  });

  test('prints the patch and nothing else', async () => {
    keep(verdict);
    const { stdout, stderr, status } = await leakscope(['fix', '1'], { env });
    expect(stdout).toBe(patch);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const json = await leakscope(['fix', '2', '--json'], { env });
    expect(JSON.parse(json.stdout)).toEqual({
      schema: 1,
      target: verdict.target,
      rank: 2,
      summary: 'close the file',
      patch: null,
    });
  });

  test('--output replaces a file as a whole, or leaves it as it was', async () => {
    keep(verdict);
    const file = join(directory, 'fix.patch');
    writeFileSync(file, 'before');
    expect((await leakscope(['fix', '-o', file], { env })).status).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(patch);
    const nowhere = await leakscope(['fix', '-o', join(directory, 'no', 'such', 'folder')], { env });
    expect(nowhere.stderr).toMatch(/cannot write .*no such file or directory\nChoose another --output/);
    expect(nowhere.status).toBe(2);
    expect(readdirSync(directory).filter(name => name.includes('.partial'))).toEqual([]);
  });
});

test('a reader that goes away is not an error', async () => {
  const script = `"$0" --disable-warning=ExperimentalWarning "$1" help attach | true; echo "\${PIPESTATUS[0]}"`;
  const { execute, MAIN } = await import('./command.ts');
  const { stdout, stderr } = await execute('bash', ['-c', script, process.execPath, MAIN]);
  expect(stdout).toBe('0\n');
  expect(stderr).toBe('');
});

test('the demo says which interpreter it cannot use', async () => {
  const notPython = join(directory, 'not-python');
  writeFileSync(notPython, '#!/bin/sh\nexit 1\n');
  chmodSync(notPython, 0o755);
  const broken = await leakscope(['demo'], { env: { LEAKSCOPE_PYTHON: notPython } });
  expect(broken.stderr).toMatch(/LEAKSCOPE_PYTHON is .*not-python, and that cannot be started\n/);
  expect(broken.status).toBe(2);
  const old = join(directory, 'old-python');
  writeFileSync(old, '#!/bin/sh\nprintf "cpython\\n3.6.15\\n/usr/bin/python3.6\\nTrue\\n"\n');
  chmodSync(old, 0o755);
  const tooOld = await leakscope(['demo'], { env: { LEAKSCOPE_PYTHON: old } });
  expect(tooOld.stderr).toContain('is Python 3.6.15, older than 3.8');
  const none = await leakscope(['demo'], { env: { PATH: join(directory, 'empty') } });
  expect(none.stderr).toMatch(/no CPython 3.8 or newer was found in PATH\nInstall one/);
  expect(existsSync(join(directory, 'empty'))).toBe(false);
  expect(none.status).toBe(4);
});
