/** `x.total = x.total + node(…)`: where the result refers to its operands, the whole history hangs on the last value. */
import { functionScope, type Project, typeOf } from '../project.ts';
import { bare, child, descendants, parts, type SyntaxNode, textOf } from '../syntax.ts';
import { advice, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

const operatorMethods: Record<string, readonly string[]> = {
  '+': ['__add__', '__radd__', '__iadd__'],
  '-': ['__sub__'],
  '*': ['__mul__'],
  '/': ['__truediv__'],
  '|': ['__or__'],
  '&': ['__and__'],
  '@': ['__matmul__'],
  '<<': ['__lshift__'],
  '>>': ['__rshift__'],
  '^': ['__xor__'],
  '%': ['__mod__'],
  '//': ['__floordiv__'],
  '**': ['__pow__'],
};

export const accumulatingChain: Rule = {
  id: 'accumulating-chain',
  category: 'unreleased-reference',
  title: 'each new value refers to the one before it',
  find: project =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const node of descendants(file.root, 'assignment', 'augmented_assignment')) {
        const left = child(node, 'left');
        const right = child(node, 'right');
        if (left === null || right === null || functionScope(project, node).kind === 'module') continue;
        const outer =
          left.kind === 'attribute' ||
          left.kind === 'subscript' ||
          (left.kind === 'identifier' && functionScope(project, node).globals.has(textOf(left)));
        if (!outer) continue;
        const link =
          node.kind === 'augmented_assignment'
            ? keepsOperands(project, left, textOf(child(node, 'operator')!).slice(0, -1))
            : linkOf(project, left, bare(right));
        if (link === null) continue;
        found.push(
          matchAt(project, accumulatingChain, node, {
            sentence: `the new ${textOf(left)} refers to the old one (${link.how}), so every ${link.type} that ever went into it stays alive`,
            fix: advice(
              `keep the plain value instead of the ${link.type} in ${textOf(left)} at line ${node.line}, or cut the link to the one before it`,
            ),
            subjects: [...(textOf(left).match(/\w+/g) ?? []), link.type],
            types: [link.type],
          }),
        );
      }
      return found;
    }),
};

function linkOf(project: Project, left: SyntaxNode, right: SyntaxNode): { how: string; type: string } | null {
  const same = (n: SyntaxNode): boolean => textOf(bare(n)) === textOf(left);
  if (right.kind === 'binary_operator') {
    const l = child(right, 'left')!;
    const r = child(right, 'right')!;
    if (!same(l) && !same(r)) return null;
    return (
      keepsOperands(project, l, textOf(child(right, 'operator')!)) ??
      keepsOperands(project, r, textOf(child(right, 'operator')!))
    );
  }
  if (right.kind === 'call') {
    const callee = child(right, 'function')!;
    const given = child(right, 'arguments');
    const passes =
      given !== null && parts(given).some(a => same(a.kind === 'keyword_argument' ? child(a, 'value')! : a));
    const type = typeOf(project, right);
    // Node(value, self.head): a linked list, when the class keeps what it is given.
    if (passes && type !== null && textOf(callee).split('.').at(-1) === type && keepsArgument(project, type))
      return { how: `${type}(…) keeps it`, type };
    if (callee.kind === 'attribute' && same(child(callee, 'object')!)) {
      const owner = typeOf(project, child(callee, 'object')!);
      const method = textOf(child(callee, 'attribute')!);
      if (owner !== null && keepsInMethod(project, owner, method))
        return { how: `${owner}.${method}() keeps it`, type: owner };
    }
  }
  if ((right.kind === 'tuple' || right.kind === 'list' || right.kind === 'expression_list') && parts(right).some(same))
    return { how: 'as one of its parts', type: right.kind === 'list' ? 'list' : 'tuple' };
  return null;
}

function keepsOperands(project: Project, operand: SyntaxNode, operator: string): { how: string; type: string } | null {
  const type = typeOf(project, operand);
  if (type === null) return null;
  for (const method of operatorMethods[operator] ?? [])
    if (keepsInMethod(project, type, method)) return { how: `${type}.${method}() keeps both operands`, type };
  return null;
}

/** Whether a method returns a new object of a project class that is given self and keeps it. */
function keepsInMethod(project: Project, type: string, method: string): boolean {
  return (project.classes.get(type) ?? []).some(c =>
    c.scope.children.some(m => {
      if (m.kind !== 'function' || m.name !== method) return false;
      const self = m.parameters[0]?.name ?? 'self';
      return descendants(m.body, 'call').some(call => {
        const made = textOf(child(call, 'function')!).split('.').at(-1)!;
        if (!project.classes.has(made) && made !== 'type') return false;
        const given = child(call, 'arguments');
        return (
          given !== null &&
          parts(given).some(a => hasBare(a, self)) &&
          (made === 'type' || keepsArgument(project, made))
        );
      });
    }),
  );
}

/** `self` itself, alone or inside a tuple or list; not `self.value`. */
function hasBare(argument: SyntaxNode, self: string): boolean {
  const n = bare(argument.kind === 'keyword_argument' ? child(argument, 'value')! : argument);
  if (n.kind === 'identifier') return textOf(n) === self;
  return (n.kind === 'tuple' || n.kind === 'list') && parts(n).some(p => hasBare(p, self));
}

/** Whether a class keeps a constructor argument (assigns one to self, or is a dataclass). */
function keepsArgument(project: Project, type: string): boolean {
  return (project.classes.get(type) ?? []).some(
    c =>
      c.scope.decorators.some(d => /dataclass|attr|define/.test(textOf(d))) ||
      c.bases.some(b => /NamedTuple$/.test(b)) ||
      c.scope.children.some(
        m =>
          m.name === '__init__' &&
          descendants(m.body, 'assignment').some(
            a =>
              textOf(child(a, 'left') ?? a).startsWith(`${m.parameters[0]?.name}.`) &&
              m.parameters.some(p => p.name === textOf(child(a, 'right') ?? a)),
          ),
      ),
  );
}
