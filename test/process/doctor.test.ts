import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { kindOf } from '../../src/process/container.ts';
import { type Credentials, capabilityNames, credentialsOf } from '../../src/process/credentials.ts';
import { type DoctorReport, examine } from '../../src/process/doctor.ts';
import { commandLine, processStatus } from '../../src/process/maps.ts';
import { type AccessFacts, accessDenials, explainPermission } from '../../src/process/permission.ts';
import { remedyHere } from '../../src/process/remedies.ts';
import { allPythons, interpreters, startPython, startTarget } from './interpreters.ts';

const WAITS = "import sys; print('ready', flush=True); sys.stdin.read()";
const NOBODY = 65534;
const isRoot = process.getuid!() === 0;
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** A Python that becomes another user, when it can, and then is dumpable or not. */
const AS_USER = `
import ctypes, os, sys
if os.getuid() == 0:
    os.setgroups([]); os.setgid(${NOBODY}); os.setuid(${NOBODY})
ctypes.CDLL(None).prctl(4, int(sys.argv[1]))
print('ready', flush=True)
sys.stdin.read()
`;

interface Answer {
  readonly report: DoctorReport;
  readonly refusal: { message: string; exitCode: number; remedy: string };
  readonly seize: number;
}

/** What the doctor says to an ordinary user. */
function asOrdinaryUser(pid: number): Answer {
  const text = execFileSync(process.execPath, [here('doctor-as.ts'), isRoot ? String(NOBODY) : '-', String(pid)], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
  });
  return JSON.parse(text) as Answer;
}

describe('the doctor', () => {
  it.each(allPythons())('knows $version $command', async python => {
    await using target = await startPython(python, ['-c', WAITS]);
    const report = examine(target.pid);
    expect(report.obstacles).toEqual([]);
    expect(Object.values(report.captures).every(c => c.works || /gcore/.test(c.why))).toBe(true);
    expect(report.watchpoints.works).toBe(true);
    expect(report.tries.ptrace.worked).toBe(true);
    expect(report.target).toMatchObject({
      accessible: true,
      state: expect.stringMatching(/^[RS]$/) as string,
      threads: 1,
      tracer: 0,
      sameNamespace: { user: true, pid: true, mnt: true },
    });
    expect(report.target?.python).toMatchObject({
      shared: python.shared,
      debugBuild: python.debug,
      freeThreaded: python.freeThreaded,
    });
    const minor = Number(python.minor.split('.')[1]);
    expect(report.target?.python?.version).toBe(minor >= 11 ? python.version : python.minor);
    expect(processStatus(target.pid)?.tracer).toBe(0);
  });

  it('says without a pid what may be done here', () => {
    const report = examine();
    expect(report.target).toBeUndefined();
    expect(report.self.uid).toBe(process.getuid!());
    expect(report.machine.availableBytes).toBeGreaterThan(0);
    for (const capture of Object.values(report.captures)) expect(capture.why).not.toBe('');
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({ captures: report.captures });
  });

  it('leaves no child and no open file behind', async () => {
    examine();
    const open = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 5; i++) examine();
    // The pipe to a child that was killed is closed with the next turns of the event loop.
    while (readdirSync('/proc/self/fd').length > open) await new Promise(r => setImmediate(r));
    while (childNames().includes('sh')) await new Promise(r => setImmediate(r));
    expect(childNames().filter(name => name === 'sh')).toEqual([]);
  });
});

describe('a process of another user', () => {
  it('is refused with both names and a remedy', async () => {
    // As root we become somebody else; as somebody else the first process of the machine is root's.
    await using target = await startTarget(interpreters()[0], ['-c', WAITS]);
    const pid = isRoot ? target.pid : 1;
    const { report, refusal, seize } = asOrdinaryUser(pid);
    expect(seize).toBe(-1);
    expect(report.target?.accessible).toBe(false);
    expect(report.obstacles[0]).toMatchObject({ id: 'other-user', blocks: ['fork', 'freeze', 'core', 'watchpoints'] });
    expect(report.captures.fork).toEqual({ works: false, why: report.obstacles[0].what });
    expect(report.captures.agent.works).toBe(true);
    expect(refusal.exitCode).toBe(3);
    expect(refusal.message).toMatch(new RegExp(`^process ${pid} belongs to root, and you are `));
    expect(report.obstacles[0].remedies.plain.join()).toContain(`sudo leakscope attach ${pid}`);
    expect(report.obstacles[0].remedies.docker.join()).toMatch(/--cap-add SYS_PTRACE/);
    expect(report.obstacles[0].remedies.podman.join()).toMatch(/podman run .*--pid container:NAME/);
    expect(report.obstacles[0].remedies.kubernetes.join()).toMatch(
      /kubectl debug .*--target=CONTAINER --profile=general/,
    );
  });
});

describe('a process of the same user', () => {
  it('may be looked into when it is dumpable, and not when it is not', async () => {
    await using open = await startTarget(interpreters().at(-1)!, ['-c', AS_USER, '1']);
    const allowed = asOrdinaryUser(open.pid);
    const scope = allowed.report.machine.ptraceScope ?? 0;
    expect(allowed.seize).toBe(scope === 0 ? 0 : -1);
    expect(allowed.report.target).toMatchObject({ accessible: scope === 0, dumpable: true });
    expect(allowed.report.obstacles.map(o => o.id)).toEqual(scope === 0 ? [] : ['ptrace-scope']);
    if (scope === 0) expect(allowed.report.target?.python?.path).toMatch(/python/);

    await using closed = await startTarget(interpreters().at(-1)!, ['-c', AS_USER, '0']);
    const refused = asOrdinaryUser(closed.pid);
    expect(refused.seize).toBe(-1);
    expect(refused.report.target).toMatchObject({ accessible: false, dumpable: false });
    expect(refused.report.obstacles[0].id).toBe('undumpable');
    expect(refused.refusal.message).toMatch(/has made itself undumpable/);
  });
});

describe('what cannot be looked into', () => {
  it('a process that is being traced, with the name of the tracer', async () => {
    await using target = await startTarget(interpreters()[0], ['-c', WAITS]);
    await using tracer = await startTarget(process.execPath, [here('tracer.ts'), String(target.pid)]);
    const report = examine(target.pid);
    expect(report.target?.tracer).toBe(tracer.pid);
    expect(report.obstacles[0].id).toBe('traced');
    expect(report.obstacles[0].what).toContain(`(pid ${tracer.pid})`);
    expect(report.captures.fork.works).toBe(false);
    expect(explainPermission(target.pid)).toMatchObject({
      exitCode: 3,
      message: expect.stringContaining('one tracer at a time') as string,
    });
  });

  it('a program that is not Python', async () => {
    await using target = await startTarget('/bin/sh', ['-c', 'echo ready; read line']);
    const report = examine(target.pid);
    expect(report.obstacles.map(o => o.id)).toEqual(['not-python']);
    expect(report.obstacles[0].what).toMatch(/is not a Python program/);
    expect(report.target?.accessible).toBe(true);
  });

  it('by fork, a program that allows itself no system calls: the other ways are left', async () => {
    // prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) leaves read, write, exit and sigreturn.
    const program = `
import ctypes, os
os.write(1, b'ready\\n')
ctypes.CDLL(None).prctl(22, 1)
os.read(0, 1)
`;
    await using target = await startTarget(interpreters()[0], ['-c', program]);
    while (processStatus(target.pid)?.seccomp !== 1) await new Promise(r => setImmediate(r));
    const report = examine(target.pid);
    expect(report.obstacles).toMatchObject([{ id: 'no-fork', blocks: ['fork'] }]);
    expect(report.captures.fork).toMatchObject({
      works: false,
      why: expect.stringMatching(/^it cannot be forked/) as string,
    });
    expect(report.captures.freeze.works).toBe(true);
  });

  it('a process that has ended, collected or not', async () => {
    const { pid } = spawnSync('true');
    expect(examine(pid).obstacles.map(o => o.id)).toEqual(['gone']);
    expect(explainPermission(pid)).toMatchObject({ exitCode: 2, message: `there is no process ${pid}` });
    const program = `
import os, sys
print('ready', flush=True)
child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print(child, flush=True)
sys.stdin.read()
`;
    await using parent = await startTarget(interpreters()[0], ['-c', program]);
    const zombie = Number(await parent.line());
    const report = examine(zombie);
    expect(report.obstacles.map(o => o.id)).toEqual(['ended']);
    expect(report.obstacles[0].what).toContain(`process ${parent.pid} has not collected it`);
    expect(explainPermission(zombie).exitCode).toBe(5);
  });

  it('a thread, a thread of the kernel, ourselves, and numbers that are no pids', async () => {
    const program = `
import sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
${WAITS}
`;
    await using target = await startTarget(interpreters()[0], ['-c', program]);
    const thread = readdirSync(`/proc/${target.pid}/task`)
      .map(Number)
      .find(tid => tid !== target.pid)!;
    expect(examine(thread).obstacles[0]).toMatchObject({
      id: 'thread',
      what: `${thread} is a thread of process ${target.pid}, not a process`,
    });
    expect(examine(process.pid).obstacles[0].id).toBe('self');
    for (const pid of [0, -1, 1.5, Number.NaN]) expect(examine(pid).obstacles[0].id).toBe('bad-pid');
    // A container does not show any.
    for (const pid of kernelThreads()) {
      expect(examine(pid).obstacles.map(o => o.id)).toEqual(['kernel-thread']);
      expect(explainPermission(pid).exitCode).toBe(4);
    }
  });
});

describe('the rules of ptrace', () => {
  const PTRACE = 1n << 19n;
  const plain: AccessFacts = { ptraceScope: 0, capabilitiesCount: true, descendant: false, innerPid: undefined };
  const user = (uid: number, more: Partial<Credentials> = {}): Credentials => ({
    ...credentialsOf(process.pid)!,
    pid: 4242,
    uids: [uid, uid, uid],
    gids: [uid, uid, uid],
    effective: 0n,
    permitted: 0n,
    dumpable: true,
    ...more,
  });
  const ids = (caller: Credentials, target: Credentials, facts: Partial<AccessFacts> = {}) =>
    accessDenials(caller, target, { ...plain, ...facts }).map(d => d.id);

  it('let a user look at their own processes, with the right capabilities at all', () => {
    expect(ids(user(1000), user(1000))).toEqual([]);
    expect(ids(user(1000), user(1001))).toEqual(['other-user']);
    expect(ids(user(1000), user(1000, { gids: [1000, 1000, 5] }))).toEqual(['other-user']);
    expect(ids(user(1000), user(1000, { uids: [1000, 0, 0] }))).toEqual(['other-user']);
    expect(ids(user(1000), user(1000, { dumpable: false }))).toEqual(['undumpable']);
    expect(ids(user(1000), user(1000, { permitted: 1n << 10n }))).toEqual(['more-capable']);
    expect(
      ids(user(0, { effective: PTRACE, permitted: PTRACE }), user(1001, { dumpable: false, permitted: 1n << 10n })),
    ).toEqual([]);
    // Root in a container has no capability in the namespace of others.
    expect(ids(user(0, { effective: PTRACE, permitted: PTRACE }), user(1001), { capabilitiesCount: false })).toEqual([
      'other-user',
    ]);
  });

  it('are narrowed by Yama', () => {
    expect(ids(user(1000), user(1000), { ptraceScope: undefined })).toEqual([]);
    expect(ids(user(1000), user(1000), { ptraceScope: 1 })).toEqual(['ptrace-scope']);
    expect(ids(user(1000), user(1000), { ptraceScope: 1, descendant: true })).toEqual([]);
    expect(ids(user(1000), user(1000), { ptraceScope: 2, descendant: true })).toEqual(['ptrace-scope']);
    const root = user(0, { effective: PTRACE, permitted: PTRACE });
    expect(ids(root, user(1000), { ptraceScope: 2 })).toEqual([]);
    expect(ids(root, user(1000), { ptraceScope: 3 })).toEqual(['ptrace-off']);
    const [denial] = accessDenials(user(1000), user(1000), { ...plain, ptraceScope: 1 });
    expect(remedyHere(denial.remedies, undefined)).toContain('sudo sysctl kernel.yama.ptrace_scope=0');
  });

  it('come with the remedy for where one is', () => {
    const [denial] = accessDenials(user(1000), user(1001), { ...plain, innerPid: 7 });
    expect(remedyHere(denial.remedies, undefined)).toBe(
      "sudo leakscope attach 4242; or as its user: sudo -u '#1001' leakscope attach 4242",
    );
    const docker = remedyHere(denial.remedies, { kind: 'docker', id: 'abcdef123456' });
    expect(docker).toContain(
      'docker run --rm -it --pid container:abcdef123456 --cap-add SYS_PTRACE IMAGE-WITH-LEAKSCOPE leakscope attach 7',
    );
    expect(remedyHere(denial.remedies, { kind: 'kubernetes', id: '' })).toContain(
      'securityContext: {capabilities: {add: [SYS_PTRACE]}}',
    );
  });
});

describe('capabilities and containers', () => {
  it('have their names', () => {
    expect(capabilityNames(0n)).toEqual([]);
    expect(capabilityNames((1n << 19n) | (1n << 21n) | (1n << 38n) | 1n)).toEqual([
      'CHOWN',
      'SYS_PTRACE',
      'SYS_ADMIN',
      'PERFMON',
    ]);
    const text = /^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1];
    expect(capabilityNames(credentialsOf(process.pid)!.effective).includes('SYS_PTRACE')).toBe(
      ((BigInt(`0x${text}`) >> 19n) & 1n) === 1n,
    );
  });

  it('are told apart', () => {
    const none = () => false;
    const id = 'a'.repeat(64);
    expect(kindOf('0::/init.scope\n', {}, none)).toBeUndefined();
    expect(kindOf(`0::/system.slice/docker-${id}.scope\n`, {}, none)).toBe('docker');
    expect(kindOf('0::/\n', {}, path => path === '/.dockerenv')).toBe('docker');
    expect(kindOf(`0::/user.slice/libpod-${id}.scope\n`, {}, none)).toBe('podman');
    expect(kindOf('0::/\n', { container: 'podman' }, none)).toBe('podman');
    expect(kindOf(`0::/kubepods.slice/cri-containerd-${id}.scope\n`, {}, none)).toBe('kubernetes');
    expect(kindOf('0::/\n', { KUBERNETES_SERVICE_HOST: '10.0.0.1' }, path => path === '/.dockerenv')).toBe(
      'kubernetes',
    );
    expect(kindOf('0::/lxc/web\n', {}, none)).toBe('lxc');
    expect(kindOf('0::/\n', { container: 'systemd-nspawn' }, none)).toBe('other');
  });
});

function kernelThreads(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(
      pid =>
        pid > 0 &&
        processStatus(pid)?.virtualBytes === 0 &&
        processStatus(pid)?.state !== 'Z' &&
        commandLine(pid).length === 0,
    )
    .slice(0, 2);
}

function childNames(): string[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(pid => pid > 0)
    .map(pid => processStatus(pid))
    .filter(status => status?.parent === process.pid)
    .map(status => status!.name);
}
