/**
 * analysis: pure functions from heap graphs to numbers: dominators, retained sizes, paths, growth, cycles.
 * It knows graphs. It must not know what a cause or a fix is, nor how anything is printed.
 */
export { computeDominators, type DominatorOptions, type DominatorTree } from './dominators.ts';
export {
  biggestDominated,
  biggestRetained,
  type DominatorChildren,
  dominatorChildren,
  retainedAtLeast,
  retainedByGroup,
  retainedByType,
  retainedExactly,
  topmost,
} from './retained.ts';
