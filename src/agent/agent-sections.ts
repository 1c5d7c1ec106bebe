/**
 * The agent file, section by section; docs/agent.md has the format. Nothing in it is believed: lengths are held against
 * the file's own, checksums are checked, and each JSON is read field by field.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { ExitCode, LeakscopeError } from '../process/index.ts';

export const AGENT_VERSION = 1;
const MAGIC = 'LEAKAGNT';
const MAX_SECTION = 1 << 30;
const MAX_JSON = 1 << 27;

export const SectionKind = {
  types: 1,
  strings: 2,
  nodes: 3,
  pairs: 4,
  items: 5,
  elements: 6,
  targets: 7,
  named: 8,
  names: 9,
  keys: 10,
  roots: 11,
  end: 12,
} as const;

export interface Section {
  readonly kind: number;
  /** A buffer of its own: typed arrays may be laid over it. */
  readonly data: ArrayBuffer;
}

/** An agent file that is open for reading. Close it with `using`. */
export class AgentFile {
  readonly file: string;
  readonly head: Json;
  readonly #descriptor: number;
  readonly #size: number;
  readonly #first: number;

  /** Throws a LeakscopeError (exit code 4) when it is none or its version is not known. */
  constructor(file: string) {
    this.file = file;
    this.#descriptor = openFile(file);
    try {
      this.#size = fstatSync(this.#descriptor).size;
      const start = Buffer.alloc(16);
      if (this.#read(start, 0) < 16) throw this.damaged('it is cut short');
      if (start.toString('latin1', 0, 8) !== MAGIC) throw this.damaged('it does not begin as one');
      const version = start.readUInt32LE(8);
      if (version !== AGENT_VERSION) {
        throw new LeakscopeError(
          `the agent file ${file} has version ${version} of the format, this leakscope reads ${AGENT_VERSION}`,
          ExitCode.unsupportedTarget,
          'Use the leakscope_agent that comes with this leakscope (leakscope help snapshot says where it is).',
        );
      }
      const length = start.readUInt32LE(12);
      this.#first = 16 + length;
      if (this.#first > this.#size || length > MAX_JSON) throw this.damaged('it is cut short');
      const head = Buffer.alloc(length);
      this.#read(head, 16);
      this.head = this.json(head);
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }

  /** All sections in order, the one that ends the file last. */
  *sections(): Generator<Section> {
    const header = Buffer.alloc(16);
    let count = 0;
    for (let at = this.#first; ; ) {
      if (at + 16 > this.#size || this.#read(header, at) < 16) throw this.damaged('it is cut short');
      const kind = header.readUInt32LE(0);
      const length = Number(header.readBigUInt64LE(8));
      if (length > MAX_SECTION) throw this.damaged('a section is larger than any that is written');
      if (at + 16 + length > this.#size) throw this.damaged('it is cut short');
      const data = new ArrayBuffer(length);
      const bytes = new Uint8Array(data);
      if (this.#read(bytes, at + 16) < length) throw this.damaged('it is cut short');
      if (crc32(bytes) !== header.readUInt32LE(4)) throw this.damaged('a section has a wrong checksum');
      count++;
      at += 16 + length;
      yield { kind, data };
      if (kind !== SectionKind.end) continue;
      if (this.json(bytes).number('sections') !== count) throw this.damaged('sections are missing');
      return;
    }
  }

  json(bytes: Uint8Array): Json {
    if (bytes.length > MAX_JSON) throw this.damaged('a section is larger than any that is written');
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
    } catch {
      throw this.damaged('a description is not JSON');
    }
    return new Json(value, what => this.damaged(what));
  }

  damaged(what: string): LeakscopeError {
    return new LeakscopeError(
      `the agent file ${this.file} is damaged: ${what}`,
      ExitCode.unsupportedTarget,
      'Take it again, or copy the file again.',
    );
  }

  #read(into: Uint8Array, position: number): number {
    let done = 0;
    while (done < into.length) {
      const count = readSync(this.#descriptor, into, done, into.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }
}

function openFile(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    throw new LeakscopeError(
      `cannot read the agent file ${file}: ${error instanceof Error ? error.message : error}`,
      ExitCode.unsupportedTarget,
    );
  }
}

/** Whether a file begins as an agent's does; false when it cannot be read. */
export function isAgentFile(file: string): boolean {
  try {
    const descriptor = openSync(file, 'r');
    try {
      const magic = Buffer.alloc(8);
      return readSync(descriptor, magic, 0, 8, 0) === 8 && magic.toString('latin1') === MAGIC;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return false;
  }
}

/** A JSON value whose parts are asked for by kind; what is not of that kind is damage. */
export class Json {
  readonly value: unknown;
  readonly #damaged: (what: string) => LeakscopeError;

  constructor(value: unknown, damaged: (what: string) => LeakscopeError) {
    this.value = value;
    this.#damaged = damaged;
  }

  get(name: string): Json {
    const { value } = this;
    const inner =
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? (value as Record<string, unknown>)[name]
        : undefined;
    return new Json(inner, this.#damaged);
  }

  list(): Json[] {
    if (!Array.isArray(this.value)) throw this.#damaged('a description has something else where a list belongs');
    return this.value.map(item => new Json(item, this.#damaged));
  }

  number(name?: string): number {
    const { value } = name === undefined ? this : this.get(name);
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw this.#damaged(`its ${name ?? 'number'} is no number`);
    return value;
  }

  text(name?: string): string {
    const { value } = name === undefined ? this : this.get(name);
    if (typeof value !== 'string') throw this.#damaged(`its ${name ?? 'name'} is no text`);
    return value;
  }

  flag(name: string): boolean {
    return this.get(name).value === true;
  }
}
