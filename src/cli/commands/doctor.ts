/** `leakscope doctor [PID]`: may leakscope look into this process, in which ways, and if not, what exactly to do. */
import type { Command } from 'commander';
import { type DoctorReport, ExitCode, examine, type Obstacle } from '../../process/index.ts';
import { bytesText, type DoctorCheck, type DoctorDocument, doctorText } from '../../report/index.ts';
import { addCommand } from '../command.ts';
import { answer, type CommonOptions } from '../output.ts';
import { pid } from '../values.ts';

export function addDoctor(program: Command): void {
  addCommand(program, {
    usage: 'doctor',
    summary: 'may I look into this process? if not, why, and the exact remedy',
    examples: [
      ['leakscope doctor 4242', 'process 4242, before attaching'],
      ['leakscope doctor', 'what this user may do on this machine'],
    ],
    notes: 'Nothing is stopped or changed. Exit status 3 when it is not permitted, 4 when the process cannot be read.',
  })
    .argument('[PID]', 'the process', pid)
    .action(doctor);
}

async function doctor(target: number | undefined, options: CommonOptions): Promise<void> {
  const report = examine(target);
  const document = documentOf(report);
  await answer(options, document, style => doctorText(document, style));
  process.exitCode = exitCodeOf(report);
}

const ABOUT_THE_PID = ['bad-pid', 'gone', 'self', 'thread', 'kernel-thread'];
const ABOUT_PYTHON = ['not-python', 'unsupported-version', 'free-threaded', '32-bit'];

/** The exit code that attach would end with. */
function exitCodeOf(report: DoctorReport): number {
  const [decisive] = blocking(report);
  if (decisive === undefined) return ExitCode.done;
  if (decisive.id === 'ended') return ExitCode.targetEnded;
  if (ABOUT_THE_PID.includes(decisive.id)) return ExitCode.usage;
  return ABOUT_PYTHON.includes(decisive.id) ? ExitCode.unsupportedTarget : ExitCode.notPermitted;
}

/** Obstacles that leave no way to look into a live process. */
function blocking({ captures, obstacles }: DoctorReport): readonly Obstacle[] {
  if (captures.fork.works || captures.freeze.works) return [];
  return obstacles.filter(({ blocks }) => blocks.includes('freeze'));
}

function documentOf(report: DoctorReport): DoctorDocument {
  const { target, captures, watchpoints } = report;
  const [decisive] = blocking(report);
  const of = report.pid === undefined ? 'processes of this user' : `process ${report.pid}`;
  const { fork, freeze, core, agent } = captures;
  return {
    schema: 1,
    target:
      target === undefined
        ? null
        : { pid: target.pid, python: target.python?.version ?? '', executable: target.executable },
    ok: decisive === undefined,
    summary:
      decisive === undefined ? `leakscope can look into ${of}` : `leakscope cannot look into it: ${decisive.what}`,
    checks: [...facts(report), ...report.obstacles.map(check => obstacleCheck(check, check === decisive))],
    captures: [
      { via: 'fork', works: fork.works, detail: fork.why },
      { via: 'freeze', works: freeze.works, detail: freeze.why },
      { via: 'core', works: core.works, detail: core.why },
      { via: 'agent', works: agent.works, detail: agent.why },
      { via: 'watchpoints', works: watchpoints.works, detail: watchpoints.why },
    ],
  };
}

function facts({ self, machine, target }: DoctorReport): DoctorCheck[] {
  const fact = (name: string, detail: string): DoctorCheck => ({ name, status: 'ok', detail, remedies: [] });
  const traces = self.capabilities.includes('SYS_PTRACE') ? ', with the capability to trace any process' : '';
  const place = self.container === undefined ? '' : `, inside a ${self.container.kind} container`;
  const checks = [
    fact('leakscope', `runs as ${self.user} (${self.euid})${traces}${place}`),
    fact(
      'machine',
      `Linux ${machine.kernel}, ${machine.architecture}, ${bytesText(machine.availableBytes)} of memory available`,
    ),
    fact('ptrace_scope', scopeText(machine.ptraceScope)),
  ];
  if (target === undefined) return checks;
  const { python } = target;
  const build = [
    python?.shared ? 'as a shared library' : 'in the executable',
    python?.debugBuild ? 'a debug build' : '',
    python?.freeThreaded ? 'free-threaded' : '',
  ].filter(word => word !== '');
  checks.push(
    fact(
      'target',
      `${target.command.join(' ') || target.name}, runs as ${target.user} (${target.uid}), ${target.threads === 1 ? '1 thread' : `${target.threads} threads`}, ${bytesText(target.residentBytes)} resident`,
    ),
  );
  if (python !== undefined)
    checks.push(
      fact('python', `${python.version || 'version not told by its files'}, ${python.path}, ${build.join(', ')}`),
    );
  const apart = (['user', 'pid', 'mnt'] as const).filter(kind => target.sameNamespace[kind] === false);
  if (apart.length > 0) {
    const container = target.container === undefined ? '' : ` (a ${target.container.kind} container)`;
    checks.push(fact('namespaces', `its own ${apart.join(', ')}${container}; pid ${target.innerPid} inside`));
  }
  if (target.seccomp !== 0) checks.push(fact('seccomp', target.seccomp === 1 ? 'strict' : 'a filter'));
  if (target.dumpable === false) checks.push(fact('dumpable', 'no'));
  if (target.memoryHeadroomBytes !== undefined) {
    checks.push(fact('memory limit', `${bytesText(target.memoryHeadroomBytes)} left in its control group`));
  }
  return checks;
}

function scopeText(scope: number | undefined): string {
  switch (scope) {
    case undefined:
      return 'not on this kernel: processes of the same user may be traced';
    case 0:
      return '0: processes of the same user may be traced';
    case 1:
      return '1: without CAP_SYS_PTRACE only what leakscope itself started may be traced';
    case 2:
      return '2: tracing needs CAP_SYS_PTRACE';
    default:
      return `${scope}: nobody may trace`;
  }
}

function obstacleCheck(obstacle: Obstacle, decisive: boolean): DoctorCheck {
  const { plain, docker, podman, kubernetes } = obstacle.remedies;
  const places = [
    ['plain machine', plain],
    ['Docker', docker],
    ['Podman', podman],
    ['Kubernetes', kubernetes],
  ] as const;
  const alike = places.every(([, commands]) => commands.join('\n') === plain.join('\n'));
  return {
    name: obstacle.id,
    status: decisive ? 'obstacle' : 'warning',
    detail: obstacle.what,
    remedies: alike
      ? plain.map(command => ({ where: 'anywhere', command }))
      : places.flatMap(([where, commands]) => commands.map(command => ({ where, command }))),
  };
}
