/** `leakscope dominators TARGET`: the biggest retained sizes, as a tree. */
import type { Command } from 'commander';
import { biggestRetained, computeDominators, type DominatorTree, expressionOf, pathTo } from '../../analysis/index.ts';
import type { HeapGraph } from '../../heap/index.ts';
import { type DominatorRow, dominatorsText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answerAbout, type CommonOptions } from '../output.ts';
import { progressTo } from '../progress.ts';
import { documentHead, openTarget, totalsOf } from '../target.ts';
import { hexadecimal, limit } from '../values.ts';

const ROWS = 30;

interface DominatorsOptions extends CommonOptions, ViaOptions {
  readonly limit: number;
  /** False with `--no-inferred`. */
  readonly inferred: boolean;
}

export function addDominators(program: Command): void {
  addCommand(program, {
    usage: 'dominators',
    summary: 'biggest retained sizes, as a tree',
    examples: [
      ['leakscope dominators 4242', 'what would be freed with what'],
      ['leakscope dominators app.core --limit 100', 'more of it, from a core file'],
      ['leakscope dominators app.lss --no-inferred', 'without references that a pointer scan only inferred'],
    ],
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .option('--limit <N>', 'show the N biggest, 0 for all', limit, ROWS)
    .option('--no-inferred', 'leave out references found by scanning memory of unknown layout')
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(dominators);
}

async function dominators(target: string, options: DominatorsOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const { graph, seconds } = await openTarget(target, { ...options, progress });
  progress.say('computing dominators');
  const begun = performance.now();
  const tree = computeDominators(graph, { includeInferred: options.inferred });
  const took = (performance.now() - begun) / 1000;
  progress.clear();
  const document = {
    ...documentHead(graph),
    ...totalsOf(graph),
    edges: graph.edgeCount,
    seconds: { decode: seconds.decode, dominators: took },
    top: rowsOf(graph, tree, options.limit),
  };
  await answerAbout(document, options, style => dominatorsText(document, style));
}

function rowsOf(graph: HeapGraph, tree: DominatorTree, count: number): DominatorRow[] {
  const { address, size } = graph.columns;
  const nodes = biggestRetained(tree, Math.min(count, graph.nodeCount));
  const rank = new Map(nodes.map((node, at) => [node, at]));
  return nodes.map(node => {
    let above = tree.idom[node]!;
    while (above !== 0 && !rank.has(above)) above = tree.idom[above]!;
    return {
      address: hexadecimal(address[node]!),
      type: graph.typeName(node),
      expression: expressionOf(graph, pathTo(graph, node)),
      shallow_bytes: size[node]!,
      retained_bytes: tree.retained[node]!,
      dominator: rank.get(above) ?? null,
    };
  });
}
