/**
 * The Python stack of a thread that stands still, read from outside with a few dozen small reads: which line of which
 * file is being executed. This is what turns a hardware watchpoint into a line of source.
 */
import type { Reader } from '../process/index.ts';
import type { Runtime } from './interpreter.ts';
import { lineOf } from './lines.ts';
import { readText } from './text.ts';

/** One Python frame, as a traceback shows it. */
export interface StackLine {
  readonly file: string;
  readonly line: number;
  /** Qualified name on 3.11 and later, the bare name before. */
  readonly function: string;
}

const MAX_THREADS = 100_000;

/** Reads stacks of one interpreter's threads; keeps what does not change between two reads. */
export class StackReader {
  private readonly reader: Reader;
  private readonly runtime: Runtime;
  /** pthread_self() to PyThreadState. */
  private readonly states = new Map<number, number>();
  private readonly codeTypes = new Set<number>();
  private readonly names = new Map<number, { file: string; function: string }>();

  constructor(reader: Reader, runtime: Runtime) {
    this.reader = reader;
    this.runtime = runtime;
  }

  /**
   * The Python frames of the thread whose `fs_base` register is `threadPointer`, innermost first, at most `limit`.
   * Empty when the thread runs no Python. The thread must stand still.
   */
  read(threadPointer: number, limit = 40): StackLine[] {
    const state = this.stateOf(threadPointer);
    if (state === 0) return [];
    return this.runtime.layout.frame.form === 'object' ? this.readObjects(state, limit) : this.readFrames(state, limit);
  }

  private stateOf(threadPointer: number): number {
    const { reader, runtime } = this;
    const { thread, interpreter } = runtime.layout;
    const cached = this.states.get(threadPointer);
    if (cached !== undefined && reader.word(cached + thread.threadId) === threadPointer) return cached;
    for (const one of runtime.interpreters) {
      let at = reader.word(one.address + interpreter.threadsHead);
      for (let i = 0; at !== 0 && i < MAX_THREADS; i++) {
        if (reader.word(at + thread.threadId) === threadPointer) {
          this.states.set(threadPointer, at);
          return at;
        }
        at = reader.word(at + thread.next);
      }
    }
    return 0;
  }

  private readObjects(state: number, limit: number): StackLine[] {
    const { reader } = this;
    const { thread, frameObject, code: c } = this.runtime.layout;
    const lines: StackLine[] = [];
    for (
      let at = reader.word(state + thread.frameObject);
      at !== 0 && lines.length < limit;
      at = reader.word(at + frameObject.back)
    ) {
      const code = reader.word(at + frameObject.code);
      if (!this.isCode(code)) break;
      const last = reader.int32(at + frameObject.lasti);
      lines.push(this.lineAt(code, Math.max(0, last) * c.instructionUnit));
    }
    return lines;
  }

  private readFrames(state: number, limit: number): StackLine[] {
    const { reader } = this;
    const { thread, frame: f, code: c } = this.runtime.layout;
    const lines: StackLine[] = [];
    let at =
      thread.cframe >= 0
        ? reader.word(reader.word(state + thread.cframe) + thread.cframeCurrent)
        : reader.word(state + thread.currentFrame);
    for (let i = 0; at !== 0 && lines.length < limit && i < limit * 2; i++) {
      let code = reader.word(at + f.executable);
      if (f.stackRefTags !== 0) code -= code % (f.stackRefTags + 1);
      const owner = reader.uint8(at + f.owner);
      if (owner !== f.owners.cStack && owner !== f.owners.interpreter && this.isCode(code)) {
        const line = this.lineAt(code, reader.word(at + f.instruction) - (code + c.codeAdaptive));
        // Code of the interpreter's own, such as what runs `__init__` for a call of a class (3.13), has no file.
        if (line.file !== line.function) lines.push(line);
      }
      at = reader.word(at + f.previous);
    }
    return lines;
  }

  private isCode(address: number): boolean {
    const { reader, runtime } = this;
    if (!reader.has(address)) return false;
    const type = reader.word(address + runtime.layout.object.type);
    if (this.codeTypes.has(type)) return true;
    if (!reader.has(type) || reader.cString(reader.word(type + runtime.layout.type.name), 8) !== 'code') return false;
    this.codeTypes.add(type);
    return true;
  }

  private lineAt(code: number, instruction: number): StackLine {
    const { reader, runtime } = this;
    let names = this.names.get(code);
    if (names === undefined) {
      const c = runtime.layout.code;
      const text = (offset: number) =>
        offset < 0 ? undefined : readText(reader, runtime.layout, reader.word(code + offset));
      names = { file: text(c.fileName) ?? '?', function: text(c.qualname) ?? text(c.name) ?? '?' };
      this.names.set(code, names);
    }
    return { ...names, line: lineOf(reader, runtime.layout, code, instruction) };
  }
}
