/** A push that is undone by a pop on the way out, but not when something between raises: the stack keeps what failed. */

import { mayRaise } from '../conditions.ts';
import { indentOf, indentUnit, patchOf, replaceLines } from '../diff.ts';
import { endLine } from '../fix-bound.ts';
import { calleeOf, type FunctionRef, functionScope, importedPath, type Project } from '../project.ts';
import { child, descendants, enclosing, type SyntaxNode, statementOf, textOf } from '../syntax.ts';
import { advice, matchAt, type PatternMatch, type Rule } from './match.ts';

const pushing = /^(append|push\w*|enter\w*|begin\w*|start\w*|acquire\w*|add|set|open\w*|bind\w*|activate\w*|_push\w*)$/;
const popping =
  /^(pop\w*|leave\w*|exit\w*|end\w*|stop\w*|release\w*|remove|discard|reset|close\w*|unbind\w*|deactivate\w*|finish\w*|_pop\w*)$/;

export const unbalancedPush: Rule = {
  id: 'unbalanced-push',
  category: 'thread-local',
  title: 'a pushed entry is not popped when an exception is raised',
  find: (project, root) => {
    const found: PatternMatch[] = [];
    for (const file of project.files)
      for (const scope of file.scopes) {
        if (scope.kind !== 'function') continue;
        const calls = descendants(scope.body, 'call').filter(c => functionScope(project, c) === scope);
        const pops = calls
          .map(call => ({ call, target: effect(project, call, popping) }))
          .filter(p => p.target !== null);
        if (pops.length === 0) continue;
        for (const push of calls) {
          const target = effect(project, push, pushing);
          if (target === null) continue;
          const pop = pops.find(p => p.call.start > push.end && p.target!.place === target.place)?.call;
          if (
            pop === undefined ||
            enclosing(pop, 'finally_clause') !== null ||
            enclosing(pop, 'except_clause') !== null
          )
            continue;
          const first = statementOf(push);
          const last = statementOf(pop);
          if (first.parent === null || first.parent !== last.parent) continue;
          const between = first.parent.children.filter(
            c => c.named && c.kind !== 'comment' && c.start >= first.end && c.end <= last.start,
          );
          if (
            !between.some(mayRaise) ||
            between.some(b => b.kind === 'try_statement' && b.children.some(c => c.kind === 'finally_clause'))
          )
            continue;
          const threaded = target.threaded;
          // try: … finally: pop
          const indent = indentOf(file, last.line);
          const unit = indentUnit(file);
          const start = between[0]!.line;
          const multi = descendants(first.parent, 'string').some(
            s => s.line !== s.endLine && s.start >= between[0]!.start && s.end <= last.start,
          );
          const inner = file.lines.slice(start - 1, last.line - 1).map(l => (l.trim() === '' ? l : unit + l));
          while (inner.length > 0 && inner.at(-1)!.trim() === '') inner.pop();
          const patch =
            multi || textOf(last) !== textOf(pop) || first.line === start
              ? null
              : patchOf(
                  file,
                  [
                    replaceLines(file, start, endLine(last), [
                      `${indent}try:`,
                      ...inner,
                      `${indent}finally:`,
                      unit + file.lines[last.line - 1]!,
                    ]),
                  ],
                  root,
                );
          found.push(
            matchAt(project, unbalancedPush, target.node, {
              certainty: threaded ? 'sure' : 'maybe',
              category: threaded ? 'thread-local' : 'unreleased-reference',
              sentence: `${scope.qualname}() calls ${textOf(child(push, 'function')!)}() at line ${push.line} and ${textOf(child(pop, 'function')!)}() at line ${pop.line}, but not when something between them raises: what was pushed stays${threaded ? ' on the thread-local stack' : ''}`,
              fix:
                patch === null
                  ? advice(
                      `put ${textOf(pop)} of ${scope.qualname}() into a finally block around lines ${start} to ${last.line - 1}`,
                    )
                  : {
                      summary: `put ${textOf(pop)} of ${scope.qualname}() at line ${pop.line} into a finally block`,
                      patch,
                    },
              subjects: [target.name, ...target.place.split('.').slice(-2), scope.name],
            }),
          );
          break;
        }
      }
    return found;
  },
};

/** The long-lived container a call fills or empties: directly (`X.append`) or inside the short project function it calls. */
function effect(
  project: Project,
  call: SyntaxNode,
  verb: RegExp,
): { place: string; name: string; threaded: boolean; node: SyntaxNode } | null {
  const callee = child(call, 'function');
  if (callee === null) return null;
  const refs: FunctionRef[] = calleeOf(project, call);
  if (refs.length === 1) {
    const body = refs[0]!.scope.body;
    if (body.endLine - body.line > 20) return null;
    for (const inner of descendants(body, 'call')) {
      const direct = directEffect(project, inner, verb);
      if (direct !== null) return direct;
    }
    return null;
  }
  return directEffect(project, call, verb);
}

function directEffect(
  project: Project,
  call: SyntaxNode,
  verb: RegExp,
): { place: string; name: string; threaded: boolean; node: SyntaxNode } | null {
  const callee = child(call, 'function');
  if (callee?.kind !== 'attribute' || !verb.test(textOf(child(callee, 'attribute')!))) return null;
  const method = textOf(child(callee, 'attribute')!);
  if (!['append', 'push', 'pop', 'add', 'remove', 'discard', 'popleft'].includes(method)) return null;
  const object = child(callee, 'object')!;
  const resolved = resolveStack(project, object, 0);
  return resolved === null ? null : { ...resolved, node: call };
}

/** Follows a local variable to the global or thread-local attribute it came from. */
function resolveStack(
  project: Project,
  object: SyntaxNode,
  depth: number,
): { place: string; name: string; threaded: boolean } | null {
  if (depth > 3) return null;
  const scope = functionScope(project, object);
  const text = textOf(object);
  if (object.kind === 'identifier') {
    const bindings = scope.kind === 'function' ? scope.bindings.get(text) : undefined;
    if (bindings === undefined) return { place: text, name: text, threaded: false };
    const value = bindings[0]!.kind === 'assignment' ? child(bindings[0]!, 'right') : null;
    return value === null ? null : resolveStack(project, value, depth + 1);
  }
  if (object.kind === 'attribute') {
    const base = textOf(child(object, 'object')!);
    const name = textOf(child(object, 'attribute')!);
    return { place: `${base}.${name}`, name: base, threaded: isThreadLocal(project, base) };
  }
  if (object.kind === 'call') {
    const callee = child(object, 'function')!;
    const literal = descendants(object, 'string_content')[0];
    const getattr =
      textOf(callee) === 'getattr'
        ? textOf(child(object, 'arguments')!).slice(1).split(',')[0]!.trim()
        : /^(.+?)\.__dict__\.\w+$/.exec(textOf(callee))?.[1];
    if (getattr !== undefined && literal !== undefined)
      return { place: `${getattr}.${textOf(literal)}`, name: getattr, threaded: isThreadLocal(project, getattr) };
    for (const ref of calleeOf(project, object))
      for (const r of descendants(ref.scope.body, 'return_statement')) {
        const value = r.children.find(c => c.named);
        const resolved = value === undefined ? null : resolveStack(project, value, depth + 1);
        if (resolved !== null) return resolved;
      }
  }
  return null;
}

const threadLocals = new WeakMap<Project, Set<string>>();

/** Whether a name was made by `threading.local()` or by a subclass of it. */
export function isThreadLocal(project: Project, name: string): boolean {
  let names = threadLocals.get(project);
  if (names === undefined) {
    names = new Set();
    for (const file of project.files)
      for (const a of descendants(file.root, 'assignment')) {
        const left = child(a, 'left');
        const right = child(a, 'right');
        if (left === null || right?.kind !== 'call') continue;
        const callee = child(right, 'function')!;
        const path = importedPath(project, callee);
        const type = textOf(callee).split('.').at(-1)!;
        const local = (project.classes.get(type) ?? []).some(c => c.bases.some(b => /(^|\.)local$/.test(b)));
        if (path === 'threading.local' || path === '_thread._local' || local)
          names.add(textOf(left).split('.').at(-1)!);
      }
    threadLocals.set(project, names);
  }
  return names.has(name.split('.').at(-1)!);
}
