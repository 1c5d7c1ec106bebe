/** `logger.addHandler(…)` inside a function: the logger lives for ever, so every call leaves another handler on it. */
import { indentOf, indentUnit, patchOf, replaceLines } from '../diff.ts';
import { fileOf, functionScope, lastName } from '../project.ts';
import { argumentsOf, bare, child, descendants, statementOf, textOf } from '../syntax.ts';
import { conditionsWithin } from './guards.ts';
import { inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const handlerPerCall: Rule = {
  id: 'handler-per-call',
  category: 'event-listener',
  title: 'a logging handler added on every call',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        const callee = child(call, 'function');
        if (callee?.kind !== 'attribute' || lastName(callee) !== 'addHandler') continue;
        const scope = functionScope(project, call);
        if (scope.kind === 'module' || project.calls.has('removeHandler')) continue;
        if (/^(main|setup\w*|configure\w*|init_?logging)$/.test(scope.name)) continue;
        if (conditionsWithin(call).some(c => /handlers|hasHandlers/.test(c))) continue;
        const handler = argumentsOf(call).positional[0];
        const logger = textOf(child(callee, 'object') ?? callee);
        const type =
          handler !== undefined && bare(handler).kind === 'call'
            ? (lastName(child(bare(handler), 'function') ?? handler) ?? '')
            : '';
        const statement = statementOf(call);
        const here = fileOf(project, call);
        const indent = indentOf(here, statement.line);
        const patch =
          statement.line === statement.endLine && here.lines[statement.line - 1]!.trim() === textOf(statement)
            ? patchOf(
                here,
                [
                  replaceLines(here, statement.line, statement.line, [
                    `${indent}if not ${logger}.handlers:`,
                    `${indent}${indentUnit(here)}${textOf(statement)}`,
                  ]),
                ],
                root,
              )
            : null;
        found.push(
          matchAt(project, handlerPerCall, call, {
            sentence: `${scope.qualname}() adds ${type === '' ? 'a handler' : `a new ${type}`} to the logger ${logger} each time it runs; loggers live as long as the process and nothing calls removeHandler`,
            fix: {
              summary: `add the handler only when the logger has none (if not ${logger}.handlers) in ${scope.qualname}() at line ${call.line}, or once at import`,
              patch,
            },
            subjects: ['handlers', logger, scope.name, type],
            types: type === '' ? [] : [type],
          }),
        );
      }
      return found;
    }),
};
