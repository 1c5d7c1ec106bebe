/** Whether the program itself keeps a container from growing for ever, and how. */
import { type Aliases, isContainer, isElement } from './aliases.ts';
import { conditionsOf, leaves, neverCalled, oneLine } from './conditions.ts';
import type { Operation } from './operations.ts';
import { calleeOf, fileOf, functionScope, importedPath, type Project } from './project.ts';
import { argumentsOf, bare, child, descendants, parts, type SyntaxNode, textOf } from './syntax.ts';

export interface Bound {
  readonly kind:
    | 'maxlen'
    | 'maxsize'
    | 'size-check'
    | 'slice'
    | 'fixed-keys'
    | 'fixed-length'
    | 'guarded-insert'
    | 'weak'
    | 'expiry';
  readonly file: string;
  readonly line: number;
  /** What bounds it, as the program writes it. */
  readonly text: string;
}

/** Constructors whose result bounds itself, by the parameter that says how much. */
const boundedTypes = new Map<string, { keyword: string; position: number }>([
  ['deque', { keyword: 'maxlen', position: 1 }],
  ['LRUCache', { keyword: 'maxsize', position: 0 }],
  ['TTLCache', { keyword: 'maxsize', position: 0 }],
  ['LFUCache', { keyword: 'maxsize', position: 0 }],
  ['FIFOCache', { keyword: 'maxsize', position: 0 }],
  ['RRCache', { keyword: 'maxsize', position: 0 }],
  ['Queue', { keyword: 'maxsize', position: 0 }],
  ['LifoQueue', { keyword: 'maxsize', position: 0 }],
  ['PriorityQueue', { keyword: 'maxsize', position: 0 }],
]);

/** Every bound found; a container with one that is sure does not leak by itself. */
export function findBounds(aliases: Aliases, operations: readonly Operation[]): Bound[] {
  const { project } = aliases;
  const found: Bound[] = [];
  const add = (kind: Bound['kind'], node: SyntaxNode, text = oneLine(textOf(node))): void => {
    found.push({ kind, file: fileOf(project, node).file, line: node.line, text });
  };
  const stores = operations.filter(o => o.act === 'store' && !o.nested && o.how !== 'setattr');
  for (const o of operations) {
    if (o.act === 'create' && o.value !== null) {
      const limit = constructorBound(project, o.value);
      if (limit !== null) add('maxlen', o.node, limit);
      if (isFixedList(o.value) && stores.length > 0 && stores.every(s => s.how === 'item'))
        add('fixed-length', o.node, oneLine(textOf(o.value)));
      const made = bare(o.value);
      const path = made.kind === 'call' ? importedPath(project, child(made, 'function') ?? made) : null;
      if (path !== null && /^weakref\.Weak(Key|Value)?(Dictionary|Set)$/.test(path)) add('weak', o.node, path);
    }
    if (
      o.act !== 'remove' ||
      o.nested ||
      (neverCalled(project, o.node) && !stores.every(s => neverCalled(project, s.node)))
    )
      continue;
    const conditions = conditionsOf(aliases, o.node);
    if (conditions.some(c => c.kind === 'size' && boundsSize(aliases, c.text, c.negated)))
      add('size-check', o.node, conditions.find(c => c.kind === 'size')!.text);
    else if (
      (o.how === 'slice' || o.how === 'del slice') &&
      conditions.every(c => c.kind === 'loop' || c.kind === 'age')
    )
      add('slice', o.node, oneLine(textOf(o.node)));
    else if (o.how === 'heappushpop') add('size-check', o.node);
  }
  // `for _ in range(len(X) - N): X.pop(…)`, and a trim function called with the container.
  for (const o of operations) {
    if (o.act !== 'remove' || o.nested) continue;
    for (const c of conditionsOf(aliases, o.node))
      if (c.kind === 'loop' && /\blen\(.*\)\s*-/.test(c.text)) add('size-check', o.node, c.text);
  }
  if (stores.length > 0 && stores.every(s => s.key !== null && isSmallKey(project, s.key)))
    add('fixed-keys', stores[0]!.node, `key ${oneLine(textOf(stores[0]!.key!))}`);
  // `X[i] = v` of a list replaces: only what inserts has to be guarded.
  const inserts = isList(aliases, operations) ? stores.filter(s => s.how !== 'item') : stores;
  if (
    inserts.length > 0 &&
    inserts.every(
      s =>
        conditionsOf(aliases, s.node).some(c => c.kind === 'size' && /</.test(c.text) !== c.negated) ||
        countedOut(project, s.node),
    )
  )
    add('guarded-insert', inserts[0]!.node);
  return found;
}

/** Made as a list wherever it is made: the keys of its items are positions. */
function isList(aliases: Aliases, operations: readonly Operation[]): boolean {
  const made = operations.filter(o => o.act === 'create' && o.value !== null).map(o => bare(o.value!));
  return (
    made.length > 0 &&
    made.every(
      n =>
        n.kind === 'list' ||
        n.kind === 'list_comprehension' ||
        (n.kind === 'call' && importedPath(aliases.project, child(n, 'function') ?? n) === 'list'),
    )
  );
}

/**
 * `if self.done == self.total: return`, then inserts and `self.done += 1`: a load that ends. The counter must be
 * counted in the function itself, outside any further condition, and set nowhere but where its life begins.
 */
function countedOut(project: Project, node: SyntaxNode): boolean {
  const { body } = functionScope(project, node);
  const steps = parts(body);
  const at = steps.findIndex(step => step.start <= node.start && node.end <= step.end);
  return steps.slice(0, Math.max(0, at)).some(step => {
    if (step.kind !== 'if_statement' || child(step, 'alternative') !== null) return false;
    const test = child(step, 'condition');
    const exit = child(step, 'consequence');
    if (test === null || exit === null || bare(test).kind !== 'comparison_operator' || !leaves(exit)) return false;
    if (!/==|>/.test(textOf(test))) return false;
    const counter = parts(bare(test))[0];
    if (counter === undefined || !['attribute', 'identifier'].includes(counter.kind)) return false;
    const counted = steps.some(s => {
      const sum = s.kind === 'expression_statement' ? (parts(s)[0] ?? s) : s;
      return (
        sum.kind === 'augmented_assignment' &&
        textOf(child(sum, 'operator') ?? sum) === '+=' &&
        textOf(child(sum, 'left') ?? sum) === textOf(counter)
      );
    });
    const name = textOf(counter).split('.').at(-1)!;
    const set = project.files.flatMap(f =>
      descendants(f.root, 'assignment').filter(
        a =>
          textOf(child(a, 'left') ?? a)
            .split('.')
            .at(-1) === name,
      ),
    );
    return counted && set.length === 1;
  });
}

/** `len(X) > N` (or its negation as an early exit) removes when full; `while X:` and `len(X) > 0` do not. */
function boundsSize(_aliases: Aliases, text: string, negated: boolean): boolean {
  if (/>=?\s*0\s*$|!=\s*0\s*$|>=\s*1\s*$/.test(text)) return false;
  return negated ? /</.test(text) : />|==/.test(text) || /<\s*len\(/.test(text);
}

/** The text of the limit when a constructor call bounds what it makes, else null. */
export function constructorBound(project: Project, value: SyntaxNode): string | null {
  const n = bare(value);
  if (n.kind !== 'call') return null;
  const name = importedPath(project, child(n, 'function') ?? n)
    ?.split('.')
    .at(-1);
  const where = name === undefined ? undefined : boundedTypes.get(name);
  if (where === undefined) return null;
  const { positional, keywords } = argumentsOf(n);
  const limit = keywords.get(where.keyword) ?? positional[where.position];
  if (limit === undefined || textOf(limit) === 'None' || textOf(limit) === '0') return null;
  return `${where.keyword}=${oneLine(textOf(limit))}`;
}

function isFixedList(value: SyntaxNode): boolean {
  const n = bare(value);
  return (
    n.kind === 'binary_operator' && textOf(child(n, 'operator') ?? n) === '*' && parts(n).some(p => p.kind === 'list')
  );
}

/** A key of few possible values: a constant, `x % N`, a bool, an enum-like attribute; a parameter is followed to its callers. */
export function isSmallKey(project: Project, key: SyntaxNode, depth = 0): boolean {
  const n = bare(key);
  switch (n.kind) {
    case 'string':
      return descendants(n, 'interpolation').every(
        x => parts(x)[0] !== undefined && isSmallKey(project, parts(x)[0]!, depth + 1),
      );
    case 'integer':
    case 'true':
    case 'false':
    case 'none':
      return true;
    case 'binary_operator':
      // `"text %s" % x` is formatting, not a remainder.
      if (textOf(child(n, 'operator') ?? n) === '%')
        return bare(child(n, 'left') ?? n).kind !== 'string' || isSmallKey(project, child(n, 'right') ?? n, depth + 1);
      return parts(n).every(p => isSmallKey(project, p, depth + 1));
    case 'unary_operator':
    case 'tuple':
      return parts(n).every(p => isSmallKey(project, p, depth + 1));
    case 'comparison_operator':
    case 'not_operator':
      return true;
    case 'conditional_expression':
      return [parts(n)[0], parts(n)[2]].every(p => p !== undefined && isSmallKey(project, p, depth + 1));
    case 'call': {
      const callee = child(n, 'function');
      return callee !== null && ['bool', 'type'].includes(textOf(callee));
    }
    case 'identifier': {
      if (depth > 2) return false;
      const scope = functionScope(project, n);
      const bindings = scope.bindings.get(textOf(n)) ?? [];
      if (bindings.length === 1 && bindings[0]!.kind === 'for_statement') {
        // Walking a range, a constant or another container: no more keys than that has.
        const right = child(bindings[0]!, 'right');
        return (
          right !== null &&
          !/\b(count|read|recv|iter_|stream|cycle|accept|queue|select)/.test(textOf(right)) &&
          descendants(right, 'call').every(c =>
            /^(range|list|sorted|enumerate|zip|reversed)$|\.(items|keys|values)$/.test(
              textOf(child(c, 'function') ?? c),
            ),
          )
        );
      }
      if (bindings.length !== 1 || bindings[0]!.kind !== 'assignment') {
        const position = scope.parameters.findIndex(p => p.name === textOf(n));
        if (position < 0 || depth > 1) return false;
        const calls = (project.calls.get(scope.name) ?? []).filter(c =>
          calleeOf(project, c.node).some(r => r.scope === scope),
        );
        const bound = scope.parent?.kind === 'class' ? 1 : 0;
        return (
          calls.length > 0 &&
          calls.every(c => {
            const { positional, keywords } = argumentsOf(c.node);
            const argument = keywords.get(textOf(n)) ?? positional[position - bound];
            return argument !== undefined && isSmallKey(project, argument, depth + 1);
          })
        );
      }
      const value = child(bindings[0]!, 'right');
      return value !== null && isSmallKey(project, value, depth + 1);
    }
    default:
      return false;
  }
}

/** Whether a loop or test in a function sweeps the container, so that its removals reach every entry in time. */
export function sweeps(aliases: Aliases, node: SyntaxNode): boolean {
  return conditionsOf(aliases, node).some(c => c.kind === 'sweep') || sweptThroughList(aliases, node);
}

/**
 * `while X and X[0].at < now - SPAN: X.popleft()`: as often as it is run it removes all that is due. How much stays
 * depends on what is due when, which the source does not say.
 */
export function sweepsFromHead(aliases: Aliases, node: SyntaxNode): boolean {
  for (let n = node; n.parent !== null && n.kind !== 'function_definition'; n = n.parent) {
    if (n.parent.kind !== 'while_statement' || n.field !== 'body') continue;
    const test = child(n.parent, 'condition');
    if (test === null) continue;
    const looks = [...descendants(test, 'subscript'), ...(test.kind === 'subscript' ? [test] : [])];
    if (
      looks.some(s => {
        const base = child(s, 'value');
        return base !== null && isContainer(aliases, base) && /^-?\d+$/.test(textOf(child(s, 'subscript') ?? s));
      })
    )
      return true;
  }
  return false;
}

/** `dead = [k for k in X if …]; for k in dead: del X[k]`, or `while heap and heap[0] < now: del X[heappop(heap)]`. */
function sweptThroughList(aliases: Aliases, node: SyntaxNode): boolean {
  const body = functionScope(aliases.project, node).body;
  const loops: SyntaxNode[] = [];
  for (let n = node.parent; n !== null && n.kind !== 'function_definition'; n = n.parent)
    if (n.kind === 'for_statement' || n.kind === 'while_statement') loops.push(n);
  if (loops.length === 0) return false;
  return descendants(body, 'for_in_clause', 'for_statement').some(f => {
    const right = child(f, 'right');
    return (
      right !== null &&
      f.end <= node.start &&
      descendants(right, 'identifier', 'attribute').some(x => isContainer(aliases, x) || isElement(aliases, x))
    );
  });
}
