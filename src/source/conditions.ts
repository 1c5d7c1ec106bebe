/** Under what condition a statement runs: what encloses it in its function, and the early exits before it. */
import { type Aliases, isContainer, isElement } from './aliases.ts';
import { walksContainer } from './operations.ts';
import { functionScope, mayBeCalled, type Project } from './project.ts';
import { bare, child, descendants, parts, type SyntaxNode, textOf } from './syntax.ts';

export interface Condition {
  readonly kind: 'age' | 'size' | 'presence' | 'flag' | 'except' | 'finally' | 'else' | 'sweep' | 'loop' | 'callback';
  /** The condition as the program writes it; '' where the kind says all. */
  readonly text: string;
  readonly line: number;
  /** True when the statement runs only where the condition does not hold. */
  readonly negated: boolean;
}

/** Words that make a comparison one of age. */
const ageWords =
  /\b\w*(now|time|ttl|age|expir|deadline|stale|timestamp|monotonic|last_seen|last_used|created|cutoff|timeout|horizon|oldest)\w*\b/i;

/** The conditions of a node, innermost first, up to its function. */
export function conditionsOf(aliases: Aliases, node: SyntaxNode): Condition[] {
  const found: Condition[] = [];
  const judge = (test: SyntaxNode | null, negated: boolean): void => {
    if (test !== null)
      found.push({ kind: kindOf(aliases, test), text: oneLine(textOf(test)), line: test.line, negated });
  };
  for (let n = node; n.parent !== null; n = n.parent) {
    const parent = n.parent;
    if (parent.kind === 'block' || parent.kind === 'module') {
      for (const sibling of parent.children) {
        if (sibling === n) break;
        if (sibling.kind !== 'if_statement' || child(sibling, 'alternative') !== null) continue;
        const body = child(sibling, 'consequence');
        if (body !== null && leaves(body)) judge(child(sibling, 'condition'), true);
      }
    } else if (parent.kind === 'if_statement' || parent.kind === 'elif_clause') {
      if (n.field === 'consequence') judge(child(parent, 'condition'), false);
      else if (n.field === 'alternative') judge(child(parent, 'condition'), true);
    } else if (parent.kind === 'conditional_expression') judge(parts(parent)[1] ?? null, n === parts(parent)[2]);
    else if (parent.kind === 'while_statement' && n.field === 'body') judge(child(parent, 'condition'), false);
    else if (parent.kind === 'for_statement' && n.field === 'body')
      found.push({
        kind: walksContainer(aliases, parent) ? 'sweep' : 'loop',
        text: oneLine(textOf(child(parent, 'right') ?? parent)),
        line: parent.line,
        negated: false,
      });
    else if (parent.kind === 'except_clause')
      found.push({
        kind: 'except',
        text: oneLine(
          textOf(parent)
            .split(':')[0]!
            .replace(/^except\s*/, '')
            .replace(/\s+as\s+\w+$/, ''),
        ),
        line: parent.line,
        negated: false,
      });
    else if (parent.kind === 'finally_clause')
      found.push({ kind: 'finally', text: '', line: parent.line, negated: false });
    else if (parent.kind === 'else_clause' && parent.parent?.kind === 'try_statement')
      found.push({ kind: 'else', text: '', line: parent.line, negated: false });
    else if (parent.kind === 'lambda')
      found.push({ kind: 'callback', text: oneLine(textOf(parent)), line: parent.line, negated: false });
    if (parent.kind === 'function_definition') break;
  }
  return found;
}

function kindOf(aliases: Aliases, test: SyntaxNode): Condition['kind'] {
  if (measuresContainer(aliases, test)) return 'size';
  const text = textOf(test);
  const compares = descendants(test, 'comparison_operator');
  if (compares.some(c => c.children.some(x => ['<', '>', '<=', '>='].includes(x.kind))) && ageWords.test(text))
    return 'age';
  const lookup = (n: SyntaxNode): boolean => isContainer(aliases, n) || isElement(aliases, n);
  const names = descendants(test, 'identifier', 'attribute', 'call', 'subscript');
  const presence =
    compares.every(c => c.children.some(x => ['in', 'not in', 'is', 'is not'].includes(x.kind))) && names.some(lookup);
  return presence ? 'presence' : 'flag';
}

/** Whether a test looks at how full the container is: `len(X) > n`, `X.qsize()`, or `X` itself in a `while`. */
function measuresContainer(aliases: Aliases, test: SyntaxNode): boolean {
  return descendants(test, 'call').some(c => {
    const callee = child(c, 'function');
    if (callee === null) return false;
    if (callee.kind === 'identifier' && textOf(callee) === 'len') {
      const of = parts(child(c, 'arguments') ?? c)[0];
      return of !== undefined && (isContainer(aliases, of) || isElement(aliases, of));
    }
    return (
      callee.kind === 'attribute' &&
      /size$/.test(textOf(child(callee, 'attribute') ?? callee)) &&
      isContainer(aliases, child(callee, 'object') ?? callee)
    );
  });
}

/** Whether a block always leaves: its last statement returns, raises, continues or breaks. */
export function leaves(block: SyntaxNode): boolean {
  const last = parts(block).at(-1);
  return (
    last !== undefined &&
    ['return_statement', 'raise_statement', 'continue_statement', 'break_statement'].includes(last.kind)
  );
}

/** Whether nothing in the files calls the function a node is in. */
export function neverCalled(project: Project, node: SyntaxNode): boolean {
  return !mayBeCalled(project, functionScope(project, node));
}

export function oneLine(text: string): string {
  const flat = text.replace(/\s+/g, ' ').trim();
  return flat.length > 80 ? `${flat.slice(0, 77)}...` : flat;
}

/** The try statement whose body (not its handlers) a node is in, within the same function, innermost first. */
export function triesAround(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (let n = node; n.parent !== null && n.kind !== 'function_definition'; n = n.parent)
    if (n.parent.kind === 'try_statement' && n.field === 'body') found.push(n.parent);
  return found;
}

/** Whether anything in a stretch of code could raise: a call, a `raise`, an index, an `await` or a `yield`. */
export function mayRaise(node: SyntaxNode): boolean {
  return (
    descendants(bare(node), 'call', 'raise_statement', 'subscript', 'await', 'yield', 'assert_statement').length > 0
  );
}
