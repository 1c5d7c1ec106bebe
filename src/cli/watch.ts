/** Watching a process to a verdict, and saying the verdict: what attach, run and demo have in common. */
import { type Verdict, watchTarget } from '../diagnosis/index.ts';
import { verdictText } from '../report/index.ts';
import { excerptsOf, workingDirectory } from './excerpts.ts';
import { keepVerdict } from './last-verdict.ts';
import { answer, type CommonOptions } from './output.ts';
import { progressTo } from './progress.ts';

export interface WatchOptions extends CommonOptions {
  /** Milliseconds; the verdict may be sure earlier. */
  readonly for: number;
  readonly via: 'auto' | 'fork' | 'freeze';
}

export interface Watched {
  readonly verdict: Verdict;
  /** The target's working directory, asked while it was alive. */
  readonly directory: string;
}

/** Watches a process until the verdict is sure, the time is over, or `signal` asks for what is known so far. */
export async function watch(pid: number, options: WatchOptions, signal?: AbortSignal): Promise<Watched> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const directory = workingDirectory(pid);
  try {
    progress.say(`watching process ${pid}`);
    const verdict = await watchTarget(pid, {
      forMs: options.for,
      via: options.via,
      onProgress: text => progress.say(text),
      ...(signal === undefined ? {} : { signal }),
    });
    keepVerdict(verdict);
    return { verdict, directory };
  } finally {
    progress.clear();
  }
}

/** Prints a verdict, as text with the source lines around its sites or as JSON. `extra` joins the JSON document. */
export async function sayVerdict(
  { verdict, directory }: Watched,
  options: CommonOptions,
  stream: NodeJS.WriteStream = process.stdout,
  extra: object = {},
): Promise<void> {
  const document = { ...verdict, ...extra };
  await answer(
    options,
    document,
    style => verdictText(verdict, style, excerptsOf(verdict, directory), directory),
    stream,
  );
}
