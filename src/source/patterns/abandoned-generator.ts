/** Suspended generators kept in a container or handed out, whose frames stay until they are finished or closed. */
import { candidates, detailOf } from '../candidates.ts';
import { makesGenerator } from '../judge.ts';
import { functionScope } from '../project.ts';
import { bare, child, descendants, parts, textOf } from '../syntax.ts';
import { advice, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const abandonedGenerator: Rule = {
  id: 'abandoned-generator',
  category: 'generator-or-coroutine',
  title: 'suspended generators or tasks are stored and not all closed',
  find: project => {
    const found: PatternMatch[] = [];
    for (const c of candidates(project)) {
      const { use, operations } = detailOf(project, c);
      if (use.bounded) continue;
      for (const o of operations) {
        if (o.act !== 'store' || o.value === null || o.value.kind === 'await') continue;
        let value = bare(o.value);
        if (value.kind === 'identifier') {
          const b = (functionScope(project, value).bindings.get(textOf(value)) ?? []).find(
            x => x.kind === 'assignment',
          );
          const right = b === undefined ? null : child(b, 'right');
          if (right?.kind === 'await') continue;
          value = right === null ? value : bare(right);
        }
        const kind =
          makesGenerator(project, value) ??
          parts(value)
            .map(p => makesGenerator(project, p))
            .find(k => k !== null && value.kind === 'tuple') ??
          null;
        if (kind === null) continue;
        const label = c.holder.name ?? c.holder.attribute ?? c.holder.variable ?? '';
        const swept = use.removals.some(
          r => r.limits.length === 0 && (r.how === 'clear' || r.conditions.some(x => x.kind === 'sweep')),
        );
        const discards = /add_done_callback/.test(textOf(functionScope(project, o.node).body));
        if (swept || (kind === 'task' && discards)) continue;
        const why =
          use.removals.length === 0
            ? 'nothing ever removes it'
            : (use.removals.find(r => r.limits.length > 0)?.sentence ?? null);
        if (why === null) continue;
        found.push(
          matchAt(project, abandonedGenerator, o.node, {
            sentence: `${label} keeps a suspended ${kind} with its frame and locals; ${why}`,
            fix: advice(
              `close() the ${kind} and remove it from ${label} when its consumer goes away (in a finally block), next to ${use.stores[0]?.function ?? ''}() at line ${o.node.line}`,
            ),
            subjects: [label, ...(c.holder.className === undefined ? [] : [c.holder.className])],
            types: kind === 'task' ? ['Task', 'coroutine'] : kind === 'async generator' ? ['async_generator'] : [kind],
          }),
        );
        break;
      }
    }
    return found;
  },
};

/** Clean-up that stands only in a generator's finally, for something registered before the generator is started. */
export const unstartedGenerator: Rule = {
  id: 'unstarted-generator',
  category: 'generator-or-coroutine',
  title: 'a registration is undone only in a generator that may never start',
  find: project => {
    const found: PatternMatch[] = [];
    for (const c of candidates(project)) {
      const { use, operations } = detailOf(project, c);
      const real = use.removals.filter(r => !r.limits.includes('never-called'));
      if (real.length === 0 || !real.every(r => r.limits.includes('unstarted-generator'))) continue;
      const generator = real[0]!;
      const store = operations.find(
        o => o.act === 'store' && functionScope(project, o.node).qualname !== generator.function,
      );
      if (store === undefined) continue;
      const label = c.holder.name ?? c.holder.attribute ?? '';
      found.push(
        matchAt(project, unstartedGenerator, store.node, {
          sentence: `${functionScope(project, store.node).qualname}() registers in ${label} before the generator ${generator.function}() is started, and only that generator's finally at line ${generator.line} removes it: one that is never started or closed never cleans up`,
          fix: advice(
            `move the store at line ${store.node.line} into the body of ${generator.function}(), before its try, or release in the caller with aclosing()/finally`,
          ),
          subjects: [label, ...(c.holder.className === undefined ? [] : [c.holder.className])],
        }),
      );
    }
    return found;
  },
};

/** `a, b = itertools.tee(x)` where one branch is consumed less than the other: the difference is buffered. */
export const oneSidedTee: Rule = {
  id: 'one-sided-tee',
  category: 'generator-or-coroutine',
  title: 'itertools.tee with a branch that is not consumed',
  find: project =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const node of descendants(file.root, 'assignment')) {
        const right = child(node, 'right');
        const left = child(node, 'left');
        if (right?.kind !== 'call' || left === null || !/(^|\.)tee$/.test(textOf(child(right, 'function')!))) continue;
        const branches = left.kind === 'pattern_list' || left.kind === 'tuple_pattern' ? parts(left) : [];
        const uses = branches.map(b => {
          const name = textOf(b);
          const reads = descendants(file.root, 'identifier', 'attribute').filter(
            n => textOf(n) === name && n.start > node.end,
          );
          // A use under an `if` is one that may not happen.
          const certain = reads.filter(n => {
            for (let p = n.parent; p !== null && p.kind !== 'function_definition'; p = p.parent)
              if (p.kind === 'if_statement' || p.kind === 'elif_clause') return false;
            return true;
          });
          return { name, certain: certain.length };
        });
        const idle = uses.find(u => u.certain === 0);
        const busy = uses.find(u => u.certain > 0);
        if (idle === undefined || busy === undefined) continue;
        found.push(
          matchAt(project, oneSidedTee, node, {
            sentence: `tee() at line ${node.line} keeps everything ${busy.name} has consumed for ${idle.name}, which is ${descendants(file.root, 'identifier').filter(i => textOf(i) === idle.name).length > 1 ? 'consumed only under a condition' : 'never consumed'}`,
            fix: advice(
              `do not tee for an optional consumer: make ${idle.name} only where it is consumed, or keep the latest items in a deque with a maxlen`,
            ),
            subjects: [idle.name, busy.name],
            types: ['_tee_dataobject'],
          }),
        );
      }
      return found;
    }),
};
