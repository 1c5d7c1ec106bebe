/**
 * Reads the target's Python files and answers questions about them: what fills and empties a container,
 * which known leak patterns a file has, which edit would mend one. It knows text and syntax only; it must
 * not know about processes, heaps or snapshots.
 */

export type { Bound } from './bounds.ts';
export { type CategoryHint, categoryHints, type HeapFacts } from './category.ts';
export type { Condition } from './conditions.ts';
export { type ContainerUse, containerUse, type HolderName, type RemovalSite, type UseSite } from './container-use.ts';
export {
  type AttributeAssignment,
  type ClassInfo,
  decodeSource,
  excerpt,
  type FunctionInfo,
  functionAt,
  openSource,
  readSource,
  type SourceFile,
} from './file.ts';
export { type FixContext, proposeFix } from './fix.ts';
export { holderFromExpression } from './holder-name.ts';
export { findPatterns, rules } from './patterns/index.ts';
export type { Category, Fix, PatternMatch, Rule } from './patterns/match.ts';
export { type SiteGuess, type StaticSite, storeSiteGuess } from './store-sites.ts';
export { prepareSource } from './syntax.ts';
