/** A caught exception (or a traceback or frame) kept in a container or attribute: its traceback keeps every frame on the way, with their locals. */

import { constructorBound, isSmallKey } from '../bounds.ts';
import { insertLines, patchOf } from '../diff.ts';
import { definitionLine } from '../fix-bound.ts';
import {
  attributeValues,
  functionScope,
  importedPath,
  lastName,
  methodClass,
  type Project,
  scopeAt,
} from '../project.ts';
import { resolveName } from '../scopes.ts';
import { argumentsOf, bare, child, descendants, enclosing, parts, type SyntaxNode, textOf } from '../syntax.ts';
import { inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const storedException: Rule = {
  id: 'stored-exception',
  category: 'exception-traceback',
  title: 'a caught exception is stored with its traceback',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const node of descendants(file.root, 'assignment', 'call')) {
        const stored = storing(project, node);
        if (stored === null) continue;
        const value = livingPart(project, stored.value);
        if (value === null) continue;
        const scalar = stored.how === 'attribute';
        const few = stored.key !== null && isSmallKey(project, stored.key);
        if (few) continue;
        const name = textOf(value);
        const module = file.imports.find(i => i.path === 'traceback')?.local;
        const inHandler = enclosing(node, 'except_clause') !== null;
        const edits = [{ start: value.start, end: value.end, text: `${module ?? 'traceback'}.format_exc()` }];
        if (module === undefined) edits.push(insertLines(file, definitionLine(file.root), ['import traceback', '']));
        const read = scalar || usedAsException(project, stored.container);
        found.push(
          matchAt(project, storedException, node, {
            sentence: `${stored.container} keeps ${value.kind === 'call' ? name : `the exception ${name}`}, and its __traceback__ keeps every frame it went through with all their local variables`,
            fix: {
              summary: `store traceback.format_exc() (text) instead of ${name} in ${stored.container} at line ${node.line}, or ${name}.with_traceback(None), and cap the container`,
              patch: inHandler && !read ? patchOf(file, edits, root) : null,
            },
            subjects: stored.container.match(/\w+/g) ?? [],
            types: ['traceback', 'frame'],
            certainty: scalar ? 'maybe' : 'sure',
          }),
        );
      }
      return found;
    }),
};

function storing(
  project: Project,
  node: SyntaxNode,
): { container: string; value: SyntaxNode; key: SyntaxNode | null; how: 'item' | 'call' | 'attribute' } | null {
  if (node.kind === 'assignment') {
    const left = child(node, 'left');
    const value = child(node, 'right');
    if (left === null || value === null) return null;
    if (left.kind === 'subscript')
      return outlives(project, child(left, 'value')!)
        ? { container: textOf(child(left, 'value')!), value, key: child(left, 'subscript'), how: 'item' }
        : null;
    if (left.kind === 'attribute') return { container: textOf(left), value, key: null, how: 'attribute' };
    if (left.kind === 'identifier' && functionScope(project, node).globals.has(textOf(left)))
      return { container: textOf(left), value, key: null, how: 'attribute' };
    return null;
  }
  const callee = child(node, 'function');
  if (
    callee?.kind !== 'attribute' ||
    !['append', 'appendleft', 'add', 'put', 'put_nowait', 'insert', 'setdefault', 'extend'].includes(
      textOf(child(callee, 'attribute')!),
    )
  )
    return null;
  const value = argumentsOf(node).positional.at(-1);
  const object = child(callee, 'object')!;
  if (value === undefined || !outlives(project, object) || boundedBy(project, object)) return null;
  return { container: textOf(object), value, key: null, how: 'call' };
}

/** A local variable of the function is gone when it returns; anything else stays. */
function outlives(project: Project, container: SyntaxNode): boolean {
  const n = bare(container);
  if (n.kind !== 'identifier') return true;
  const scope = resolveName(textOf(n), scopeAt(project, n));
  return (
    scope === null ||
    scope.kind === 'module' ||
    scope !== functionScope(project, n) ||
    !(scope.bindings.get(textOf(n)) ?? []).some(b => b.kind === 'assignment')
  );
}

/** Whether the container was made with a limit of its own. */
function boundedBy(project: Project, container: SyntaxNode): boolean {
  const n = bare(container);
  if (n.kind === 'attribute') {
    const owner = methodClass(functionScope(project, n))?.owner.name;
    return (
      owner !== undefined &&
      attributeValues(project, owner, textOf(child(n, 'attribute')!)).some(v => constructorBound(project, v) !== null)
    );
  }
  const scope = n.kind === 'identifier' ? resolveName(textOf(n), scopeAt(project, n)) : null;
  return (scope?.bindings.get(textOf(n)) ?? []).some(
    b => b.kind === 'assignment' && constructorBound(project, child(b, 'right') ?? b) !== null,
  );
}

/** The part of a stored value that is a caught exception, exc_info, or a frame; text made from one is harmless. */
function livingPart(project: Project, value: SyntaxNode): SyntaxNode | null {
  const n = bare(value);
  if (n.kind === 'identifier') {
    for (let handler = enclosing(n, 'except_clause'); handler !== null; handler = enclosing(handler, 'except_clause')) {
      const target = descendants(handler, 'as_pattern_target')[0];
      if (target !== undefined && textOf(target) === textOf(n)) return n;
    }
    return null;
  }
  if (['tuple', 'list', 'dictionary', 'set', 'pair'].includes(n.kind)) {
    for (const p of parts(n)) {
      const inner = livingPart(project, p);
      if (inner !== null) return inner;
    }
    return null;
  }
  if (n.kind === 'attribute') {
    const object = child(n, 'object')!;
    return ['__traceback__', 'tb_frame', 'f_back'].includes(textOf(child(n, 'attribute')!))
      ? (livingPart(project, object) ?? n)
      : null;
  }
  if (n.kind === 'subscript') return livingPart(project, child(n, 'value')!);
  if (n.kind !== 'call') return null;
  const path = importedPath(project, child(n, 'function')!);
  if (
    path !== null &&
    [
      'sys.exc_info',
      'sys.exception',
      'sys._getframe',
      'inspect.currentframe',
      'inspect.stack',
      'inspect.trace',
    ].includes(path)
  )
    return n;
  // A record of the project that is handed the exception keeps it.
  const name = lastName(child(n, 'function')!);
  if (name !== null && (project.classes.has(name) || /^[A-Z]/.test(name)) && !/^(str|repr|format)/.test(name)) {
    const { positional, keywords } = argumentsOf(n);
    for (const a of [...positional, ...keywords.values()]) {
      const inner = livingPart(project, a);
      if (inner !== null) return inner;
    }
  }
  return null;
}

/** Whether what is stored is used as an exception later (raised again, formatted), so that text would not do. */
function usedAsException(project: Project, container: string): boolean {
  const last = container.split('.').at(-1)!;
  return project.files.some(
    f =>
      descendants(f.root, 'raise_statement').some(r => textOf(r).includes(last)) ||
      /__traceback__|format_exception/.test(f.text),
  );
}
