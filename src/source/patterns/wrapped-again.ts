/** A hook replaced by a wrapper around itself: every reload adds one more layer, and each keeps the one below. */

import { patchOf } from '../diff.ts';
import { functionScope, importedPath, type Project } from '../project.ts';
import { argumentsOf, bare, child, descendants, enclosing, type SyntaxNode, textOf } from '../syntax.ts';
import { conditionsWithin } from './guards.ts';
import { inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const wrappedAgain: Rule = {
  id: 'wrapped-again',
  category: 'closure',
  title: 'a function is replaced by a wrapper around itself, again and again',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const node of descendants(file.root, 'assignment', 'call')) {
        const scope = functionScope(project, node);
        if (
          scope.kind === 'module' ||
          conditionsWithin(node).some(c => /__wrapped__|wrapped|patched|instrumented|installed|hasattr/.test(c))
        )
          continue;
        const target = replaced(project, node);
        if (target === null) continue;
        const original = wrappedOriginal(project, target.value, target.old, scope.body);
        if (original === null) continue;
        const fetched = original.kind === 'assignment' ? child(original, 'right') : null;
        // Where the old function is fetched, take what it already wraps.
        const patch =
          fetched === null
            ? null
            : patchOf(
                file,
                [
                  {
                    start: fetched.start,
                    end: fetched.start,
                    text: unwrap(file.imports.some(i => i.path === 'inspect')),
                  },
                  { start: fetched.end, end: fetched.end, text: ')' },
                ],
                root,
              );
        found.push(
          matchAt(project, wrappedAgain, node, {
            sentence: `${scope.qualname}() replaces ${target.shown} by a wrapper that keeps the one before it, so each time it runs the chain gets one longer`,
            fix: {
              summary: `make ${scope.qualname}() idempotent: wrap the original (inspect.unwrap, or keep it aside) or return when it is already wrapped, before line ${node.line}`,
              patch: patch,
            },
            subjects: [...(target.shown.match(/\w+/g) ?? []), scope.name],
            types: ['function'],
          }),
        );
      }
      return found;
    }),
};

function unwrap(imported: boolean): string {
  return imported ? 'inspect.unwrap(' : "__import__('inspect').unwrap(";
}

/** `obj.hook = value`, a declared global, `setattr(obj, name, value)` or `table[k] = value` where value may wrap the old. */
function replaced(
  project: Project,
  node: SyntaxNode,
): { value: SyntaxNode; old: (n: SyntaxNode) => boolean; shown: string } | null {
  if (node.kind === 'call') {
    if (importedPath(project, child(node, 'function')!) !== 'setattr') return null;
    const [object, name, value] = argumentsOf(node).positional;
    if (object === undefined || name === undefined || value === undefined) return null;
    const getter = `getattr(${textOf(object)},${textOf(name)}`.replace(/\s/g, '');
    return {
      value,
      old: n => textOf(n).replace(/\s/g, '').startsWith(getter),
      shown: `${textOf(object)}'s ${textOf(name)}`,
    };
  }
  const left = child(node, 'left');
  const value = child(node, 'right');
  if (left === null || value === null) return null;
  const outer =
    left.kind === 'attribute' ||
    left.kind === 'subscript' ||
    (left.kind === 'identifier' && functionScope(project, node).globals.has(textOf(left)));
  return outer ? { value, old: n => textOf(n) === textOf(left) && n !== left, shown: textOf(left) } : null;
}

/** Where the old value gets into the new one: as an argument of a wrapping call, or captured by the function put in its place. */
function wrappedOriginal(
  project: Project,
  value: SyntaxNode,
  old: (n: SyntaxNode) => boolean,
  body: SyntaxNode,
): SyntaxNode | null {
  const n = bare(value);
  const locals = descendants(body, 'assignment').filter(
    a =>
      child(a, 'left')?.kind === 'identifier' &&
      descendants(child(a, 'right') ?? a, 'attribute', 'call', 'identifier', 'subscript').some(old),
  );
  const carries = (x: SyntaxNode): SyntaxNode | null => {
    for (const part of descendants(x, 'identifier', 'attribute', 'call', 'subscript')) {
      if (old(part)) return part;
      if (part.kind !== 'identifier') continue;
      const from = locals.find(a => textOf(child(a, 'left')!) === textOf(part));
      if (from !== undefined) return from;
    }
    return null;
  };
  if (n.kind === 'lambda') return carries(n);
  if (n.kind === 'call') {
    // `X = wrap(X)`; a call of X, or of plain conversions, is no wrapper.
    const { positional, keywords } = argumentsOf(n);
    const callee = textOf(child(n, 'function')!);
    const wraps =
      /wrap|decorat|instrument|patch|trace|timed|partial|hook|chain|compose|before|after|guard|logged|intercept|middleware|around|with_/i.test(
        callee,
      ) || returnsInner(project, callee.split('.').at(-1)!);
    if (!wraps) return null;
    for (const a of [...positional, ...keywords.values()]) {
      const direct = bare(a);
      if (
        direct.kind === 'identifier' ||
        direct.kind === 'attribute' ||
        direct.kind === 'subscript' ||
        direct.kind === 'call'
      ) {
        const hit = old(direct)
          ? direct
          : direct.kind === 'identifier'
            ? (locals.find(l => textOf(child(l, 'left')!) === textOf(direct)) ?? null)
            : null;
        if (hit !== null) return hit;
      }
    }
    return null;
  }
  if (n.kind !== 'identifier') return null;
  const inner = descendants(body, 'function_definition').find(
    f => textOf(child(f, 'name') ?? f) === textOf(n) && enclosing(f, 'function_definition') !== null,
  );
  return inner === undefined ? null : carries(inner);
}

function returnsInner(project: Project, name: string): boolean {
  return (project.functions.get(name) ?? []).some(f =>
    f.scope.children.some(
      s =>
        (s.kind === 'function' && new RegExp(`return ${s.name}\\b`).test(textOf(f.scope.body))) || s.kind === 'lambda',
    ),
  );
}
