/** Programs before and after their patch, run by a real Python: what grew must have stopped. */
import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { containerUse, findPatterns, openSource, prepareSource, proposeFix } from '../../src/source/index.ts';
import { applyPatch } from './apply-patch.ts';

beforeAll(prepareSource);

/** Runs a program whose last line prints how much is held after 20,000 and after 40,000 steps. */
const growth = (text: string): number => {
  const out = execFileSync('python3', ['-c', text], { encoding: 'utf8', timeout: 60_000 });
  const [first, second] = out.trim().split(/\s+/).map(Number);
  return second! - first!;
};
const twice = (step: string, held: string): string =>
  `\nfor i in range(20000):\n    ${step}\na = ${held}\nfor i in range(20000, 40000):\n    ${step}\nprint(a, ${held})\n`;
const live = (type: string): string =>
  `(__import__('gc').collect(), sum(type(o).__name__ == '${type}' for o in __import__('gc').get_objects()))[1]`;

const byRule: [string, string][] = [
  [
    'memo-closure',
    `def memo(f):\n    seen = {}\n    def inner(k):\n        if k not in seen:\n            seen[k] = f(k)\n        return seen[k]\n    inner.seen = lambda: len(seen)\n    return inner\n\n@memo\ndef square(k):\n    return k * k\n${twice('square(i)', 'square.seen()')}`,
  ],
  ['growing-container', `AUDIT = []\n\ndef act(user):\n    AUDIT.append(user)\n${twice('act(i)', 'len(AUDIT)')}`],
  [
    'growing-container',
    `import collections\nQUEUE = collections.deque()\n\ndef act(user):\n    QUEUE.append(user)\n${twice('act(i)', 'len(QUEUE)')}`,
  ],
  [
    'mutable-default',
    `held = []\n\ndef log(entry, entries=[]):\n    entries.append(entry)\n    return len(entries)\n${twice('log(i)', 'log(0)')}`,
  ],
  [
    'lru-cache-on-method',
    `import functools\n\nclass Page:\n    def __init__(self, n):\n        self.n = n\n\n    @functools.lru_cache(maxsize=None)\n    def title(self, lang):\n        return lang * self.n\n\ndef show(i):\n    Page(1).title("en")\n${twice('show(i)', live('Page'))}`,
  ],
  [
    'unbounded-lru-cache',
    `import functools\n\n@functools.lru_cache(maxsize=None)\ndef f(x):\n    return x\n${twice('f(i)', 'f.cache_info().currsize')}`,
  ],
  [
    'handler-per-call',
    `import logging\nlog = logging.getLogger("app")\n\ndef handle(i):\n    log.addHandler(logging.NullHandler())\n    return i\n${twice('handle(i)', 'len(log.handlers)')}`
      .replaceAll('20000', '500')
      .replaceAll('40000', '1000'),
  ],
  [
    'weak-key-value-cycle',
    `import weakref\n\nclass Node:\n    pass\n\nclass Meta:\n    def __init__(self, owner):\n        self.owner = owner\n\nMETA = weakref.WeakKeyDictionary()\n\ndef note():\n    node = Node()\n    META[node] = Meta(node)\n    assert META[node].owner is node\n${twice('note()', live('Node'))}`,
  ],
  [
    'finalize-keeps-self',
    `import weakref\n\nclass Temp:\n    def __init__(self, path):\n        self.path = path\n        weakref.finalize(self, self.forget)\n\n    def forget(self):\n        len(self.path)\n${twice('Temp("x")', live('Temp'))}`,
  ],
  [
    'dead-weak-entries',
    `import weakref\nLIVE = {}\nLABEL = {}\n\nclass Doc:\n    pass\n\ndef track(key, obj):\n    LIVE[key] = weakref.ref(obj)\n    LABEL[key] = "label"\n${twice('track(i, Doc())', 'len(LIVE) + len(LABEL)')}`,
  ],
  [
    'stored-exception',
    `FAILED = []\n\ndef boom(rows):\n    raise ValueError(len(rows))\n\ndef run(i):\n    try:\n        boom([i])\n    except ValueError as error:\n        FAILED.append((i, error))\n${twice('run(i)', live('frame'))}`,
  ],
  [
    'reraised-instance',
    `BUSY = RuntimeError("later")\n\ndef take():\n    raise BUSY\n\ndef attempt():\n    try:\n        take()\n    except RuntimeError:\n        pass\n${twice('attempt()', live('traceback'))}`,
  ],
  [
    'unbalanced-push',
    `import threading\nctx = threading.local()\nctx.stack = []\n\ndef work(i):\n    if i % 2:\n        raise ValueError(i)\n\ndef handle(i):\n    ctx.stack.append(i)\n    work(i)\n    ctx.stack.pop()\n\ndef guarded(i):\n    try:\n        handle(i)\n    except ValueError:\n        pass\n${twice('guarded(i)', 'len(ctx.stack)')}`,
  ],
  [
    'wrapped-again',
    `class Hooks:\n    pass\n\nhooks = Hooks()\nhooks.end = print\n\ndef install():\n    import functools\n    original = hooks.end\n    @functools.wraps(original)\n    def traced(*a):\n        return original(*a)\n    hooks.end = traced\n${twice('install()', live('function'))}`
      .replaceAll('20000', '300')
      .replaceAll('40000', '600'),
  ],
  [
    'logger-per-name',
    `import logging\n\ndef session(i):\n    return logging.getLogger(f"session.{i}")\n${twice('session(i)', 'len(logging.root.manager.loggerDict)')}`,
  ],
  [
    'long-lived-accumulator',
    `import io, pickle\nOUT = io.BytesIO()\nPICKLER = pickle.Pickler(OUT)\n\nclass Reading:\n    pass\n\ndef send():\n    PICKLER.dump(Reading())\n    OUT.seek(0)\n    OUT.truncate()\n${twice('send()', live('Reading'))}`,
  ],
  [
    'linecache-entries',
    `import linecache\n\ndef register(i):\n    linecache.cache["<gen %d>" % i] = (1, None, ["x"], "g")\n${twice('register(i)', 'len(linecache.cache)')}`,
  ],
  [
    'collector-off',
    `import gc\n\nclass Node:\n    pass\n\ndef tune():\n    gc.disable()\n    return None\n\ntune()\n\ndef cycle():\n    n = Node()\n    n.me = n\n${twice('cycle()', "(lambda n: n if n > 5000 else 0)(sum(type(o).__name__ == 'Node' for o in gc.get_objects()))")}`,
  ],
];

test.each(byRule)('%s: the growth is gone after the patch', (rule, text) => {
  const match = findPatterns([openSource('example.py', text)], { only: [rule] }).find(m => m.fix.patch !== null);
  expect(match).toBeDefined();
  const before = growth(text);
  const after = growth(applyPatch('example.py', text, match!.fix.patch!));
  expect(before).toBeGreaterThan(200);
  expect(after).toBeLessThanOrEqual(2);
});

test('a pop on the path that forgot it', () => {
  const text = `WAITING = {}\n\ndef send(k):\n    WAITING[k] = [k]\n\ndef on_reply(k):\n    WAITING.pop(k)\n\ndef on_timeout(k):\n    entry = WAITING.get(k)\n    if entry is not None:\n        entry.append("late")\n\ndef step(i):\n    send(i)\n    (on_timeout if i % 3 == 0 else on_reply)(i)\n${twice('step(i)', 'len(WAITING)')}`;
  const files = [openSource('app/jobs.py', text)];
  const use = containerUse(files, { module: 'app.jobs', name: 'WAITING' });
  const fix = proposeFix(files, use, { category: 'unreleased-reference', storeSite: { file: 'app/jobs.py', line: 4 } });
  expect(fix.summary).toContain('on_timeout()');
  expect(growth(text)).toBeGreaterThan(5000);
  expect(growth(applyPatch('app/jobs.py', text, fix.patch!))).toBe(0);
});

test('a finally around what may raise', () => {
  const text = `ACTIVE = {}\n\ndef work(k):\n    if k % 2:\n        raise ValueError(k)\n\ndef run(k):\n    ACTIVE[k] = object()\n    work(k)\n    ACTIVE.pop(k)\n\ndef guarded(k):\n    try:\n        run(k)\n    except ValueError:\n        pass\n${twice('guarded(i)', 'len(ACTIVE)')}`;
  const files = [openSource('jobs.py', text)];
  const fix = proposeFix(files, containerUse(files, { module: 'jobs', name: 'ACTIVE' }), {
    category: 'unreleased-reference',
    storeSite: null,
  });
  expect(growth(applyPatch('jobs.py', text, fix.patch!))).toBe(0);
});

test('patches name the file relative to the root and keep the line ends of the file', () => {
  const text = 'X = {}\r\ndef put(k, v):\r\n    X[k] = v\r\n';
  const files = [openSource('/srv/shop/app/cache.py', text)];
  const fix = proposeFix(files, containerUse(files, { module: 'app.cache', name: 'X' }), {
    category: 'unbounded-cache',
    storeSite: null,
    root: '/srv/shop',
  });
  expect(fix.patch).toMatch(/^--- a\/app\/cache\.py\n\+\+\+ b\/app\/cache\.py\n/);
  expect(applyPatch('app/cache.py', text, fix.patch!).replaceAll('\r\n', '')).not.toContain('\n');
});
