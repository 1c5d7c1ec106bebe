/** A tree as indented lines with branches drawn in front. */

export interface Branch<T> {
  readonly item: T;
  /** What to draw in front of the item. */
  readonly lead: string;
}

/** Every item of a forest in depth-first order, with its branch lines. No recursion: a chain may be long. */
export function branches<T>(roots: readonly T[], childrenOf: (item: T) => readonly T[]): Branch<T>[] {
  const found: Branch<T>[] = [];
  const waiting = roots.map(item => ({ item, lead: '', below: '' })).reverse();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    found.push({ item: next.item, lead: next.lead });
    const children = childrenOf(next.item);
    for (let at = children.length - 1; at >= 0; at--) {
      const last = at === children.length - 1;
      const branch = { lead: `${next.below}${last ? '└─ ' : '├─ '}`, below: `${next.below}${last ? '   ' : '│  '}` };
      waiting.push({ item: children[at] as T, ...branch });
    }
  }
  return found;
}
