/** `leakscope snapshot TARGET -o FILE`: the heap of one moment, kept. */
import { type Command, Option } from 'commander';
import { AGENT_DIRECTORY } from '../../agent/index.ts';
import { NodeFlag } from '../../cpython/index.ts';
import { type HeapGraph, writeSnapshot } from '../../heap/index.ts';
import { snapshotText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answer, type CommonOptions } from '../output.ts';
import { progressTo } from '../progress.ts';
import { documentHead, kindOf, openByAgent, openTarget } from '../target.ts';

interface SnapshotOptions extends CommonOptions {
  readonly via: ViaOptions['via'] | 'agent';
  readonly sysroot?: string;
  readonly output: string;
}

export function addSnapshot(program: Command): void {
  addCommand(program, {
    usage: 'snapshot',
    summary: 'keep the heap of one moment in a file',
    examples: [
      ['leakscope snapshot 4242 -o app.lss', 'of a running process'],
      ['leakscope snapshot core.4242 -o app.lss', 'of a core file: smaller, and opened at once'],
      ['leakscope snapshot 4242 -o app.lss --json', 'and what it holds and cost, for a program'],
    ],
    notes: [
      'The file holds type names, attribute names, sizes and references, and string keys that are identifiers.',
      'Values of the program are not in it.',
      '',
      '--via agent runs code inside the program, for where neither fork nor freeze is possible. Python 3.14 and newer can',
      `be asked to; in others import leakscope_agent: it is in ${AGENT_DIRECTORY}`,
    ].join('\n'),
    withoutOutput: true,
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .requiredOption('-o, --output <FILE>', 'the snapshot file, written whole or not at all')
    .addOption(viaOption().choices(['auto', 'fork', 'freeze', 'agent']))
    .addOption(sysrootOption())
    .addOption(
      new Option('--values <WHICH>', 'which values of the program to record').choices(['none']).default('none'),
    )
    .action(snapshot);
}

async function snapshot(target: string, options: SnapshotOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const { via, ...rest } = options;
  const { graph, facts, seconds } =
    via === 'agent' && kindOf(target) === 'process'
      ? await openByAgent(Number(target), progress)
      : await openTarget(target, {
          ...rest,
          via: via === 'agent' ? 'auto' : via,
          progress,
          account: true,
          duplicates: true,
        });
  progress.say(`writing ${options.output}`);
  const begun = performance.now();
  const { bytes } = await writeSnapshot(options.output, graph.columns, graph.origin, facts);
  const write = (performance.now() - begun) / 1000;
  progress.clear();
  const document = {
    ...documentHead(graph),
    file: options.output,
    bytes,
    via: graph.origin.via,
    pause_ms: graph.origin.pauseMs,
    ...countNodes(graph),
    edges: graph.edgeCount,
    undecoded: graph.columns.undecoded,
    seconds: { ...seconds, write },
  };
  // The snapshot is in the file; what is said of it goes to standard output.
  const { output: _file, ...said } = options;
  await answer(said, document, style => snapshotText(document, style));
}

function countNodes(graph: HeapGraph): { objects: number; native_blocks: number } {
  const { nodeCount, flags } = graph.columns;
  let objects = 0;
  let blocks = 0;
  for (let node = 0; node < nodeCount; node++) {
    if ((flags[node]! & NodeFlag.nativeBlock) !== 0) blocks++;
    else if ((flags[node]! & NodeFlag.synthetic) === 0) objects++;
  }
  return { objects, native_blocks: blocks };
}
