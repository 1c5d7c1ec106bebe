/** Which kind of container a process runs in, from its cgroups, its files and its environment; and how it is called there. */
import { existsSync } from 'node:fs';
import { procText } from './maps.ts';

export type ContainerKind = 'docker' | 'podman' | 'kubernetes' | 'lxc' | 'other';

export interface Container {
  readonly kind: ContainerKind;
  /** The first twelve digits of the container's id, or '' when it cannot be seen from here. */
  readonly id: string;
}

/** The container of a process; undefined on a plain machine. */
export function containerOf(pid: number | 'self'): Container | undefined {
  const cgroup = procText(`/proc/${pid}/cgroup`) ?? '';
  const environment = pid === 'self' ? process.env : environmentOf(pid);
  const file = (path: string) => existsSync(pid === 'self' ? path : `/proc/${pid}/root${path}`);
  const id = /[0-9a-f]{64}/.exec(cgroup)?.[0].slice(0, 12) ?? '';
  const kind = kindOf(cgroup, environment, file);
  return kind && { kind, id };
}

/** Pure: what cgroups, environment and files say together. Kubernetes first, which runs on one of the others. */
export function kindOf(
  cgroup: string,
  environment: Readonly<Record<string, string | undefined>>,
  file: (path: string) => boolean,
): ContainerKind | undefined {
  if (
    /kubepods/.test(cgroup) ||
    file('/var/run/secrets/kubernetes.io') ||
    environment.KUBERNETES_SERVICE_HOST !== undefined
  ) {
    return 'kubernetes';
  }
  if (/libpod|podman/.test(cgroup) || file('/run/.containerenv') || environment.container === 'podman') return 'podman';
  if (/docker/.test(cgroup) || file('/.dockerenv')) return 'docker';
  if (/\blxc\b/.test(cgroup) || environment.container === 'lxc') return 'lxc';
  if (/containerd|crio|garden|buildkit/.test(cgroup) || environment.container !== undefined) return 'other';
  return undefined;
}

function environmentOf(pid: number): Record<string, string> {
  const entries = (procText(`/proc/${pid}/environ`) ?? '').split('\0').filter(e => e.includes('='));
  return Object.fromEntries(entries.map(e => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)]));
}
