/** The heap divided so that every object is in one part: by type, module, size, holder, or by cause of its being there. */
import { LabelKind, NodeFlag, type NodeIndex } from '../cpython/index.ts';
import { type HeapGraph, labelText } from '../heap/index.ts';
import { type DominatorTree, dominatorsOf } from './dominators.ts';
import { NO_EDGE, pathForest } from './path-forest.ts';
import { expressionOf } from './path-text.ts';
import { pathTo } from './paths.ts';

export type PartitionBy = 'type' | 'module' | 'size' | 'holder' | 'cause';

export interface Part {
  readonly name: string;
  readonly count: number;
  readonly bytes: number;
  /** Of all bytes, 0 to 1. */
  readonly share: number;
}

/** Parts, most bytes first; counts and bytes add up to those of the heap (the root and other synthetic nodes aside). */
export function partitionHeap(graph: HeapGraph, by: PartitionBy, tree: DominatorTree = dominatorsOf(graph)): Part[] {
  const { nodeCount, size, flags } = graph.columns;
  const nameOf = { type: byType, module: byModule, size: bySize, holder: byHolder, cause: byCause }[by](graph, tree);
  const counts = new Map<string, { count: number; bytes: number }>();
  let total = 0;
  for (let node = 1; node < nodeCount; node++) {
    if ((flags[node]! & NodeFlag.synthetic) !== 0) continue;
    const name = nameOf(node);
    let part = counts.get(name);
    if (part === undefined) {
      part = { count: 0, bytes: 0 };
      counts.set(name, part);
    }
    part.count++;
    part.bytes += size[node]!;
    total += size[node]!;
  }
  return Array.from(counts, ([name, { count, bytes }]) => ({
    name,
    count,
    bytes,
    share: total === 0 ? 0 : bytes / total,
  })).sort((a, b) => b.bytes - a.bytes || b.count - a.count);
}

type Naming = (graph: HeapGraph, tree: DominatorTree) => (node: NodeIndex) => string;

const byType: Naming = graph => node => graph.typeName(node);

/** Powers of two: `64 B to 127 B`. */
const bySize: Naming = ({ columns: { size } }) => {
  const names = Array.from({ length: 64 }, (_, power) =>
    power === 0 ? '0 B' : `${2 ** (power - 1)} B to ${2 ** power - 1} B`,
  );
  return node => names[size[node] === 0 ? 0 : Math.floor(Math.log2(size[node]!)) + 1]!;
};

/**
 * The module through which an object is reached first: the way to it that a person would name. What only threads,
 * registries, native code or nothing hold has the name of that.
 */
const byModule: Naming = (graph, tree) => {
  const forest = pathForest(graph);
  const { nodeCount } = graph.columns;
  // Memo: the part of each node, as an index into `parts`, by walking up to the root's edge.
  const parts: string[] = [''];
  const known = new Map<string, number>();
  const partOf = new Uint32Array(nodeCount);
  const number = (name: string): number => {
    let n = known.get(name);
    if (n === undefined) {
      n = parts.push(name) - 1;
      known.set(name, n);
    }
    return n;
  };
  const passed: number[] = [];
  return node => {
    let at = node;
    while (partOf[at] === 0) {
      passed.push(at);
      const edge = forest.edge[at]!;
      if (edge === NO_EDGE) {
        partOf[at] = number(`<${unreachedPart(tree, at)}>`);
        break;
      }
      if (graph.layout(at) === 'module' && graph.nameOf(at) !== '') partOf[at] = number(graph.nameOf(at));
      else if (forest.from[at] === 0) partOf[at] = number(labelText(graph, edge).replace(/^module /, ''));
      else at = forest.from[at]!;
    }
    const part = partOf[at]!;
    for (const each of passed) partOf[each] = part;
    passed.length = 0;
    return parts[part]!;
  };
};

/** The nearest dominator that a person could change: a container or an object under a name, not inside another container. */
const byHolder: Naming = (graph, tree) => {
  const { nodeCount, edgeLabel } = graph.columns;
  const forest = pathForest(graph);
  const holderOf = new Int32Array(nodeCount + 2).fill(-1);
  for (const node of tree.order) {
    if (node === 0 || node >= nodeCount) continue;
    const above = holderOf[tree.idom[node]!]!;
    if (above >= 0) {
      holderOf[node] = above;
      continue;
    }
    // A name of a module's: what hangs on it is its own.
    const edge = forest.edge[node]!;
    if (edge === NO_EDGE) continue;
    const kind = edgeLabel[edge]! >>> 28;
    if (
      kind === LabelKind.local ||
      ((kind === LabelKind.key || kind === LabelKind.attribute) && isNamespace(graph, forest.from[node]!))
    )
      holderOf[node] = node;
  }
  const names = new Map<number, string>();
  return node => {
    const holder = holderOf[node]!;
    if (holder < 0) return forest.edge[node] === NO_EDGE ? `<${unreachedPart(tree, node)}>` : '<shared>';
    let name = names.get(holder);
    if (name === undefined) {
      name = expressionOf(graph, pathTo(graph, holder));
      names.set(holder, name);
    }
    return name;
  };

  function isNamespace(g: HeapGraph, node: number): boolean {
    const from = forest.from[node]!;
    return g.layout(node) === 'dict' && g.layout(from) === 'module' && g.labelString(forest.edge[node]!) === '__dict__';
  }
};

function unreachedPart(
  { idom, graph: { nodeCount }, nativeRoot }: DominatorTree,
  node: number,
): 'native code' | 'garbage' | 'other roots' {
  let at = node;
  while (at < nodeCount && at !== 0) at = idom[at]!;
  return at === nativeRoot ? 'native code' : at === 0 ? 'other roots' : 'garbage';
}

/** Why an object is there: the program's code, its modules' and classes' furniture, data, caches of the interpreter, garbage. */
const byCause: Naming = (graph, tree) => {
  const { flags, types, type } = graph.columns;
  const code = new Set([
    'code',
    'function',
    'type',
    'module',
    'builtin_function_or_method',
    'property',
    'staticmethod',
    'classmethod',
    'method_descriptor',
    'classmethod_descriptor',
    'wrapper_descriptor',
    'member_descriptor',
    'getset_descriptor',
    'functools._lru_cache_wrapper',
  ]);
  // What a closure or a cache holds is data.
  const holdsData = new Set(['cell', 'functools._lru_cache_wrapper']);
  const layoutIsCode = types.map(({ layout }) => code.has(layout));
  const ofModule = byModule(graph, tree);
  // Data under a function, a class or a code object is part of the code.
  const isCode = new Uint8Array(graph.nodeCount + 2);
  for (const node of tree.order) {
    if (node === 0 || node >= graph.nodeCount) continue;
    if (layoutIsCode[type[node]!] && types[type[node]!]!.layout !== 'module') isCode[node] = 1;
    else if (isCode[tree.idom[node]!] !== 0 && !holdsData.has(types[type[tree.idom[node]!]!]?.layout ?? ''))
      isCode[node] = 1;
  }
  const garbage = new Uint8Array(graph.nodeCount + 2);
  for (let at = tree.aliveCount; at < tree.order.length; at++) garbage[tree.order[at]!] = 1;
  return node => {
    if (garbage[node] !== 0) return 'garbage not collected yet';
    if ((flags[node]! & NodeFlag.nativeBlock) !== 0) return 'native blocks';
    if (isCode[node] !== 0) return 'code: functions, classes and what belongs to them';
    if ((flags[node]! & (NodeFlag.static | NodeFlag.immortal)) !== 0) return 'static and immortal';
    const module = ofModule(node);
    if (module.startsWith('thread ') || module.includes(', thread ')) return 'locals of running threads';
    if (module === 'interpreter state') return 'interpreter state and registries';
    if (module === '<native code>') return 'held by native code';
    return 'data under modules';
  };
};
