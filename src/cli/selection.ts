/** TYPE or ADDRESS on the command line: the nodes that are meant. */
import type { NodeIndex } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { ExitCode, LeakscopeError } from '../process/index.ts';
import { parseAddress } from './values.ts';

export interface Selection {
  /** What it is called: the type's name, or the type of the object at the address. */
  readonly type: string;
  readonly nodes: readonly NodeIndex[];
}

/** The instances of a type, by its full name or its last part, or the one object at an address. */
export function select(graph: HeapGraph, wanted: string): Selection {
  const address = parseAddress(wanted);
  if (address !== undefined) {
    const node = nodeAt(graph, address);
    return { type: graph.typeName(node), nodes: [node] };
  }
  const name = nameOfType(graph, wanted);
  const { nodeCount, types, type } = graph.columns;
  const isWanted = Uint8Array.from(types, candidate => (candidate.name === name ? 1 : 0));
  const nodes: NodeIndex[] = [];
  for (let node = 0; node < nodeCount; node++) if (isWanted[type[node]!] === 1) nodes.push(node);
  return { type: name, nodes };
}

/** The node at an address; throws a LeakscopeError when there is no object. */
export function nodeAt(graph: HeapGraph, address: number): NodeIndex {
  const node = graph.nodeAt(address);
  if (node >= 0) return node;
  throw new LeakscopeError(
    `there is no object at 0x${address.toString(16)}`,
    ExitCode.usage,
    'Addresses are shown by leakscope dominators and who; those of a live process are good as long as the object lives.',
  );
}

function nameOfType(graph: HeapGraph, wanted: string): string {
  const names = [...new Set(graph.columns.types.map(type => type.name))];
  if (names.includes(wanted)) return wanted;
  const same = names.filter(name => name.slice(name.lastIndexOf('.') + 1) === wanted || name.endsWith(`.${wanted}`));
  if (same.length === 1) return same[0]!;
  if (same.length > 1) {
    const some = same.slice(0, 5).join(', ');
    throw new LeakscopeError(`${same.length} types are called ${wanted}`, ExitCode.usage, `Which one: ${some}?`);
  }
  const alike = names.filter(name => name.toLowerCase().includes(wanted.toLowerCase())).slice(0, 5);
  const hint = alike.length > 0 ? `Did you mean ${alike.join(', ')}?` : 'leakscope types TARGET lists them.';
  throw new LeakscopeError(`there is no type ${wanted} in this heap`, ExitCode.usage, hint);
}
