/** When a fork would harm, or would not be allowed: then the target is copied while it is frozen instead. */
import { availableMemory, cgroupHeadroom, memoryRollup, type ProcessStatus, procText } from './maps.ts';
import { seccompAllows } from './seccomp.ts';
import { Sys } from './syscalls.ts';

/** Of the target's private memory, the share for which there must be room: what it may change while it is read. */
const SHARE_CHANGED = 0.25;
/** A fork takes 1/512 of the mapped memory for page tables, and some for itself. */
const PAGE_TABLE_SHARE = 1 / 512;
const SMALLEST_ROOM = 16 * 2 ** 20;

const NEEDED_CALLS = [Sys.clone, Sys.wait4, Sys.rt_sigreturn, Sys.exit_group];

/** Why a fork should not be tried, as the end of a sentence; undefined when it should. */
export function forkObstacle(pid: number, status: ProcessStatus): string | undefined {
  if (status.seccomp === 1) return 'it runs under strict seccomp, which would kill it for making the call';
  if (status.seccomp === 2 && !seccompAllows(pid, NEEDED_CALLS))
    return 'its seccomp filter does not, or may not, allow the call';
  if (status.shadowStack) return 'it uses a shadow stack, which a borrowed return would break';
  const anonymous = memoryRollup(pid)?.anonymous ?? status.residentBytes;
  const room = Math.max(SMALLEST_ROOM, anonymous * SHARE_CHANGED) + anonymous * PAGE_TABLE_SHARE;
  if (procText('/proc/sys/vm/overcommit_memory')?.trim() === '2' && anonymous > commitHeadroom()) {
    return 'this machine promises no memory that it does not have (vm.overcommit_memory is 2)';
  }
  if (cgroupHeadroom(pid) < room) return 'its memory cgroup is close to its limit';
  if (availableMemory() < room) return 'the machine has little free memory';
  return undefined;
}

function commitHeadroom(): number {
  const text = procText('/proc/meminfo') ?? '';
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return bytes('CommitLimit') - bytes('Committed_AS');
}
