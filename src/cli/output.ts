/** Where answers go: standard output or a file that appears whole or not at all, as text or as one JSON document. */
import { closeSync, fsyncSync, lstatSync, openSync, realpathSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ExitCode, LeakscopeError } from '../process/index.ts';
import { printable, type Style, styleFor } from '../report/index.ts';

/** The options that every command takes. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly output?: string;
  /** False with `--no-color`. */
  readonly color: boolean;
  readonly quiet?: boolean;
}

/** Prints an answer: the document with `--json`, its text otherwise. */
export async function answer(
  options: CommonOptions,
  document: unknown,
  text: (style: Style) => string,
  stream: NodeJS.WriteStream = process.stdout,
): Promise<void> {
  const style = options.output === undefined ? styleFor(stream, process.env, options.color) : styleOfFiles;
  await write(options, options.json ? `${JSON.stringify(document, null, 2)}\n` : text(style), stream);
}

/** As `answer`; what is to be known about the snapshot (its notes) goes to standard error beside the text. */
export async function answerAbout(
  document: { readonly notes?: readonly string[] },
  options: CommonOptions,
  text: (style: Style) => string,
): Promise<void> {
  await answer(options, document, text);
  if (options.json || options.quiet) return;
  for (const note of document.notes ?? []) await print(`note: ${printable(note)}\n`, process.stderr);
}

/** Text in a file is for every reader: no colours, UTF-8, nothing cut off. */
const styleOfFiles: Style = { color: false, unicode: true, width: Number.POSITIVE_INFINITY };

export async function write(
  options: Pick<CommonOptions, 'output'>,
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): Promise<void> {
  if (options.output === undefined || options.output === '-') await print(text, stream);
  else writeWhole(options.output, Buffer.from(text));
}

/** Writes to a stream and waits until it is out. A reader that went away (`| head`) is no error. */
export function print(text: string, stream: NodeJS.WriteStream = process.stdout): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, error => {
      if (!error || (error as NodeJS.ErrnoException).code === 'EPIPE') resolve();
      else reject(new LeakscopeError(`cannot write the answer: ${error.message}`, ExitCode.usage));
    });
  });
}

/** Replaces `path` by a file with these bytes, or leaves it as it was. A device or a pipe is written as it is. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  let target = path;
  let temporary: string | undefined;
  let descriptor: number | undefined;
  try {
    const existing = lstatSync(path, { throwIfNoEntry: false });
    if (existing?.isSymbolicLink()) target = realpathSync(path);
    const special = existing !== undefined && !existing.isFile() && !existing.isSymbolicLink();
    const name = special ? target : join(dirname(target), `.${basename(target)}.${process.pid}.partial`);
    descriptor = openSync(name, special ? 'w' : 'wx');
    if (!special) temporary = name;
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
    if (!special) fsyncSync(descriptor);
    closeSync(descriptor);
    descriptor = undefined;
    if (temporary !== undefined) renameSync(temporary, target);
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    if (temporary !== undefined) rmSync(temporary, { force: true });
    throw new LeakscopeError(
      `cannot write ${path}: ${reason(error)}`,
      ExitCode.usage,
      'Choose another --output; nothing was written.',
    );
  }
}

/** The reason of a failed system call, in words. */
export function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  // Node writes `ENOSPC: no space left on device, write`.
  return /^E[A-Z0-9]+: (.*?)(?:, \w+.*)?$/.exec(message)?.[1] ?? message;
}
