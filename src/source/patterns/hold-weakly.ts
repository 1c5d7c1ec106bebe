/** The edit that turns an attribute into a weak reference behind a property, so that its users read it as before. */
import { indentOf, indentUnit, insertLines, patchOf } from '../diff.ts';
import { definitionLine } from '../fix-bound.ts';
import { fileOf, type Project } from '../project.ts';
import { child, enclosing, type SyntaxNode, textOf } from '../syntax.ts';
import type { Fix } from './match.ts';

/** `self.x = value` in a class becomes `self._x_ref = weakref.ref(value)` and a property `x` that follows it. */
export function holdWeakly(
  project: Project,
  className: string,
  attribute: string,
  assignment: SyntaxNode,
  root?: string,
): Fix {
  const file = fileOf(project, assignment);
  const summary = `let ${className}.${attribute} refer weakly: keep weakref.ref(…) at line ${assignment.line} and read it through a property`;
  const method = enclosing(assignment, 'function_definition');
  const left = child(assignment, 'left');
  const right = child(assignment, 'right');
  const owner = project.classes.get(className)?.[0];
  const self = left === null ? null : child(left, 'object');
  if (
    method === null ||
    left === null ||
    right === null ||
    self === null ||
    owner === undefined ||
    owner.scope.bindings.has('__slots__')
  )
    return { summary, patch: null };
  const module = file.imports.find(i => i.path === 'weakref')?.local;
  const hidden = `_${attribute.replace(/^_+/, '')}_ref`;
  const indent = indentOf(file, method.line);
  const top = method.parent?.kind === 'decorated_definition' ? method.parent : method;
  const edits = [
    {
      start: assignment.start,
      end: assignment.end,
      text: `${textOf(self)}.${hidden} = ${module ?? 'weakref'}.ref(${textOf(right)})`,
    },
    insertLines(file, top.line, [
      `${indent}@property`,
      `${indent}def ${attribute}(self):`,
      `${indent}${indentUnit(file)}return self.${hidden}()`,
      '',
    ]),
  ];
  if (module === undefined) edits.push(insertLines(file, definitionLine(file.root), ['import weakref', '']));
  return { summary, patch: patchOf(file, edits, root) };
}
