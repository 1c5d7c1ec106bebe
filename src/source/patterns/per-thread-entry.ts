/** A table keyed by the thread, its ident or the task, whose entries stay when the thread is gone. */
import { candidates, detailOf } from '../candidates.ts';
import { patchOf } from '../diff.ts';
import { containerText } from '../fix-bound.ts';
import { fileOf, lastName } from '../project.ts';
import { bare, child, descendants, textOf } from '../syntax.ts';
import { matchAt, type PatternMatch, type Rule } from './match.ts';
import { threadKey } from './thread-key.ts';

export const perThreadEntry: Rule = {
  id: 'per-thread-entry',
  category: 'thread-local',
  title: 'entries per thread outlive their thread',
  find: (project, root) => {
    const found: PatternMatch[] = [];
    for (const c of candidates(project)) {
      const detail = detailOf(project, c);
      if (detail.use.removals.some(r => !r.limits.includes('never-called') && !r.nested) || detail.use.bounded)
        continue;
      const made = bare(c.value);
      if (made.kind === 'call' && /^Weak/.test(lastName(child(made, 'function')!) ?? '')) continue;
      const stores = detail.operations.filter(
        o => o.act === 'store' && o.key !== null && threadKey(project, o.key) !== null,
      );
      const store = stores[0];
      if (store === undefined) continue;
      const label = c.holder.name ?? c.holder.attribute ?? c.holder.variable ?? '';
      // A release that resets the entry to something empty is where it should be removed.
      const reset = stores.find(
        o =>
          o.node.kind === 'assignment' &&
          o.value !== null &&
          /^(\{\}|\[\]|None|dict\(\)|list\(\)|set\(\))$/.test(textOf(o.value)) &&
          detail.operations.some(x => x.act === 'store' && x !== o),
      );
      const base = reset === undefined ? null : containerText(reset.node);
      const at = reset ?? store;
      found.push(
        matchAt(project, perThreadEntry, at.node, {
          sentence: `${label} has an entry for each thread (key ${textOf(store.key!)}), and ${reset === undefined ? 'nothing removes it when the thread ends' : `line ${reset.node.line} resets it instead of removing it, so the thread itself stays as a key`}`,
          fix: {
            summary:
              reset === undefined
                ? `remove the thread's entry from ${label} when its work ends, or use threading.local() or a WeakKeyDictionary keyed by the thread`
                : `${base ?? label}.pop(${textOf(reset.key!)}, None) at line ${reset.node.line} instead of resetting the entry`,
            patch:
              reset !== undefined && base !== null
                ? patchOf(
                    fileOf(project, reset.node),
                    [
                      {
                        start: reset.node.start,
                        end: reset.node.end,
                        text: `${base}.pop(${textOf(reset.key!)}, None)`,
                      },
                    ],
                    root,
                  )
                : null,
          },
          subjects: [label, ...(c.holder.className === undefined ? [] : [c.holder.className])],
          types: descendants(store.key!, 'identifier').some(i => /current_?thread/i.test(textOf(i))) ? ['Thread'] : [],
        }),
      );
    }
    return found;
  },
};
