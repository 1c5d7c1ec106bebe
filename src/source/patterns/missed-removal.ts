/** A registry whose entries are removed on one path only: on reply but not on timeout, on success but not on an error. */
import { candidates, detailOf, instanceLivesLong } from '../candidates.ts';
import { fixFor } from '../fix.ts';
import { judge } from '../judge.ts';
import { matchAt, type PatternMatch, type Rule } from './match.ts';

export const missedRemoval: Rule = {
  id: 'missed-removal',
  category: 'unreleased-reference',
  title: 'entries are removed on some paths only',
  find: (project, root) => {
    const found: PatternMatch[] = [];
    for (const c of candidates(project)) {
      const detail = detailOf(project, c);
      const { use } = detail;
      if (
        use.bounded ||
        use.bounds.some(b => b.kind === 'weak') ||
        use.stores.length === 0 ||
        (c.lives === 'instance' && !instanceLivesLong(project, c.holder.className!))
      )
        continue;
      const live = use.removals.filter(r => !r.limits.includes('never-called') && !r.limits.includes('nested-only'));
      if (
        live.length === 0 ||
        live.some(r => r.limits.length === 0 || r.limits.every(l => l === 'age' || l === 'flag'))
      )
        continue;
      const store = detail.operations.find(o => o.act === 'store' && !o.nested);
      if (store === undefined) continue;
      const cache = live.every(r => r.limits.includes('same-key-read')) || judge(project, detail).cacheLike >= 2;
      const category = cache ? 'unbounded-cache' : 'unreleased-reference';
      found.push(
        matchAt(project, missedRemoval, store.node, {
          category,
          sentence: use.sentences[0] ?? `${use.label} is not always emptied`,
          fix: fixFor(project, detail, { category, storeSite: null, ...(root === undefined ? {} : { root }) }),
          subjects: [
            c.holder.name ?? c.holder.attribute ?? c.holder.variable ?? '',
            ...(c.holder.className === undefined ? [] : [c.holder.className]),
          ],
          certainty: 'maybe',
        }),
      );
    }
    return found;
  },
};
