/** The containers of a program that live long enough to leak: module globals, class attributes, attributes of instances, cells of closures, mutable defaults. */

import { describePlace, type HolderName, type UseDetail } from './container-use.ts';
import { makesContainer } from './containers.ts';
import {
  attributePlace,
  globalPlace,
  methodClass,
  type Place,
  type Project,
  scopeAt,
  variablePlace,
} from './project.ts';
import { assignedValue } from './scopes.ts';
import { child, descendants, dotted, type SyntaxNode, textOf } from './syntax.ts';

export interface Candidate {
  readonly place: Place;
  readonly holder: HolderName;
  readonly creation: SyntaxNode;
  readonly value: SyntaxNode;
  readonly lives: 'module' | 'class' | 'instance' | 'closure' | 'default';
}

const known = new WeakMap<Project, Candidate[]>();
const details = new WeakMap<Project, Map<Place, UseDetail>>();

/** All candidates, each place once. */
export function candidates(project: Project): Candidate[] {
  const cached = known.get(project);
  if (cached !== undefined) return cached;
  const found = new Map<Place, Candidate>();
  const add = (c: Candidate): void => {
    if (!found.has(c.place)) found.set(c.place, c);
  };
  for (const file of project.files) {
    for (const scope of file.scopes) {
      for (const [name, bindings] of scope.bindings)
        for (const creation of bindings) {
          const value = assignedValue(creation);
          if (value === null || !makesContainer(project, value)) continue;
          if (scope.kind === 'module')
            add({
              place: globalPlace(file, name),
              holder: { module: file.module, name },
              creation,
              value,
              lives: 'module',
            });
          else if (scope.kind === 'class')
            add({
              place: attributePlace(project, scope.name, name),
              holder: { className: scope.name, attribute: name },
              creation,
              value,
              lives: 'class',
            });
          else if (scope.kind === 'function' && usedByInner(scope.node, name))
            add({
              place: variablePlace(file, scope, name),
              holder: { function: scope.qualname, variable: name },
              creation,
              value,
              lives: 'closure',
            });
        }
      if (scope.kind !== 'function') continue;
      for (const p of scope.parameters)
        if (p.default !== null && makesContainer(project, p.default))
          add({
            place: variablePlace(file, scope, p.name),
            holder: { function: scope.qualname, variable: p.name },
            creation: p.default,
            value: p.default,
            lives: 'default',
          });
      const self = scope.parent?.kind === 'class' ? scope.parameters[0]?.name : undefined;
      if (self === undefined) continue;
      for (const node of descendants(scope.body, 'assignment')) {
        const chain = dotted(child(node, 'left') ?? node);
        const value = assignedValue(node);
        if (chain?.length === 2 && chain[0] === self && value !== null && makesContainer(project, value))
          add({
            place: attributePlace(project, scope.parent!.name, chain[1]!),
            holder: { className: scope.parent!.name, attribute: chain[1]! },
            creation: node,
            value,
            lives: 'instance',
          });
      }
    }
  }
  const all = [...found.values()];
  known.set(project, all);
  return all;
}

/** What the program does with a candidate; worked out once. */
export function detailOf(project: Project, candidate: Candidate): UseDetail {
  let map = details.get(project);
  if (map === undefined) {
    map = new Map();
    details.set(project, map);
  }
  let detail = map.get(candidate.place);
  if (detail === undefined) {
    detail = describePlace(project, candidate.place, candidate.holder);
    map.set(candidate.place, detail);
  }
  return detail;
}

/** Whether a name of a function is used by a function defined in it, which then keeps its cell alive. */
function usedByInner(owner: SyntaxNode, name: string): boolean {
  return descendants(owner, 'function_definition', 'lambda').some(
    inner => inner !== owner && descendants(inner, 'identifier').some(i => textOf(i) === name),
  );
}

/** Whether some instance of a class is kept in a module global, directly or inside a list or another object made there. */
export function instanceLivesLong(project: Project, className: string, depth = 0): boolean {
  for (const call of project.calls.get(className) ?? []) {
    const scope = scopeAt(project, call.node);
    if (
      scope.kind === 'module' ||
      (scope.kind === 'comprehension' && scope.parent?.kind === 'module') ||
      scope.kind === 'class'
    )
      return true;
    // Part of an object that itself lives long.
    const method = methodClass(scope);
    if (
      depth < 4 &&
      method !== null &&
      method.owner.name !== className &&
      method.method.name === '__init__' &&
      instanceLivesLong(project, method.owner.name, depth + 1)
    )
      return true;
  }
  return (
    (project.classes.get(className) ?? []).length > 0 &&
    [...project.classes.values()]
      .flat()
      .some(
        c =>
          depth < 4 &&
          c.scope.name !== className &&
          c.bases.some(b => b.split('.').at(-1) === className) &&
          instanceLivesLong(project, c.scope.name, depth + 1),
      )
  );
}
