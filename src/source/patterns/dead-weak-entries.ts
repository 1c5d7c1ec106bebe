/** A table of weak references, or a side table keyed by id(), whose entries stay when the objects die: only the referents are released. */
import { candidates, detailOf } from '../candidates.ts';
import { patchOf } from '../diff.ts';
import { containerText } from '../fix-bound.ts';
import { fileOf, functionScope, importedPath } from '../project.ts';
import { argumentsOf, bare, child, descendants, statementOf, textOf } from '../syntax.ts';
import { advice, matchAt, type PatternMatch, type Rule } from './match.ts';

export const deadWeakEntries: Rule = {
  id: 'dead-weak-entries',
  category: 'weakref-misuse',
  title: 'entries of dead objects stay in a table of weak references',
  find: (project, root) => {
    const found: PatternMatch[] = [];
    const tables = candidates(project).map(c => ({ c, detail: detailOf(project, c) }));
    for (const { c, detail } of tables) {
      const { use } = detail;
      if (use.bounded || use.removals.some(r => !r.limits.includes('never-called'))) continue;
      for (const o of detail.operations) {
        if (o.act !== 'store') continue;
        const label = c.holder.name ?? c.holder.attribute ?? c.holder.variable ?? '';
        const value = o.value === null ? null : bare(o.value);
        const weak =
          value?.kind === 'call' &&
          ['weakref.ref', 'weakref.WeakMethod', 'weakref.proxy'].includes(
            importedPath(project, child(value, 'function') ?? value) ?? '',
          );
        if (weak && argumentsOf(value!).positional.length + argumentsOf(value!).keywords.size < 2) {
          const key = o.key === null ? null : textOf(o.key);
          const base = containerText(o.node);
          const args = child(value!, 'arguments')!;
          const patch =
            key === null || base === null || !/^\w+$/.test(key)
              ? null
              : patchOf(
                  fileOf(project, o.node),
                  [
                    {
                      start: args.end - 1,
                      end: args.end - 1,
                      text: `, lambda _, ${key}=${key}: ${withSides(project, tables, c, o.node, base, key)}`,
                    },
                  ],
                  root,
                );
          found.push(
            matchAt(project, deadWeakEntries, o.node, {
              sentence: `${label} holds ${textOf(argumentsOf(value!).positional[0] ?? value!)} weakly but nothing removes the entry when it dies: dead references pile up`,
              fix: {
                summary: `give the weak reference at line ${o.node.line} a callback that removes its entry from ${label} (and from tables with the same key)`,
                patch,
              },
              subjects: [label, ...(c.holder.className === undefined ? [] : [c.holder.className])],
              types: ['weakref', 'ReferenceType'],
            }),
          );
          break;
        }
        // A table with the same key as a table of weak references, in the same function.
        const key = o.key;
        if (key === null || value === null) continue;
        const scope = functionScope(project, o.node);
        const sibling = descendants(scope.body, 'assignment').find(a => {
          const right = child(a, 'right');
          const left = child(a, 'left');
          return (
            left?.kind === 'subscript' &&
            right?.kind === 'call' &&
            importedPath(project, child(right, 'function') ?? right) === 'weakref.ref' &&
            textOf(child(left, 'subscript') ?? left) === textOf(key) &&
            statementOf(a) !== statementOf(o.node)
          );
        });
        const byId =
          descendants(key, 'call').some(k => textOf(child(k, 'function') ?? k) === 'id') ||
          (key.kind === 'identifier' &&
            descendants(scope.body, 'assignment').some(
              a => textOf(child(a, 'left') ?? a).includes(textOf(key)) && /\bid\(/.test(textOf(child(a, 'right') ?? a)),
            ));
        if (sibling === undefined && !byId) continue;
        found.push(
          matchAt(project, deadWeakEntries, o.node, {
            sentence:
              sibling !== undefined
                ? `${label} has an entry for each object that is only held weakly at line ${sibling.line}, and nothing removes the entry when the object dies`
                : `${label} is keyed by id(), which does not keep the object alive, and nothing removes the entry when the object dies`,
            fix: advice(
              `remove the entry of ${label} when its object dies: weakref.finalize(object, ${label}.pop, key, None) next to line ${o.node.line}`,
            ),
            subjects: [label, ...(c.holder.className === undefined ? [] : [c.holder.className])],
            types: ['set', 'weakref', 'ReferenceType'],
            certainty: sibling === undefined ? 'maybe' : 'sure',
          }),
        );
        break;
      }
    }
    return found;
  },
};

/** What the callback does: remove from this table and from its siblings with the same key. */
function withSides(
  _project: Parameters<typeof candidates>[0],
  tables: readonly { c: ReturnType<typeof candidates>[number]; detail: ReturnType<typeof detailOf> }[],
  own: ReturnType<typeof candidates>[number],
  at: Parameters<typeof containerText>[0],
  base: string,
  key: string,
): string {
  const scope = functionScope(_project, at);
  const pops = [`${base}.pop(${key}, None)`];
  for (const { c, detail } of tables) {
    if (c === own || detail.use.removals.length > 0) continue;
    const o = detail.operations.find(
      x =>
        x.act === 'store' &&
        !x.nested &&
        x.key !== null &&
        textOf(x.key) === key &&
        functionScope(_project, x.node) === scope,
    );
    const text = o === undefined ? null : containerText(o.node);
    if (text !== null) pops.push(`${text}.pop(${key}, None)`);
  }
  return pops.length === 1 ? pops[0]! : `(${pops.join(', ')})`;
}
