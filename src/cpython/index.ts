/**
 * cpython: bytes become objects. It knows every layout of CPython from 3.8 to 3.15.
 * It must not know graphs, growth, or why anybody looks.
 */
export {
  type EdgeIndex,
  type HeapColumns,
  type HeapOrigin,
  IMMORTAL_REFCOUNT,
  LabelKind,
  labelKind,
  labelPayload,
  makeLabel,
  NodeFlag,
  type NodeIndex,
  type StringIndex,
  type TypeIndex,
  type TypeInfo,
} from './columns.ts';
export { type AllocatorFacts, type CollectorFacts, type Decoded, type DecodeOptions, decode } from './decode.ts';
export { type DuplicateText, duplicateTexts } from './duplicate-text.ts';
export {
  attributeWord,
  isCollecting,
  itemBound,
  itemWord,
  refcountWord,
  sizeWord,
  type WatchedWord,
  youngestTail,
} from './growing.ts';
export { findRuntime, type Interpreter, type Runtime, type ThreadState } from './interpreter.ts';
export { poolBlockInUse } from './pools.ts';
export { type RawBlocks, rawPoolBlocks } from './raw-blocks.ts';
export { ownsReference, referenceSurplus } from './reconcile.ts';
export { type StackLine, StackReader } from './stack.ts';
