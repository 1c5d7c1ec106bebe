/** Registries of the standard library that keep an entry per name for ever: loggers, warnings, interned patterns. */
import { patchOf } from '../diff.ts';
import type { Project } from '../project.ts';
import { functionScope, importedPath } from '../project.ts';
import { argumentsOf, bare, child, descendants, parts, type SyntaxNode, textOf } from '../syntax.ts';
import { advice, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const loggerPerName: Rule = {
  id: 'logger-per-name',
  category: 'global-container',
  title: 'a logger with a new name for every object',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        const callee = child(call, 'function')!;
        const path = importedPath(project, callee);
        const getChild = callee.kind === 'attribute' && textOf(child(callee, 'attribute')!) === 'getChild';
        if (path !== 'logging.getLogger' && !getChild) continue;
        const name = argumentsOf(call).positional[0] ?? argumentsOf(call).keywords.get('name');
        const scope = functionScope(project, call);
        if (name === undefined || scope.kind === 'module' || !varies(project, name)) continue;
        const prefix = /^f?["']([\w.]*?)[.:/-]?(?:%|\{)/.exec(textOf(name))?.[1];
        const parent = prefix === undefined || prefix === '' ? null : `"${prefix}"`;
        found.push(
          matchAt(project, loggerPerName, call, {
            sentence: `${scope.qualname}() asks for a logger named ${textOf(name)}; the logging manager keeps every logger it ever made in loggerDict, so each new name stays for ever`,
            fix: {
              summary: `use one logger (${parent === null ? '__name__' : parent}) and put the varying part into the record (extra=, or a LoggerAdapter) in ${scope.qualname}() at line ${call.line}`,
              patch: parent === null ? null : patchOf(file, [{ start: name.start, end: name.end, text: parent }], root),
            },
            subjects: ['loggerDict', 'Logger', scope.name],
            types: ['Logger'],
          }),
        );
      }
      return found;
    }),
};

export const warningPerText: Rule = {
  id: 'warning-per-text',
  category: 'global-container',
  title: 'a warning whose text never repeats',
  find: project =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        const path = importedPath(project, child(call, 'function')!);
        const text = argumentsOf(call).positional[0];
        const scope = functionScope(project, call);
        const interns = path === 'sys.intern';
        if (
          (path !== 'warnings.warn' && !interns) ||
          text === undefined ||
          scope.kind === 'module' ||
          !varies(project, text)
        )
          continue;
        if (interns) continue;
        found.push(
          matchAt(project, warningPerText, call, {
            sentence: `${scope.qualname}() warns with a text that differs each time; the module's __warningregistry__ keeps every distinct text for ever`,
            fix: advice(
              `warn with a constant text in ${scope.qualname}() at line ${call.line} and log the varying part`,
            ),
            subjects: ['__warningregistry__', scope.name],
            types: ['str', 'tuple'],
          }),
        );
      }
      return found;
    }),
};

/** Whether a text is put together from something that changes from call to call. */
export function varies(project: Project, text: SyntaxNode, depth = 0): boolean {
  const n = bare(text);
  if (n.kind === 'string')
    return parts(n).some(
      p => p.kind === 'interpolation' && !/__name__|__qualname__|__class__|__module__/.test(textOf(p)),
    );
  if (n.kind === 'binary_operator')
    return (
      descendants(n, 'identifier').some(i => !/^(__name__|[A-Z_]+)$/.test(textOf(i))) &&
      !/__name__|__class__/.test(textOf(child(n, 'right') ?? n))
    );
  if (n.kind === 'call') {
    const callee = child(n, 'function')!;
    return (
      (callee.kind === 'attribute' &&
        ['format', 'join'].includes(textOf(child(callee, 'attribute')!)) &&
        child(callee, 'object')?.kind === 'string') ||
      (textOf(callee) === 'str' && /id|uuid|key|name/i.test(textOf(n)))
    );
  }
  if (n.kind === 'identifier' && depth < 2) {
    const scope = functionScope(project, n);
    return (scope.bindings.get(textOf(n)) ?? []).some(
      b => b.kind === 'assignment' && child(b, 'right') !== null && varies(project, child(b, 'right')!, depth + 1),
    );
  }
  return false;
}
