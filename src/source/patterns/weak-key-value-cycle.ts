/** A WeakKeyDictionary whose value refers to its key: the value is held strongly, so the key never dies. */
import { candidates, detailOf } from '../candidates.ts';
import { fileOf, importedPath, lastName, methodsNamed, type Project } from '../project.ts';
import { argumentsOf, bare, child, descendants, type SyntaxNode, textOf } from '../syntax.ts';
import { holdWeakly } from './hold-weakly.ts';
import { advice, matchAt, type PatternMatch, type Rule } from './match.ts';

export const weakKeyValueCycle: Rule = {
  id: 'weak-key-value-cycle',
  category: 'weakref-misuse',
  title: 'a weak-key dictionary whose value holds its key',
  find: (project, root) => {
    const found: PatternMatch[] = [];
    for (const c of candidates(project)) {
      const made = bare(c.value);
      const path = made.kind === 'call' ? importedPath(project, child(made, 'function') ?? made) : null;
      const byValue = path === 'weakref.WeakValueDictionary';
      if (path !== 'weakref.WeakKeyDictionary' && !byValue) continue;
      for (const o of detailOf(project, c).operations) {
        if (o.act !== 'store' || o.key === null || o.value === null || byValue) continue;
        const value = bare(o.value);
        const key = bare(o.key);
        const where = refersTo(project, value, key);
        if (where === null) continue;
        const label = c.holder.name ?? c.holder.attribute ?? '';
        found.push(
          matchAt(project, weakKeyValueCycle, o.node, {
            sentence: `${label} holds its keys weakly but its values strongly, and the value stored here refers to its own key ${textOf(key)}${where.attribute === null ? '' : ` (self.${where.attribute} of ${where.type})`}, so neither is ever released`,
            fix:
              where.attribute === null || where.assignment === null
                ? advice(
                    `do not keep ${textOf(key)} in the value stored at line ${o.node.line}, or keep weakref.ref(${textOf(key)})`,
                  )
                : holdWeakly(project, where.type!, where.attribute, where.assignment, root),
            subjects: [label, ...(where.type === null ? [] : [where.type])],
            types: where.type === null ? [] : [where.type],
          }),
        );
      }
    }
    return found;
  },
};

/** How a value refers to the key: as an argument its class keeps, inside a literal, or captured by a lambda. */
function refersTo(
  project: Project,
  value: SyntaxNode,
  key: SyntaxNode,
): { type: string | null; attribute: string | null; assignment: SyntaxNode | null } | null {
  const mentions = (n: SyntaxNode): boolean =>
    descendants(n, 'identifier', 'attribute').some(x => textOf(x) === textOf(key));
  if (value.kind === 'identifier' && value.kind === key.kind) {
    // A local variable: what was it made of?
    const file = fileOf(project, value);
    for (const a of descendants(file.root, 'assignment'))
      if (textOf(child(a, 'left') ?? a) === textOf(value) && a.end <= value.start && value.start - a.start < 600) {
        const right = child(a, 'right');
        if (right !== null && right.kind === 'call') return refersTo(project, right, key);
      }
    return textOf(value) === textOf(key) ? { type: null, attribute: null, assignment: null } : null;
  }
  if (
    value.kind === 'lambda' ||
    value.kind === 'tuple' ||
    value.kind === 'list' ||
    value.kind === 'dictionary' ||
    value.kind === 'set'
  )
    return mentions(value) ? { type: null, attribute: null, assignment: null } : null;
  if (value.kind === 'attribute' && textOf(child(value, 'object') ?? value) === textOf(key)) {
    const name = textOf(child(value, 'attribute') ?? value);
    return (project.functions.get(name) ?? []).some(f => f.scope.parent?.kind === 'class')
      ? { type: null, attribute: null, assignment: null }
      : null;
  }
  if (value.kind !== 'call') return null;
  const { positional, keywords } = argumentsOf(value);
  const type = lastName(child(value, 'function') ?? value);
  const position = positional.findIndex(a => textOf(a) === textOf(key));
  const keyword = [...keywords].find(([, v]) => textOf(v) === textOf(key))?.[0];
  if (position < 0 && keyword === undefined) return null;
  if (type === null || !project.classes.has(type))
    return importedPath(project, child(value, 'function') ?? value) === 'functools.partial'
      ? { type: null, attribute: null, assignment: null }
      : null;
  for (const init of methodsNamed(project, type, '__init__')) {
    const parameter = keyword ?? init.scope.parameters[position + 1]?.name;
    for (const a of descendants(init.scope.body, 'assignment')) {
      const right = child(a, 'right');
      const left = child(a, 'left');
      if (right !== null && left?.kind === 'attribute' && textOf(right) === parameter)
        return { type, attribute: textOf(child(left, 'attribute') ?? left), assignment: a };
    }
  }
  return project.classes.get(type)?.some(k => k.scope.decorators.some(d => /dataclass|attr/.test(textOf(d))))
    ? { type, attribute: keyword ?? null, assignment: null }
    : null;
}
