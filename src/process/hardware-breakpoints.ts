/**
 * Hardware watchpoints through perf events: one event a thread and point, each an open file of ours. A write raises
 * SIGTRAP with si_code TRAP_PERF in the thread that made it. When leakscope ends, however that happens, its files are
 * closed and nothing stays armed (docs/decisions/001-watchpoints-by-perf-events.md).
 */
import { closeSync } from 'node:fs';
import { ExitCode, LeakscopeError } from './errors.ts';
import { procText } from './maps.ts';
import { Errno, perfEventOpen } from './syscalls.ts';

/** A place in the target's memory; the address is a multiple of the length. */
export interface WatchPoint {
  readonly address: number;
  readonly length: 1 | 2 | 4 | 8;
}

/** x86-64 has four debug registers. */
export const MOST_POINTS = 4;

/** include/uapi/linux/perf_event.h: PERF_TYPE_BREAKPOINT, HW_BREAKPOINT_W, and the bits of perf_event_attr used. */
const TYPE_BREAKPOINT = 5;
const BREAKPOINT_WRITE = 2;
const EXCLUDE_KERNEL = 1n << 5n;
const EXCLUDE_HYPERVISOR = 1n << 6n;
const REMOVE_ON_EXEC = 1n << 36n;
const SIGTRAP = 1n << 37n;
/** PERF_ATTR_SIZE_VER7, the first with sig_data (Linux 5.13). */
const ATTRIBUTE_BYTES = 128;
const CLOSE_ON_EXEC = 8;
/** Marks our events' signals; the number of the point is in the low bits. */
const MARK = 0x6c65616b73636f00n;

/** The number of the point a TRAP_PERF signal's data names, or undefined when the event is not ours. */
export function pointOfSignal(data: bigint): number | undefined {
  return (data & ~0xffn) === MARK ? Number(data & 0xffn) : undefined;
}

/** Arms a point in one thread: a file descriptor, or minus errno. */
function arm(tid: number, number: number, { address, length }: WatchPoint): number {
  const attribute = new DataView(new ArrayBuffer(ATTRIBUTE_BYTES));
  attribute.setUint32(0, TYPE_BREAKPOINT, true);
  attribute.setUint32(4, ATTRIBUTE_BYTES, true);
  attribute.setBigUint64(16, 1n, true); // sample_period: every hit
  attribute.setBigUint64(40, EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR | REMOVE_ON_EXEC | SIGTRAP, true);
  attribute.setUint32(52, BREAKPOINT_WRITE, true);
  attribute.setBigUint64(56, BigInt(address), true);
  attribute.setBigUint64(64, BigInt(length), true);
  attribute.setBigUint64(120, MARK | BigInt(number), true); // sig_data
  return perfEventOpen(new Uint8Array(attribute.buffer), tid, -1, -1, CLOSE_ON_EXEC);
}

/** The armed points of all threads of a target. Disposing disarms them all. */
export class Breakpoints implements Disposable {
  private readonly points: readonly WatchPoint[];
  /** Open events of each thread, by point; -1 where there is none. */
  private readonly events = new Map<number, number[]>();
  private readonly removed = new Set<number>();

  constructor(points: readonly WatchPoint[]) {
    this.points = points;
  }

  /** Arms every point in a thread. False when the thread is gone; throws a LeakscopeError when it is not allowed. */
  arm(tid: number): boolean {
    const events = this.points.map((point, i) => (this.removed.has(i) ? -1 : arm(tid, i, point)));
    const failure = events.find((event, i) => event < 0 && !this.removed.has(i));
    if (failure === undefined) {
      this.events.set(tid, events);
      return true;
    }
    for (const event of events) if (event >= 0) closeSync(event);
    if (failure === -Errno.ESRCH) return false;
    throw refusal(failure);
  }

  /** Disarms one point in every thread, and in those to come. */
  remove(point: number): void {
    this.removed.add(point);
    for (const events of this.events.values()) {
      if (events[point] >= 0) closeSync(events[point]);
      events[point] = -1;
    }
  }

  /** Gives up the events of a thread that has ended. */
  forget(tid: number): void {
    for (const event of this.events.get(tid) ?? []) if (event >= 0) closeSync(event);
    this.events.delete(tid);
  }

  [Symbol.dispose](): void {
    for (const tid of [...this.events.keys()]) this.forget(tid);
  }
}

function refusal(failure: number): LeakscopeError {
  const failed = (what: string, remedy: string, code: ExitCode = ExitCode.notPermitted) =>
    new LeakscopeError(`hardware watchpoints cannot be used: ${what}`, code, remedy);
  switch (-failure) {
    case Errno.EACCES:
    case Errno.EPERM: {
      const paranoid = Number(procText('/proc/sys/kernel/perf_event_paranoid') ?? '0');
      return paranoid > 2
        ? failed(
            `this machine forbids perf events (kernel.perf_event_paranoid is ${paranoid})`,
            'Run leakscope as root, or: sudo sysctl kernel.perf_event_paranoid=2',
          )
        : failed(
            'perf_event_open was refused',
            'In a container, start it with the PERFMON capability (docker run --cap-add PERFMON) and a seccomp profile that allows perf_event_open.',
          );
    }
    case Errno.ENOSPC:
      return failed('all debug registers are in use', 'End the debugger or perf that watches memory of this process.');
    case Errno.EMFILE:
      return failed('too many open files', 'Raise the limit: ulimit -n 65536');
    case Errno.EINVAL:
      return failed('this kernel is older than 5.13', 'Use a newer kernel.', ExitCode.unsupportedTarget);
    default:
      return failed(
        `errno ${-failure}`,
        'The processor, or the virtual machine, may not have debug registers.',
        ExitCode.unsupportedTarget,
      );
  }
}
