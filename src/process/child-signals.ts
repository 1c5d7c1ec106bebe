/**
 * Keeping Node's hands off ptrace stops. Each stop of a tracee raises SIGCHLD in its tracer, and libuv answers SIGCHLD
 * with a waitpid() for each child it started; when the target is such a child, that would take the stop away and report
 * the child as ended. So while a target is watched the signal does its default, which is nothing; afterwards it is
 * raised once, and libuv finds every child that ended meanwhile.
 */
import { kill, Signal, sigaction } from './syscalls.ts';

/** More than `struct sigaction` of any libc. */
const ACTION_BYTES = 256;
let watching = 0;
let saved: Uint8Array | undefined;

/** Until the returned object is disposed, SIGCHLD does nothing in this process. */
export function quietChildSignals(): Disposable {
  if (watching++ === 0) {
    saved = new Uint8Array(ACTION_BYTES);
    sigaction(Signal.SIGCHLD, null, saved);
    sigaction(Signal.SIGCHLD, new Uint8Array(ACTION_BYTES), null);
  }
  return {
    [Symbol.dispose]() {
      if (--watching > 0 || !saved) return;
      sigaction(Signal.SIGCHLD, saved, null);
      saved = undefined;
      kill(process.pid, Signal.SIGCHLD);
    },
  };
}
