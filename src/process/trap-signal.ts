/**
 * Making a hit harmless for a target whose watcher dies. A thread that stands at the stop of a hit goes on with the
 * signal of the hit when its tracer ends before answering, and SIGTRAP's default is to end the process (measured: the
 * target died in every round). So where SIGTRAP has its default action, the target is made to ignore it while it is
 * watched: a traced thread stops for an ignored signal all the same, and an untraced one passes over it.
 *
 * If leakscope is killed, SIGTRAP stays ignored in the target. That is the one trace, and the reason for choosing it.
 */
import { ExitCode, LeakscopeError } from './errors.ts';
import { inSomeThread, planFork } from './fork.ts';
import { Freeze, ThreadDidNotStop } from './freeze.ts';
import { InjectionFailed, inject } from './injection.ts';
import { processStatus } from './maps.ts';
import { seccompAllows } from './seccomp.ts';
import { nap, readMemory, Signal, Sys } from './syscalls.ts';

/** The kernel's `struct sigaction`: handler, flags, restorer, mask. */
const ACTION_BYTES = 32;
const SIG_IGN = 1;
const TRIES = 40;
const BETWEEN_TRIES_US = 5000;
const SIGTRAP_BIT = 1n << BigInt(Signal.SIGTRAP - 1);

/**
 * Until disposed, SIGTRAP does not end the target. Throws a LeakscopeError when that cannot be had: then watching would
 * put the target at risk.
 */
export function ignoreTraps(pid: number): Disposable {
  const status = processStatus(pid);
  if (!status) return { [Symbol.dispose]() {} };
  const handled = BigInt(`0x${status.ignoredSignals || '0'}`) | BigInt(`0x${status.caughtSignals || '0'}`);
  if ((handled & SIGTRAP_BIT) !== 0n) return { [Symbol.dispose]() {} };
  if (status.state === 'T') {
    throw new LeakscopeError(
      `process ${pid} is stopped, so there is nothing to watch`,
      ExitCode.unsupportedTarget,
      `Let it go on: kill -CONT ${pid}`,
    );
  }
  const ignore = new Uint8Array(ACTION_BYTES);
  ignore[0] = SIG_IGN;
  const before =
    status.seccomp === 1 || (status.seccomp === 2 && !seccompAllows(pid, NEEDED_CALLS))
      ? undefined
      : setAction(pid, ignore);
  if (!before) {
    throw new LeakscopeError(
      `process ${pid} cannot be watched safely: none of its threads could be made to ignore SIGTRAP`,
      ExitCode.unsupportedTarget,
      'Its seccomp filter, or what its threads wait for, does not allow it; try again later.',
    );
  }
  return {
    [Symbol.dispose]() {
      setAction(pid, before);
    },
  };
}

const NEEDED_CALLS = [Sys.rt_sigaction, Sys.rt_sigreturn];

/** Sets what SIGTRAP does in the target: what it did before, or undefined when it could not be set. */
function setAction(pid: number, action: Uint8Array): Uint8Array | undefined {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const status = processStatus(pid);
    if (!status || status.state === 'Z' || status.state === 'X') return undefined;
    const plan = planFork(pid, false);
    try {
      if (plan) {
        using freeze = Freeze.of(pid, { leaveAsleep: true });
        return inSomeThread(freeze, plan, thread => {
          const data = new Uint8Array(2 * ACTION_BYTES);
          data.set(action);
          const args = (at: number) => [Signal.SIGTRAP, at, at + ACTION_BYTES, 8];
          const { result, dataAt } = inject(pid, thread, plan.gadgets, Sys.rt_sigaction, args, data);
          const before = new Uint8Array(ACTION_BYTES);
          if (result !== 0 || readMemory(pid, dataAt + ACTION_BYTES, before) !== ACTION_BYTES) {
            throw new InjectionFailed('the signal action could not be set');
          }
          return before;
        });
      }
    } catch (error) {
      if (error instanceof LeakscopeError && attempt > 1) return undefined;
      if (!(error instanceof InjectionFailed) && !(error instanceof ThreadDidNotStop)) throw error;
    }
    nap(BETWEEN_TRIES_US);
  }
  return undefined;
}
