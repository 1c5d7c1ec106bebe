/** `leakscope demo`: starts a bundled web service that leaks, watches it, and shows that it goes on serving. */
import type { Command } from 'commander';
import { countText, durationText } from '../../report/index.ts';
import { addCommand, forOption, viaOption } from '../command.ts';
import { type DemoService, type ServiceStatus, startDemo } from '../demo-service.ts';
import { findInterpreter } from '../interpreter.ts';
import { sayVerdict, type WatchOptions, watch } from '../watch.ts';

export function addDemo(program: Command): void {
  addCommand(program, {
    usage: 'demo',
    summary: 'start a bundled leaking web service, watch it, print the verdict',
    examples: [
      ['leakscope demo', 'see what a verdict looks like'],
      ['leakscope demo --keep', 'leave the service running, to try other commands on it'],
      ['LEAKSCOPE_PYTHON=python3.13 leakscope demo', 'with this interpreter'],
    ],
  })
    .option('--keep', 'leave the service running (for an hour at most)')
    .addOption(forOption())
    .addOption(viaOption())
    .action(demo);
}

async function demo(options: WatchOptions & { readonly keep?: boolean }): Promise<void> {
  const say = (text: string) => {
    if (!options.quiet) process.stderr.write(`${text}\n`);
  };
  const python = findInterpreter();
  const keep = options.keep === true;
  const service = await startDemo(python, keep);
  let left = false;
  try {
    say(`A small web shop is running as process ${service.pid} (Python ${python.version}), with visitors of its own.`);
    say('leakscope knows nothing of it but that number. Watching it from outside …');
    const before = await service.status();
    const watched = await watch(service.pid, options);
    const after = await stillServing(service);
    await sayVerdict(watched, options, process.stdout, { demo: evidence(before, after) });
    say(servingText(before, after));
    if (keep) {
      say(`It goes on as process ${service.pid}. Try: leakscope types ${service.pid}    Stop it: kill ${service.pid}`);
      service.leave();
      left = true;
    }
  } finally {
    if (!left) await service.stop();
  }
}

interface Answered extends ServiceStatus {
  readonly answeredMs: number;
}

async function stillServing(service: DemoService): Promise<Answered> {
  const begun = performance.now();
  const status = await service.status();
  return { ...status, answeredMs: performance.now() - begun };
}

function evidence(before: ServiceStatus, after: Answered): object {
  return {
    answered_ms: after.answeredMs,
    requests_served: after.requests - before.requests,
    requests_failed: after.failures - before.failures,
    threads_before: before.threads,
    threads_after: after.threads,
  };
}

function servingText(before: ServiceStatus, after: Answered): string {
  const same = before.threads.join() === after.threads.join();
  const threads = same
    ? `the same ${after.threads.length} threads`
    : `threads ${after.threads.join(', ')} instead of ${before.threads.join(', ')}`;
  const failed = after.failures - before.failures;
  const served = `${countText(after.requests - before.requests)} requests served while it was watched, ${countText(failed)} failed`;
  return `The service still answers (in ${durationText(after.answeredMs / 1000)}, ${threads}): ${served}.`;
}
