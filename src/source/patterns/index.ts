/** Every leak pattern there is, in the order their findings are shown. */
import type { SourceFile } from '../file.ts';
import { openProject } from '../project.ts';
import { abandonedGenerator, oneSidedTee, unstartedGenerator } from './abandoned-generator.ts';
import { accumulatingChain } from './accumulating-chain.ts';
import { classPerCall } from './class-per-call.ts';
import { codePerCall, linecacheEntries } from './code-per-call.ts';
import { collectorDebug, collectorOff } from './collector-off.ts';
import { ctypesIncref, ctypesOwnedString } from './ctypes-owned-string.ts';
import { deadWeakEntries } from './dead-weak-entries.ts';
import { finalizeKeepsSelf } from './finalize-keeps-self.ts';
import { growingContainer } from './growing-container.ts';
import { handlerPerCall } from './handler-per-call.ts';
import { longLivedAccumulator, unclearedXmlTree } from './long-lived-accumulator.ts';
import { lruCacheOnMethod } from './lru-cache-on-method.ts';
import type { PatternMatch, Rule } from './match.ts';
import { memoClosure } from './memo-closure.ts';
import { missedRemoval } from './missed-removal.ts';
import { mutableDefault } from './mutable-default.ts';
import { loggerPerName, warningPerText } from './named-registry.ts';
import { nativeCallbackCycle } from './native-callback-cycle.ts';
import { perThreadEntry } from './per-thread-entry.ts';
import { reraisedInstance } from './reraised-instance.ts';
import { resurrectingDel } from './resurrecting-del.ts';
import { storedException } from './stored-exception.ts';
import { unbalancedPush } from './unbalanced-push.ts';
import { unboundedLruCache } from './unbounded-lru-cache.ts';
import { selectorWithoutUnregister, storedHandle, unclosedHandle } from './unclosed-handle.ts';
import { unmatchedRegistration } from './unmatched-registration.ts';
import { weakKeyValueCycle } from './weak-key-value-cycle.ts';
import { wrappedAgain } from './wrapped-again.ts';

/** Specific rules first: the general ones about containers come last. */
export const rules: readonly Rule[] = [
  lruCacheOnMethod,
  unboundedLruCache,
  memoClosure,
  mutableDefault,
  unmatchedRegistration,
  handlerPerCall,
  weakKeyValueCycle,
  finalizeKeepsSelf,
  deadWeakEntries,
  resurrectingDel,
  nativeCallbackCycle,
  collectorOff,
  collectorDebug,
  storedException,
  reraisedInstance,
  unbalancedPush,
  perThreadEntry,
  classPerCall,
  linecacheEntries,
  codePerCall,
  wrappedAgain,
  abandonedGenerator,
  unstartedGenerator,
  oneSidedTee,
  loggerPerName,
  warningPerText,
  longLivedAccumulator,
  unclearedXmlTree,
  selectorWithoutUnregister,
  storedHandle,
  unclosedHandle,
  ctypesOwnedString,
  ctypesIncref,
  accumulatingChain,
  missedRemoval,
  growingContainer,
];

/** What the rules find in the files; `root` is the folder that patches are relative to. */
export function findPatterns(
  files: readonly SourceFile[],
  options: { readonly root?: string; readonly only?: readonly string[] } = {},
): PatternMatch[] {
  const project = openProject(files);
  const chosen = options.only === undefined ? rules : rules.filter(r => options.only!.includes(r.id));
  const all = chosen.flatMap(rule => rule.find(project, options.root));
  // A general rule has nothing to add where a specific one has spoken.
  return all.filter(
    (m, i) =>
      !(m.rule === growingContainer.id || m.rule === missedRemoval.id) ||
      !all.some((o, j) => j < i && o.file === m.file && o.line === m.line && o.rule !== m.rule),
  );
}
