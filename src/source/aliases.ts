/**
 * Under which names the program reaches one container: the global or attribute itself, local variables and
 * parameters it was passed through, attributes it was copied to, methods that return it. A fixed point over
 * every assignment, call and return of the files, so `d = self._slots; put(d)` is followed into `put`.
 */

import { placesIn } from './occurrences.ts';
import {
  argumentFor,
  calleeOf,
  fileOf,
  functionScope,
  type Place,
  type Project,
  placeOf,
  resultPlace,
  variablePlace,
} from './project.ts';
import { bare, child, childrenIn, descendants, parts, type SyntaxNode, textOf } from './syntax.ts';

export interface Aliases {
  readonly project: Project;
  readonly holder: Place;
  /** Places that may be the container. */
  readonly containers: Set<Place>;
  /** Places that may be something stored in the container. */
  readonly elements: Set<Place>;
}

interface Flow {
  readonly from: SyntaxNode;
  readonly to: Place;
  /** True when `to` gets the members of `from`, as a `for` loop does. */
  readonly members: boolean;
}

/** Flows by the places mentioned on their giving side. */
const flowsOf = new WeakMap<Project, Map<Place, Flow[]>>();

/** The aliases of a place. */
export function findAliases(project: Project, holder: Place): Aliases {
  const aliases: Aliases = { project, holder, containers: new Set([holder]), elements: new Set() };
  const flows = programFlows(project);
  const queue: Place[] = [holder];
  const reach = (places: Set<Place>, place: Place): void => {
    if (places.has(place)) return;
    places.add(place);
    queue.push(place);
  };
  // Each place that joins may make the flows that mention it carry the container or its members.
  for (let steps = 0; queue.length > 0 && steps < 400; steps++) {
    for (const flow of flows.get(queue.pop()!) ?? []) {
      if (!flow.members && isContainer(aliases, flow.from)) reach(aliases.containers, flow.to);
      if (flow.members ? isContainer(aliases, iterated(flow.from)) : isElement(aliases, flow.from))
        reach(aliases.elements, flow.to);
    }
  }
  return aliases;
}

/** What a `for` over this really walks: `X` for `list(X.items())`, `sorted(X)`, `X.values()`, `X[:]`. */
export function iterated(expression: SyntaxNode): SyntaxNode {
  let n = bare(expression);
  for (;;) {
    if (n.kind === 'subscript' && childrenIn(n, 'subscript').some(s => s.kind === 'slice'))
      n = bare(child(n, 'value') ?? n);
    else if (n.kind === 'call') {
      const callee = child(n, 'function');
      if (
        callee?.kind === 'attribute' &&
        ['items', 'values', 'keys', 'copy'].includes(textOf(child(callee, 'attribute') ?? callee))
      )
        n = bare(child(callee, 'object') ?? n);
      else if (
        callee?.kind === 'identifier' &&
        ['list', 'tuple', 'set', 'sorted', 'reversed', 'enumerate', 'iter', 'frozenset'].includes(textOf(callee))
      ) {
        const first = parts(child(n, 'arguments') ?? n)[0];
        if (first === undefined) return n;
        n = bare(first);
      } else return n;
    } else return n;
  }
}

/** Whether an expression may evaluate to the container. */
export function isContainer(aliases: Aliases, expression: SyntaxNode): boolean {
  const n = bare(expression);
  if (n.kind === 'boolean_operator' || n.kind === 'conditional_expression')
    return parts(n).some(p => isContainer(aliases, p));
  if (n.kind === 'named_expression') return isContainer(aliases, child(n, 'value') ?? n);
  if (n.kind === 'assignment') return childrenIn(n, 'left').some(l => isContainer(aliases, l));
  // vars(obj), obj.__dict__["x"] and getattr(obj, "x") are the attribute by another road.
  const dynamic = dynamicAttribute(n);
  if (dynamic !== null) {
    const base = placeOf(aliases.project, dynamic.object);
    if (base !== null && aliases.containers.has(`${base}.${dynamic.name}`)) return true;
  }
  const place = placeOf(aliases.project, n);
  return place !== null && aliases.containers.has(place);
}

/** Whether an expression may evaluate to something that is stored in the container. */
export function isElement(aliases: Aliases, expression: SyntaxNode): boolean {
  const n = bare(expression);
  if (n.kind === 'subscript') {
    const value = child(n, 'value');
    return (
      value !== null &&
      (isContainer(aliases, value) || isElement(aliases, value)) &&
      !childrenIn(n, 'subscript').some(s => s.kind === 'slice')
    );
  }
  if (n.kind === 'call') {
    const callee = child(n, 'function');
    const object = callee?.kind === 'attribute' ? child(callee, 'object') : null;
    if (
      callee !== null &&
      object !== null &&
      ['get', 'setdefault'].includes(textOf(child(callee, 'attribute') ?? callee)) &&
      isContainer(aliases, object)
    )
      return true;
  }
  if (n.kind === 'boolean_operator' || n.kind === 'conditional_expression')
    return parts(n).some(p => isElement(aliases, p));
  const place = placeOf(aliases.project, n);
  return place !== null && aliases.elements.has(place);
}

/** `obj.__dict__.setdefault("name", …)`, `obj.__dict__["name"]`, `vars(obj)["name"]`, `getattr(obj, "name")`: the object and name. */
export function dynamicAttribute(n: SyntaxNode): { object: SyntaxNode; name: string } | null {
  const literal = (node: SyntaxNode | undefined): string | null => {
    const content = node?.kind === 'string' ? node.children.find(c => c.kind === 'string_content') : undefined;
    return content === undefined ? null : textOf(content);
  };
  const dictOf = (node: SyntaxNode | null): SyntaxNode | null => {
    if (node === null) return null;
    if (node.kind === 'attribute' && textOf(child(node, 'attribute') ?? node) === '__dict__')
      return child(node, 'object');
    if (node.kind === 'call' && textOf(child(node, 'function') ?? node) === 'vars')
      return parts(child(node, 'arguments') ?? node)[0] ?? null;
    return null;
  };
  if (n.kind === 'subscript') {
    const object = dictOf(child(n, 'value'));
    const name = literal(childrenIn(n, 'subscript')[0]);
    return object === null || name === null ? null : { object, name };
  }
  if (n.kind !== 'call') return null;
  const callee = child(n, 'function');
  const given = parts(child(n, 'arguments') ?? n);
  if (callee?.kind === 'identifier' && ['getattr', 'setattr', 'delattr'].includes(textOf(callee))) {
    const name = literal(given[1]);
    return given[0] === undefined || name === null ? null : { object: given[0], name };
  }
  if (
    callee?.kind === 'attribute' &&
    ['setdefault', 'get', 'pop'].includes(textOf(child(callee, 'attribute') ?? callee))
  ) {
    const object = dictOf(child(callee, 'object'));
    const name = literal(given[0]);
    return object === null || name === null ? null : { object, name };
  }
  return null;
}

function programFlows(project: Project): Map<Place, Flow[]> {
  const known = flowsOf.get(project);
  if (known !== undefined) return known;
  const flows: Flow[] = [];
  const add = (from: SyntaxNode | null, target: SyntaxNode | null, members = false): void => {
    if (from === null || target === null) return;
    const to = placeOf(project, target);
    if (to !== null) flows.push({ from, to, members });
  };
  for (const file of project.files) {
    for (const node of descendants(
      file.root,
      'assignment',
      'named_expression',
      'for_statement',
      'for_in_clause',
      'call',
      'return_statement',
      'as_pattern',
    )) {
      switch (node.kind) {
        case 'assignment': {
          const left = child(node, 'left');
          const right = child(node, 'right');
          if (left === null || right === null) break;
          const targets = parts(left);
          const values = right.kind === 'expression_list' || right.kind === 'tuple' ? parts(right) : [];
          if (['pattern_list', 'tuple_pattern'].includes(left.kind) && values.length === targets.length)
            for (let i = 0; i < targets.length; i++) add(values[i]!, targets[i]!);
          else if (left.kind === 'identifier' || left.kind === 'attribute') {
            add(right, left);
            // `a = X[k] = value`: the value is also an element under the name `a`.
            let inner = right;
            while (inner.kind === 'assignment') {
              add(child(inner, 'left'), left);
              inner = child(inner, 'right') ?? node;
              add(inner, left);
            }
          } else if (left.kind === 'subscript' && (right.kind === 'identifier' || right.kind === 'attribute'))
            add(left, right);
          break;
        }
        case 'named_expression':
          add(child(node, 'value'), child(node, 'name'));
          break;
        case 'for_statement':
        case 'for_in_clause': {
          const right = child(node, 'right');
          for (const left of childrenIn(node, 'left')) {
            if (left.kind === 'identifier') add(right, left, true);
            else for (const target of parts(left)) if (target.kind === 'identifier') add(right, target, true);
          }
          break;
        }
        case 'as_pattern': {
          const target = descendants(node, 'as_pattern_target')[0];
          add(parts(node)[0] ?? null, target === undefined ? null : (parts(target)[0] ?? null));
          break;
        }
        case 'return_statement': {
          const value = parts(node)[0];
          const scope = functionScope(project, node);
          if (value !== undefined && scope.kind === 'function')
            flows.push({ from: value, to: resultPlace({ file, scope }), members: false });
          break;
        }
        default:
          for (const ref of calleeOf(project, node))
            ref.scope.parameters.forEach((parameter, position) => {
              const argument = argumentFor(project, node, ref.scope, position, parameter.name);
              if (argument !== null)
                flows.push({ from: argument, to: variablePlace(ref.file, ref.scope, parameter.name), members: false });
            });
      }
    }
    for (const scope of file.scopes)
      for (const parameter of scope.parameters)
        if (parameter.default !== null)
          flows.push({
            from: parameter.default,
            to: variablePlace(fileOf(project, scope.node), scope, parameter.name),
            members: false,
          });
  }
  const byPlace = new Map<Place, Flow[]>();
  for (const flow of flows)
    for (const place of mentioned(project, flow.from)) {
      const list = byPlace.get(place);
      if (list === undefined) byPlace.set(place, [flow]);
      else list.push(flow);
    }
  flowsOf.set(project, byPlace);
  return byPlace;
}

/** Places in an expression, those reached by `getattr(x, "name")` and its like included. */
function mentioned(project: Project, from: SyntaxNode): Set<Place> {
  const places = placesIn(project, from);
  for (const n of descendants(from, 'call', 'subscript')) {
    const dynamic = dynamicAttribute(n);
    const base = dynamic === null ? null : placeOf(project, dynamic.object);
    if (base !== null) places.add(`${base}.${dynamic!.name}`);
  }
  return places;
}
