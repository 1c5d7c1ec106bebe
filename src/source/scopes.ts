/**
 * Which name means what: the scopes of a file, the names each binds, and for a name at a place the scope
 * it belongs to, by Python's rules (a class body is skipped from inside its methods; `global` and
 * `nonlocal` redirect).
 */
import { bare, child, childrenIn, enclosing, parts, type SyntaxNode, textOf, visit } from './syntax.ts';

export type ScopeKind = 'module' | 'class' | 'function' | 'lambda' | 'comprehension';

export interface Parameter {
  readonly name: string;
  readonly kind: 'plain' | 'args' | 'kwargs';
  readonly default: SyntaxNode | null;
  readonly annotation: SyntaxNode | null;
}

export interface Scope {
  readonly kind: ScopeKind;
  readonly name: string;
  /** As CPython's co_qualname: `Outer.method`, `outer.<locals>.inner`; '' for the module. */
  readonly qualname: string;
  readonly node: SyntaxNode;
  readonly body: SyntaxNode;
  readonly parent: Scope | null;
  readonly children: Scope[];
  readonly parameters: readonly Parameter[];
  /** Name to the nodes that bind it (assignment targets, parameters, imports, definitions). */
  readonly bindings: Map<string, SyntaxNode[]>;
  readonly globals: Set<string>;
  readonly nonlocals: Set<string>;
  readonly decorators: readonly SyntaxNode[];
}

const comprehensions = new Set([
  'list_comprehension',
  'set_comprehension',
  'dictionary_comprehension',
  'generator_expression',
]);

/** The scopes of a file, the module's first, and for every node that opens one, which. */
export function buildScopes(root: SyntaxNode): { module: Scope; all: Scope[]; opened: Map<SyntaxNode, Scope> } {
  const opened = new Map<SyntaxNode, Scope>();
  const all: Scope[] = [];
  const open = (kind: ScopeKind, name: string, node: SyntaxNode, body: SyntaxNode, parent: Scope | null): Scope => {
    const made: Scope = {
      kind,
      name,
      qualname: qualify(parent, name),
      node,
      body,
      parent,
      children: [],
      parameters: kind === 'function' || kind === 'lambda' ? readParameters(child(node, 'parameters')) : [],
      bindings: new Map(),
      globals: new Set(),
      nonlocals: new Set(),
      decorators:
        node.parent?.kind === 'decorated_definition' ? node.parent.children.filter(c => c.kind === 'decorator') : [],
    };
    parent?.children.push(made);
    opened.set(node, made);
    all.push(made);
    return made;
  };
  const module = open('module', '', root, root, null);
  const queue: Scope[] = [module];
  for (let scope = queue.pop(); scope !== undefined; scope = queue.pop()) {
    for (const p of scope.parameters) bind(scope, p.name, child(scope.node, 'parameters') ?? scope.body);
    const here = scope;
    const see = (node: SyntaxNode): boolean => {
      if (node !== here.node) {
        if (node.kind === 'function_definition' || node.kind === 'class_definition') {
          const name = child(node, 'name');
          const label = name === null ? '<unnamed>' : textOf(name);
          if (name !== null) bind(here, label, node);
          const kind = node.kind === 'class_definition' ? 'class' : 'function';
          queue.push(open(kind, label, node, child(node, 'body') ?? node, here));
          // Defaults, annotations and base classes belong to the scope around.
          for (const c of node.children) if (c.field !== 'body') visit(c, see);
          return false;
        }
        if (node.kind === 'lambda') {
          queue.push(open('lambda', '<lambda>', node, child(node, 'body') ?? node, here));
          return false;
        }
        if (comprehensions.has(node.kind)) {
          const label = {
            list_comprehension: '<listcomp>',
            set_comprehension: '<setcomp>',
            dictionary_comprehension: '<dictcomp>',
          }[node.kind];
          queue.push(open('comprehension', label ?? '<genexpr>', node, node, here));
          return false;
        }
      }
      collect(here, node);
      return true;
    };
    if (scope.kind === 'function' || scope.kind === 'class' || scope.kind === 'lambda') visit(scope.body, see);
    else visit(scope.node, see);
  }
  all.sort((a, b) => a.node.start - b.node.start);
  return { module, all, opened };
}

function qualify(parent: Scope | null, name: string): string {
  if (parent === null || parent.qualname === '') return name;
  return parent.kind === 'class' ? `${parent.qualname}.${name}` : `${parent.qualname}.<locals>.${name}`;
}

function bind(scope: Scope, name: string, node: SyntaxNode): void {
  const list = scope.bindings.get(name);
  if (list === undefined) scope.bindings.set(name, [node]);
  else list.push(node);
}

function collect(scope: Scope, node: SyntaxNode): void {
  switch (node.kind) {
    case 'assignment':
    case 'augmented_assignment':
    case 'for_statement':
    case 'for_in_clause':
      for (const left of childrenIn(node, 'left')) for (const name of namesIn(left)) bind(scope, textOf(name), node);
      break;
    case 'named_expression': {
      const name = child(node, 'name');
      // A walrus inside a comprehension binds in the function around it.
      let target = scope;
      while (target.kind === 'comprehension' && target.parent !== null) target = target.parent;
      if (name !== null) bind(target, textOf(name), node);
      break;
    }
    case 'as_pattern_target':
      for (const name of namesIn(node)) bind(scope, textOf(name), node.parent ?? node);
      break;
    case 'delete_statement':
      break;
    case 'global_statement':
      for (const name of parts(node)) scope.globals.add(textOf(name));
      break;
    case 'nonlocal_statement':
      for (const name of parts(node)) scope.nonlocals.add(textOf(name));
      break;
    case 'import_statement':
    case 'import_from_statement':
      for (const { local } of importsIn(node)) if (local !== '*') bind(scope, local, node);
      break;
    default:
  }
}

/** The plain names an assignment target binds: `a`, `(a, b)`, `a, *b`; not `a.b` or `a[k]`. */
export function namesIn(target: SyntaxNode): SyntaxNode[] {
  if (target.kind === 'identifier') return [target];
  if (
    [
      'pattern_list',
      'tuple_pattern',
      'list_pattern',
      'list_splat_pattern',
      'as_pattern_target',
      'tuple',
      'list',
      'parenthesized_expression',
    ].includes(target.kind)
  )
    return parts(target).flatMap(namesIn);
  return [];
}

export interface ImportedName {
  readonly local: string;
  /** Full dotted path of what the local name means: `collections.deque`. */
  readonly path: string;
  readonly line: number;
}

/** The names one import statement binds. */
export function importsIn(node: SyntaxNode): ImportedName[] {
  const found: ImportedName[] = [];
  const from = child(node, 'module_name');
  const prefix = from === null ? '' : textOf(from);
  for (const name of childrenIn(node, 'name')) {
    const aliased = name.kind === 'aliased_import';
    const real = textOf(aliased ? (child(name, 'name') ?? name) : name);
    const alias = aliased ? child(name, 'alias') : null;
    if (from !== null)
      found.push({
        local: alias === null ? real : textOf(alias),
        path: prefix.endsWith('.') ? `${prefix}${real}` : `${prefix}.${real}`,
        line: node.line,
      });
    else if (alias !== null) found.push({ local: textOf(alias), path: real, line: node.line });
    else found.push({ local: real.split('.')[0]!, path: real.split('.')[0]!, line: node.line });
  }
  if (node.children.some(c => c.kind === 'wildcard_import')) found.push({ local: '*', path: prefix, line: node.line });
  return found;
}

function readParameters(node: SyntaxNode | null): Parameter[] {
  if (node === null) return [];
  const found: Parameter[] = [];
  for (const p of parts(node)) {
    let target: SyntaxNode | undefined = p;
    let value: SyntaxNode | null = null;
    let annotation: SyntaxNode | null = null;
    if (p.kind === 'default_parameter' || p.kind === 'typed_default_parameter') {
      value = child(p, 'value');
      annotation = child(p, 'type');
      target = child(p, 'name') ?? undefined;
    } else if (p.kind === 'typed_parameter') {
      annotation = child(p, 'type');
      target = parts(p)[0];
    }
    if (target === undefined) continue;
    const kind =
      target.kind === 'list_splat_pattern' ? 'args' : target.kind === 'dictionary_splat_pattern' ? 'kwargs' : 'plain';
    if (kind !== 'plain') target = parts(target)[0];
    if (target?.kind === 'identifier') found.push({ name: textOf(target), kind, default: value, annotation });
  }
  return found;
}

const scopeNodes = ['function_definition', 'class_definition', 'lambda', 'module', ...comprehensions];

/** The scope a node stands in. */
export function scopeOf(node: SyntaxNode, opened: Map<SyntaxNode, Scope>): Scope {
  let n: SyntaxNode = node;
  for (;;) {
    const opener = enclosing(n, ...scopeNodes);
    if (opener === null) return opened.get(n)!;
    const scope = opened.get(opener);
    // A default value or a base class stands inside the definition's node but belongs outside.
    if (
      scope !== undefined &&
      (opener.kind === 'module' ||
        comprehensions.has(opener.kind) ||
        insideBody(node, scope) ||
        isParameterName(node, opener))
    )
      return scope;
    n = opener;
  }
}

function insideBody(node: SyntaxNode, scope: Scope): boolean {
  return node.start >= scope.body.start && node.end <= scope.body.end;
}

function isParameterName(node: SyntaxNode, opener: SyntaxNode): boolean {
  const list = child(opener, 'parameters');
  if (list === null || node.kind !== 'identifier') return false;
  for (let n = node; n.parent !== null; n = n.parent) {
    if (n.field === 'value' || n.field === 'type') return false;
    if (n.parent === list) return true;
  }
  return false;
}

/** The scope that a name used in `from` belongs to, or null when it is a builtin or unknown. */
export function resolveName(name: string, from: Scope): Scope | null {
  let scope: Scope | null = from;
  let first = true;
  while (scope !== null) {
    if (scope.globals.has(name)) {
      while (scope.parent !== null) scope = scope.parent;
      return scope;
    }
    const visible: boolean = first || scope.kind !== 'class';
    if (visible && scope.bindings.has(name) && !scope.nonlocals.has(name)) return scope;
    first = first && scope.kind === 'comprehension';
    scope = scope.parent;
  }
  return null;
}

/** The value that a binding assigns to the name, when it is a plain `name = value`, else null. */
export function assignedValue(binding: SyntaxNode): SyntaxNode | null {
  if (binding.kind === 'assignment') {
    let right = child(binding, 'right');
    while (right?.kind === 'assignment') right = child(right, 'right');
    return right === null ? null : bare(right);
  }
  if (binding.kind === 'named_expression') return child(binding, 'value');
  return null;
}
