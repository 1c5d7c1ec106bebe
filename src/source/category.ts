/**
 * Which category of leak the evidence speaks for. The heap's facts (what holds, what grows) come in as plain
 * data; the source adds what the program does with the holder and which known patterns it has. Each sign adds
 * to a category's score; the reasons are given so that the verdict can say them.
 */
import { containerDetail, describePlace, type HolderName, type UseDetail } from './container-use.ts';
import type { SourceFile } from './file.ts';
import { holderFromExpression } from './holder-name.ts';
import { isClass, judge, makesGenerator } from './judge.ts';
import { findPatterns } from './patterns/index.ts';
import type { Category, PatternMatch } from './patterns/match.ts';
import { threadKey } from './patterns/thread-key.ts';
import { isThreadLocal } from './patterns/unbalanced-push.ts';
import { opened } from './patterns/unclosed-handle.ts';
import { functionScope, openProject, type Project, placeOf } from './project.ts';
import { bare, child, descendants, textOf } from './syntax.ts';

export interface HeapFacts {
  /** As the verdict shows it; null when nothing in the process holds what grows. */
  readonly holderExpression: string | null;
  /** Type name of the holding container. */
  readonly holderKind: string;
  readonly holderIsModuleGlobal: boolean;
  readonly throughClosure: boolean;
  readonly throughThreadLocal: boolean;
  readonly throughLruCache: boolean;
  /** Type names, qualified or not. */
  readonly growingTypes: readonly string[];
  readonly storeSites: readonly { readonly file: string; readonly line: number; readonly function: string }[];
  /** The source's name of the holder, when it is known better than the expression says. */
  readonly holder?: HolderName;
  /** Labels of the path from the root, for signs such as `.__traceback__`. */
  readonly path?: readonly string[];
}

export interface CategoryHint {
  readonly category: Category;
  /** Above 0; compare within one answer only. */
  readonly score: number;
  readonly reasons: readonly string[];
  /** The pattern that speaks for it, strongest first. */
  readonly patterns: readonly PatternMatch[];
}

const handleTypes =
  /^(socket|SSLSocket|TextIOWrapper|BufferedReader|BufferedWriter|BufferedRandom|FileIO|SelectorKey|Popen|mmap|StreamReader|StreamWriter|_SelectorSocketTransport|epoll|Connection|DirEntry|ScandirIterator|TarFile|ZipFile)$/;
const generatorTypes =
  /^(generator|coroutine|async_generator|Task|_asyncio\.Task|_tee_dataobject|itertools\._tee.*|tee|_tee|async_generator_asend)$/;

/** Categories with a positive score, best first. */
export function categoryHints(
  files: readonly SourceFile[],
  facts: HeapFacts,
  known?: readonly PatternMatch[],
): CategoryHint[] {
  const project = openProject(files);
  const scores = new Map<Category, { score: number; reasons: string[]; patterns: PatternMatch[] }>();
  const add = (category: Category, score: number, reason: string, pattern?: PatternMatch): void => {
    const entry = scores.get(category) ?? { score: 0, reasons: [], patterns: [] };
    entry.score += score;
    if (!entry.reasons.includes(reason)) entry.reasons.push(reason);
    if (pattern !== undefined) entry.patterns.push(pattern);
    scores.set(category, entry);
  };
  const expression = facts.holderExpression ?? '';
  const path = `${expression} ${(facts.path ?? []).join(' ')}`;
  const types = facts.growingTypes.map(t => t.split('.').at(-1)!);

  const atSite = (m: PatternMatch): boolean =>
    facts.storeSites.some(s => sameFile(s.file, m.file) && Math.abs(s.line - m.line) <= 1);

  // What the heap alone says.
  if (types.includes('traceback') || /__traceback__|__context__|tb_frame|tb_next/.test(path))
    add('exception-traceback', 4, 'tracebacks grow with what is held');
  if (facts.throughThreadLocal) add('thread-local', 3.2, 'it hangs on thread-local storage');
  if (facts.throughClosure) add('closure', 2.6, 'it lives in a cell of a closure');
  if (/gc\.garbage/.test(path)) add('finalizer-cycle', 5, 'gc.garbage keeps it');
  if (/linecache\.cache|__subclasses__|_abc_|sys\.modules/.test(path))
    add('class-or-code-growth', 3.5, 'a table of code or classes keeps it');
  if (
    /atexit|(?<!_exit_)callbacks|\.handlers\b|excepthook|listeners|_receivers|receivers|subscribers|observers/.test(
      path,
    )
  )
    add('event-listener', /atexit/.test(path) ? 4 : 1.2, 'a list of callbacks keeps it');
  if (/loggerDict\W*$/.test(expression)) add('global-container', 4, 'the logging manager keeps every logger');
  if (/_fd_to_key/.test(path)) add('file-or-socket-handle', 4, 'a selector keeps its sockets');
  if (/finalize(\._registry)?\b|Weak(Key|Value)?Dictionary|WeakSet/.test(path) || /^Weak/.test(facts.holderKind))
    add('weakref-misuse', 3.4, 'a structure of weak references keeps it');
  if (types.some(t => /^(ReferenceType|weakref|KeyedRef|finalize)$/.test(t)))
    add('weakref-misuse', 1.6, 'weak references pile up');
  if (types.some(t => handleTypes.test(t)))
    add('file-or-socket-handle', 2.4, `open handles grow (${types.filter(t => handleTypes.test(t)).join(', ')})`);
  if (types.some(t => generatorTypes.test(t))) add('generator-or-coroutine', 2.8, 'suspended generators or tasks grow');
  if (types.some(t => t === 'type' || t === 'code' || /Meta$/.test(t) || t === 'ABCMeta' || t === 'EnumType'))
    add('class-or-code-growth', 3, 'classes or code objects grow');
  if (types.some(t => (project.classes.get(t) ?? []).some(c => c.bases.includes('type'))))
    add('class-or-code-growth', 3, 'classes of a metaclass grow');
  if (
    /_exit_callbacks|mock_calls|rawdata|Pickler|Parser|\bElement\b|ickler\w*\b.*\bmemo\b/.test(path) ||
    /^(Pickler|Unpickler|Element|XMLPullParser|StringIO|BytesIO|ExitStack|AsyncExitStack|Mock|MagicMock|HTMLParser)$/.test(
      facts.holderKind.split('.').at(-1)!,
    )
  )
    add('long-lived-object', 2.8, `a ${facts.holderKind} keeps what went through it`);
  if (facts.holderExpression === null) add('circular-reference', 1.2, 'nothing named holds it');

  // What the program does with the holder.
  const holder =
    facts.holder ?? (facts.holderExpression === null ? null : holderFromExpression(files, facts.holderExpression));
  const near = new Set<string>();
  if (holder !== null) {
    for (const n of [
      holder.name,
      holder.attribute,
      holder.variable,
      holder.className?.split('.').at(-1),
      holder.viaGlobal,
      holder.function?.split('.').at(-1),
    ])
      if (n !== undefined && n !== '') near.add(n);
    const detail = containerDetail(files, holder);
    const { use } = detail;
    if (
      holder.name !== undefined &&
      holder.attribute !== undefined &&
      isThreadLocal(project, holder.name) &&
      !facts.throughThreadLocal
    )
      add('thread-local', 3.2, `${holder.name} is a threading.local`);
    const j = judge(project, detail);
    if (use.found) {
      if (j.cacheLike > 0)
        add(
          'unbounded-cache',
          j.cacheLike,
          use.lookedUpBeforeStore
            ? 'entries are looked up before they are stored'
            : 'it is named and filled like a cache',
        );
      if (j.listenerLike > 0)
        add(
          'event-listener',
          j.listenerLike,
          use.entriesCalled ? 'what is stored is called later' : 'it is filled by registrations',
        );
      if (
        use.removals.length > 0 &&
        !use.removals.every(r => r.limits.includes('never-called') || r.limits.includes('same-key-read'))
      )
        add('unreleased-reference', 1.2 + j.pendingLike * 0.6, use.sentences[0] ?? 'a path misses the removal');
      if (
        use.removals.length === 0 &&
        use.stores.length > 0 &&
        !use.stores.every(s => ['accumulate', 'wrap', 'setattr', 'create'].includes(s.how))
      )
        add(
          'global-container',
          (j.cacheLike >= 1.4 && !use.getOrCreate ? 1 : 1.5) + (use.getOrCreate ? 0.6 : 0),
          use.sentences[0] ?? 'nothing removes from it',
        );
      if (use.stores.length > 0 && use.stores.every(s => s.how === 'accumulate' || s.how === 'wrap'))
        add('unreleased-reference', 2, use.sentences[0] ?? 'each value refers to the one before it');
      const twin = use.removals.length === 0 ? twinIndex(project, detail) : null;
      if (twin !== null) add('unreleased-reference', 2.4, twin);
      if (use.bounds.some(b => b.kind === 'weak')) add('weakref-misuse', 3, 'its keys or values are held weakly');
      if (use.removals.length > 0 && use.removals.every(r => r.limits.includes('unstarted-generator')))
        add('generator-or-coroutine', 3, use.removals[0]!.sentence);
      for (const o of detail.operations) {
        if (o.act !== 'store') continue;
        if (o.key !== null && threadKey(project, o.key) !== null) add('thread-local', 2.6, 'its keys are threads');
        if (o.value === null || o.value.kind === 'await') continue;
        if (makesGenerator(project, o.value) !== null)
          add('generator-or-coroutine', 2.2, 'generators or tasks are stored in it');
        if (isClass(project, o.value)) add('class-or-code-growth', 2.6, 'classes made at run time are stored in it');
        if (opened(project, o.value) !== null)
          add('file-or-socket-handle', 2.4, 'opened files or sockets are stored in it');
      }
    }
  }
  if (facts.throughLruCache) {
    add('unbounded-cache', 2.4, 'functools.lru_cache keeps it');
    if (
      (known ?? findPatterns(files, { only: ['lru-cache-on-method'] })).some(
        m => m.rule === 'lru-cache-on-method' && concerns(m),
      )
    )
      add('lru-cache-method', 5, 'the cache is on a method, and its keys hold the instances');
  }

  // Which known pattern stands where the growth is.
  function concerns(m: PatternMatch): boolean {
    return (
      atSite(m) ||
      m.types.some(t => types.includes(t)) ||
      m.subjects.some(s => near.has(s) || (s.length > 2 && expression.split(/\W+/).includes(s))) ||
      facts.storeSites.some(s => s.function.split('.').at(-1) === m.function.split('.').at(-1))
    );
  }
  for (const m of known ?? findPatterns(files)) {
    if (m.rule === 'growing-container' || m.rule === 'missed-removal') continue;
    const site = atSite(m);
    const typed = m.types.some(
      t => types.includes(t) && !['function', 'list', 'tuple', 'str', 'set', 'dict'].includes(t),
    );
    const named = m.subjects.some(s => near.has(s) || (s.length > 2 && expression.split(/\W+/).includes(s)));
    const loose = facts.holderExpression === null && m.rule.startsWith('collector');
    const weight = (site ? 2.4 : 0) + (named ? 1.4 : 0) + (typed ? 1 : 0) + (loose ? 3 : 0);
    if (weight > 0) add(m.category, weight * (m.certainty === 'sure' ? 1 : 0.7), m.sentence, m);
  }
  if (scores.size === 0 && facts.holderIsModuleGlobal) add('global-container', 1, 'a module global keeps it');
  return [...scores]
    .map(([category, e]) => ({
      category,
      score: Math.round(e.score * 100) / 100,
      reasons: e.reasons,
      patterns: e.patterns,
    }))
    .sort((a, b) => b.score - a.score);
}

/** Two indexes of the same things, filled side by side, of which only the other one is emptied; null when it is not so. */
function twinIndex(project: Project, detail: UseDetail): string | null {
  for (const store of detail.operations) {
    if (store.act !== 'store' || store.how !== 'item' || store.nested || store.value === null) continue;
    const value = bare(store.value);
    if (value.kind !== 'identifier') continue;
    const { body } = functionScope(project, store.node);
    for (const other of descendants(body, 'assignment')) {
      const target = child(other, 'left');
      const right = child(other, 'right');
      if (target?.kind !== 'subscript' || right === null || textOf(bare(right)) !== textOf(value)) continue;
      const base = child(target, 'value');
      const place = base === null ? null : placeOf(project, base);
      if (base === null || place === null || detail.aliases.containers.has(place)) continue;
      const { use } = describePlace(project, place, {});
      const removal = use.removals.find(r => !r.nested && !r.limits.includes('never-called'));
      if (removal !== undefined)
        return `${textOf(value)} is removed from ${textOf(base)} in ${removal.function}() at line ${removal.line}, but stays in ${detail.use.label}`;
    }
  }
  return null;
}

/** Paths of the process and of the files may differ in how much of the folder they show. */
function sameFile(a: string, b: string): boolean {
  return a === b || a.endsWith(`/${b}`) || b.endsWith(`/${a}`);
}
