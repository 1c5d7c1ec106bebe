/**
 * The cause of a growth: what the heap shows of its mechanism, joined with what the source says about the place.
 *
 * The heap knows mechanisms that leave a shape: garbage that nothing collects, a cache made by lru_cache, frames kept
 * by a traceback, references that are nowhere. The source knows intentions: a cache, a registry, a list of listeners.
 * A pattern of the source counts when it speaks of the same names, types or lines as the growth.
 */
import type { CollectorFacts } from '../cpython/index.ts';
import {
  type CategoryHint,
  type ContainerUse,
  categoryHints,
  containerUse,
  findPatterns,
  type PatternMatch,
  proposeFix,
  type SourceFile,
} from '../source/index.ts';
import type { Candidate } from './candidate.ts';
import type { Place } from './place.ts';
import { ownerOf } from './project-files.ts';
import type { Category, Site } from './verdict.ts';

export interface Cause {
  readonly category: Category;
  /** Sentences, the strongest first, without full stops. */
  readonly reasons: readonly string[];
  readonly fix: { readonly summary: string; readonly patch: string | null };
  /** What the source says about the container: does something bound it, does anything remove from it? */
  readonly source: 'unbounded' | 'bounded' | 'unknown';
  /** Lines that store, and those that make the container, according to the source alone. */
  readonly staticStores: readonly Site[];
  readonly staticCreations: readonly Site[];
  /** 0 to 1: how well heap and source agree. */
  readonly agreement: number;
}

export interface CauseFacts {
  readonly candidate: Candidate;
  readonly place: Place;
  readonly collector: CollectorFacts;
  readonly sites: readonly Site[];
  readonly files: readonly SourceFile[];
  readonly root: string;
  /** Why the collector does not free garbage; '' when it will, or when it is no garbage. */
  readonly stuck: '' | 'disabled' | 'threshold' | 'hidden' | 'frozen';
  /** Open files and sockets grow too. */
  readonly handlesGrow: boolean;
}

/** Finds the cause. Never throws for odd source. */
export function causeOf(facts: CauseFacts): Cause {
  const { candidate, place, files } = facts;
  const shape = shapeOf(facts);
  const use = place.name === undefined ? undefined : safely(() => containerUse(files, place.name!));
  const hints = safely(() => hintsFor(facts)) ?? [];
  const match = bestPattern(facts, shape) ?? hints[0]?.patterns[0];
  const category = decide(facts, shape, match, use, hints);
  const reasons: string[] = [];
  if (match !== undefined && match.category === category) reasons.push(match.sentence);
  if (shape !== undefined && shape.category === category) reasons.push(shape.sentence);
  // Of a container below the named one the source speaks only when it knows that there are nested ones.
  const speaks = use?.found && (!place.inner || use.stores.some(s => s.nested));
  if (speaks)
    for (const sentence of use.sentences) if (!reasons.some(r => sameSaying(r, sentence))) reasons.push(sentence);
  if (reasons.length === 0) reasons.push(plainReason(candidate));
  return {
    category,
    reasons,
    fix: fixOf(facts, category, match, use),
    source: sourceSays(facts, match, use, shape),
    staticStores: [...staticStores(match, use)],
    staticCreations: (use?.creations ?? []).map(staticSite),
    agreement: (match !== undefined ? 0.5 : 0) + (use?.found ? 0.3 : 0) + (shape !== undefined ? 0.2 : 0),
  };
}

/** Two sentences that differ in how they name the place only. */
function sameSaying(a: string, b: string): boolean {
  const plain = (text: string) =>
    text
      .toLowerCase()
      .replaceAll(/\b[\w.]*[._][\w.]*\b|\b[a-z]+ *$/g, '')
      .replaceAll(/\s+/g, ' ')
      .trim();
  return a === b || plain(a) === plain(b);
}

function safely<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

// ---- the shape in the heap ----

interface Shape {
  readonly category: Category;
  readonly sentence: string;
  /** Strong: nothing in the source can make it something else. Weak: the source may know better. */
  readonly strong: boolean;
}

function shapeOf(facts: CauseFacts): Shape | undefined {
  const { candidate, place, collector } = facts;
  const { growth } = candidate;
  const names = candidate.types.map(t => t.type);
  const grows = (pattern: RegExp, share = 0.02) => {
    const all = growth.born.reduce((a, b) => a + b, 0);
    return candidate.types.some(t => pattern.test(t.type) && t.born.reduce((a, b) => a + b, 0) >= share * all);
  };
  if (growth.kind === 'native') {
    return {
      category: 'c-extension-refcount',
      strong: true,
      sentence:
        'nothing in the process refers to these objects, yet their reference counts are not used up: C code has forgotten a Py_DECREF',
    };
  }
  if (growth.kind === 'garbage') {
    const why = STUCK[facts.stuck];
    if (why !== '') {
      const threshold = collector.generations[0]?.threshold ?? 0;
      return {
        category: 'circular-reference',
        strong: true,
        sentence: `they refer to each other in cycles, and ${why.replace('THRESHOLD', String(threshold))}`,
      };
    }
    return {
      category: 'circular-reference',
      strong: false,
      sentence: 'they refer to each other in cycles that wait for the garbage collector',
    };
  }
  if (place.root === 'gc.garbage' || candidate.expression === 'gc.garbage') {
    const saving = (collector.debug & 32) !== 0;
    return {
      category: 'finalizer-cycle',
      strong: true,
      sentence: saving
        ? 'gc.set_debug(gc.DEBUG_SAVEALL) is on: every collected cycle is parked in gc.garbage instead of being freed'
        : 'the collector could not free them and parked them in gc.garbage',
    };
  }
  if (/^atexit/.test(place.root))
    return {
      category: 'event-listener',
      strong: true,
      sentence: 'each is registered with atexit, which keeps its callbacks until the interpreter ends',
    };
  if (place.passes.has('functools._lru_cache_wrapper')) {
    const onClass = place.elements.some(e => e.text.startsWith('.')) && place.words.size > 0 && lruOnMethod(facts);
    return onClass
      ? {
          category: 'lru-cache-method',
          strong: true,
          sentence:
            'functools.lru_cache on a method: the cache belongs to the class, and each key in it holds the instance (self) it was called with',
        }
      : {
          category: 'unbounded-cache',
          strong: true,
          sentence: 'functools.lru_cache without a bound keeps the result of every different call',
        };
  }
  if (grows(/^(traceback|frame)$/) && grows(/^traceback$/, 0.01)) {
    return {
      category: 'exception-traceback',
      strong: true,
      sentence:
        'exceptions are kept with their tracebacks, and each traceback keeps the frames it passed with all their local variables',
    };
  }
  if (grows(/^(generator|coroutine|async_generator)$/, 0.03)) {
    return {
      category: 'generator-or-coroutine',
      strong: true,
      sentence: 'suspended generators or coroutines are kept, each with its frame and local variables',
    };
  }
  if ([...place.passes].some(t => /^itertools\._?tee/.test(t))) {
    return {
      category: 'generator-or-coroutine',
      strong: true,
      sentence: 'itertools.tee keeps every item that one of its iterators has not consumed yet',
    };
  }
  if (/^linecache/.test(candidate.expression))
    return {
      category: 'class-or-code-growth',
      strong: true,
      sentence: 'linecache keeps the source of every generated piece of code under a file name of its own',
    };
  if (growth.types.some(t => t.layout === 'type') && grows(/./, 0) && growsClasses(candidate)) {
    return {
      category: 'class-or-code-growth',
      strong: true,
      sentence: 'a new class is made again and again, and every class stays',
    };
  }
  if (
    [...place.passes].some(t => /(_thread\._local|_thread\._localdummy|thread state)/.test(t)) ||
    place.words.has('_thread._local')
  ) {
    return { category: 'thread-local', strong: true, sentence: 'it is kept in storage of a thread that lives on' };
  }
  if (
    [...place.passes].some(t =>
      /(WeakKeyDictionary|WeakValueDictionary|WeakSet|weakref\.finalize|_WeakValueDictionary)/.test(t),
    ) ||
    /finalize\._registry/.test(candidate.expression)
  ) {
    return {
      category: 'weakref-misuse',
      strong: true,
      sentence: 'a weak container keeps its entries because what they hold refers back strongly',
    };
  }
  if (facts.handlesGrow && names.some(n => /(socket|SelectorKey|FileIO|TextIOWrapper|Buffered)/.test(n))) {
    return { category: 'file-or-socket-handle', strong: true, sentence: 'each keeps an open file or socket' };
  }
  if (growth.slot !== undefined && chainOf(candidate, 'function')) {
    return {
      category: 'closure',
      strong: false,
      sentence: 'each new function closes over the one before: a chain that only grows',
    };
  }
  if (place.inClosure)
    return {
      category: 'closure',
      strong: false,
      sentence: 'it is a variable of an enclosing function, alive as long as the inner function',
    };
  if (place.passes.has('_pickle.Pickler') || place.passes.has('_pickle.Unpickler')) {
    return {
      category: 'long-lived-object',
      strong: true,
      sentence: 'a pickler remembers every object it has ever pickled in its memo',
    };
  }
  if (place.passes.has('xml.etree.ElementTree.Element')) {
    return {
      category: 'long-lived-object',
      strong: true,
      sentence: 'the root element of a parser that never ends keeps all its children',
    };
  }
  if (callbacksIn(candidate))
    return { category: 'event-listener', strong: false, sentence: 'what is kept are functions to be called later' };
  return undefined;
}

const STUCK: Record<CauseFacts['stuck'], string> = {
  '': '',
  disabled: 'automatic collection is switched off (gc.disable() or a threshold of 0), so that nothing ever frees them',
  threshold: 'the threshold of the garbage collector is so high (gc.set_threshold(THRESHOLD)) that it hardly ever runs',
  hidden:
    'one object on the way is of an extension type that does not take part in garbage collection, so that the collector cannot see the cycle',
  frozen: 'gc.freeze() has put them where the collector never looks',
};

/** Are the items themselves classes (not instances that bring one along)? */
function growsClasses(candidate: Candidate): boolean {
  const items = candidate.growth.items.reduce((a, b) => a + b, 0);
  const classes = candidate.types
    .filter(t => t.layout === 'type')
    .reduce((a, t) => a + t.born.reduce((x, y) => x + y, 0), 0);
  return classes > 0 && classes >= 0.3 * Math.min(items, classes + items);
}

function chainOf(candidate: Candidate, type: string): boolean {
  const [first] = candidate.types.filter(t => t.type === type);
  return first !== undefined && candidate.growth.items.slice(0, -1).every(n => n === 0);
}

function callbacksIn(candidate: Candidate): boolean {
  const items =
    candidate.growth.items.reduce((a, b) => a + b, 0) ||
    candidate.series[candidate.series.length - 1] - candidate.series[0];
  const callables = candidate.types.filter(t => /^(function|method|functools\.partial)$/.test(t.type));
  return callables.some(t => t.born.reduce((a, b) => a + b, 0) >= 0.5 * items);
}

function lruOnMethod(facts: CauseFacts): boolean {
  // Below a classmethod or staticmethod no key has an instance in it.
  if (facts.place.passes.has('classmethod') || facts.place.passes.has('staticmethod')) return false;
  const { elements } = facts.place;
  const at = elements.findIndex(e => e.text.startsWith('<') || e.text === '.cache');
  const wrapper = at < 0 ? elements.length - 1 : at - 1;
  // module, .Class, .method: the wrapper is an attribute of a class and the instances are among what grows.
  return wrapper >= 2 && facts.candidate.types.some(t => t.heapType && t.layout === 'instance');
}

// ---- the source ----

const patternsOf = new WeakMap<readonly SourceFile[], PatternMatch[]>();

function patternsIn(files: readonly SourceFile[], root: string): PatternMatch[] {
  let matches = patternsOf.get(files);
  if (matches === undefined) {
    // What a library does is not the program's fault: its files are there to follow names only.
    const own = files.filter(file => ownerOf(file.file) === 'program');
    matches = safely(() => findPatterns(own, { root })) ?? [];
    patternsOf.set(files, matches);
  }
  return matches;
}

/** The pattern that speaks of the same thing as the growth. */
function bestPattern(facts: CauseFacts, shape: Shape | undefined): PatternMatch | undefined {
  const { candidate, place, sites, files, root } = facts;
  const matches = patternsIn(files, root);
  const typeNames = new Set(candidate.types.map(t => t.type.slice(t.type.lastIndexOf('.') + 1)));
  let best: PatternMatch | undefined;
  let bestScore = 2.4;
  for (const match of matches) {
    let score = 0;
    for (const subject of new Set(match.subjects.flatMap(s => s.match(/[A-Za-z_]\w*/g) ?? []))) {
      if (place.words.has(subject))
        score +=
          place.name?.name === subject || place.name?.attribute === subject || place.name?.variable === subject
            ? 2.5
            : 1;
      if (typeNames.has(subject)) score += 1;
    }
    // A pattern that names other things than this place is about them.
    const own = place.name === undefined ? [] : Object.values(place.name).map(n => lastPart(String(n)));
    if (own.length > 0 && match.subjects.length > 0 && !match.subjects.some(s => own.includes(lastPart(s)))) score -= 1;
    score = Math.min(score, 5);
    if (match.types.some(t => typeNames.has(t.slice(t.lastIndexOf('.') + 1)))) score += 1.5;
    const near = sites.some(s => s.file === match.file && Math.abs(s.line - match.line) <= 1);
    const same = sites.some(
      s => s.file === match.file && lastPart(s.function) === lastPart(match.function) && match.function !== '<module>',
    );
    if (near) score += 2;
    else if (same) score += 1;
    if (shape !== undefined) score += shape.category === match.category ? 2 : shape.strong ? -3 : 0;
    if (match.certainty === 'sure') score += 0.4;
    if (score > bestScore) {
      best = match;
      bestScore = score;
    }
  }
  return best;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** What the source room makes of the heap's facts. */
function hintsFor(facts: CauseFacts): CategoryHint[] {
  const { candidate, place, files, root } = facts;
  return categoryHints(
    files,
    {
      holderExpression: candidate.growth.kind === 'object' ? candidate.expression : null,
      holderKind: place.holderType,
      holderIsModuleGlobal: place.elements.length === 2 && place.root.includes('module '),
      throughClosure: place.inClosure,
      throughThreadLocal: [...place.passes].some(t => /_thread\._local/.test(t)),
      throughLruCache: place.passes.has('functools._lru_cache_wrapper'),
      growingTypes: candidate.types.map(t => t.type),
      storeSites: facts.sites.map(({ file, line, function: name }) => ({ file, line, function: name })),
      path: candidate.path,
      ...(place.name === undefined ? {} : { holder: place.name }),
    },
    patternsIn(files, root),
  );
}

function decide(
  facts: CauseFacts,
  shape: Shape | undefined,
  match: PatternMatch | undefined,
  use: ContainerUse | undefined,
  hints: readonly CategoryHint[],
): Category {
  if (shape?.strong) return shape.category;
  if (hints.length > 0 && hints[0].score >= 1) return hints[0].category;
  if (match !== undefined) return match.category;
  if (shape !== undefined) return shape.category;
  const { candidate, place } = facts;
  if (use?.found) {
    if (use.entriesCalled) return 'event-listener';
    if (use.removals.length > 0 && use.missedIn.length > 0) return 'unreleased-reference';
    if (use.lookedUpBeforeStore && !use.getOrCreate) return 'unbounded-cache';
    if (use.removals.some(r => r.limits.includes('same-key-read'))) return 'unbounded-cache';
    if (use.removals.length > 0) return 'unreleased-reference';
  }
  if (candidate.growth.slot !== undefined) return 'unreleased-reference';
  if (place.inFrame) return 'long-lived-object';
  return 'global-container';
}

/** Does anything bound the growth, as far as the source and the shape of the heap can say? */
function sourceSays(
  facts: CauseFacts,
  match: PatternMatch | undefined,
  use: ContainerUse | undefined,
  shape: Shape | undefined,
): Cause['source'] {
  // A cache of every argument is bounded when there are only so many arguments: numbers in a range, a few names.
  if (facts.place.passes.has('functools._lru_cache_wrapper')) {
    return shape?.category === 'lru-cache-method' || facts.candidate.types.some(t => t.type === 'float')
      ? 'unbounded'
      : 'unknown';
  }
  if (shape?.strong) return 'unbounded';
  if (match?.certainty === 'sure') return 'unbounded';
  if (use?.bounded) return 'bounded';
  if (use?.found && use.stores.length > 0) {
    if (
      use.removals.length === 0 ||
      use.removals.every(r => r.limits.length > 0 && !r.limits.some(l => l === 'flag' || l === 'age')) ||
      use.missedIn.length > 0
    )
      return 'unbounded';
    return 'unknown';
  }
  return match !== undefined ? 'unbounded' : 'unknown';
}

function* staticStores(match: PatternMatch | undefined, use: ContainerUse | undefined): Iterable<Site> {
  if (match !== undefined) yield staticSite(match);
  for (const store of use?.stores ?? []) yield staticSite(store);
}

function staticSite({ file, line, function: name }: { file: string; line: number; function: string }): Site {
  return { file, line, function: name, hits: 0, evidence: 'static' };
}

function fixOf(
  facts: CauseFacts,
  category: Category,
  match: PatternMatch | undefined,
  use: ContainerUse | undefined,
): Cause['fix'] {
  if (match !== undefined && match.category === category && match.fix.summary !== '') return match.fix;
  if (use?.found && (!facts.place.inner || use.stores.some(s => s.nested))) {
    const site = facts.sites[0];
    const fix = safely(() =>
      proposeFix(facts.files, use, {
        category,
        storeSite: site === undefined ? null : { file: site.file, line: site.line },
        root: facts.root,
      }),
    );
    if (fix !== undefined) return fix;
  }
  return { summary: ADVICE[category], patch: null };
}

function plainReason(candidate: Candidate): string {
  return `${candidate.expression || 'it'} gained in every interval that was watched and lost nothing`;
}

/** What to do where the source gives no more. */
const ADVICE: Record<Category, string> = {
  'unreleased-reference':
    'remove the reference on every path on which the object is finished with, errors and timeouts included',
  'global-container': 'remove entries that are no longer needed, or bound the container',
  'unbounded-cache':
    'bound the cache: functools.lru_cache(maxsize=…), cachetools.TTLCache, or evict the oldest entry on insert',
  'circular-reference':
    'break the cycle with weakref.ref for the way back, or let the garbage collector run (gc.enable())',
  'finalizer-cycle': 'switch off gc.DEBUG_SAVEALL, and keep __del__ from storing self anywhere',
  closure: 'bound what the closure keeps, or pass it in from an object whose life ends',
  'event-listener':
    'unregister the listener when its owner is done, or register it through a weak reference (weakref.WeakMethod)',
  'long-lived-object': 'empty the object from time to time (clear(), clear_memo()) or replace it by a new one',
  'thread-local': 'remove what was put into the thread’s storage in a finally block',
  'exception-traceback':
    'keep traceback.format_exc() instead of the exception, or drop its traceback: exc.with_traceback(None)',
  'generator-or-coroutine': 'close generators that are not run to their end (generator.close(), contextlib.closing)',
  'class-or-code-growth': 'make the class or the code once and reuse it',
  'lru-cache-method':
    'cache per instance (functools.cached_property, or an lru_cache made in __init__), not on the class',
  'weakref-misuse': 'make what the entry holds refer back weakly, too',
  'c-extension-refcount':
    'add the missing Py_DECREF in the extension (a value passed with "O" to Py_BuildValue, PyDict_SetItem or PyList_Append keeps the caller’s reference)',
  'native-malloc': 'free what the C code allocates: in tp_dealloc, or by the library’s own free function',
  fragmentation:
    'nothing leaks: a few survivors keep whole arenas; keep long-lived and short-lived objects apart, or MALLOC_ARENA_MAX and MALLOC_TRIM_THRESHOLD_ for native memory',
  'file-or-socket-handle':
    'close each file or socket on every path (with statement, contextlib.closing), and unregister it from the selector',
};
