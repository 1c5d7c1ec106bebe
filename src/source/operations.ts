/** Every place in the program that puts something into one container, takes something out, or looks something up. */
import { type Aliases, dynamicAttribute, isContainer, isElement, iterated } from './aliases.ts';
import { gather, occurrencesIn } from './occurrences.ts';
import { importedPath, placeOf, typeOf } from './project.ts';
import {
  argumentsOf,
  bare,
  child,
  childrenIn,
  descendants,
  enclosing,
  parts,
  type SyntaxNode,
  textOf,
} from './syntax.ts';

export interface Operation {
  readonly act: 'store' | 'remove' | 'read' | 'create';
  /** How it is written: `item`, `append`, `setdefault`, `del`, `pop`, `rebind`, `slice`, … */
  readonly how: string;
  readonly node: SyntaxNode;
  readonly key: SyntaxNode | null;
  readonly value: SyntaxNode | null;
  /** True when it changes a list, set or dict that is itself stored in the container. */
  readonly nested: boolean;
}

/** Methods that add, and which argument is the value (-1 the last). */
const adding = new Map<string, { key: number | null; value: number }>([
  ['append', { key: null, value: 0 }],
  ['appendleft', { key: null, value: 0 }],
  ['add', { key: null, value: 0 }],
  ['insert', { key: null, value: 1 }],
  ['setdefault', { key: 0, value: 1 }],
  ['extend', { key: null, value: 0 }],
  ['extendleft', { key: null, value: 0 }],
  ['update', { key: null, value: 0 }],
  ['put', { key: null, value: 0 }],
  ['put_nowait', { key: null, value: 0 }],
  ['push', { key: null, value: 0 }],
  ['__setitem__', { key: 0, value: 1 }],
  ['subtract', { key: null, value: 0 }],
]);
const removing = new Set([
  'pop',
  'popitem',
  'popleft',
  'remove',
  'discard',
  'clear',
  'get_nowait',
  'difference_update',
  'intersection_update',
  '__delitem__',
  'task_done',
]);
const reading = new Set(['get', 'index', 'count', '__getitem__', '__contains__']);
const pushes = new Set([
  'heapq.heappush',
  'heapq.heappushpop',
  'heapq.heapreplace',
  'bisect.insort',
  'bisect.insort_left',
  'bisect.insort_right',
]);

/** All operations on a container, in the order of the files and their text. */
export function findOperations(aliases: Aliases): Operation[] {
  const { operations, dynamic, order } = occurrencesIn(aliases.project);
  const found: Operation[] = [];
  for (const node of gather(operations, [...aliases.containers, ...aliases.elements], order, dynamic))
    classify(aliases, node, found);
  return found;
}

function classify(aliases: Aliases, node: SyntaxNode, found: Operation[]): void {
  const add = (
    act: Operation['act'],
    how: string,
    key: SyntaxNode | null,
    value: SyntaxNode | null,
    nested = false,
  ): void => {
    found.push({ act, how, node, key, value, nested });
  };
  switch (node.kind) {
    case 'assignment': {
      const right = assignedTo(node);
      for (const target of childrenIn(node, 'left').flatMap(targets)) {
        if (target.kind === 'subscript') item(aliases, target, right, add);
        else if (isHolder(aliases, target)) rebind(aliases, node, right, add);
      }
      break;
    }
    case 'augmented_assignment': {
      const left = child(node, 'left');
      const right = child(node, 'right');
      if (left === null) break;
      const operator = textOf(child(node, 'operator') ?? node);
      if (left.kind === 'subscript') {
        const base = child(left, 'value');
        if (base !== null && isContainer(aliases, base))
          add('store', 'item', childrenIn(left, 'subscript')[0] ?? null, right);
      } else if (isContainer(aliases, left)) {
        if (operator === '-=' || operator === '&=') add('remove', operator, null, right);
        else if (operator === '+=' || operator === '|=') add('store', operator, null, right);
      } else if (
        isElement(aliases, left) &&
        (operator === '+=' || operator === '|=') &&
        right !== null &&
        ['list', 'tuple', 'set'].includes(bare(right).kind)
      )
        add('store', operator, null, right, true);
      break;
    }
    case 'delete_statement':
      for (const target of parts(node).flatMap(targets)) {
        if (target.kind === 'subscript') {
          const base = child(target, 'value');
          const key = childrenIn(target, 'subscript')[0] ?? null;
          if (base !== null && isContainer(aliases, base))
            add('remove', key?.kind === 'slice' ? 'del slice' : 'del', key, null);
          else if (base !== null && isElement(aliases, base))
            add('remove', key?.kind === 'slice' ? 'del slice' : 'del', key, null, true);
        } else if (isHolder(aliases, target)) add('remove', 'del name', null, null);
      }
      break;
    case 'subscript': {
      const base = child(node, 'value');
      if (
        base === null ||
        !isContainer(aliases, base) ||
        node.field === 'left' ||
        node.parent?.kind === 'delete_statement'
      )
        break;
      if (enclosing(node, 'pattern_list') !== null) break;
      const key = childrenIn(node, 'subscript')[0] ?? null;
      if (key?.kind !== 'slice') add('read', 'item', key, null);
      break;
    }
    case 'comparison_operator': {
      const [left, right] = parts(node);
      if (
        left !== undefined &&
        right !== undefined &&
        node.children.some(c => c.kind === 'in' || c.kind === 'not in') &&
        isContainer(aliases, right)
      )
        add('read', 'in', left, null);
      break;
    }
    case 'call':
      call(aliases, node, add);
      break;
    default:
  }
}

type Add = (
  act: Operation['act'],
  how: string,
  key: SyntaxNode | null,
  value: SyntaxNode | null,
  nested?: boolean,
) => void;

function item(aliases: Aliases, target: SyntaxNode, right: SyntaxNode | null, add: Add): void {
  const base = child(target, 'value');
  const key = childrenIn(target, 'subscript')[0] ?? null;
  if (base === null) return;
  if (isContainer(aliases, base)) {
    if (key?.kind === 'slice') add('remove', 'slice', key, right);
    else add('store', 'item', key, right);
  } else if (isElement(aliases, base) && typeOf(aliases.project, base) === null) {
    if (key?.kind === 'slice') add('remove', 'slice', key, right, true);
    else add('store', 'item', key, right, true);
  }
}

/** `X = …` where X is the holder itself: the start of its life, a reset, a trim, or one more link of a chain. */
function rebind(aliases: Aliases, node: SyntaxNode, right: SyntaxNode | null, add: Add): void {
  if (right === null) return;
  const mentionsItself = descendants(right, 'identifier', 'attribute').some(n => isContainer(aliases, n));
  if (!mentionsItself) {
    add(
      isFirstBinding(aliases, node) ? 'create' : 'remove',
      isFirstBinding(aliases, node) ? 'create' : 'rebind',
      null,
      right,
    );
    if (!isFirstBinding(aliases, node)) add('create', 'create', null, right);
    return;
  }
  const value = bare(right);
  const filtered =
    value.kind === 'subscript' ||
    ['list_comprehension', 'set_comprehension', 'dictionary_comprehension'].includes(value.kind);
  const rebuilt =
    value.kind === 'call' &&
    ['list', 'set', 'dict', 'deque', 'tuple'].includes(textOf(child(value, 'function') ?? value));
  if (value.kind === 'boolean_operator' || value.kind === 'conditional_expression')
    add('create', 'create', null, right);
  else if (filtered || rebuilt) add('remove', value.kind === 'subscript' ? 'slice' : 'filter', null, right);
  else if (value.kind === 'binary_operator') add('store', 'accumulate', null, right);
  else if (value.kind === 'call') add('store', 'wrap', null, right);
  else if (['tuple', 'list', 'dictionary', 'expression_list', 'set'].includes(value.kind))
    add('store', 'accumulate', null, right);
}

/** Module-level statements, class bodies and `__init__` begin a container's life; everywhere else it is replaced. */
function isFirstBinding(aliases: Aliases, node: SyntaxNode): boolean {
  const f = enclosing(node, 'function_definition', 'lambda');
  if (f === null) return true;
  const name = child(f, 'name');
  if (name !== null && ['__init__', '__new__', '__post_init__', 'setUp', '__init_subclass__'].includes(textOf(name)))
    return true;
  // A local variable's or cell's only assignment is its creation, wherever it stands.
  if (aliases.holder.startsWith('variable ')) return true;
  // `if X is None: X = {}` is late creation.
  const test = enclosing(node, 'if_statement');
  return test !== null && /\bis None\b|^not /.test(textOf(child(test, 'condition') ?? test));
}

function call(aliases: Aliases, node: SyntaxNode, add: Add): void {
  const callee = child(node, 'function');
  if (callee === null) return;
  const { positional, keywords } = argumentsOf(node);
  const path = importedPath(aliases.project, callee);
  if (path !== null && positional[0] !== undefined) {
    if (pushes.has(path)) {
      if (isContainer(aliases, positional[0])) add('store', path.split('.').at(-1)!, null, positional[1] ?? null);
      else if (isElement(aliases, positional[0]))
        add('store', path.split('.').at(-1)!, null, positional[1] ?? null, true);
      return;
    }
    if (path === 'heapq.heappop' && isContainer(aliases, positional[0])) {
      add('remove', 'heappop', null, null);
      return;
    }
    if (path === 'setattr' && positional[2] !== undefined && holdsDynamically(aliases, positional[0], positional[1])) {
      add('store', 'setattr', positional[1] ?? null, positional[2]);
      return;
    }
    if (path === 'delattr' && holdsDynamically(aliases, positional[0], positional[1])) {
      add('remove', 'delattr', null, null);
      return;
    }
  }
  if (callee.kind !== 'attribute') return;
  const object = child(callee, 'object');
  const method = textOf(child(callee, 'attribute') ?? callee);
  if (object === null) return;
  const viaDict = dynamicAttribute(node);
  if (viaDict !== null && method === 'setdefault') {
    const base = placeOf(aliases.project, viaDict.object);
    if (base !== null && aliases.holder === `${base}.${viaDict.name}`) {
      add('create', 'create', null, positional[1] ?? null);
      return;
    }
  }
  const direct = isContainer(aliases, object);
  // A method of a project class that happens to be called `add` is followed into its body instead.
  if (!direct && !isElement(aliases, object)) return;
  const nested = !direct;
  const known = typeOf(aliases.project, object);
  if (known !== null && (aliases.project.functions.get(method) ?? []).some(f => f.scope.parent?.name === known)) return;
  const how = adding.get(method);
  if (how !== undefined) {
    if (nested && method === 'update') return;
    add(
      'store',
      method,
      how.key === null ? null : (positional[how.key] ?? null),
      positional[how.value] ?? [...keywords.values()][0] ?? null,
      nested,
    );
  } else if (removing.has(method)) {
    // `d.get()` and `q.task_done()` are removals on queues only; `pop(k, 0)` feeding a store back is a touch.
    if (method !== 'task_done') add('remove', method, positional[0] ?? null, null, nested);
  } else if (reading.has(method) && direct) {
    if (method === 'get' && positional.length === 0) add('remove', 'get', null, null);
    else add('read', method, positional[0] ?? null, null);
  }
}

/** Whether `setattr(object, name, …)` may assign the holder: the name is not known, but the object is. */
function holdsDynamically(aliases: Aliases, object: SyntaxNode, name: SyntaxNode | undefined): boolean {
  const literal = name?.kind === 'string' ? textOf(name).slice(1, -1) : null;
  const attribute = aliases.holder.split('.').at(-1)!;
  if (literal !== null && literal !== attribute) return false;
  const type = typeOf(aliases.project, object);
  if (type !== null && aliases.holder === `attribute ${type}.${attribute}`) return true;
  const place = placeOf(aliases.project, object);
  return place !== null && (aliases.holder === place || aliases.holder.startsWith(`${place}.`));
}

/** Whether a target is the holder itself rather than another name for it. */
function isHolder(aliases: Aliases, target: SyntaxNode): boolean {
  return (
    (target.kind === 'identifier' || target.kind === 'attribute') && placeOf(aliases.project, target) === aliases.holder
  );
}

function targets(node: SyntaxNode): SyntaxNode[] {
  if (['pattern_list', 'tuple_pattern', 'list_pattern', 'expression_list', 'tuple'].includes(node.kind))
    return parts(node).flatMap(targets);
  return [node];
}

function assignedTo(assignment: SyntaxNode): SyntaxNode | null {
  let right = child(assignment, 'right');
  while (right?.kind === 'assignment') right = child(right, 'right');
  return right;
}

/** Whether a statement walks the container (`for k in list(X)`). */
export function walksContainer(aliases: Aliases, loop: SyntaxNode): boolean {
  const right = child(loop, 'right');
  return (
    right !== null &&
    (isContainer(aliases, iterated(right)) ||
      descendants(right, 'identifier', 'attribute').some(n => isContainer(aliases, n)))
  );
}
