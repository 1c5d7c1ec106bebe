/**
 * Making a hit harmless for a target whose watcher dies. A thread that stands at the stop of a hit goes on with the
 * signal of the hit when its tracer ends before answering, and SIGTRAP's default is to end the process (measured: the
 * target died in every round). So where SIGTRAP has its default action, the target is made to ignore it while it is
 * watched: a traced thread stops for an ignored signal all the same, and an untraced one passes over it.
 *
 * If leakscope is killed, SIGTRAP stays ignored in the target until the next leakscope looks at it, which knows the
 * setting by its mark: the mask of an action that ignores means nothing to the kernel, but it is kept.
 */
import { ExitCode, LeakscopeError } from './errors.ts';
import { inSomeThread, planFork } from './fork.ts';
import { Freeze, type FrozenThread, ThreadDidNotStop } from './freeze.ts';
import type { Gadgets } from './gadgets.ts';
import { InjectionFailed, inject } from './injection.ts';
import { type ProcessStatus, processStartTime, processStatus } from './maps.ts';
import { seccompAllows } from './seccomp.ts';
import { nap, readMemory, Signal, Sys } from './syscalls.ts';

/** The kernel's `struct sigaction`: handler, flags, restorer, mask. */
const ACTION_BYTES = 32;
const SIG_IGN = 1;
const MASK_AT = 24;
/** "leaksco" in the mask, without the bits of SIGKILL and SIGSTOP, which the kernel takes out. */
const MARK = 0x6c65616b73636f00n & ~((1n << 8n) | (1n << 18n));
const TRIES = 40;
const BETWEEN_TRIES_US = 5000;
const SIGTRAP_BIT = 1n << BigInt(Signal.SIGTRAP - 1);

/**
 * Until disposed, SIGTRAP does not end the target. Throws a LeakscopeError when that cannot be had: then watching would
 * put the target at risk.
 */
export function ignoreTraps(pid: number): Disposable {
  const status = processStatus(pid);
  if (!status || (BigInt(`0x${status.caughtSignals || '0'}`) & SIGTRAP_BIT) !== 0n) return { [Symbol.dispose]() {} };
  if (status.state === 'T') {
    throw new LeakscopeError(
      `process ${pid} is stopped, so there is nothing to watch`,
      ExitCode.unsupportedTarget,
      `Let it go on: kill -CONT ${pid}`,
    );
  }
  const before =
    status.seccomp === 1 || (status.seccomp === 2 && !seccompAllows(pid, NEEDED_CALLS))
      ? undefined
      : setAction(pid, ignoring());
  if (!before) {
    // A program that ignores the signal itself is as safe.
    if (ignoresTraps(status)) return { [Symbol.dispose]() {} };
    throw new LeakscopeError(
      `process ${pid} cannot be watched safely: none of its threads could be made to ignore SIGTRAP`,
      ExitCode.unsupportedTarget,
      'Its seccomp filter, or what its threads wait for, does not allow it; try again later.',
    );
  }
  return {
    [Symbol.dispose]() {
      setAction(pid, isLeftBehind(before) ? new Uint8Array(ACTION_BYTES) : before);
    },
  };
}

/** Processes that were found to ignore SIGTRAP themselves, so that they are not asked again. */
const ignoringThemselves = new Set<string>();

/**
 * The default again where a leakscope that was killed left SIGTRAP ignored. A program that ignores it by itself is asked
 * once, with a stop of a thread; any other not at all.
 */
export function tidyTraps(pid: number): void {
  const status = processStatus(pid);
  if (!status || !ignoresTraps(status) || status.state === 'T') return;
  const process = `${pid} ${processStartTime(pid)}`;
  if (ignoringThemselves.has(process) || (status.seccomp !== 0 && !seccompAllows(pid, NEEDED_CALLS))) return;
  const before = setAction(pid, undefined, 1);
  if (before && !isLeftBehind(before)) ignoringThemselves.add(process);
  else if (before) setAction(pid, new Uint8Array(ACTION_BYTES), 1);
}

function ignoresTraps(status: ProcessStatus): boolean {
  return (BigInt(`0x${status.ignoredSignals || '0'}`) & SIGTRAP_BIT) !== 0n;
}

function ignoring(): Uint8Array {
  const action = new Uint8Array(ACTION_BYTES);
  action[0] = SIG_IGN;
  new DataView(action.buffer).setBigUint64(MASK_AT, MARK, true);
  return action;
}

function isLeftBehind(action: Uint8Array): boolean {
  return action[0] === SIG_IGN && new DataView(action.buffer).getBigUint64(MASK_AT, true) === MARK;
}

const NEEDED_CALLS = [Sys.rt_sigaction, Sys.rt_sigreturn];

/** Sets what SIGTRAP does in the target (undefined: asks only): what it did before, or undefined when that failed. */
function setAction(pid: number, action: Uint8Array | undefined, tries = TRIES): Uint8Array | undefined {
  for (let attempt = 1; attempt <= tries; attempt++) {
    const status = processStatus(pid);
    if (!status || status.state === 'Z' || status.state === 'X') return undefined;
    const plan = planFork(pid, false);
    try {
      if (plan) {
        using freeze = Freeze.of(pid, { leaveAsleep: true });
        return inSomeThread(freeze, plan, thread => exchange(pid, thread, plan.gadgets, action));
      }
    } catch (error) {
      if (error instanceof LeakscopeError && attempt > 1) return undefined;
      if (!(error instanceof InjectionFailed) && !(error instanceof ThreadDidNotStop)) throw error;
    }
    nap(BETWEEN_TRIES_US);
  }
  return undefined;
}

/** Sets what SIGTRAP does (undefined: asks only) through one stopped thread: what it did before. Throws InjectionFailed. */
function exchange(pid: number, thread: FrozenThread, gadgets: Gadgets, action: Uint8Array | undefined): Uint8Array {
  const data = new Uint8Array(2 * ACTION_BYTES);
  if (action) data.set(action);
  const args = (at: number) => [Signal.SIGTRAP, action ? at : 0, at + ACTION_BYTES, 8];
  const { result, dataAt } = inject(pid, thread, gadgets, Sys.rt_sigaction, args, data);
  const before = new Uint8Array(ACTION_BYTES);
  if (result !== 0 || readMemory(pid, dataAt + ACTION_BYTES, before) !== ACTION_BYTES) {
    throw new InjectionFailed('the signal action could not be set');
  }
  return before;
}
