/**
 * A container that lives as long as the program, filled by a function and never emptied: an audit list, a table
 * keyed by request, a class attribute that instances append to. What it is for decides its category.
 */
import { candidates, detailOf, instanceLivesLong } from '../candidates.ts';
import { fixFor } from '../fix.ts';
import { growsForEver, isClass, judge, makesGenerator } from '../judge.ts';
import type { Project } from '../project.ts';
import { type Category, matchAt, type PatternMatch, type Rule } from './match.ts';

export const growingContainer: Rule = {
  id: 'growing-container',
  category: 'global-container',
  title: 'a long-lived container that nothing removes from',
  find: (project, root) => {
    const found: PatternMatch[] = [];
    for (const c of candidates(project)) {
      if (c.lives === 'closure' || c.lives === 'default') continue;
      const detail = detailOf(project, c);
      const { use } = detail;
      if (!growsForEver(use) || use.bounds.length > 0) continue;
      // An attribute counts only where one instance lives long: it hangs on a module global or a class.
      if (c.lives === 'instance' && !instanceLivesLong(project, c.holder.className!)) continue;
      const store = detail.operations.find(
        o => o.act === 'store' && use.stores.some(s => s.function !== '<module>' && s.line === o.node.line),
      );
      if (store === undefined || storesOnlyAtStart(detail.use)) continue;
      const category = categoryOf(project, detail);
      found.push(
        matchAt(project, growingContainer, store.node, {
          category,
          sentence: use.sentences[0] ?? `nothing in the program ever removes from ${use.label}`,
          fix: fixFor(project, detail, { category, storeSite: null, ...(root === undefined ? {} : { root }) }),
          subjects: [
            c.holder.name ?? c.holder.attribute ?? '',
            ...(c.holder.className === undefined ? [] : [c.holder.className]),
          ],
          certainty: 'maybe',
        }),
      );
    }
    return found;
  },
};

function categoryOf(project: Project, detail: ReturnType<typeof detailOf>): Category {
  const j = judge(project, detail);
  if (detail.operations.some(o => o.act === 'store' && o.value !== null && isClass(project, o.value)))
    return 'class-or-code-growth';
  if (detail.operations.some(o => o.act === 'store' && o.value !== null && makesGenerator(project, o.value) !== null))
    return 'generator-or-coroutine';
  if (j.listenerLike >= 1.4) return 'event-listener';
  if (j.cacheLike >= 1.1) return 'unbounded-cache';
  return 'global-container';
}

function storesOnlyAtStart(use: ReturnType<typeof detailOf>['use']): boolean {
  return use.stores.every(
    s =>
      /(^|\.)(__init__|__init_subclass__|setup|configure|main|register_\w+|load_config)$/.test(s.function) ||
      s.function === '<module>',
  );
}
