/**
 * May I look into this process, and in which ways? Facts, obstacles and their remedies as plain data; nothing is printed
 * here, and the target is neither stopped nor changed.
 */
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Container, containerOf } from './container.ts';
import { type Credentials, capabilityNames, credentialsOf, type NamespaceKind, userName } from './credentials.ts';
import { type Tries, type Try, tryEverything } from './doctor-tries.ts';
import { forkObstacle } from './fork-obstacles.ts';
import {
  availableMemory,
  cgroupHeadroom,
  commandLine,
  executablePath,
  processStatus,
  procText,
  readMaps,
} from './maps.ts';
import { openElf } from './modules.ts';
import { type Denial, denialsOf, denialsOfOwn, standInTheWay, unexplained } from './permission.ts';
import { type PythonBinary, pythonBinary } from './python-binary.ts';
import { allRemedies, type ObstacleId, type Remedies } from './remedies.ts';

export type Way = 'fork' | 'freeze' | 'core' | 'agent' | 'watchpoints';

/** How one way of looking would go. */
export interface Outlook {
  readonly works: boolean;
  /** One clause, no full stop: why it works or does not. */
  readonly why: string;
}

export interface Obstacle {
  readonly id: ObstacleId;
  /** One clause, no full stop. */
  readonly what: string;
  readonly blocks: readonly Way[];
  readonly remedies: Remedies;
}

export interface DoctorSelf {
  readonly uid: number;
  readonly euid: number;
  readonly user: string;
  /** Effective capabilities by name, without `CAP_`. */
  readonly capabilities: readonly string[];
  readonly seccomp: number;
  readonly securityLabel: string;
  readonly container: Container | undefined;
}

export interface DoctorMachine {
  readonly kernel: string;
  readonly architecture: string;
  /** `kernel.yama.ptrace_scope`; undefined when the kernel has no Yama (as 0). */
  readonly ptraceScope: number | undefined;
  readonly perfEventParanoid: number | undefined;
  /** `vm.overcommit_memory`: 0 heuristic, 1 always, 2 never. */
  readonly overcommit: number;
  readonly availableBytes: number;
}

export interface DoctorTarget {
  readonly pid: number;
  readonly name: string;
  readonly command: readonly string[];
  readonly executable: string;
  /** Real user id and its name. */
  readonly uid: number;
  readonly user: string;
  /** R, S, D, T, t, Z … as ps prints it. */
  readonly state: string;
  readonly threads: number;
  readonly residentBytes: number;
  readonly tracer: number;
  /** Undefined when it cannot be told from outside (processes of root). */
  readonly dumpable: boolean | undefined;
  readonly seccomp: number;
  readonly capabilities: readonly string[];
  /** Is the namespace the same as ours? Undefined when it may not be seen. */
  readonly sameNamespace: Readonly<Record<NamespaceKind, boolean | undefined>>;
  readonly container: Container | undefined;
  /** Its pid inside its own pid namespace. */
  readonly innerPid: number;
  /** Bytes until its tightest memory limit; undefined without one. */
  readonly memoryHeadroomBytes: number | undefined;
  /** Can its memory be opened? This is the kernel's own answer to the question. */
  readonly accessible: boolean;
  readonly python: PythonBinary | undefined;
}

export interface DoctorReport {
  readonly pid: number | undefined;
  readonly self: DoctorSelf;
  readonly machine: DoctorMachine;
  /** Undefined without a pid, or when there is no such process. */
  readonly target: DoctorTarget | undefined;
  readonly tries: Tries;
  readonly captures: Readonly<Record<Exclude<Way, 'watchpoints'>, Outlook>>;
  readonly watchpoints: Outlook;
  /** The decisive one first. */
  readonly obstacles: readonly Obstacle[];
}

const ALL: readonly Way[] = ['fork', 'freeze', 'core', 'agent', 'watchpoints'];
const FROM_OUTSIDE: readonly Way[] = ['fork', 'freeze', 'core', 'watchpoints'];

/** Examines a process, or without a pid what this user may do here to processes of its own. Never throws for a bad pid. */
export function examine(pid?: number): DoctorReport {
  const credentials = credentialsOf(process.pid);
  const self = describeSelf(credentials);
  const machine = describeMachine();
  const tries = isSupportedMachine() ? tryEverything() : notHere(machine);
  const target = pid === undefined ? undefined : describeTarget(pid, credentials);
  const ofTarget =
    pid === undefined ? denialsOfOwn().map(d => fromDenial(d, FROM_OUTSIDE)) : targetObstacles(pid, target);
  const obstacles = [...ofTarget, ...machineObstacles(target, tries)];
  if (target) obstacles.push(...forkObstacles(target));
  const outlook = (way: Way, works: string): Outlook => {
    const obstacle = obstacles.find(o => o.blocks.includes(way));
    return obstacle ? { works: false, why: obstacle.what } : { works: true, why: works };
  };
  const gcore = findProgram('gcore');
  return {
    pid,
    self,
    machine,
    target,
    tries,
    captures: {
      fork: outlook('fork', 'the program stops for some milliseconds and is read at leisure'),
      freeze: outlook('freeze', 'the program stops for as long as its memory takes to be copied'),
      core: coreOutlook(outlook('core', ''), gcore),
      agent: outlook('agent', agentWorks(target, obstacles)),
    },
    watchpoints: outlook('watchpoints', tries.debugRegister.why),
    obstacles,
  };
}

function describeSelf(credentials: Credentials | undefined): DoctorSelf {
  const uid = process.getuid?.() ?? -1;
  return {
    uid,
    euid: process.geteuid?.() ?? -1,
    user: userName(uid),
    capabilities: credentials ? capabilityNames(credentials.effective) : [],
    seccomp: credentials?.seccomp ?? 0,
    securityLabel: credentials?.securityLabel ?? '',
    container: containerOf('self'),
  };
}

function describeMachine(): DoctorMachine {
  const number = (path: string) => {
    const text = procText(path);
    return text === undefined ? undefined : Number(text);
  };
  return {
    kernel: release(),
    architecture: process.arch,
    ptraceScope: number('/proc/sys/kernel/yama/ptrace_scope'),
    perfEventParanoid: number('/proc/sys/kernel/perf_event_paranoid'),
    overcommit: number('/proc/sys/vm/overcommit_memory') ?? 0,
    availableBytes: availableMemory(),
  };
}

function describeTarget(pid: number, self: Credentials | undefined): DoctorTarget | undefined {
  const status = processStatus(pid);
  const credentials = credentialsOf(pid);
  if (!status || !credentials) return undefined;
  const same = (kind: NamespaceKind) => {
    const theirs = credentials.namespaces[kind];
    return theirs === undefined ? undefined : theirs === self?.namespaces[kind];
  };
  const mappings = readMaps(pid);
  const headroom = cgroupHeadroom(pid);
  return {
    pid,
    name: status.name,
    command: commandLine(pid),
    executable: executablePath(pid),
    uid: credentials.uids[0],
    user: userName(credentials.uids[0]),
    state: status.state,
    threads: status.threads,
    residentBytes: status.residentBytes,
    tracer: status.tracer,
    dumpable: credentials.dumpable,
    seccomp: credentials.seccomp,
    capabilities: capabilityNames(credentials.effective),
    sameNamespace: { user: same('user'), pid: same('pid'), mnt: same('mnt') },
    container: containerOf(pid),
    innerPid: status.namespacePids.at(-1) ?? pid,
    memoryHeadroomBytes: Number.isFinite(headroom) ? headroom : undefined,
    accessible: mappings.length > 0 && canOpenMemory(pid),
    python: pythonBinary(pid, mappings),
  };
}

/** Opening the memory asks for the same permission as tracing does (PTRACE_MODE_ATTACH), and touches nothing. */
function canOpenMemory(pid: number): boolean {
  try {
    closeSync(openSync(`/proc/${pid}/mem`, 'r'));
    return true;
  } catch {
    return false;
  }
}

function targetObstacles(pid: number, target: DoctorTarget | undefined): Obstacle[] {
  const inTheWay = standInTheWay(pid);
  if (inTheWay || !target) return inTheWay ? [fromDenial(inTheWay, inTheWay.id === 'traced' ? FROM_OUTSIDE : ALL)] : [];
  if (!target.accessible) {
    const denials = denialsOf(pid);
    return (denials.length > 0 ? denials : [unexplained(pid)]).map(d => fromDenial(d, FROM_OUTSIDE));
  }
  const obstacle = (id: ObstacleId, what: string): Obstacle => ({
    id,
    what,
    blocks: ALL,
    remedies: allRemedies(id, target),
  });
  const { python } = target;
  if (python === undefined) {
    if (is32Bit(pid)) return [obstacle('32-bit', `process ${pid} is a 32-bit program`)];
    const what = target.executable || target.name;
    return [obstacle('not-python', `process ${pid} (${what}) is not a Python program: it has no CPython in it`)];
  }
  const [major, minor] = python.version.split('.').map(Number);
  if (python.version !== '' && (major !== 3 || minor < 8 || minor > 15)) {
    return [obstacle('unsupported-version', `process ${pid} runs Python ${python.version}`)];
  }
  if (python.freeThreaded)
    return [obstacle('free-threaded', `process ${pid} runs a free-threaded build of Python ${python.version}`)];
  return [];
}

function machineObstacles(target: DoctorTarget | undefined, tries: Tries): Obstacle[] {
  const named = target ?? { pid: 0 };
  if (!tries.ptrace.worked) {
    const remedies = allRemedies('ptrace-refused', named);
    return [{ id: 'ptrace-refused', what: tries.ptrace.why, blocks: ['fork', 'freeze', 'watchpoints'], remedies }];
  }
  if (!tries.debugRegister.worked) {
    const remedies = allRemedies('no-debug-registers', named);
    return [{ id: 'no-debug-registers', what: tries.debugRegister.why, blocks: ['watchpoints'], remedies }];
  }
  return [];
}

/** What capturing itself would find in the way of a fork; the program is then frozen instead. */
function forkObstacles(target: DoctorTarget): Obstacle[] {
  const status = target.accessible ? processStatus(target.pid) : undefined;
  const reason = status && forkObstacle(target.pid, status);
  if (reason === undefined) return [];
  const id = /memory/.test(reason) ? 'little-memory' : 'no-fork';
  return [{ id, what: `it cannot be forked: ${reason}`, blocks: ['fork'], remedies: allRemedies(id, target) }];
}

/** Why the agent would work: it can be put into a running Python from 3.14 on, with the permission that tracing needs. */
function agentWorks(target: DoctorTarget | undefined, obstacles: readonly Obstacle[]): string {
  const load = 'only from inside: the program must import leakscope_agent';
  if (target?.python === undefined) return `${load}; Python 3.14 and newer can be asked to run it`;
  const [, minor = 0] = target.python.version.split('.').map(Number);
  if (minor < 14) return load;
  return obstacles.some(({ blocks }) => blocks.includes('freeze'))
    ? `${load}; it cannot be asked to run it without the permission that tracing needs`
    : 'the program can be asked to run it (sys.remote_exec): leakscope snapshot PID --via agent';
}

function coreOutlook(outlook: Outlook, gcore: string | undefined): Outlook {
  if (!outlook.works) return outlook;
  if (gcore === undefined)
    return { works: false, why: 'gcore (of gdb) is not installed here; core files made elsewhere can be read' };
  return { works: true, why: 'gcore makes a core file while the program stands still' };
}

function fromDenial(denial: Denial, blocks: readonly Way[]): Obstacle {
  return { id: denial.id, what: denial.sentence, blocks, remedies: denial.remedies };
}

function is32Bit(pid: number): boolean {
  const path = `/proc/${pid}/exe`;
  try {
    closeSync(openSync(path, 'r'));
  } catch {
    return false;
  }
  return openElf(path) === undefined;
}

function findProgram(name: string): string | undefined {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}

function isSupportedMachine(): boolean {
  return process.platform === 'linux' && process.arch === 'x64';
}

function notHere(machine: DoctorMachine): Tries {
  const no: Try = {
    worked: false,
    why: `running processes can be looked into on 64-bit x86 Linux only; this is ${process.platform} on ${machine.architecture}`,
  };
  return { ptrace: no, debugRegister: no, perfBreakpoint: no };
}
