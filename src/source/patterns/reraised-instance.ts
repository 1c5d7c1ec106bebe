/** One exception object made at import and raised again and again: each raise adds to its traceback, and nothing clears it. */
import { patchOf } from '../diff.ts';
import { placeOf } from '../project.ts';
import { assignedValue } from '../scopes.ts';
import { bare, child, descendants, enclosing, parts, type SyntaxNode, textOf } from '../syntax.ts';
import { inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const reraisedInstance: Rule = {
  id: 'reraised-instance',
  category: 'exception-traceback',
  title: 'the same exception instance is raised again and again',
  find: (project, root) => {
    const made = new Map<string, { name: string; value: SyntaxNode }>();
    const note = (target: SyntaxNode | null, value: SyntaxNode | null): void => {
      if (target === null || value?.kind !== 'call') return;
      const type = textOf(child(value, 'function')!);
      if (!/(Error|Exception|Warning|Exit|Interrupt|Stop\w*)$/.test(type) && !isException(type.split('.').at(-1)!))
        return;
      const place = placeOf(project, target);
      if (place !== null && !place.startsWith('variable')) made.set(place, { name: textOf(target), value });
    };
    const isException = (name: string, depth = 0): boolean =>
      (project.classes.get(name) ?? []).some(c =>
        c.bases.some(b => /(Error|Exception)$/.test(b) || (depth < 6 && isException(b.split('.').at(-1)!, depth + 1))),
      );
    for (const file of project.files)
      for (const a of descendants(file.root, 'assignment')) {
        const f = enclosing(a, 'function_definition');
        if (f !== null && textOf(child(f, 'name') ?? f) !== '__init__') continue;
        note(child(a, 'left'), assignedValue(a));
      }
    return inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const raise of descendants(file.root, 'raise_statement')) {
        const what = parts(raise)[0];
        if (what === undefined) continue;
        const n = bare(what);
        const place = n.kind === 'identifier' || n.kind === 'attribute' ? placeOf(project, n) : null;
        const source = place === null ? undefined : made.get(place);
        if (source === undefined || enclosing(raise, 'function_definition') === null) continue;
        found.push(
          matchAt(project, reraisedInstance, raise, {
            sentence: `${source.name}, made once at line ${source.value.line}, is raised again and again; each raise adds to its __traceback__, which keeps the frames and their locals`,
            fix: {
              summary: `raise a new ${textOf(child(source.value, 'function')!)}(…) at line ${raise.line} (or ${source.name}.with_traceback(None))`,
              patch: patchOf(file, [{ start: n.start, end: n.end, text: `${textOf(n)}.with_traceback(None)` }], root),
            },
            subjects: [source.name.split('.').at(-1)!, textOf(child(source.value, 'function')!)],
            types: ['traceback', 'frame'],
          }),
        );
      }
      return found;
    });
  },
};
