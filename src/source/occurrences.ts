/**
 * Where each place is mentioned, worked out once for all files, so that a question about one container looks
 * at its own mentions and not at the whole program.
 */
import { type Place, type Project, placeOf, typeOf } from './project.ts';
import { child, childrenIn, descendants, type SyntaxNode, textOf } from './syntax.ts';

export interface Occurrences {
  /** Nodes that may store into, remove from or read a place, in the order of the files. */
  readonly operations: Map<Place, SyntaxNode[]>;
  /** Operations through names known only at run time (`setattr`, `vars(x)[…]`): they may concern any place. */
  readonly dynamic: readonly SyntaxNode[];
  /** Loops and comprehensions that walk something with the place in it. */
  readonly loops: Map<Place, SyntaxNode[]>;
  readonly order: Map<SyntaxNode, number>;
  /** Project classes whose instances are changed from outside by `x.attribute += …`. */
  readonly changedOutside: Set<string>;
}

const known = new WeakMap<Project, Occurrences>();

export function occurrencesIn(project: Project): Occurrences {
  const cached = known.get(project);
  if (cached !== undefined) return cached;
  const operations = new Map<Place, SyntaxNode[]>();
  const loops = new Map<Place, SyntaxNode[]>();
  const dynamic: SyntaxNode[] = [];
  const order = new Map<SyntaxNode, number>();
  const changedOutside = new Set<string>();
  const note = (map: Map<Place, SyntaxNode[]>, under: SyntaxNode | null, node: SyntaxNode): void => {
    if (under === null) return;
    for (const place of placesIn(project, under)) {
      const list = map.get(place);
      if (list === undefined) map.set(place, [node]);
      else if (list.at(-1) !== node) list.push(node);
    }
  };
  const kinds = [
    'assignment',
    'augmented_assignment',
    'delete_statement',
    'call',
    'subscript',
    'comparison_operator',
    'for_statement',
    'for_in_clause',
  ];
  for (const file of project.files)
    for (const node of descendants(file.root, ...kinds)) {
      order.set(node, order.size);
      switch (node.kind) {
        case 'assignment':
          for (const left of childrenIn(node, 'left')) note(operations, left, node);
          break;
        case 'augmented_assignment': {
          const left = child(node, 'left');
          note(operations, left, node);
          const object = left?.kind === 'attribute' ? child(left, 'object') : null;
          const type = object === null || textOf(object) === 'self' ? null : typeOf(project, object);
          if (type !== null) changedOutside.add(type);
          break;
        }
        case 'delete_statement':
          note(operations, node, node);
          break;
        case 'subscript':
          note(operations, child(node, 'value'), node);
          break;
        case 'comparison_operator':
          note(operations, node, node);
          break;
        case 'for_statement':
        case 'for_in_clause':
          note(loops, child(node, 'right'), node);
          break;
        default: {
          const callee = child(node, 'function');
          if (callee?.kind === 'attribute') {
            note(operations, child(callee, 'object'), node);
            if (textOf(child(callee, 'object') ?? callee).includes('__dict__') || textOf(callee).startsWith('vars('))
              dynamic.push(node);
          } else if (callee !== null && /^(setattr|delattr)$/.test(textOf(callee))) dynamic.push(node);
          // heapq and bisect take the container as their first argument.
          if (callee !== null && /(heap|insort)\w*$/.test(textOf(callee)))
            note(operations, child(node, 'arguments'), node);
        }
      }
    }
  const made = { operations, dynamic, loops, order, changedOutside };
  known.set(project, made);
  return made;
}

/** Every place named inside a node. */
export function placesIn(project: Project, node: SyntaxNode): Set<Place> {
  const found = new Set<Place>();
  for (const n of descendants(node, 'identifier', 'attribute', 'call')) {
    const place = placeOf(project, n);
    if (place !== null) found.add(place);
  }
  return found;
}

/** The nodes of one kind of occurrence for several places, each once, in order. */
export function gather(
  map: Map<Place, SyntaxNode[]>,
  places: Iterable<Place>,
  order: Map<SyntaxNode, number>,
  more: readonly SyntaxNode[] = [],
): SyntaxNode[] {
  const found = new Set<SyntaxNode>(more);
  for (const place of places) for (const node of map.get(place) ?? []) found.add(node);
  return [...found].sort((a, b) => order.get(a)! - order.get(b)!);
}
