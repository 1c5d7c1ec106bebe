/**
 * May one process look into another? The kernel's rules, in its order, so that a refusal can be explained and not only
 * reported: __ptrace_may_access() in kernel/ptrace.c, cap_ptrace_access_check() in security/commoncap.c,
 * yama_ptrace_access_check() in security/yama/yama_lsm.c; described in ptrace(2).
 */
import { existsSync } from 'node:fs';
import { containerOf } from './container.ts';
import {
  type Credentials,
  credentialsOf,
  hasCapability,
  inInitialUserNamespace,
  isDescendant,
  userName,
} from './credentials.ts';
import { ExitCode, LeakscopeError } from './errors.ts';
import { commandLine, processStatus, procText } from './maps.ts';
import { allRemedies, type Remedies, remedyHere } from './remedies.ts';

export type DenialId =
  | 'bad-pid'
  | 'gone'
  | 'self'
  | 'thread'
  | 'ended'
  | 'kernel-thread'
  | 'traced'
  | 'ptrace-off'
  | 'other-user'
  | 'undumpable'
  | 'more-capable'
  | 'ptrace-scope'
  | 'ptrace-refused';

/** One reason why a process cannot be looked into. */
export interface Denial {
  readonly id: DenialId;
  /** One clause without a full stop, as LeakscopeError's message. */
  readonly sentence: string;
  readonly exitCode: ExitCode;
  readonly remedies: Remedies;
}

/** What the rules ask besides credentials. */
export interface AccessFacts {
  /** `kernel.yama.ptrace_scope`: 0 classic, 1 descendants only, 2 capability only, 3 nobody; undefined without Yama. */
  readonly ptraceScope: number | undefined;
  /** Our capabilities count in the target's user namespace: it is ours, or below ours. */
  readonly capabilitiesCount: boolean;
  readonly descendant: boolean;
  /** The target's pid in its own pid namespace, for the remedies. */
  readonly innerPid: number | undefined;
}

/** Every rule that forbids `caller` to trace `target`, the decisive one first; none when it is allowed as far as these rules go. */
export function accessDenials(caller: Credentials, target: Credentials, facts: AccessFacts): Denial[] {
  const denials: Denial[] = [];
  const { pid } = target;
  const deny = (id: DenialId, sentence: string) => {
    const remedies = allRemedies(id, { pid, uids: target.uids, innerPid: facts.innerPid });
    denials.push({ id, sentence, exitCode: ExitCode.notPermitted, remedies });
  };
  if (facts.ptraceScope === 3) {
    deny('ptrace-off', 'this machine forbids ptrace altogether (kernel.yama.ptrace_scope is 3)');
  }
  // The capability is asked for in the target's user namespace; one's own is only good there if it is that or above it.
  if (facts.capabilitiesCount && hasCapability(caller.effective, 'SYS_PTRACE')) return denials;
  const [uid] = caller.uids;
  const [gid] = caller.gids;
  if (target.uids.some(u => u !== uid)) {
    const owner = target.uids.find(u => u !== uid) ?? target.uids[0];
    deny('other-user', `process ${pid} belongs to ${userName(owner)}, and you are ${userName(uid)}`);
  } else if (target.gids.some(g => g !== gid)) {
    deny('other-user', `process ${pid} runs with group ${target.gids.find(g => g !== gid)}, and you with group ${gid}`);
  }
  if (target.dumpable === false && denials.length === 0) {
    deny(
      'undumpable',
      `process ${pid} has made itself undumpable, so only a process with CAP_SYS_PTRACE may look into it`,
    );
  }
  if ((target.permitted & ~caller.permitted) !== 0n && denials.length === 0) {
    deny('more-capable', `process ${pid} has capabilities that you do not have`);
  }
  if (facts.ptraceScope === 2) {
    deny(
      'ptrace-scope',
      'this machine lets only processes with CAP_SYS_PTRACE trace others (kernel.yama.ptrace_scope is 2)',
    );
  } else if (facts.ptraceScope === 1 && !facts.descendant) {
    deny('ptrace-scope', 'this machine lets a process be traced only by its parents (kernel.yama.ptrace_scope is 1)');
  }
  return denials;
}

/** What is in the way before permission is asked for: no such process, a zombie, a kernel thread, another tracer. */
export function standInTheWay(pid: number): Denial | undefined {
  const denial = (id: DenialId, sentence: string, exitCode: ExitCode): Denial => ({
    id,
    sentence,
    exitCode,
    remedies: allRemedies(id, { pid }),
  });
  if (!Number.isInteger(pid) || pid <= 0) return denial('bad-pid', `${pid} is not a process id`, ExitCode.usage);
  const status = processStatus(pid);
  if (!status) return denial('gone', `there is no process ${pid}`, ExitCode.usage);
  if (pid === process.pid) return denial('self', `${pid} is leakscope itself`, ExitCode.usage);
  if (status.threadGroup !== pid) {
    return denial('thread', `${pid} is a thread of process ${status.threadGroup}, not a process`, ExitCode.usage);
  }
  if (status.state === 'Z' || status.state === 'X') {
    const parent = `process ${status.parent}`;
    return denial(
      'ended',
      `process ${pid} (${status.name}) has ended, and ${parent} has not collected it`,
      ExitCode.targetEnded,
    );
  }
  if (status.virtualBytes === 0 && commandLine(pid).length === 0) {
    return denial(
      'kernel-thread',
      `process ${pid} (${status.name}) is a thread of the kernel`,
      ExitCode.unsupportedTarget,
    );
  }
  if (status.tracer !== 0 && status.tracer !== process.pid) {
    const name = processStatus(status.tracer)?.name ?? 'another program';
    return denial(
      'traced',
      `process ${pid} is already being traced by ${name} (pid ${status.tracer}), and Linux allows one tracer at a time`,
      ExitCode.notPermitted,
    );
  }
  return undefined;
}

/** The facts of this machine that the rules need about a target. */
export function accessFacts(caller: Credentials, target: Credentials): AccessFacts {
  const scope = procText('/proc/sys/kernel/yama/ptrace_scope');
  const sameNamespace = target.namespaces.user !== undefined && target.namespaces.user === caller.namespaces.user;
  return {
    ptraceScope: scope === undefined ? undefined : Number(scope),
    capabilitiesCount: sameNamespace || inInitialUserNamespace(),
    descendant: isDescendant(target.pid, caller.pid),
    innerPid: innerPid(target.pid),
  };
}

/** What forbids us to look into processes of our own user that we did not start. */
export function denialsOfOwn(): Denial[] {
  const own = credentialsOf(process.pid);
  return own
    ? accessDenials(own, { ...own, pid: 0 }, { ...accessFacts(own, own), descendant: false, innerPid: undefined })
    : [];
}

/** Everything that forbids us to look into a process, the decisive reason first. */
export function denialsOf(pid: number): Denial[] {
  const obstacle = standInTheWay(pid);
  if (obstacle) return [obstacle];
  const caller = credentialsOf(process.pid);
  const target = credentialsOf(pid);
  if (!caller || !target) return [];
  return accessDenials(caller, target, accessFacts(caller, target));
}

/**
 * Turns a refusal (EPERM, EACCES, ESRCH) of anything done to a process into the sentence and the remedy for where we run.
 * Always gives an error to throw, also when no rule known here explains the refusal.
 */
export function explainPermission(pid: number): LeakscopeError {
  const [denial = unexplained(pid)] = denialsOf(pid);
  return denialError(pid, denial);
}

/** A denial as the error to throw, with the remedy for where we and the process run. */
export function denialError(pid: number, denial: Denial): LeakscopeError {
  const where = containerOf('self') ?? (existsSync(`/proc/${pid}`) ? containerOf(pid) : undefined);
  return new LeakscopeError(denial.sentence, denial.exitCode, remedyHere(denial.remedies, where));
}

/** The reason when every rule says yes and the kernel says no: a security module or a seccomp filter. */
export function unexplained(pid: number): Denial {
  const self = credentialsOf(process.pid);
  const label = self?.securityLabel ?? '';
  const why: string[] = [];
  if (self?.seccomp === 2) why.push('leakscope itself runs under a seccomp filter');
  if (label !== '' && label !== 'unconfined') why.push(`under the security profile ${label}`);
  if (procText('/sys/fs/selinux/booleans/deny_ptrace')?.startsWith('1')) why.push('SELinux has deny_ptrace on');
  return {
    id: 'ptrace-refused',
    sentence: `the kernel refuses to let process ${pid} be traced${why.length > 0 ? ` (${why.join(', ')})` : ''}`,
    exitCode: ExitCode.notPermitted,
    remedies: allRemedies('ptrace-refused', { pid, innerPid: innerPid(pid) }),
  };
}

function innerPid(pid: number): number | undefined {
  return processStatus(pid)?.namespacePids.at(-1);
}
