/** `leakscope who TARGET TYPE|ADDRESS`: who holds it, as merged shortest paths from the roots. */
import type { Command } from 'commander';
import { disjointPaths, elementsOf, foldRepeats, mergedPaths, type PathStep } from '../../analysis/index.ts';
import type { HeapGraph } from '../../heap/index.ts';
import { type WhoDocument, whoDot, whoText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answerAbout, type CommonOptions, write } from '../output.ts';
import { progressTo } from '../progress.ts';
import { type Selection, select } from '../selection.ts';
import { documentHead, openTarget } from '../target.ts';
import { hexadecimal, limit } from '../values.ts';

const PATHS = 10;

interface WhoOptions extends CommonOptions, ViaOptions {
  readonly limit: number;
  readonly dot?: boolean;
}

export function addWho(program: Command): void {
  addCommand(program, {
    usage: 'who',
    summary: 'who holds a type or an object: shortest paths from roots, merged',
    examples: [
      ['leakscope who 4242 app.handlers.Session', 'who holds the instances of a type'],
      ['leakscope who app.lss 0x7f3a2c001000', 'several ways to one object'],
      ['leakscope who app.lss Session --dot | dot -Tsvg > who.svg', 'as a picture, with Graphviz'],
    ],
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .argument('<TYPE|ADDRESS>', 'a type by its name, or an object by its address')
    .option('--limit <N>', 'show so many paths, 0 for all', limit, PATHS)
    .option('--dot', 'print a graph for Graphviz')
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(who);
}

async function who(target: string, wanted: string, options: WhoOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const { graph } = await openTarget(target, { ...options, progress });
  progress.say('finding paths');
  const selection = select(graph, wanted);
  const paths = pathsTo(graph, selection, options.limit);
  progress.clear();
  const document = { ...documentHead(graph), type: selection.type, count: selection.nodes.length, paths };
  if (options.dot && !options.json) await write(options, whoDot(document));
  else await answerAbout(document, options, style => whoText(document, style));
}

/** Of a type the paths of all instances, merged; of one object several that share nothing. */
function pathsTo(graph: HeapGraph, { nodes }: Selection, count: number): WhoDocument['paths'] {
  if (nodes.length === 1) {
    return disjointPaths(graph, nodes[0]!, Math.min(count, PATHS)).map(steps => ({
      share: 1,
      nodes: nodesOf(graph, steps),
    }));
  }
  return mergedPaths(graph, nodes)
    .paths.slice(0, count)
    .map(({ share, example }) => ({ share, nodes: nodesOf(graph, example) }));
}

function nodesOf(graph: HeapGraph, steps: readonly PathStep[]): WhoDocument['paths'][number]['nodes'] {
  return elementsOf(graph, foldRepeats(graph, [...steps])).map(({ text, node }) => ({
    label: text,
    type: graph.typeName(node),
    address: hexadecimal(graph.columns.address[node]!),
  }));
}
