/** `weakref.finalize(self, self.method)`: the registry of finalizers holds the callback, the bound method holds self, so self never dies. */

import { patchOf } from '../diff.ts';
import { functionScope, importedPath, lastName, methodClass } from '../project.ts';
import { argumentsOf, bare, child, descendants, textOf } from '../syntax.ts';
import { inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const finalizeKeepsSelf: Rule = {
  id: 'finalize-keeps-self',
  category: 'weakref-misuse',
  title: 'a finalizer whose callback holds the object it waits for',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        const path = importedPath(project, child(call, 'function') ?? call);
        if (path !== 'weakref.finalize') continue;
        const { positional, keywords } = argumentsOf(call);
        const watched = positional[0] === undefined ? null : textOf(positional[0]);
        if (watched === null) continue;
        const holding = [...positional.slice(1), ...keywords.values()].find(a => {
          const n = bare(a);
          if (textOf(n) === watched) return true;
          if (n.kind === 'attribute')
            return textOf(child(n, 'object') ?? n) === watched && isMethod(textOf(child(n, 'attribute') ?? n));
          if (n.kind === 'lambda') return descendants(n, 'identifier').some(i => textOf(i) === watched);
          if (n.kind === 'call')
            return (
              descendants(n, 'identifier').some(i => textOf(i) === watched && i.parent?.kind !== 'attribute') ||
              (lastName(child(n, 'function') ?? n) === 'partial' &&
                descendants(n, 'attribute').some(
                  i => textOf(child(i, 'object') ?? i) === watched && isMethod(textOf(child(i, 'attribute') ?? i)),
                ))
            );
          if (n.kind === 'identifier') {
            const scope = functionScope(project, call);
            const inner = scope.children.find(s => s.kind === 'function' && s.name === textOf(n));
            return inner !== undefined && descendants(inner.body, 'identifier').some(i => textOf(i) === watched);
          }
          return false;
        });
        if (holding === undefined) continue;
        const owner = methodClass(functionScope(project, call))?.owner.name ?? null;
        found.push(
          matchAt(project, finalizeKeepsSelf, call, {
            sentence: `the finalizer's callback ${textOf(bare(holding)).split('\n')[0]} refers to ${watched} itself, and the finalizer registry holds the callback, so ${owner === null ? watched : `no ${owner}`} can ever be collected`,
            fix: {
              summary: `pass a static function and plain values: weakref.finalize(${watched}, function, values…) at line ${call.line}; nothing given to it may refer to ${watched}`,
              patch: staticPatch(),
            },
            subjects: ['finalize', '_registry', ...(owner === null ? [] : [owner])],
            types: owner === null ? [] : [owner],
          }),
        );

        function isMethod(name: string): boolean {
          return (project.functions.get(name) ?? []).some(f => f.scope.parent?.kind === 'class');
        }

        /** A method whose body reads only `self.a.b`-like values can become a static one that is given them. */
        function staticPatch(): string | null {
          const n = bare(holding!);
          const klass = methodClass(functionScope(project, call))?.owner;
          if (n.kind !== 'attribute' || klass === undefined) return null;
          const name = textOf(child(n, 'attribute') ?? n);
          const method = klass.children.find(m => m.kind === 'function' && m.name === name);
          if (
            method === undefined ||
            method.parameters.length !== 1 ||
            method.decorators.length > 0 ||
            (project.mentions.get(name) ?? 0) > 1
          )
            return null;
          const self = method.parameters[0]!.name;
          const uses = descendants(method.body, 'identifier').filter(i => textOf(i) === self);
          const attributes: string[] = [];
          for (const use of uses) {
            const parent = use.parent;
            if (parent?.kind !== 'attribute' || use.field !== 'object') return null;
            const attribute = textOf(child(parent, 'attribute')!);
            // A call of another method, or a rebinding, needs the object.
            if ((parent.field === 'function' && parent.parent?.kind === 'call') || parent.field === 'left') return null;
            if (!attributes.includes(attribute)) attributes.push(attribute);
          }
          const written = new Set(
            descendants(klass.body, 'assignment')
              .filter(a => a.end < call.start)
              .map(a => textOf(child(a, 'left') ?? a)),
          );
          if (!attributes.every(a => written.has(`${watched}.${a}`) || klass.bindings.has(a))) return null;
          const list = child(method.node, 'parameters')!;
          const indent = ' '.repeat(method.node.column);
          const args = child(call, 'arguments')!;
          const rest = argumentsOf(call).positional.slice(2).map(textOf);
          const edits = [
            { start: method.node.start, end: method.node.start, text: `@staticmethod\n${indent}` },
            { start: list.start, end: list.end, text: `(${attributes.join(', ')})` },
            ...uses.map(u => ({
              start: u.parent!.start,
              end: u.parent!.end,
              text: textOf(child(u.parent!, 'attribute')!),
            })),
            {
              start: args.start,
              end: args.end,
              text: `(${[watched!, textOf(n), ...attributes.map(a => `${watched}.${a}`), ...rest].join(', ')})`,
            },
          ];
          return patchOf(file, edits, root);
        }
      }
      return found;
    }),
};
