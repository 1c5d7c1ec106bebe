/**
 * All files of a target together: which class an expression is an instance of, which function a call
 * reaches, and the one *place* (global, attribute, local variable, returned value) an expression names.
 * The inference is flow-insensitive and may be wrong for dynamic code; what it cannot tell it leaves open.
 */
import type { SourceFile } from './file.ts';
import { assignedValue, type Parameter, resolveName, type Scope, scopeOf } from './scopes.ts';
import { argumentsOf, bare, child, childrenIn, descendants, dotted, parts, type SyntaxNode, textOf } from './syntax.ts';

export interface FunctionRef {
  readonly file: SourceFile;
  readonly scope: Scope;
}

export interface ClassRef {
  readonly file: SourceFile;
  readonly scope: Scope;
  readonly bases: readonly string[];
}

export interface CallRef {
  readonly file: SourceFile;
  readonly node: SyntaxNode;
  /** Last part of what is called: `append` in `a.b.append(x)`. */
  readonly name: string;
}

/** Names one place in the program that can hold a value; equal strings are the same place. */
export type Place = string;

export interface Project {
  readonly files: readonly SourceFile[];
  readonly classes: Map<string, ClassRef[]>;
  readonly functions: Map<string, FunctionRef[]>;
  readonly calls: Map<string, CallRef[]>;
  /** How often each name is mentioned other than by its own definition. */
  readonly mentions: Map<string, number>;
  /** Attribute name to the classes whose instances or bodies assign it. */
  readonly attributeOwners: Map<string, Set<string>>;
  readonly types: Map<SyntaxNode, string | null>;
  readonly places: Map<SyntaxNode, Place | null>;
  readonly fileOf: Map<SyntaxNode, SourceFile>;
}

const projects = new WeakMap<readonly SourceFile[], Project>();

/** Indexes files; the same array gives the same project. */
export function openProject(files: readonly SourceFile[]): Project {
  const known = projects.get(files);
  if (known !== undefined) return known;
  const project: Project = {
    files,
    classes: new Map(),
    functions: new Map(),
    calls: new Map(),
    mentions: new Map(),
    attributeOwners: new Map(),
    types: new Map(),
    places: new Map(),
    fileOf: new Map(),
  };
  for (const file of files) index(project, file);
  projects.set(files, project);
  return project;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function index(project: Project, file: SourceFile): void {
  project.fileOf.set(file.root, file);
  for (const scope of file.scopes) {
    if (scope.kind === 'function') push(project.functions, scope.name, { file, scope });
    if (scope.kind !== 'class') continue;
    const bases = child(scope.node, 'superclasses');
    push(project.classes, scope.name, {
      file,
      scope,
      bases:
        bases === null
          ? []
          : parts(bases)
              .filter(b => b.kind !== 'keyword_argument')
              .map(textOf),
    });
    for (const name of scope.bindings.keys()) own(project, name, scope.name);
  }
  for (const a of file.attributes) own(project, a.attribute, a.className.split('.').at(-1)!);
  for (const node of descendants(file.root, 'call', 'identifier', 'string_content')) {
    if (node.kind === 'call') {
      const callee = child(node, 'function');
      const name = callee === null ? null : lastName(callee);
      if (name !== null) push(project.calls, name, { file, node, name });
    } else if (node.kind === 'string_content') {
      const text = textOf(node);
      if (/^[A-Za-z_]\w*$/.test(text)) project.mentions.set(text, (project.mentions.get(text) ?? 0) + 1);
    } else if (
      !(
        node.field === 'name' &&
        (node.parent?.kind === 'function_definition' || node.parent?.kind === 'class_definition')
      )
    ) {
      const text = textOf(node);
      project.mentions.set(text, (project.mentions.get(text) ?? 0) + 1);
    }
  }
}

function own(project: Project, attribute: string, className: string): void {
  const owners = project.attributeOwners.get(attribute);
  if (owners === undefined) project.attributeOwners.set(attribute, new Set([className]));
  else owners.add(className);
}

/** `c` of `a.b.c` or of `a[0].c`; null when what is called has no name. */
export function lastName(callee: SyntaxNode): string | null {
  const n = bare(callee);
  if (n.kind === 'identifier') return textOf(n);
  const attribute = n.kind === 'attribute' ? child(n, 'attribute') : null;
  return attribute === null ? null : textOf(attribute);
}

/** The file a node belongs to. */
export function fileOf(project: Project, node: SyntaxNode): SourceFile {
  let n = node;
  while (n.parent !== null) n = n.parent;
  return project.fileOf.get(n)!;
}

export function scopeAt(project: Project, node: SyntaxNode): Scope {
  return scopeOf(node, fileOf(project, node).opened);
}

/** The function (or lambda's function) a node is in; the module scope when in none. */
export function functionScope(project: Project, node: SyntaxNode): Scope {
  let scope: Scope = scopeAt(project, node);
  while (scope.parent !== null && scope.kind !== 'function' && scope.kind !== 'module') scope = scope.parent;
  return scope;
}

/** The class whose method a scope is (looking outward through nested functions), or null. */
export function methodClass(scope: Scope): { owner: Scope; method: Scope } | null {
  for (let s: Scope | null = scope; s?.parent != null; s = s.parent)
    if (s.kind === 'function' && s.parent.kind === 'class') return { owner: s.parent, method: s };
  return null;
}

/** The name shown for a function: its qualified name, `<module>` outside any. */
export function functionName(project: Project, node: SyntaxNode): string {
  const scope = functionScope(project, node);
  return scope.kind === 'module' ? '<module>' : scope.qualname;
}

/** The full dotted path an expression means when it goes through an import (`deque` is `collections.deque`), else its own text path. */
export function importedPath(project: Project, expression: SyntaxNode): string | null {
  const chain = dotted(expression);
  if (chain === null) return null;
  const file = fileOf(project, expression);
  const scope = resolveName(chain[0]!, scopeAt(project, expression));
  if (scope === null) return chain.join('.');
  const binding = scope.bindings
    .get(chain[0]!)
    ?.find(b => b.kind === 'import_statement' || b.kind === 'import_from_statement');
  if (binding === undefined) return null;
  const imported = file.imports.find(i => i.local === chain[0]);
  return imported === undefined ? null : [imported.path, ...chain.slice(1)].join('.');
}

/** Whether a call reaches one of these dotted paths of the standard library (`functools.lru_cache`). */
export function isCallTo(project: Project, node: SyntaxNode, ...paths: string[]): boolean {
  const callee = node.kind === 'call' ? child(node, 'function') : node;
  if (callee === null) return false;
  const path = importedPath(project, callee);
  return path !== null && paths.includes(path);
}

/** The project's module file that a dotted import path names, matched by its ending. */
export function moduleFile(project: Project, path: string): SourceFile | null {
  const wanted = path.replace(/^\.+/, '');
  if (wanted === '') return null;
  let best: SourceFile | null = null;
  for (const f of project.files)
    if (f.module === wanted || f.module.endsWith(`.${wanted}`))
      if (best === null || f.module.length < best.module.length) best = f;
  return best;
}

/** Topmost project class that assigns an attribute, so that base and derived class share one place. */
function attributeHome(project: Project, className: string, attribute: string, depth = 0): string {
  for (const ref of project.classes.get(className) ?? [])
    for (const base of ref.bases) {
      const name = base.split('.').at(-1)!;
      if (depth < 8 && project.classes.has(name) && ownsAttribute(project, name, attribute))
        return attributeHome(project, name, attribute, depth + 1);
    }
  return className;
}

function ownsAttribute(project: Project, className: string, attribute: string, depth = 0): boolean {
  if (project.attributeOwners.get(attribute)?.has(className)) return true;
  if (depth > 8) return false;
  return (project.classes.get(className) ?? []).some(ref =>
    ref.bases.some(b => ownsAttribute(project, b.split('.').at(-1)!, attribute, depth + 1)),
  );
}

/** Place of a class's or instance's attribute. */
export function attributePlace(project: Project, className: string, attribute: string): Place {
  return `attribute ${attributeHome(project, className, attribute)}.${attribute}`;
}

export function globalPlace(file: SourceFile, name: string): Place {
  return `global ${file.file}:${name}`;
}

export function variablePlace(file: SourceFile, scope: Scope, name: string): Place {
  if (scope.kind === 'module') return globalPlace(file, name);
  if (scope.kind === 'class') return `attribute ${scope.name}.${name}`;
  return `variable ${file.file}:${scope.node.start}:${name}`;
}

export function resultPlace(ref: FunctionRef): Place {
  return `result ${ref.file.file}:${ref.scope.node.start}`;
}

/** The place an expression names, or null when it is not a name, an attribute or a call of a project function. */
export function placeOf(project: Project, expression: SyntaxNode): Place | null {
  const n = bare(expression);
  const known = project.places.get(n);
  if (known !== undefined) return known;
  const place = findPlace(project, n);
  project.places.set(n, place);
  return place;
}

function findPlace(project: Project, n: SyntaxNode): Place | null {
  const file = fileOf(project, n);
  if (n.kind === 'identifier') {
    const name = textOf(n);
    const scope = resolveName(name, scopeAt(project, n));
    if (scope === null) return null;
    const imported = importedPlace(project, file, scope, name);
    return imported ?? variablePlace(file, scope, name);
  }
  if (n.kind === 'attribute') {
    const object = child(n, 'object');
    const attribute = child(n, 'attribute');
    if (object === null || attribute === null) return null;
    const name = textOf(attribute);
    const type = name === '__dict__' ? null : typeOf(project, object);
    if (type !== null) return attributePlace(project, type, name);
    const module = importedPath(project, object);
    if (module !== null) {
      const target = moduleFile(project, module);
      if (target?.moduleScope.bindings.has(name)) return globalPlace(target, name);
      if (!project.classes.has(module.split('.').at(-1)!)) return `external ${module}.${name}`;
    }
    const owners = project.attributeOwners.get(name);
    if (owners?.size === 1) return attributePlace(project, [...owners][0]!, name);
    // An attribute nobody declares (`_local.stack`): the object it hangs on tells it apart.
    const base = placeOf(project, object);
    return base === null ? null : `${base}.${name}`;
  }
  if (n.kind === 'call') {
    const target = calleeOf(project, n);
    return target.length === 1 ? resultPlace(target[0]!) : null;
  }
  return null;
}

function importedPlace(project: Project, file: SourceFile, scope: Scope, name: string): Place | null {
  const binding = scope.bindings.get(name)?.find(b => b.kind === 'import_from_statement');
  if (binding === undefined) return null;
  const imported = file.imports.find(i => i.local === name);
  if (imported === undefined) return null;
  const cut = imported.path.lastIndexOf('.');
  const target = moduleFile(project, imported.path.slice(0, cut));
  const real = imported.path.slice(cut + 1);
  if (target?.moduleScope.bindings.has(real)) return globalPlace(target, real);
  return `external ${imported.path}`;
}

/** Project functions a call may reach; several when only the method's name is known. */
export function calleeOf(project: Project, call: SyntaxNode): FunctionRef[] {
  const callee = child(call, 'function');
  if (callee === null) return [];
  const n = bare(callee);
  if (n.kind === 'identifier') {
    const name = textOf(n);
    if (project.classes.has(name)) return methodsNamed(project, name, '__init__');
    const scope = resolveName(name, scopeAt(project, n));
    const candidates = project.functions.get(name) ?? [];
    if (scope === null) return [];
    return candidates.filter(
      f =>
        f.scope.parent?.kind !== 'class' &&
        (f.scope.parent === scope || scope.bindings.get(name)?.some(b => b.kind === 'import_from_statement')),
    );
  }
  if (n.kind !== 'attribute') return [];
  const name = lastName(n);
  const object = child(n, 'object');
  if (name === null || object === null) return [];
  const type = typeOf(project, object);
  if (type !== null) return methodsNamed(project, type, name);
  const module = importedPath(project, object);
  if (module !== null) {
    const target = moduleFile(project, module);
    if (target === null) return project.classes.has(module) ? methodsNamed(project, module, name) : [];
    return (project.functions.get(name) ?? []).filter(f => f.file === target && f.scope.parent?.kind === 'module');
  }
  const candidates = (project.functions.get(name) ?? []).filter(f => f.scope.parent?.kind === 'class');
  return candidates.length === 1 && !commonMethods.has(name) ? candidates : [];
}

/** Method names so common on built-in types that a receiver of unknown type is not taken for a project class. */
const commonMethods = new Set(
  'append add update get pop set put remove discard clear extend insert close read write send join items keys values copy start stop run next index count sort format split'.split(
    ' ',
  ),
);

/** A class's methods of a name, looked for in its bases too. */
export function methodsNamed(project: Project, className: string, method: string, depth = 0): FunctionRef[] {
  const found: FunctionRef[] = [];
  for (const ref of project.classes.get(className) ?? []) {
    const own = ref.scope.children.filter(s => s.kind === 'function' && s.name === method);
    if (own.length > 0) found.push(...own.map(scope => ({ file: ref.file, scope })));
    else if (depth < 8)
      for (const base of ref.bases) found.push(...methodsNamed(project, base.split('.').at(-1)!, method, depth + 1));
  }
  return found;
}

/** Name of the project class an expression is an instance of (or is, for `cls` and a class itself), else null. */
export function typeOf(project: Project, expression: SyntaxNode, depth = 0): string | null {
  const n = bare(expression);
  const known = project.types.get(n);
  if (known !== undefined) return known;
  project.types.set(n, null);
  const type = depth > 10 ? null : inferType(project, n, depth);
  project.types.set(n, type);
  return type;
}

function inferType(project: Project, n: SyntaxNode, depth: number): string | null {
  if (n.kind === 'identifier') {
    const name = textOf(n);
    const scope = resolveName(name, scopeAt(project, n));
    if (scope === null) return null;
    const binding = scope.bindings.get(name) ?? [];
    if (
      binding.some(b => b.kind === 'class_definition') ||
      (project.classes.has(name) && binding.some(b => b.kind === 'import_from_statement'))
    )
      return name;
    const method = methodClass(scope);
    if (method !== null && scope === method.method && scope.parameters[0]?.name === name && !isStatic(scope))
      return method.owner.name;
    const parameter = scope.parameters.find(p => p.name === name);
    if (parameter !== undefined) return parameterType(project, n, scope, parameter, depth);
    const imported = binding.find(b => b.kind === 'import_from_statement');
    if (imported !== undefined) {
      const place = importedPlace(project, fileOf(project, n), scope, name);
      const match = place === null ? null : /^global (.*):(\w+)$/.exec(place);
      const target = match === null ? undefined : project.files.find(f => f.file === match[1]);
      return target === undefined
        ? null
        : bindingType(project, target.moduleScope.bindings.get(match![2]!) ?? [], depth);
    }
    return bindingType(project, binding, depth);
  }
  if (n.kind === 'call') {
    const callee = child(n, 'function');
    if (callee === null) return null;
    const name = lastName(callee);
    if (name !== null && project.classes.has(name)) return name;
    if (name === 'super') return superType(project, n);
    for (const ref of calleeOf(project, n)) {
      for (const ret of descendants(ref.scope.body, 'return_statement')) {
        const value = parts(ret)[0];
        const type = value === undefined ? null : typeOf(project, value, depth + 1);
        if (type !== null) return type;
      }
    }
    return null;
  }
  if (n.kind === 'attribute') {
    const object = child(n, 'object');
    const attribute = child(n, 'attribute');
    if (object === null || attribute === null) return null;
    const owner = typeOf(project, object, depth + 1);
    if (owner === null) return null;
    return attributeType(project, owner, textOf(attribute), depth);
  }
  if (n.kind === 'boolean_operator' || n.kind === 'conditional_expression') {
    for (const part of parts(n)) {
      const type = typeOf(project, part, depth + 1);
      if (type !== null) return type;
    }
  }
  return null;
}

function superType(project: Project, n: SyntaxNode): string | null {
  const method = methodClass(scopeAt(project, n));
  if (method === null) return null;
  const bases = project.classes.get(method.owner.name)?.[0]?.bases ?? [];
  return bases.map(b => b.split('.').at(-1)!).find(b => project.classes.has(b)) ?? null;
}

function isStatic(scope: Scope): boolean {
  return scope.decorators.some(d => textOf(d).includes('staticmethod'));
}

function bindingType(project: Project, bindings: readonly SyntaxNode[], depth: number): string | null {
  for (const b of bindings) {
    const value = assignedValue(b) ?? (b.kind === 'as_pattern' ? (parts(b)[0] ?? null) : null);
    const type = value === null ? annotated(project, b) : typeOf(project, value, depth + 1);
    if (type !== null) return type;
  }
  return null;
}

function annotated(project: Project, binding: SyntaxNode): string | null {
  const type = child(binding, 'type');
  return type === null ? null : classIn(project, type);
}

function classIn(project: Project, annotation: SyntaxNode): string | null {
  for (const name of descendants(annotation, 'identifier', 'string_content')) {
    const text = textOf(name);
    if (project.classes.has(text)) return text;
    if (!['Optional', 'Union', 'None', 'Annotated', 'Final', 'ClassVar', 'typing', 'Type', 'type'].includes(text))
      return null;
  }
  return null;
}

function parameterType(
  project: Project,
  use: SyntaxNode,
  scope: Scope,
  parameter: Parameter,
  depth: number,
): string | null {
  if (parameter.annotation !== null) {
    const type = classIn(project, parameter.annotation);
    if (type !== null) return type;
  }
  if (depth > 4) return null;
  const position = scope.parameters.indexOf(parameter);
  for (const call of project.calls.get(
    scope.name === '__init__' && scope.parent !== null ? scope.parent.name : scope.name,
  ) ?? []) {
    if (call.node === use) continue;
    if (!calleeOf(project, call.node).some(ref => ref.scope === scope)) continue;
    const argument = argumentFor(project, call.node, scope, position, parameter.name);
    const type = argument === null ? null : typeOf(project, argument, depth + 2);
    if (type !== null) return type;
  }
  return null;
}

/** The expression a call passes for one of the callee's parameters, or null. */
export function argumentFor(
  _project: Project,
  call: SyntaxNode,
  callee: Scope,
  position: number,
  name: string,
): SyntaxNode | null {
  const { positional, keywords } = argumentsOf(call);
  const named = keywords.get(name);
  if (named !== undefined) return named;
  const bound = callee.parent?.kind === 'class' && !isStatic(callee);
  const found = positional[bound ? position - 1 : position];
  return found === undefined || found.kind === 'list_splat' || found.kind === 'dictionary_splat' ? null : found;
}

function attributeType(project: Project, className: string, attribute: string, depth: number): string | null {
  for (const value of attributeValues(project, className, attribute)) {
    const type = typeOf(project, value, depth + 1);
    if (type !== null) return type;
  }
  return null;
}

/** Every value the program assigns to an attribute of a class, its own methods and bases. */
export function attributeValues(project: Project, className: string, attribute: string, depth = 0): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (const ref of project.classes.get(className) ?? []) {
    for (const binding of ref.scope.bindings.get(attribute) ?? []) {
      const value = assignedValue(binding);
      if (value !== null) found.push(value);
    }
    for (const method of ref.scope.children) {
      const self = method.kind === 'function' ? method.parameters[0]?.name : undefined;
      if (self === undefined) continue;
      for (const node of descendants(method.body, 'assignment'))
        for (const left of childrenIn(node, 'left')) {
          const chain = dotted(left);
          if (chain?.length === 2 && chain[0] === self && chain[1] === attribute) {
            const value = assignedValue(node);
            if (value !== null) found.push(value);
          }
        }
    }
    if (depth < 8)
      for (const base of ref.bases)
        found.push(...attributeValues(project, base.split('.').at(-1)!, attribute, depth + 1));
  }
  return found;
}

/** Whether anything in the files could call this function: it is mentioned, decorated, special, or overrides something. */
export function mayBeCalled(project: Project, scope: Scope): boolean {
  if (scope.kind !== 'function') return true;
  if (scope.decorators.length > 0 || /^__\w+__$/.test(scope.name)) return true;
  const owner = scope.parent;
  if (owner?.kind === 'class') {
    const bases = project.classes.get(owner.name)?.flatMap(c => c.bases) ?? [];
    if (bases.some(b => b !== 'object' && !project.classes.has(b.split('.').at(-1)!))) return true;
  }
  return (project.mentions.get(scope.name) ?? 0) > 0;
}
