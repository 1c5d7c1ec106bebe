/** `leakscope cycles TARGET`: what the garbage collector of the target has to do, has done, and cannot do. */
import type { Command } from 'commander';
import { findGarbage, findLiveCycles, type GarbageCycle } from '../../analysis/index.ts';
import { NodeFlag, type NodeIndex } from '../../cpython/index.ts';
import { type HeapGraph, labelText } from '../../heap/index.ts';
import { type CyclesDocument, cyclesText } from '../../report/index.ts';
import { addCommand, sysrootOption, type ViaOptions, viaOption } from '../command.ts';
import { answerAbout, type CommonOptions } from '../output.ts';
import { progressTo } from '../progress.ts';
import { documentHead, openTarget } from '../target.ts';
import { hexadecimal, limit } from '../values.ts';

const ROWS = 10;

interface CyclesOptions extends CommonOptions, ViaOptions {
  readonly limit: number;
  readonly live?: boolean;
}

export function addCycles(program: Command): void {
  addCommand(program, {
    usage: 'cycles',
    summary: 'garbage: unreachable cycles, finalizers, gc.garbage, generations and thresholds, frozen objects',
    examples: [
      ['leakscope cycles 4242', 'what waits for a collection, and whether collection is on'],
      ['leakscope cycles 4242 --live', 'cycles that are alive too: only the collector will free them'],
    ],
  })
    .argument('<TARGET>', 'a pid, a core file or a snapshot file')
    .option('--live', 'also show cycles of objects that are alive')
    .option('--limit <N>', 'show so many kinds of cycles, 0 for all', limit, ROWS)
    .addOption(viaOption())
    .addOption(sysrootOption())
    .action(cycles);
}

async function cycles(target: string, options: CyclesOptions): Promise<void> {
  const progress = progressTo(process.stderr, options.quiet === true);
  const { graph, facts } = await openTarget(target, { ...options, progress });
  progress.say('looking for garbage');
  const garbage = findGarbage(graph, options.limit);
  const live = options.live ? findLiveCycles(graph, options.limit, isOfTheProgram(graph)).forms : [];
  progress.clear();
  const { collector } = facts;
  const document: CyclesDocument = {
    ...documentHead(graph),
    enabled: collector?.enabled ?? null,
    generations: (collector?.generations ?? []).map((row, generation) => ({ generation, ...row })),
    frozen: collector?.frozen ?? 0,
    unreachable: { objects: garbage.objects, bytes: garbage.bytes },
    garbage: countTypes(graph, garbageList(graph)),
    finalizers: countTypes(graph, garbage.finalizers),
    cycles: [
      ...garbage.forms.map(form => cycleRow(graph, form, false)),
      ...live.map(form => cycleRow(graph, form, true)),
    ],
  };
  await answerAbout(document, options, style => cyclesText(document, style));
}

/** Classes, modules and functions refer to each other in circles in every program; nobody wants to see those. */
function isOfTheProgram(graph: HeapGraph): (node: NodeIndex) => boolean {
  return node => !['type', 'module', 'function'].includes(graph.layout(node));
}

function cycleRow(graph: HeapGraph, form: GarbageCycle, reachable: boolean): CyclesDocument['cycles'][number] {
  return {
    count: form.count,
    objects: form.members * form.count,
    bytes: form.totalBytes,
    around: form.nodes.map((node, at) => ({
      type: graph.typeName(node),
      label: labelText(graph, form.edges[at]!),
      address: hexadecimal(graph.columns.address[node]!),
    })),
    finalizers: form.finalizers,
    reachable,
  };
}

/** What `gc.garbage` holds: uncollectable objects, and with gc.DEBUG_SAVEALL all that was found. */
function garbageList(graph: HeapGraph): NodeIndex[] {
  const { nodeCount, edgeStart, edgeTarget, flags } = graph.columns;
  const found: NodeIndex[] = [];
  for (let node = 0; node < nodeCount; node++) {
    if ((flags[node]! & NodeFlag.synthetic) === 0) continue;
    for (let edge = edgeStart[node]!; edge < edgeStart[node + 1]!; edge++) {
      if (graph.labelString(edge) !== 'gc.garbage') continue;
      const list = edgeTarget[edge]!;
      for (let item = edgeStart[list]!; item < edgeStart[list + 1]!; item++) {
        if (/^\[\d+\]$/.test(labelText(graph, item))) found.push(edgeTarget[item]!);
      }
    }
  }
  return found;
}

function countTypes(graph: HeapGraph, nodes: readonly NodeIndex[]): { type: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const node of nodes) counts.set(graph.typeName(node), (counts.get(graph.typeName(node)) ?? 0) + 1);
  return [...counts].map(([type, count]) => ({ type, count })).sort((a, b) => b.count - a.count);
}
