/**
 * What a program does with one container: where it is made and filled, where and under which condition it is
 * emptied, and in a sentence why it grows. The answer is plain data; how sure it is depends on how plain the
 * program is, and what the files do not show (C code, `exec`, other packages) is not seen.
 */
import { type Aliases, findAliases } from './aliases.ts';
import { type Bound, findBounds, sweeps, sweepsFromHead } from './bounds.ts';
import { type Condition, conditionsOf, mayRaise, neverCalled, oneLine, triesAround } from './conditions.ts';
import { makesContainer } from './containers.ts';
import type { SourceFile } from './file.ts';
import { gather, occurrencesIn } from './occurrences.ts';
import { findOperations, type Operation } from './operations.ts';
import {
  attributePlace,
  calleeOf,
  fileOf,
  functionName,
  functionScope,
  globalPlace,
  importedPath,
  methodClass,
  openProject,
  type Place,
  type Project,
  typeOf,
  variablePlace,
} from './project.ts';
import {
  bare,
  child,
  descendants,
  enclosing,
  parts,
  type SyntaxNode,
  sameText,
  statementOf,
  textOf,
} from './syntax.ts';

/** How the diagnosis names a holder: a module global, an attribute of a class's instances, or a variable of a function. */
export interface HolderName {
  readonly module?: string;
  readonly name?: string;
  readonly className?: string;
  readonly attribute?: string;
  readonly viaGlobal?: string;
  readonly function?: string;
  readonly variable?: string;
}

export interface UseSite {
  readonly file: string;
  readonly line: number;
  /** Qualified name, `<module>` outside any function. */
  readonly function: string;
  readonly how: string;
  readonly text: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly nested: boolean;
}

export interface RemovalSite extends UseSite {
  readonly conditions: readonly Condition[];
  /** Why this removal may not reach every entry; empty when it does. */
  readonly limits: readonly (
    | 'never-called'
    | 'same-key-read'
    | 'only-on-error'
    | 'only-on-success'
    | 'other-path'
    | 'unstarted-generator'
    | 'flag'
    | 'age'
    | 'nested-only'
    | 'owner-only'
  )[];
  readonly sentence: string;
}

export interface ContainerUse {
  readonly holder: HolderName;
  /** As a person would write it: `SESSIONS`, `TtlStore._slots`, `remember.cache`. */
  readonly label: string;
  /** False when the files do not mention the holder at all. */
  readonly found: boolean;
  readonly creations: readonly UseSite[];
  readonly stores: readonly UseSite[];
  readonly removals: readonly RemovalSite[];
  readonly reads: readonly UseSite[];
  readonly bounds: readonly Bound[];
  readonly bounded: boolean;
  /** Functions that look entries up by key and finish with them, but do not remove, though another one does. */
  readonly missedIn: readonly { file: string; line: number; function: string }[];
  /** Entries are looked up under the same key before they are stored. */
  readonly lookedUpBeforeStore: boolean;
  /** The entry is made when absent and handed out to be changed: a registry rather than a cache. */
  readonly getOrCreate: boolean;
  /** Entries are called, as listeners are. */
  readonly entriesCalled: boolean;
  /** One sentence each, the strongest first, without a final full stop. */
  readonly sentences: readonly string[];
}

/** Syntax nodes behind a use, for the room's own rules and fixes. */
export interface UseDetail {
  readonly use: ContainerUse;
  readonly aliases: Aliases;
  readonly operations: readonly Operation[];
}

/** Finds every use of a holder in the files. Never throws: a holder that is not there gives `found: false`. */
export function containerUse(files: readonly SourceFile[], holder: HolderName): ContainerUse {
  return containerDetail(files, holder).use;
}

export function containerDetail(files: readonly SourceFile[], holder: HolderName): UseDetail {
  const project = openProject(files);
  const place = holderPlace(project, holder);
  return describePlace(project, place, holder);
}

/** The uses of a place that is already resolved. */
export function describePlace(project: Project, place: Place, holder: HolderName): UseDetail {
  const aliases = findAliases(project, place);
  const operations = findOperations(aliases);
  const label = labelOf(holder, place);
  const site = (o: Operation): UseSite => ({
    file: fileOf(project, o.node).file,
    line: lineOf(o.node),
    function: functionName(project, o.node),
    how: o.how,
    text: oneLine(textOf(o.node)),
    key: o.key === null ? null : oneLine(textOf(o.key)),
    value: o.value === null ? null : oneLine(textOf(o.value)),
    nested: o.nested,
  });
  const of = (act: Operation['act']): Operation[] => operations.filter(o => o.act === act);
  const bounds = findBounds(aliases, operations);
  const touching = touches(operations);
  const removals = of('remove').filter(o => !touching.has(o));
  const written = of('store').filter((o, i, all) => all.findIndex(x => x.node === o.node && x.how === o.how) === i);
  const stores = written.length > 0 ? written : storingReads(project, operations);
  const missed = missedPaths(project, operations, removals);
  const removalSites = removals.map(o => describeRemoval(aliases, o, site(o), operations, missed.length > 0));
  const bounded = bounds.some(b => b.kind !== 'weak');
  const use: ContainerUse = {
    holder,
    label,
    found: operations.length > 0,
    creations: of('create').map(site),
    stores: (stores.length > 0 ? stores : of('create').filter(o => keepsSomething(project, o))).map(site),
    removals: removalSites,
    reads: of('read').map(site),
    bounds,
    bounded,
    missedIn: missed,
    lookedUpBeforeStore: stores.some(s => lookedUp(aliases, s, operations)),
    getOrCreate: stores.some(s => handsOut(aliases, s)),
    entriesCalled: entriesAreCalled(aliases),
    sentences: [],
  };
  return { use: { ...use, sentences: explain(use) }, aliases, operations };
}

/** A defaultdict makes an entry for each key that is asked for: where nothing else stores, `d[k]` does. */
function storingReads(project: Project, operations: readonly Operation[]): Operation[] {
  const makes = operations.some(o => {
    const made = o.act === 'create' && o.value !== null ? bare(o.value) : null;
    if (made?.kind !== 'call') return false;
    return importedPath(project, child(made, 'function') ?? made) === 'collections.defaultdict';
  });
  if (!makes) return [];
  return operations.filter(o => o.act === 'read' && o.how === 'item').map(o => ({ ...o, act: 'store' as const }));
}

/** Resolves a holder's name to its place; unknown names give a place nothing matches. */
export function holderPlace(project: Project, holder: HolderName): Place {
  if (holder.className !== undefined && holder.attribute !== undefined) {
    const className = holder.className.split('.').at(-1)!;
    return attributePlace(project, className, holder.attribute);
  }
  if (holder.function !== undefined && holder.variable !== undefined)
    return variableHolder(project, holder.function, holder.variable);
  const name = holder.name ?? '';
  const module = holder.module ?? '';
  const having = project.files.filter(f => f.moduleScope.bindings.has(name));
  const exact = having.find(
    f => f.module === module || f.module.endsWith(`.${module}`) || module.endsWith(`.${f.module}`),
  );
  const file = exact ?? (module === '__main__' || module === '' || having.length === 1 ? having[0] : undefined);
  const known =
    exact !== undefined ||
    module === '__main__' ||
    module === '' ||
    !project.files.some(f => f.imports.some(i => i.path === module));
  const base = file !== undefined && known ? globalPlace(file, name) : `external ${module}.${name}`;
  if (holder.attribute === undefined) return base;
  // An attribute of what a global holds: by the class of the global's value, when that is known.
  const binding = file?.moduleScope.bindings.get(name)?.[0];
  const value = binding === undefined ? undefined : descendants(binding, 'identifier')[0];
  const type = value === undefined ? null : typeOf(project, value);
  return type === null ? `${base}.${holder.attribute}` : attributePlace(project, type, holder.attribute);
}

function variableHolder(project: Project, functionPath: string, variable: string): Place {
  const last = functionPath.split('.').at(-1)!;
  const candidates = (project.functions.get(last) ?? []).filter(
    f =>
      f.scope.qualname === functionPath ||
      functionPath.endsWith(`.${f.scope.qualname}`) ||
      f.scope.qualname.endsWith(`.${functionPath}`),
  );
  const all = candidates.length > 0 ? candidates : (project.functions.get(last) ?? []);
  for (const { file, scope } of all) {
    for (let s: typeof scope | null = scope; s !== null; s = s.parent)
      if (
        s.kind !== 'module' &&
        s.kind !== 'class' &&
        s.bindings.has(variable) &&
        !s.nonlocals.has(variable) &&
        !s.globals.has(variable)
      )
        return variablePlace(file, s, variable);
    // The closure's cell may belong to a function inside this one (`once.<locals>.wrapper` seen as `once`).
    for (const inner of file.scopes)
      if (
        inner.node.start >= scope.node.start &&
        inner.node.end <= scope.node.end &&
        inner.kind === 'function' &&
        inner.bindings.has(variable)
      )
        return variablePlace(file, inner, variable);
    if (scope.name === last) return `function ${file.file}:${scope.node.start}.${variable}`;
  }
  // A decorated function is known by its own name while the cell lives in the decorator.
  for (const file of project.files)
    for (const scope of file.scopes)
      if (scope.kind === 'function' && scope.bindings.has(variable) && scope.children.length > 0)
        return variablePlace(file, scope, variable);
  return `unknown ${functionPath}.${variable}`;
}

export function labelOf(holder: HolderName, place = ''): string {
  if (place.startsWith('external ')) return place.slice('external '.length);
  if (holder.attribute !== undefined)
    return `${holder.viaGlobal ?? holder.className?.split('.').at(-1) ?? holder.name ?? ''}.${holder.attribute}`;
  if (holder.variable !== undefined) return holder.variable;
  return holder.name ?? '';
}

function lineOf(node: SyntaxNode): number {
  return node.line;
}

/** An attribute that is given an object from elsewhere (`self.root = elem`): the holder is a single reference. */
function keepsSomething(project: Project, o: Operation): boolean {
  return (
    o.value !== null &&
    functionScope(project, o.node).kind === 'function' &&
    bare(o.value).kind !== 'none' &&
    !makesContainer(project, o.value)
  );
}

/** Removals that only make room for the store of the same key in the same function (`X[k] = X.pop(k, 0) + 1`). */
function touches(operations: readonly Operation[]): Set<Operation> {
  const found = new Set<Operation>();
  for (const removal of operations) {
    if (removal.act !== 'remove' || removal.key === null) continue;
    for (const store of operations)
      if (
        store.act === 'store' &&
        store.key !== null &&
        sameText(store.key, removal.key) &&
        statementOf(store.node) === statementOf(removal.node) &&
        enclosing(removal.node, 'lambda') === null
      )
        found.add(removal);
  }
  return found;
}

function describeRemoval(
  aliases: Aliases,
  o: Operation,
  site: UseSite,
  operations: readonly Operation[],
  pathMissed: boolean,
): RemovalSite {
  const { project } = aliases;
  const conditions = conditionsOf(aliases, o.node);
  const limits: RemovalSite['limits'][number][] = [];
  const where = `${site.function}() at line ${site.line}`;
  const scope = functionScope(project, o.node);
  const info = fileOf(project, o.node).functions.find(f => f.line === scope.node.line);
  const swept = sweeps(aliases, o.node);
  let sentence = `entries are removed in ${where}`;
  // Where the stores look just as uncalled, the files are only part of a program.
  const uncalled =
    neverCalled(project, o.node) &&
    operations.some(
      x => x.act === 'store' && !neverCalled(project, x.node) && functionScope(project, x.node).kind === 'function',
    );
  if (uncalled) {
    limits.push('never-called');
    sentence = `entries are removed only in ${where}, which nothing in the program calls`;
  } else if (o.nested && !operations.some(x => x.act === 'remove' && !x.nested)) {
    limits.push('nested-only');
    sentence = `${where} empties what is stored, but the entry itself stays`;
  } else if (conditions.some(c => c.kind === 'finally') && info?.generator === true) {
    limits.push('unstarted-generator');
    sentence = `the only removal is in the finally of the ${info.async ? 'async ' : ''}generator ${where}, which never runs for a generator that was not started or not closed`;
  } else if (conditions.some(c => c.kind === 'except')) {
    limits.push('only-on-error');
    sentence = `entries are removed in ${where}, and only when ${conditions.find(c => c.kind === 'except')!.text || 'an exception'} is raised`;
  } else if (!swept && rereadsSameKey(aliases, o, operations, conditions)) {
    limits.push('same-key-read');
    sentence = `entries are removed only in ${where}, and only when that same key is read again`;
  } else if (onlyOnSuccess(aliases, o, operations, conditions)) {
    limits.push('only-on-success');
    sentence = `entries are removed in ${where}, but not when an exception is raised before that line (no finally)`;
  } else {
    const flag = conditions.find(c => c.kind === 'flag');
    const owner = o.key === null || swept ? null : ownKey(aliases, o, operations);
    if (owner !== null) {
      limits.push('owner-only');
      sentence = `entries are removed in ${where}, and only by the ${owner.type} that has that ${owner.attribute}: once it is gone nobody removes them`;
    }
    if (pathMissed) limits.push('other-path');
    if (sweepsFromHead(aliases, o.node)) {
      const due = conditions.find(c => c.kind === 'age' || c.kind === 'flag');
      sentence = `entries are removed in ${where} ${due === undefined ? 'from the head on' : `as long as ${due.text}`}`;
    } else if (owner === null && flag !== undefined) {
      limits.push('flag');
      sentence = `entries are removed in ${where}, only ${flag.negated ? 'unless' : 'when'} ${flag.text}`;
    } else if (owner === null && conditions.some(c => c.kind === 'age')) {
      limits.push('age');
      sentence = `entries are removed in ${where} when ${conditions.find(c => c.kind === 'age')!.text}`;
    } else if (conditions.some(c => c.kind === 'callback')) sentence = `entries are removed by a callback in ${where}`;
  }
  return { ...site, conditions, limits, sentence };
}

/** `X.pop(self.number)` in a class other than the one that stores: only that very object can empty its entry. */
function ownKey(
  aliases: Aliases,
  o: Operation,
  operations: readonly Operation[],
): { type: string; attribute: string } | null {
  const { project } = aliases;
  const key = o.key === null ? null : bare(o.key);
  if (key?.kind !== 'attribute') return null;
  const [object, attribute] = parts(key);
  const method = methodClass(functionScope(project, o.node));
  if (
    method === null ||
    object === undefined ||
    attribute === undefined ||
    textOf(object) !== method.method.parameters[0]?.name
  )
    return null;
  const stores = operations.filter(s => s.act === 'store');
  if (stores.some(s => methodClass(functionScope(project, s.node))?.owner === method.owner)) return null;
  return { type: method.owner.name, attribute: textOf(attribute) };
}

/** A key that comes in as a parameter is looked up, judged by its age, and removed: nobody removes keys not asked for again. */
function rereadsSameKey(
  _aliases: Aliases,
  o: Operation,
  operations: readonly Operation[],
  conditions: readonly Condition[],
): boolean {
  if (o.key === null || !conditions.some(c => c.kind === 'age' || c.kind === 'flag')) return false;
  const { project } = _aliases;
  const scope = functionScope(project, o.node);
  const reads = operations.filter(
    r =>
      r.act === 'read' &&
      r.key !== null &&
      functionScope(project, r.node) === scope &&
      sameText(r.key, o.key!) &&
      r.node.start < o.node.start,
  );
  const age =
    conditions.some(c => c.kind === 'age') ||
    /expired|stale|valid|fresh|too_old|outdated/i.test(conditions.map(c => c.text).join(' '));
  return reads.length > 0 && age && scope.kind === 'function';
}

/** Stored earlier in the same function (or by a call of the storing function) and removed later, with code between that may raise and no finally. */
function onlyOnSuccess(
  aliases: Aliases,
  o: Operation,
  operations: readonly Operation[],
  conditions: readonly Condition[],
): boolean {
  if (conditions.some(c => c.kind === 'finally' || c.kind === 'sweep' || c.kind === 'size')) return false;
  const { project } = aliases;
  const removers = callersOrSelf(project, o.node);
  const storeNodes = operations.filter(s => s.act === 'store').flatMap(s => callersOrSelf(project, s.node));
  for (const end of removers)
    for (const start of storeNodes) {
      if (start === end || functionScope(project, start) !== functionScope(project, end) || start.end > end.start)
        continue;
      if (functionScope(project, start).kind === 'module') continue;
      const between = statementsBetween(start, end);
      if (!between.some(mayRaise)) continue;
      // A handler that catches everything between and goes on still reaches the removal.
      const covered = triesAround(between[0]!).some(
        t => t.children.some(c => c.kind === 'except_clause' || c.kind === 'finally_clause') && t.end < end.start,
      );
      if (!covered || between.length > 1) return !covered;
    }
  return false;
}

/** The node itself, and the calls of its function where that function is short (a push or pop of its own). */
function callersOrSelf(project: Project, node: SyntaxNode): SyntaxNode[] {
  const scope = functionScope(project, node);
  if (scope.kind !== 'function') return [node];
  const calls = (project.calls.get(scope.name) ?? [])
    .filter(c => calleeOf(project, c.node).some(r => r.scope === scope))
    .map(c => c.node);
  return [node, ...calls];
}

function statementsBetween(start: SyntaxNode, end: SyntaxNode): SyntaxNode[] {
  const first = statementOf(start);
  let last = statementOf(end);
  while (last.parent !== null && last.parent !== first.parent && last.parent.start > first.start) last = last.parent;
  const block = first.parent;
  if (block === null) return [];
  return block.children.filter(c => c.named && c.start >= first.end && c.end <= last.start);
}

/** Does some function look an entry up by a key it was given, with no removal, while another function removes by such a key? */
function missedPaths(
  project: Project,
  operations: readonly Operation[],
  removals: readonly Operation[],
): { file: string; line: number; function: string }[] {
  const keyed = removals.filter(
    r =>
      r.key !== null && (r.how === 'pop' || r.how === 'del' || r.how === 'remove' || r.how === 'discard') && !r.nested,
  );
  if (keyed.length === 0) return [];
  const removing = new Set(removals.map(r => functionScope(project, r.node)));
  const storing = new Set(
    operations.filter(o => o.act === 'store' && !o.nested).map(o => functionScope(project, o.node)),
  );
  const found: { file: string; line: number; function: string }[] = [];
  for (const o of operations) {
    if (o.act !== 'read' || (o.how !== 'get' && o.how !== 'item')) continue;
    const scope = functionScope(project, o.node);
    if (scope.kind !== 'function' || removing.has(scope) || storing.has(scope)) continue;
    if (o.key === null || !endsSomething(scope.name)) continue;
    if (!found.some(f => f.function === scope.qualname))
      found.push({ file: fileOf(project, o.node).file, line: o.node.line, function: scope.qualname });
  }
  return found;
}

/** Function names that say something is over; their path is expected to remove. */
export function endsSomething(name: string): boolean {
  return /(timeout|timed_out|expire|cancel|fail|error|abort|close|disconnect|lost|drop|finish|done|complete|reject|end|stop|leave|bounce|giveup|give_up|hangup|logout|reset|release|nack|refuse|evict|kill|exit)/i.test(
    name,
  );
}

function lookedUp(aliases: Aliases, store: Operation, operations: readonly Operation[]): boolean {
  if (store.key === null) return false;
  const { project } = aliases;
  const scope = functionScope(project, store.node);
  if (store.how === 'setdefault') return store.value !== null && !makesContainer(project, store.value);
  const direct = operations.some(
    r =>
      r.act === 'read' &&
      r.key !== null &&
      functionScope(project, r.node) === scope &&
      r.node.start !== store.node.start &&
      sameText(r.key, store.key!) &&
      r.node.start < store.node.start + 1,
  );
  if (direct) return true;
  // get() and put() of one store: a caller that asks first and stores on a miss.
  const readers = operations.filter(r => r.act === 'read' && r.key !== null).map(r => functionScope(project, r.node));
  for (const call of project.calls.get(scope.name) ?? []) {
    if (!calleeOf(project, call.node).some(r => r.scope === scope)) continue;
    const caller = functionScope(project, call.node);
    for (const reader of readers)
      if (
        (project.calls.get(reader.name) ?? []).some(
          c =>
            functionScope(project, c.node) === caller &&
            c.node.start < call.node.start &&
            calleeOf(project, c.node).some(r => r.scope === reader),
        )
      )
        return true;
  }
  return false;
}

/** The stored value is a fresh object of a project class that has methods which change it: a meter, a session, a per-key state. */
function handsOut(aliases: Aliases, store: Operation): boolean {
  if (store.value === null || store.nested) return false;
  const type = typeOf(aliases.project, store.value);
  if (type === null) return false;
  for (const ref of aliases.project.classes.get(type) ?? [])
    for (const method of ref.scope.children) {
      if (method.kind !== 'function' || method.name === '__init__') continue;
      const self = method.parameters[0]?.name;
      if (
        self !== undefined &&
        descendants(method.body, 'augmented_assignment', 'assignment').some(a => textOf(a).startsWith(`${self}.`))
      )
        return true;
    }
  // Or changed from outside: `state = state_of(c); state.seen += 1`.
  return occurrencesIn(aliases.project).changedOutside.has(type);
}

/** Whether the program walks the container and calls what it finds there. */
function entriesAreCalled(aliases: Aliases): boolean {
  const { loops, order } = occurrencesIn(aliases.project);
  for (const loop of gather(loops, aliases.containers, order)) {
    const names = loop.children.filter(c => c.field === 'left').flatMap(l => descendants(l, 'identifier').map(textOf));
    const body = loop.kind === 'for_statement' ? loop : (loop.parent ?? loop);
    const called = new Set(names);
    for (const a of descendants(body, 'assignment')) {
      const right = a.children.find(c => c.field === 'right');
      const left = a.children.find(c => c.field === 'left');
      if (
        right !== undefined &&
        left?.kind === 'identifier' &&
        descendants(right, 'identifier').some(i => called.has(textOf(i)))
      )
        called.add(textOf(left));
    }
    for (const c of descendants(body, 'call')) {
      const callee = c.children.find(x => x.field === 'function');
      if (callee?.kind === 'identifier' && called.has(textOf(callee))) return true;
      if (callee?.kind === 'call' && descendants(callee, 'identifier').some(i => called.has(textOf(i)))) return true;
      if (callee?.kind === 'attribute') {
        const object = parts(callee)[0];
        const method = parts(callee)[1];
        if (
          object?.kind === 'identifier' &&
          called.has(textOf(object)) &&
          method !== undefined &&
          /^(notify|update|on_\w+|handle\w*|emit|fire|callback|receive|__call__|send)$/.test(textOf(method))
        )
          return true;
      }
    }
  }
  return false;
}

function explain(use: ContainerUse): string[] {
  const name = use.label;
  const said: string[] = [];
  const at = (s: UseSite): string => `${s.function}() at line ${s.line}`;
  if (!use.found) return [`${name} is not mentioned in the source that could be read`];
  const sure = use.bounds.find(b => b.kind !== 'weak');
  if (sure !== undefined) said.push(`${name} is bounded by ${sure.text} at line ${sure.line}`);
  const removals = use.removals;
  if (sure === undefined) {
    const chain = use.stores.find(s => s.how === 'accumulate' || s.how === 'wrap');
    if (chain !== undefined && use.stores.every(s => s.how === 'accumulate' || s.how === 'wrap'))
      said.push(
        `${at(chain)} makes the new ${name} from the old one, which it goes on referring to, so nothing that ever went in is released`,
      );
    else if (removals.length === 0)
      said.push(
        use.stores.length === 0
          ? `nothing in the source stores into ${name} by name`
          : `nothing in the program ever removes from ${name}`,
      );
    else {
      const real = removals.filter(r => !r.limits.includes('never-called'));
      const list = real.length > 0 ? real : removals;
      if (use.missedIn.length > 0 && list.some(r => r.limits.includes('other-path')))
        said.push(
          `an entry is removed in ${[...new Set(list.map(at))].join(' and ')} but not in ${use.missedIn.map(m => `${m.function}() at line ${m.line}`).join(' or ')}`,
        );
      if (list.length === 1) said.push(list[0]!.sentence);
      else for (const r of list) said.push(r.sentence);
    }
  }
  for (const b of use.bounds)
    if (b.kind === 'weak')
      said.push(`${name} is a ${b.text}, so its entries live exactly as long as something else refers to them`);
  return [...new Set(said)];
}
