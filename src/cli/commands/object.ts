/** `leakscope object TARGET ADDRESS`: one object, who points at it and whom it points at. */
import type { Command } from 'commander';
import { dominatorsOf, expressionOf, pathTo, referencesFound } from '../../analysis/index.ts';
import { IMMORTAL_REFCOUNT, type NodeIndex } from '../../cpython/index.ts';
import { type HeapGraph, labelText } from '../../heap/index.ts';
import { type Neighbour, objectText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answerAbout, type CommonOptions } from '../output.ts';
import { progressTo } from '../progress.ts';
import { nodeAt } from '../selection.ts';
import { documentHead, openTarget } from '../target.ts';
import { address, hexadecimal, limit } from '../values.ts';

const ROWS = 20;

interface ObjectOptions extends CommonOptions, ViaOptions {
  readonly limit?: number;
}

export function addObject(program: Command): void {
  addCommand(program, {
    usage: 'object',
    summary: 'one object: type, sizes, referrers, referents, references found against its reference count',
    examples: [
      ['leakscope object 4242 0x7f3a2c001000', 'what is at this address, and who points at it'],
      ['leakscope object app.lss 0x7f3a2c001000 --limit 0', 'all of its neighbours'],
    ],
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .argument('<ADDRESS>', 'as dominators and who show it', address)
    .option('--limit <N>', `show so many neighbours each way, 0 for all (default: ${ROWS}, all with --json)`, limit)
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(object);
}

async function object(target: string, at: number, options: ObjectOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const { graph } = await openTarget(target, { ...options, progress });
  const node = nodeAt(graph, at);
  progress.say('computing its retained size');
  const tree = dominatorsOf(graph);
  const { size, length, refcount } = graph.columns;
  const referrers = referrersOf(graph, node);
  const referents = referentsOf(graph, node);
  const shown = options.limit ?? (options.json ? Number.POSITIVE_INFINITY : ROWS);
  progress.clear();
  const document = {
    ...documentHead(graph),
    address: hexadecimal(at),
    type: graph.typeName(node),
    expression: expressionOf(graph, pathTo(graph, node)),
    shallow_bytes: size[node]!,
    retained_bytes: tree.retained[node]!,
    length: length[node]!,
    refcount: refcount[node] === IMMORTAL_REFCOUNT ? null : refcount[node]!,
    references_found: referencesFound(graph)[node]!,
    referrers: referrers.slice(0, shown),
    referents: referents.slice(0, shown),
    referrer_count: referrers.length,
    referent_count: referents.length,
  };
  await answerAbout(document, options, style => objectText(document, style));
}

function referrersOf(graph: HeapGraph, node: NodeIndex): Neighbour[] {
  const { start, source, edge } = graph.referrers;
  const neighbours: Neighbour[] = [];
  for (let at = start[node]!; at < start[node + 1]!; at++) {
    neighbours.push(neighbour(graph, source[at]!, edge[at]!));
  }
  return neighbours;
}

function referentsOf(graph: HeapGraph, node: NodeIndex): Neighbour[] {
  const { edgeStart, edgeTarget } = graph.columns;
  const neighbours: Neighbour[] = [];
  for (let edge = edgeStart[node]!; edge < edgeStart[node + 1]!; edge++) {
    neighbours.push(neighbour(graph, edgeTarget[edge]!, edge));
  }
  return neighbours;
}

function neighbour(graph: HeapGraph, node: NodeIndex, edge: number): Neighbour {
  return {
    address: hexadecimal(graph.columns.address[node]!),
    type: graph.typeName(node),
    label: labelText(graph, edge),
  };
}
