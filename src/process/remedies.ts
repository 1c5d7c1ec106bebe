/** What to do about each obstacle, on a plain machine, in Docker, in Podman and in Kubernetes: commands to copy. */
import type { Container } from './container.ts';
import type { DenialId } from './permission.ts';

export interface Remedies {
  readonly plain: readonly string[];
  readonly docker: readonly string[];
  readonly podman: readonly string[];
  readonly kubernetes: readonly string[];
}

export type ObstacleId =
  | DenialId
  | 'not-python'
  | 'unsupported-version'
  | 'free-threaded'
  | '32-bit'
  | 'no-debug-registers'
  | 'little-memory'
  | 'no-fork'
  | 'no-gcore';

/** The target as remedies need to call it: its pid, and its pid and container as seen from inside. */
interface Named {
  /** 0 when no process was named. */
  readonly pid: number;
  /** Its pid in its own pid namespace. */
  readonly innerPid?: number | undefined;
  readonly uids?: readonly number[];
}

const KUBERNETES_CAPABILITY = 'or for good, in the pod: securityContext: {capabilities: {add: [SYS_PTRACE]}}';

/** A container of one's own beside the target's, that sees its processes and may trace them. */
function beside(tool: 'docker' | 'podman', inside: number | string): string[] {
  return [
    `${tool} run --rm -it --pid container:NAME --cap-add SYS_PTRACE IMAGE-WITH-LEAKSCOPE leakscope attach ${inside}`,
    `or start the program's container with: ${tool} run --cap-add SYS_PTRACE …`,
  ];
}

function debugPod(profile: 'general' | 'sysadmin', inside: number | string): string[] {
  return [
    `kubectl debug -it POD --image=IMAGE-WITH-LEAKSCOPE --target=CONTAINER --profile=${profile} -- leakscope attach ${inside}`,
    KUBERNETES_CAPABILITY,
  ];
}

/** Every remedy for an obstacle. Lists are empty where there is nothing to do but what the sentence says. */
export function allRemedies(id: ObstacleId, target: Named): Remedies {
  const pid = target.pid > 0 ? target.pid : 'PID';
  const inside = target.innerPid ?? 'PID';
  const everywhere = (...plain: string[]): Remedies => ({ plain, docker: plain, podman: plain, kubernetes: plain });
  const asRoot = `sudo leakscope attach ${pid}`;
  const withCapability = (...plain: string[]): Remedies => ({
    plain,
    docker: beside('docker', inside),
    podman: beside('podman', inside),
    kubernetes: debugPod('general', inside),
  });
  switch (id) {
    case 'bad-pid':
    case 'gone':
      return everywhere('pgrep -af python lists the Python processes that can be seen from here');
    case 'self':
    case 'kernel-thread':
    case 'not-python':
      return everywhere('give the pid of a Python program: pgrep -af python');
    case 'thread':
      return everywhere('give the id of the process: ps -e shows it');
    case 'ended':
      return everywhere('start the program again');
    case 'traced':
      return everywhere('detach or end the debugger or tracer, then try again');
    case 'other-user': {
      const uid = target.uids?.[0] ?? 'UID';
      const remedies = withCapability(asRoot, `or as its user: sudo -u '#${uid}' leakscope attach ${pid}`);
      return {
        ...remedies,
        docker: [`docker exec -u ${uid} NAME leakscope attach ${inside}   (as the program's user)`, ...remedies.docker],
        podman: [`podman exec -u ${uid} NAME leakscope attach ${inside}   (as the program's user)`, ...remedies.podman],
      };
    }
    case 'undumpable':
    case 'more-capable':
      return withCapability(asRoot);
    case 'ptrace-scope':
      return {
        ...withCapability(asRoot, 'or, until the next restart of the machine: sudo sysctl kernel.yama.ptrace_scope=0'),
        kubernetes: [...debugPod('general', inside), 'or on the node: sysctl kernel.yama.ptrace_scope=0'],
      };
    case 'ptrace-off': {
      const remedy =
        'it can be changed only by a restart with kernel.yama.ptrace_scope below 3; until then use the agent (python -m leakscope_agent) or a core file';
      return everywhere(remedy);
    }
    case 'ptrace-refused':
      return {
        plain: [asRoot, 'and see what forbids it: sudo journalctl -k | grep -iE "apparmor|selinux|avc"'],
        docker: [
          ...beside('docker', inside),
          'with an old kernel or a profile of your own also: --security-opt seccomp=unconfined --security-opt apparmor=unconfined',
        ],
        podman: [...beside('podman', inside), 'with SELinux also: --security-opt label=disable'],
        kubernetes: debugPod('sysadmin', inside),
      };
    case 'no-debug-registers':
      return everywhere(
        'leakscope then finds the lines with tracemalloc or from the source, and says so; a machine or container that passes debug registers on finds them without touching the program',
      );
    case 'little-memory':
      return {
        plain: [`free memory, or let it be stopped for longer: leakscope snapshot ${pid} --via freeze`],
        docker: [`leakscope snapshot ${pid} --via freeze`, 'or raise the limit: docker update --memory SIZE NAME'],
        podman: [`leakscope snapshot ${pid} --via freeze`, 'or raise the limit: podman update --memory SIZE NAME'],
        kubernetes: [`leakscope snapshot ${pid} --via freeze`, 'or raise resources.limits.memory of the container'],
      };
    case 'no-fork':
      return everywhere('nothing needs to be done: leakscope freezes the program instead and copies its memory');
    case 'no-gcore':
      return everywhere('install gdb, which brings gcore; cores made elsewhere can be read here');
    case 'unsupported-version':
      return everywhere('leakscope reads CPython 3.8 to 3.15');
    case 'free-threaded':
      return everywhere('run the program with the ordinary build of the same version');
    case '32-bit':
      return everywhere('run the program with a 64-bit Python');
  }
}

/** The remedies for where we are, as one sentence for an error message. */
export function remedyHere(remedies: Remedies, where: Container | undefined): string {
  const kind = where?.kind;
  const list = kind === 'docker' || kind === 'podman' || kind === 'kubernetes' ? remedies[kind] : remedies.plain;
  return list.map(r => (where?.id ? r.replaceAll('NAME', where.id) : r)).join('; ');
}
