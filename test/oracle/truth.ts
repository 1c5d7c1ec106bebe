/** Starting a program that stops at the oracle's barrier, and reading what CPython wrote about itself there. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Python, spawnTarget, type TargetOptions } from '../support/pythons.ts';

const here = dirname(fileURLToPath(import.meta.url));

/** What CPython says of every object that gc knows or that can be reached from those. */
export interface Truth {
  readonly version: string;
  readonly count: number;
  /** Per object, see observe.py. A size of -1: sys.getsizeof raised. */
  readonly address: Float64Array;
  readonly type: Float64Array;
  readonly size: Float64Array;
  readonly refcount: Float64Array;
  readonly tracked: Uint8Array;
  /** count + 1 positions in `referents`. */
  readonly start: Uint32Array;
  readonly referents: Float64Array;
  readonly typeNames: ReadonlyMap<number, string>;
  /** Position of an address. */
  readonly index: ReadonlyMap<number, number>;
  /** By thread ident: frames, innermost first. */
  readonly threads: ReadonlyMap<number, readonly TrueFrame[]>;
}

export interface TrueFrame {
  readonly name: string;
  readonly file: string;
  /** Ids of the local variables' values; null for module and class bodies, whose variables are in a dict. */
  readonly locals: Readonly<Record<string, number>> | null;
  readonly dict: number;
}

/** A process that sleeps at the barrier. Disposing of it kills it. */
export interface StoppedTarget extends Disposable {
  readonly pid: number;
  readonly truth: Truth;
  /** What it printed to stderr. */
  readonly stderr: string;
  /** Has the twin take each address as an object (repr, get_referents, getsizeof), and gives the addresses of their types. It dies of what is none. */
  typesAt(addresses: readonly number[]): Promise<number[]>;
}

/** Runs `program` (default: the oracle's own target) to its barrier. Rejects when it ends before. */
export async function runToBarrier(
  python: Python,
  program = join(here, 'target.py'),
  options: TargetOptions = {},
): Promise<StoppedTarget> {
  const beside = { 'observe.py': readFileSync(join(here, 'observe.py'), 'utf8') };
  const target = await spawnTarget(python, { file: program }, [], {
    ...options,
    beside: { ...options.beside, ...beside },
  });
  try {
    const truth = readTruth(target.directory);
    await inPause(target.pid);
    return {
      pid: target.pid,
      truth,
      stderr: target.stderr,
      typesAt: async addresses => {
        target.send(addresses.join(' '));
        const line = await target.lineStarting('objects');
        return line.split(' ').slice(1).map(Number);
      },
      // The twin goes when its standard input does.
      [Symbol.dispose]: () => {
        target.closeInput();
        target.kill();
      },
    };
  } catch (error) {
    target.kill();
    throw error;
  }
}

/** Resolves once the process's main thread sleeps in pause(2): it was on its way there when the barrier's child reported. */
async function inPause(pid: number): Promise<void> {
  const PAUSE = '34 ';
  for (let i = 0; i < 20_000; i++) {
    if (readFileSync(`/proc/${pid}/syscall`, 'latin1').startsWith(PAUSE)) return;
    await new Promise(resolve => setImmediate(resolve));
  }
  throw new Error(`process ${pid} did not come to its barrier`);
}

function numbers(file: string): Float64Array {
  const bytes = readFileSync(file);
  const words = new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return Float64Array.from({ length: words.length / 2 }, (_, i) =>
    words[2 * i + 1] === 0xffff_ffff ? -1 : words[2 * i] + words[2 * i + 1] * 0x1_0000_0000,
  );
}

function readTruth(directory: string): Truth {
  const rows = numbers(join(directory, 'objects.bin'));
  const meta = JSON.parse(readFileSync(join(directory, 'meta.json'), 'utf8')) as {
    version: string;
    types: Record<string, string | null>;
    threads: Record<string, TrueFrame[]>;
  };
  const FIELDS = 6;
  const count = rows.length / FIELDS;
  const column = (field: number) => Float64Array.from({ length: count }, (_, i) => rows[i * FIELDS + field]);
  const start = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) start[i + 1] = start[i] + rows[i * FIELDS + 5];
  const address = column(0);
  const index = new Map<number, number>();
  for (let i = 0; i < count; i++) index.set(address[i], i);
  return {
    version: meta.version.split(' ')[0],
    count,
    address,
    type: column(1),
    size: column(2),
    refcount: column(3),
    tracked: Uint8Array.from(column(4)),
    start,
    referents: numbers(join(directory, 'referents.bin')),
    // '' where the type does not say its module.
    typeNames: new Map(Object.entries(meta.types).map(([id, name]) => [Number(id), name ?? ''])),
    index,
    threads: new Map(Object.entries(meta.threads).map(([ident, frames]) => [Number(ident), frames])),
  };
}
