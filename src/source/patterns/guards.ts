/** The texts of the tests a node stands under, up to its function. */
import { child, type SyntaxNode, textOf } from '../syntax.ts';

export function conditionsWithin(node: SyntaxNode): string[] {
  const found: string[] = [];
  for (let n = node; n.parent !== null && n.kind !== 'function_definition'; n = n.parent) {
    const parent = n.parent;
    if (
      (parent.kind === 'if_statement' || parent.kind === 'elif_clause' || parent.kind === 'while_statement') &&
      n.field !== 'condition'
    ) {
      const test = child(parent, 'condition');
      if (test !== null) found.push(textOf(test));
    }
    if (parent.kind === 'block')
      for (const sibling of parent.children) {
        if (sibling === n) break;
        const test = sibling.kind === 'if_statement' ? child(sibling, 'condition') : null;
        if (test !== null && /\b(return|continue|raise)\b/.test(textOf(child(sibling, 'consequence') ?? sibling)))
          found.push(textOf(test));
      }
  }
  return found;
}
