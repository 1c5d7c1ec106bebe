/** Who a process is: users, capabilities, namespaces, and what else the kernel asks before it lets one look into another. */
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { procText } from './maps.ts';

/** Names by bit number (include/uapi/linux/capability.h, 5.9). */
const CAPABILITIES = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
).split(' ');

export interface Credentials {
  readonly pid: number;
  /** Real, effective and saved user and group ids. */
  readonly uids: readonly [number, number, number];
  readonly gids: readonly [number, number, number];
  readonly effective: bigint;
  readonly permitted: bigint;
  /** 0 none, 1 strict, 2 filter. */
  readonly seccomp: number;
  readonly noNewPrivileges: boolean;
  /** May an ordinary user's process be dumped and traced? Undefined when it cannot be seen (a process of root). */
  readonly dumpable: boolean | undefined;
  /** Names such as `user:[4026531837]`; undefined when they may not be read. */
  readonly namespaces: Readonly<Record<NamespaceKind, string | undefined>>;
  /** AppArmor profile or SELinux context, '' when there is none. */
  readonly securityLabel: string;
}

export type NamespaceKind = 'user' | 'pid' | 'mnt';

/** Credentials of a process, or undefined when it does not exist. */
export function credentialsOf(pid: number): Credentials | undefined {
  const status = procText(`/proc/${pid}/status`);
  if (status === undefined) return undefined;
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const three = (name: string): [number, number, number] => {
    const [real, effective, saved] = field(name).split('\t').map(Number);
    return [real ?? -1, effective ?? -1, saved ?? -1];
  };
  const uids = three('Uid');
  return {
    pid,
    uids,
    gids: three('Gid'),
    effective: BigInt(`0x${field('CapEff') || '0'}`),
    permitted: BigInt(`0x${field('CapPrm') || '0'}`),
    seccomp: Number(field('Seccomp') || 0),
    noNewPrivileges: field('NoNewPrivs') === '1',
    dumpable: isDumpable(pid, uids[1]),
    namespaces: { user: namespaceOf(pid, 'user'), pid: namespaceOf(pid, 'pid'), mnt: namespaceOf(pid, 'mnt') },
    securityLabel: (procText(`/proc/${pid}/attr/current`) ?? '').replace(/[\0\n]+$/, ''),
  };
}

/** Is a capability, such as `SYS_PTRACE`, in a set? */
export function hasCapability(set: bigint, name: string): boolean {
  const bit = CAPABILITIES.indexOf(name);
  return bit >= 0 && ((set >> BigInt(bit)) & 1n) === 1n;
}

/** The capabilities of a set by name, ascending by number. */
export function capabilityNames(set: bigint): string[] {
  return CAPABILITIES.filter(name => hasCapability(set, name));
}

/** The name of a user, or `uid N` when the machine has none for it. */
export function userName(uid: number): string {
  try {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find(l => l.split(':')[2] === String(uid));
    if (line) return line.slice(0, line.indexOf(':'));
  } catch {
    // No list of users here; the number has to do.
  }
  return `uid ${uid}`;
}

/** Are we in the machine's first user namespace, below which all others are? */
export function inInitialUserNamespace(): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(procText('/proc/self/uid_map') ?? '');
}

/** Is `pid` a child of `ancestor`, or a child's child? */
export function isDescendant(pid: number, ancestor: number): boolean {
  for (let at = pid, steps = 0; at > 1 && steps < 1000; steps++) {
    at = Number(/^PPid:\s*(\d+)$/m.exec(procText(`/proc/${at}/status`) ?? '')?.[1] ?? 0);
    if (at === ancestor) return true;
  }
  return false;
}

/** The kernel gives the files of an undumpable process to root (task_dump_owner() in fs/proc/base.c). */
function isDumpable(pid: number, euid: number): boolean | undefined {
  if (euid === 0) return undefined;
  try {
    return statSync(`/proc/${pid}/maps`).uid === euid;
  } catch {
    return undefined;
  }
}

function namespaceOf(pid: number, kind: NamespaceKind): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}
