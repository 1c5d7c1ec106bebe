/**
 * Reads the target's Python files and answers questions about them: what fills and empties a container,
 * which known leak patterns a file has, which edit would mend one. It knows text and syntax only; it must
 * not know about processes, heaps or snapshots.
 */

export type { Bound } from './bounds.ts';
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
export { prepareSource } from './syntax.ts';
export { type Category, type Fix, type PatternMatch, type Rule } from './patterns/match.ts';
export { findPatterns, rules } from './patterns/index.ts';
export { type FixContext, proposeFix } from './fix.ts';
