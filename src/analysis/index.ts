/**
 * analysis: pure functions from heap graphs to numbers: dominators, retained sizes, paths, growth, cycles.
 * It knows graphs. It must not know what a cause or a fix is, nor how anything is printed.
 */

export { type Components, componentsOf, OUTSIDE } from './components.ts';
export { findGarbage, findLiveCycles, type Garbage, type GarbageCycle } from './cycles.ts';
export { computeDominators, type DominatorOptions, type DominatorTree, dominatorsOf } from './dominators.ts';
export { type ContainerGrowth, growthByContainer, growthByType, secondsOf, type TypeGrowth } from './growth.ts';
export { type GrowthAccountOptions, growthByHolder, type HolderGrowth, type TypeShare } from './growth-account.ts';
export { type GrowingType, type GrowthHolder, growthHolders, swellingObjects } from './growth-holders.ts';
export { type HandleGroup, type HandleGrowth, type HandleReading, handleGrowth } from './handles.ts';
export { type Ages, agesOf, birthSnapshots, matchNodes, NOBODY, type Survivors, survivorsOf } from './identity.ts';
export {
  NATIVE_CONTENTS,
  NATIVE_HOLDERS,
  type NativeContent,
  type NativeGroup,
  type NativeHolder,
  type NativeSurvey,
  surveyNative,
} from './native.ts';
export { type NativeGrowth, type NativeSize, type NativeSuspect, nativeGrowth } from './native-growth.ts';
export { type NativeSite, NativeSites } from './native-sites.ts';
export { type Part, type PartitionBy, partitionHeap } from './partition.ts';
export { growForest, NO_EDGE, type PathForest, pathForest } from './path-forest.ts';
export {
  elementsOf,
  expressionOf,
  expressionOfElements,
  fingerprintOf,
  foldRepeats,
  type PathElement,
  type PathStep,
  pathElements,
} from './path-text.ts';
export { disjointPaths, type MergedPath, mergedPaths, type PathOptions, pathTo } from './paths.ts';
export { type Reconciliation, reconcile, referencesFound, type SurplusByType } from './reconcile.ts';
export {
  MEMORY_KINDS,
  type MemoryKind,
  type MemoryPart,
  type MemoryReport,
  type ResidencyFacts,
  residency,
  sizeText,
} from './residency.ts';
export { residencyFacts } from './residency-facts.ts';
export {
  type Fragmentation,
  fragmentation,
  type ResidencyGrowth,
  residencyGrowth,
} from './residency-growth.ts';
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
export { type Slope, slopeOf } from './slope.ts';
export { type SurplusGrowth, surplusGrowth } from './surplus.ts';
export { type TypeOrder, type TypeRow, typeHistogram } from './types.ts';
export { findWaste, type Waste } from './waste.ts';
