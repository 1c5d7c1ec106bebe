/** `leakscope growth A B [C …]`: what grew between snapshots, and who holds it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { growthByHolder, growthByType, secondsOf } from '../../analysis/index.ts';
import type { HeapGraph } from '../../heap/index.ts';
import { ExitCode, LeakscopeError } from '../../process/index.ts';
import { type GrowthDocument, growthText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answerAbout, type CommonOptions } from '../output.ts';
import { type Progress, progressTo } from '../progress.ts';
import { documentHead, kindOf, onWallClock, openTarget } from '../target.ts';
import { duration, limit, positive } from '../values.ts';

const ROWS = 20;

/** Holders that have no place in the program. */
const NAMELESS = {
  object: '(an object that nothing names)',
  native: '(native code)',
  garbage: '(garbage that waits for a collection)',
  root: '(several roots together)',
} as const;

interface GrowthOptions extends CommonOptions, ViaOptions {
  readonly limit?: number;
  /** Milliseconds between two snapshots of a live process. */
  readonly every: number;
  readonly count: number;
}

export function addGrowth(program: Command): void {
  addCommand(program, {
    usage: 'growth',
    summary: 'what grew between snapshots, and who holds it',
    examples: [
      ['leakscope growth a.lss b.lss c.lss', 'between snapshots of one process; three tell a trend from a step'],
      ['leakscope growth a.lss 4242', 'between a snapshot and now'],
      ['leakscope growth 4242 --every 30s --count 4', 'of a running process, four snapshots taken now'],
    ],
  })
    .argument('<TARGET...>', 'snapshot files, cores or pids, oldest first; or one pid')
    .option('--every <DURATION>', 'of one pid: time between snapshots (default: 5s)', duration, 5000)
    .option('--count <N>', 'of one pid: how many snapshots', positive, 3)
    .option('--limit <N>', `show so many rows, 0 for all (default: ${ROWS}, all with --json)`, limit)
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(growth);
}

async function growth(targets: readonly string[], options: GrowthOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const graphs = await openAll(targets, options, progress);
  progress.say('comparing');
  const oneProcess = new Set(graphs.map(graph => `${graph.origin.pid} ${graph.origin.executable}`)).size === 1;
  const shown = options.limit ?? (options.json ? Number.POSITIVE_INFINITY : ROWS);
  const document = documentOf(graphs, oneProcess, shown, options.json === true);
  progress.clear();
  await answerAbout(document, options, style => growthText(document, style));
}

async function openAll(targets: readonly string[], options: GrowthOptions, progress: Progress): Promise<HeapGraph[]> {
  const open = async (target: string) => onWallClock((await openTarget(target, { ...options, progress })).graph);
  if (targets.length > 1) {
    const graphs: HeapGraph[] = [];
    for (const target of targets) graphs.push(await open(target));
    return graphs;
  }
  const [target = ''] = targets;
  if (kindOf(target) !== 'process' || options.count < 2) {
    throw new LeakscopeError(
      'growth needs two snapshots or more',
      ExitCode.usage,
      'Name them oldest first, or one pid: leakscope growth PID --count 3',
    );
  }
  const graphs = [await open(target)];
  while (graphs.length < options.count) {
    progress.say(`${graphs.length} of ${options.count} snapshots`);
    await delay(options.every);
    graphs.push(await open(target));
  }
  return graphs;
}

function documentOf(graphs: readonly HeapGraph[], oneProcess: boolean, shown: number, all: boolean): GrowthDocument {
  const last = graphs.at(-1)!;
  const head = documentHead(last);
  const notes = new Set(graphs.flatMap(graph => graph.origin.notes));
  if (!oneProcess) notes.add('these are different processes: types are compared, who holds them is not');
  const synthetic = new Set(last.columns.types.filter(type => type.address === 0).map(type => type.name));
  synthetic.delete('<native block>');
  const types = growthByType(graphs)
    .map(({ name, counts, bytes }) => ({
      name,
      count_growth: counts.at(-1)! - counts[0]!,
      bytes_growth: bytes.at(-1)! - bytes[0]!,
    }))
    .filter(({ name, count_growth, bytes_growth }) => {
      if (synthetic.has(name)) return false;
      return all ? count_growth !== 0 || bytes_growth !== 0 : count_growth > 0;
    });
  const holders = oneProcess ? growthByHolder(graphs, { limit: Math.min(shown, 1000) }) : [];
  return {
    ...head,
    notes: [...notes],
    seconds: secondsOf(graphs).at(-1)!,
    snapshots: graphs.length,
    types: types.slice(0, shown),
    holders: holders.map(({ expression, path, direct, types: held, objects, bytes, fingerprint, kind, node }) => ({
      expression: expression === '' ? NAMELESS[kind] : expression,
      path,
      type: direct[0]?.name ?? held[0]?.name ?? '',
      holder_type: kind === 'object' ? last.typeName(node) : '',
      count_growth: objects.at(-1)! - objects[0]!,
      bytes_growth: bytes.at(-1)! - bytes[0]!,
      fingerprint,
    })),
  };
}
