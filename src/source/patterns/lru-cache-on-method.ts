/**
 * `functools.lru_cache` on a method. The cache is one for the class and `self` is part of each key, so every
 * instance a method was called on stays as long as its entries do.
 */

import { indentOf, indentUnit, insertLines, patchOf, replaceLines } from '../diff.ts';
import { functionScope, importedPath, type Project } from '../project.ts';
import { argumentsOf, bare, child, parts, textOf } from '../syntax.ts';
import { inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const lruCacheOnMethod: Rule = {
  id: 'lru-cache-on-method',
  category: 'lru-cache-method',
  title: 'a cache decorator on a method keeps every instance',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const scope of file.scopes) {
        if (scope.kind !== 'function' || scope.parent?.kind !== 'class') continue;
        if (scope.decorators.some(d => /^@\s*(staticmethod|classmethod)/.test(textOf(d)))) continue;
        for (const decorator of scope.decorators) {
          const limit = cacheLimit(project, decorator);
          if (limit === null) continue;
          const self = scope.parameters[0]?.name ?? 'self';
          const owner = scope.parent.name;
          const bounded = limit !== 'None';
          // Per instance: the decorator's own cache, made in __init__ around the bound method.
          const expression = parts(decorator)[0]!;
          const maker = textOf(expression);
          const init = scope.parent.children.find(s => s.kind === 'function' && s.name === '__init__');
          const slotted = scope.parent.bindings.has('__slots__');
          const edits = [replaceLines(file, decorator.line, decorator.endLine, [])];
          const assign = `${init?.parameters[0]?.name ?? self}.${scope.name} = ${maker}(${init?.parameters[0]?.name ?? self}.${scope.name})`;
          const alone =
            decorator.endLine < scope.node.line || decorator.endLine < (scope.decorators.at(-1)?.endLine ?? 0);
          if (init !== undefined) {
            const first = parts(init.body).find(
              n => !(n.kind === 'expression_statement' && parts(n)[0]?.kind === 'string'),
            );
            if (first !== undefined) edits.push(insertLines(file, first.line, [indentOf(file, first.line) + assign]));
          } else {
            const indent = indentOf(file, scope.node.line);
            const top = Math.min(scope.node.line, ...scope.decorators.map(d => d.line));
            edits.unshift(
              insertLines(file, top, [
                `${indent}def __init__(self, *args, **kwargs):`,
                `${indent}${indentUnit(file)}super().__init__(*args, **kwargs)`,
                `${indent}${indentUnit(file)}${assign}`,
                '',
              ]),
            );
          }
          found.push(
            matchAt(project, lruCacheOnMethod, scope.node, {
              sentence: `the ${textOf(expression)} on ${owner}.${scope.name}() is one cache for the class and has ${self} in every key, so each ${owner} it was called on stays alive${bounded ? ` until ${limit} newer entries push it out` : ' for ever'}`,
              fix: {
                summary: `cache per instance: make the cache in __init__ (self.${scope.name} = ${maker}(self.${scope.name})) instead of decorating ${owner}.${scope.name} at line ${decorator.line}, or cache a module function that does not take ${self}`,
                patch: slotted || !alone || scope.decorators.length > 1 ? null : patchOf(file, edits, root),
              },
              subjects: [owner, scope.name, `${owner}.${scope.name}`],
              types: [owner],
              certainty: bounded || madeOnce(project, owner) ? 'maybe' : 'sure',
            }),
          );
        }
      }
      return found;
    }),
};

/** The maxsize of a caching decorator as written (`None` when unbounded), or null when it is no such decorator. */
export function cacheLimit(project: Project, decorator: Parameters<typeof parts>[0]): string | null {
  const expression = bare(parts(decorator)[0] ?? decorator);
  const callee = expression.kind === 'call' ? child(expression, 'function') : expression;
  const path = callee === null ? null : importedPath(project, callee);
  if (path === 'functools.cache') return 'None';
  if (path !== 'functools.lru_cache') return null;
  if (expression.kind !== 'call') return '128';
  const { positional, keywords } = argumentsOf(expression);
  const limit = keywords.get('maxsize') ?? positional[0];
  return limit === undefined ? '128' : textOf(limit);
}

/** Whether every instance the program makes of a class is made at module level: then there are only so many. */
function madeOnce(project: Project, className: string): boolean {
  const calls = project.calls.get(className) ?? [];
  return calls.length > 0 && calls.every(c => functionScope(project, c.node).kind === 'module');
}
