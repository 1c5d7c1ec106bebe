/** What kind of container one is, judged by its names and by how it is used. */

import type { ContainerUse, UseDetail } from './container-use.ts';
import { makesContainer } from './containers.ts';
import {
  calleeOf,
  functionScope,
  importedPath,
  lastName,
  methodClass,
  type Project,
  scopeAt,
  typeOf,
} from './project.ts';
import { bare, child, descendants, parts, type SyntaxNode, textOf } from './syntax.ts';

const cacheName =
  /(cache|memo|lru|ttl|lookup|interned|precomputed|computed|resolved|rendered|compiled|parsed|fetched|loaded|results?_by|by_key|_slots|tiles|thumbs?|thumbnails?|templates?)/i;
const cacheClass = /(cache|memo|lru|ttl|store(?!s)|once|idempot|dedup)/i;
const listenerName =
  /(listener|receiver|handler|subscri|observer|callback|hook|watcher|slots?$|on_[a-z]+|signal|sinks?|delegates?|consumers?)/i;
const registering =
  /^(connect|register|subscribe|observe|attach|listen|watch|on|bind|hook|add_\w*(listener|handler|observer|callback|receiver|subscriber|hook|watcher|sink|filter)\w*|on_\w+|when_\w+|once|addEventListener|addHandler|follow)$/i;
const pendingName =
  /(pending|inflight|in_flight|awaiting|waiting|outstanding|open|active|running|unacked|requests|jobs|tasks|leases|reservations|checked_out|in_use|locks|holds|borrowed)/i;

export interface Judgement {
  readonly cacheLike: number;
  readonly listenerLike: number;
  readonly pendingLike: number;
  readonly reasons: readonly string[];
}

/** Scores from 0; above 1 is a strong sign. */
export function judge(project: Project, detail: UseDetail): Judgement {
  const { use } = detail;
  const reasons: string[] = [];
  let cacheLike = 0;
  let listenerLike = 0;
  let pendingLike = 0;
  const name = use.holder.attribute ?? use.holder.variable ?? use.holder.name ?? '';
  const owner = use.holder.className ?? use.holder.viaGlobal ?? '';
  if (cacheName.test(name)) cacheLike += 1;
  if (cacheClass.test(owner)) cacheLike += 0.8;
  if (use.removals.some(r => r.limits.includes('same-key-read'))) {
    cacheLike += 1.5;
    reasons.push('an entry expires only when it is read');
  }
  if (use.lookedUpBeforeStore) {
    if (use.getOrCreate) cacheLike += 0.1;
    else {
      cacheLike += 1.1;
      reasons.push('entries are looked up before they are stored');
    }
  }
  if (detail.operations.some(o => o.act === 'store' && o.value !== null && computed(project, o.value)))
    cacheLike += 0.4;
  if (hasHitCounters(detail)) cacheLike += 0.7;
  if (listenerName.test(name)) listenerLike += 0.9;
  if (use.entriesCalled) {
    listenerLike += 1.2;
    reasons.push('what is stored is called later');
  }
  for (const o of detail.operations) {
    if (o.act !== 'store') continue;
    const scope = functionScope(project, o.node);
    if (registering.test(scope.name)) listenerLike += 0.8;
    if (o.value !== null && callable(project, o.value)) listenerLike += 0.6;
  }
  if (pendingName.test(name)) pendingLike += 1;
  if (use.removals.length > 0) pendingLike += 0.6;
  if (use.missedIn.length > 0) {
    pendingLike += 1;
    reasons.push(`removed in one place but not in ${use.missedIn[0]!.function}()`);
  }
  if (use.removals.some(r => r.limits.includes('only-on-success') || r.limits.includes('only-on-error')))
    pendingLike += 0.8;
  return { cacheLike, listenerLike, pendingLike, reasons };
}

/** A value worked out by a function rather than an object put together on the spot. */
function computed(project: Project, value: SyntaxNode): boolean {
  const n = bare(value);
  if (n.kind !== 'call') return false;
  const name = lastName(child(n, 'function') ?? n);
  return (
    name !== null &&
    !project.classes.has(name) &&
    !makesContainer(project, n) &&
    /^(f|fn|func|function|method|load\w*|fetch\w*|compute\w*|make\w*|build\w*|render\w*|parse\w*|resolve\w*|read\w*|get\w*|create\w*|compile\w*|factory|loader|producer|_\w+)$/i.test(
      name,
    )
  );
}

function hasHitCounters(detail: UseDetail): boolean {
  return detail.operations.some(o => {
    const scope = methodClass(scopeAt(detail.aliases.project, o.node));
    return scope !== null && /\.(hits|misses|hit_count|miss_count)\b/.test(textOf(scope.owner.node));
  });
}

/** Whether an expression is a function, a lambda, a bound method or a parameter named like one. */
export function callable(project: Project, value: SyntaxNode): boolean {
  const n = bare(value);
  if (n.kind === 'lambda') return true;
  if (n.kind === 'tuple') return parts(n).some(p => callable(project, p));
  if (n.kind === 'call') {
    const path = importedPath(project, child(n, 'function') ?? n);
    return path === 'functools.partial' || path === 'weakref.WeakMethod';
  }
  if (n.kind === 'attribute') {
    const type = typeOf(project, child(n, 'object') ?? n);
    const name = textOf(child(n, 'attribute') ?? n);
    return type !== null && (project.functions.get(name) ?? []).some(f => f.scope.parent?.name === type);
  }
  if (n.kind !== 'identifier') return false;
  const name = textOf(n);
  if (
    /^(func|fn|callback|cb|handler|listener|receiver|observer|subscriber|hook|slot|on_\w+|action|consumer|\w+_(callback|handler|listener|hook|cb))$/.test(
      name,
    )
  )
    return true;
  return (
    scopeAt(project, n)
      .bindings.get(name)
      ?.some(b => b.kind === 'function_definition') ?? false
  );
}

/** Whether a call makes a generator, async generator, coroutine or task. */
export function makesGenerator(
  project: Project,
  value: SyntaxNode,
): 'generator' | 'async generator' | 'coroutine' | 'task' | null {
  const n = bare(value);
  if (n.kind === 'generator_expression') return 'generator';
  if (n.kind !== 'call' || value.kind === 'await') return null;
  const callee = child(n, 'function');
  if (callee === null) return null;
  const name = lastName(callee);
  if (name === null) return null;
  if (/^(create_task|ensure_future|run_coroutine_threadsafe)$/.test(name)) return 'task';
  const resolved = calleeOf(project, n);
  const named = project.functions.get(name) ?? [];
  // A method of an unknown receiver counts only when its name is the only one in the program.
  for (const f of resolved.length > 0
    ? resolved
    : callee.kind === 'attribute' && named.length === 1 && importedPath(project, callee) === null
      ? named
      : []) {
    const info = f.file.functions.find(i => i.line === f.scope.node.line);
    if (info?.generator === true) return info.async ? 'async generator' : 'generator';
    if (info?.async === true) return 'coroutine';
    // A function that returns a generator made by another.
    if (info !== undefined)
      for (const r of descendants(f.scope.body, 'return_statement')) {
        const v = parts(r)[0];
        const inner = v?.kind === 'call' ? lastName(child(v, 'function') ?? v) : null;
        if (v !== undefined && inner !== null && inner !== name) {
          const target = (project.functions.get(inner) ?? [])[0];
          const t = target?.file.functions.find(i => i.line === target.scope.node.line);
          if (t?.generator === true) return t.async ? 'async generator' : 'generator';
        }
      }
  }
  return null;
}

/** True when a container fills inside functions, is not bounded, and nothing that always runs empties it. */
export function growsForEver(use: ContainerUse): boolean {
  if (use.bounded) return false;
  const storesLater = use.stores.some(s => s.function !== '<module>');
  return storesLater && use.removals.every(r => r.limits.includes('never-called') || r.limits.includes('nested-only'));
}

/** Whether a value is a class made at run time: in a metaclass, by type(), or the `cls` of `__init_subclass__`. */
export function isClass(project: Project, value: SyntaxNode): boolean {
  const n = bare(value);
  const makes = (call: SyntaxNode): boolean => {
    const callee = textOf(child(call, 'function') ?? call);
    return /(^|\.)__new__$/.test(callee)
      ? inMetaclass(project, call)
      : (callee === 'type' && parts(child(call, 'arguments') ?? call).length === 3) ||
          /(make_dataclass|namedtuple|new_class|create_model)$/.test(callee);
  };
  if (n.kind === 'call') return makes(n);
  if (n.kind !== 'identifier') return false;
  const scope = functionScope(project, n);
  if (scope.name === '__init_subclass__' && scope.parameters[0]?.name === textOf(n)) return true;
  if (scope.parameters[0]?.name === textOf(n) && inMetaclass(project, n)) return true;
  return (scope.bindings.get(textOf(n)) ?? []).some(
    b =>
      b.kind === 'class_definition' ||
      (b.kind === 'assignment' && child(b, 'right')?.kind === 'call' && makes(child(b, 'right')!)),
  );
}

function inMetaclass(project: Project, node: SyntaxNode): boolean {
  const owner = methodClass(functionScope(project, node))?.owner.name;
  return (
    owner !== undefined &&
    (project.classes.get(owner) ?? []).some(c => c.bases.some(b => b === 'type' || /Meta$/.test(b)))
  );
}
