/** A decorator that remembers results in a dict of its closure: nothing outside can reach the dict, so nothing empties it. */
import { candidates, detailOf } from '../candidates.ts';
import { boundAfterInsert } from '../fix-bound.ts';
import { growsForEver } from '../judge.ts';
import { matchAt, type PatternMatch, type Rule } from './match.ts';

export const memoClosure: Rule = {
  id: 'memo-closure',
  category: 'closure',
  title: 'a container in a closure that only grows',
  find: (project, root) => {
    const found: PatternMatch[] = [];
    for (const c of candidates(project)) {
      if (c.lives !== 'closure') continue;
      const detail = detailOf(project, c);
      const store = detail.operations.find(o => o.act === 'store' && !o.nested);
      if (!growsForEver(detail.use) || store === undefined || detail.use.bounds.length > 0) continue;
      // The inner function must do the storing: then the cell outlives the call.
      const site = detail.use.stores[0]!;
      if (site.function === c.holder.function) continue;
      found.push(
        matchAt(project, memoClosure, store.node, {
          sentence: `${c.holder.variable} lives in the closure of ${c.holder.function}() and ${site.function}() at line ${site.line} adds to it on every new key; nothing in the program ever removes from it`,
          fix: boundAfterInsert(project, detail, root),
          subjects: [c.holder.variable!, c.holder.function!],
        }),
      );
    }
    return found;
  },
};
