/** A mutable default argument that the function adds to: the one object made at definition collects from every call. */
import { candidates, detailOf } from '../candidates.ts';
import { indentOf, indentUnit, insertLines, patchOf } from '../diff.ts';
import { fileOf, functionScope } from '../project.ts';
import { parts, textOf } from '../syntax.ts';
import { matchAt, type PatternMatch, type Rule } from './match.ts';

export const mutableDefault: Rule = {
  id: 'mutable-default',
  category: 'global-container',
  title: 'a mutable default argument that grows',
  find: (project, root) => {
    const found: PatternMatch[] = [];
    for (const c of candidates(project)) {
      if (c.lives !== 'default') continue;
      const { use, operations } = detailOf(project, c);
      const store = operations.find(o => o.act === 'store' && !o.nested);
      if (store === undefined || use.bounded || use.removals.length > 0) continue;
      const scope = functionScope(project, store.node);
      const name = c.holder.variable!;
      const file = fileOf(project, c.value);
      const memo = use.lookedUpBeforeStore;
      const first = parts(scope.body)[0];
      const indent = first === undefined ? '' : indentOf(file, first.line);
      const patch =
        memo || first === undefined || first.line === scope.node.line
          ? null
          : patchOf(
              file,
              [
                { start: c.value.start, end: c.value.end, text: 'None' },
                insertLines(file, first.line, [
                  `${indent}if ${name} is None:`,
                  `${indent}${indentUnit(file)}${name} = ${textOf(c.value)}`,
                ]),
              ],
              root,
            );
      found.push(
        matchAt(project, mutableDefault, store.node, {
          category: memo ? 'unbounded-cache' : 'global-container',
          sentence: `${name}=${textOf(c.value)} is made once, when ${scope.qualname}() is defined, and every call that does not pass ${name} adds to that same object`,
          fix: {
            summary: memo
              ? `bound ${name} in ${scope.qualname}() (functools.lru_cache(maxsize=…)) instead of remembering in a default argument`
              : `make the default None and create ${name} inside ${scope.qualname}() at line ${scope.node.line}`,
            patch,
          },
          subjects: [name, scope.name],
        }),
      );
    }
    return found;
  },
};
