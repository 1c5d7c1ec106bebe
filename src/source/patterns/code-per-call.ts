/** Code compiled inside a function, and source put into linecache under names that never repeat. */
import { indentOf, insertLines, patchOf } from '../diff.ts';
import { endLine } from '../fix-bound.ts';
import { functionScope, importedPath, placeOf } from '../project.ts';
import { argumentsOf, child, descendants, statementOf, textOf } from '../syntax.ts';
import { conditionsWithin } from './guards.ts';
import { advice, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const linecacheEntries: Rule = {
  id: 'linecache-entries',
  category: 'class-or-code-growth',
  title: 'source stored in linecache under names that never repeat',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      const removed = /linecache\.(cache\.(pop|clear)|clearcache|checkcache)|del\s+linecache\.cache\[/.test(
        project.files.map(f => f.text).join('\n'),
      );
      for (const node of descendants(file.root, 'assignment', 'call')) {
        const target = node.kind === 'assignment' ? child(node, 'left') : null;
        const base = target?.kind === 'subscript' ? child(target, 'value') : null;
        const stores = base !== null && placeOf(project, base) === 'external linecache.cache';
        const lazy = node.kind === 'call' && importedPath(project, child(node, 'function')!) === 'linecache.lazycache';
        if ((!stores && !lazy) || removed || functionScope(project, node).kind === 'module') continue;
        const scope = functionScope(project, node);
        const key = stores ? textOf(child(target!, 'subscript')!) : '';
        const statement = statementOf(node);
        const limit = `while len(${stores ? textOf(base!) : 'linecache.cache'}) > 2_000:`;
        const indent = indentOf(file, statement.line);
        const patch = stores
          ? patchOf(
              file,
              [
                insertLines(file, endLine(statement) + 1, [
                  `${indent}${limit}`,
                  `${indent}    del ${textOf(base!)}[next(iter(${textOf(base!)}))]`,
                ]),
              ],
              root,
            )
          : null;
        found.push(
          matchAt(project, linecacheEntries, node, {
            sentence: `${scope.qualname}() stores source in linecache.cache${key === '' ? '' : ` under ${key}`}; entries without a file time are never evicted, and nothing removes them`,
            fix: {
              summary: `remove the linecache entry when the function made from it dies (weakref.finalize), or name it by its source so that equal source shares one, in ${scope.qualname}() at line ${node.line}`,
              patch,
            },
            subjects: ['linecache', 'cache', scope.name],
            types: ['list', 'tuple', 'str'],
          }),
        );
      }
      return found;
    }),
};

export const codePerCall: Rule = {
  id: 'code-per-call',
  category: 'class-or-code-growth',
  title: 'code is compiled on every call',
  find: project =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        const path = importedPath(project, child(call, 'function')!);
        if (
          path === null ||
          ![
            'exec',
            'eval',
            'compile',
            'types.FunctionType',
            'types.ModuleType',
            'importlib.util.module_from_spec',
            'importlib.reload',
          ].includes(path)
        )
          continue;
        const scope = functionScope(project, call);
        const first = argumentsOf(call).positional[0];
        if (scope.kind === 'module' || first === undefined || first.kind === 'string') continue;
        if (path === 'exec' && first.kind === 'call') continue;
        if (
          scope.decorators.some(d => /cache/.test(textOf(d))) ||
          conditionsWithin(call).some(c => /\bnot in\b|is None/.test(c))
        )
          continue;
        if (path.startsWith('importlib') && !/sys\.modules\[/.test(textOf(scope.body))) continue;
        found.push(
          matchAt(project, codePerCall, call, {
            sentence: `${scope.qualname}() makes new code with ${path}() every time it runs; whatever keeps the result keeps its code, constants and globals`,
            fix: advice(
              `compile once for each distinct source and keep it in a bounded cache, in ${scope.qualname}() at line ${call.line}`,
            ),
            subjects: [scope.name],
            types: ['code', 'function', 'module'],
            certainty: 'maybe',
          }),
        );
      }
      return found;
    }),
};
