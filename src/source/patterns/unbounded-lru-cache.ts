/** `lru_cache(maxsize=None)` or `cache` on a function with parameters: every distinct argument stays for ever. */
import { patchOf } from '../diff.ts';
import { argumentsOf, bare, child, parts, textOf } from '../syntax.ts';
import { cacheLimit } from './lru-cache-on-method.ts';
import { inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const unboundedLruCache: Rule = {
  id: 'unbounded-lru-cache',
  category: 'unbounded-cache',
  title: 'a cache decorator without a bound',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const scope of file.scopes) {
        const method =
          scope.parent?.kind === 'class' && !scope.decorators.some(d => /staticmethod|classmethod/.test(textOf(d)));
        if (scope.kind !== 'function' || method || scope.parameters.length === 0) continue;
        for (const decorator of scope.decorators) {
          if (cacheLimit(project, decorator) !== 'None') continue;
          const expression = bare(parts(decorator)[0]!);
          const limit =
            expression.kind === 'call'
              ? (argumentsOf(expression).keywords.get('maxsize') ?? argumentsOf(expression).positional[0])
              : undefined;
          const callee = expression.kind === 'call' ? child(expression, 'function') : expression;
          const lru = textOf(callee ?? expression).replace(/(^|\.)cache$/, '$1lru_cache');
          const imported = lru.includes('.') || file.imports.some(i => i.path === 'functools.lru_cache');
          const edit =
            limit !== undefined
              ? { start: limit.start, end: limit.end, text: '1024' }
              : {
                  start: expression.start,
                  end: expression.end,
                  text: `${imported ? lru : "__import__('functools').lru_cache"}(maxsize=1024)`,
                };
          const names = scope.parameters.map(p => p.name).join(', ');
          found.push(
            matchAt(project, unboundedLruCache, scope.node, {
              sentence: `${textOf(expression)} on ${scope.qualname}() keeps the result for every distinct (${names}) it was ever called with`,
              fix: {
                summary: `give the cache of ${scope.qualname}() at line ${decorator.line} a bound: lru_cache(maxsize=1024), or round ${names} to few values first`,
                patch: limit === undefined && !imported ? null : patchOf(file, [edit], root),
              },
              subjects: [scope.name],
              certainty: 'maybe',
            }),
          );
        }
      }
      return found;
    }),
};
