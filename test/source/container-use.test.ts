/** What fills and empties a container: every way of writing it, through aliases, and the condition of each removal. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type ContainerUse,
  containerUse,
  type HolderName,
  holderFromExpression,
  openSource,
  prepareSource,
  storeSiteGuess,
} from '../../src/source/index.ts';

beforeAll(prepareSource);

const use = (text: string, holder: HolderName = { module: 'app', name: 'X' }): ContainerUse =>
  containerUse([openSource('app.py', text)], holder);
const lines = (sites: readonly { line: number }[]): number[] => sites.map(s => s.line);

describe('stores', () => {
  test.each([
    ['X[k] = v', 'item'],
    ['X.append(v)', 'append'],
    ['X.add(v)', 'add'],
    ['X.setdefault(k, v)', 'setdefault'],
    ['X.update(v)', 'update'],
    ['X.extend(v)', 'extend'],
    ['X.appendleft(v)', 'appendleft'],
    ['X.insert(0, v)', 'insert'],
    ['heapq.heappush(X, v)', 'heappush'],
    ['bisect.insort(X, v)', 'insort'],
    ['X |= {v}', '|='],
    ['X += [v]', '+='],
    ['a = X[k] = v', 'item'],
    ['X[k], b = v, 1', 'item'],
  ])('%s', (statement, how) => {
    const found = use(`import bisect, heapq\nX = make()\n\ndef put(k, v):\n    global X\n    ${statement}\n`);
    expect(found.stores.map(s => [s.line, s.how, s.function])).toEqual([[6, how, 'put']]);
    expect(found.sentences[0]).toBe('nothing in the program ever removes from X');
  });

  test('through a local name, a parameter, a method that returns it and another file', () => {
    const files = [
      openSource(
        'pkg/store.py',
        'class Store:\n    def __init__(self):\n        self._slots = {}\n    def slots(self):\n        return self._slots\n    def direct(self, k, v):\n        d = self._slots\n        d[k] = v\n\nSTORE = Store()\n',
      ),
      openSource(
        'pkg/use.py',
        'from pkg.store import STORE\n\ndef fill(table, k):\n    table[k] = 1\n\ndef run(k):\n    fill(STORE._slots, k)\n    STORE.slots()[k] = 2\n',
      ),
    ];
    const found = containerUse(files, { className: 'Store', attribute: '_slots', viaGlobal: 'STORE' });
    expect(found.stores.map(s => `${s.file}:${s.line}`)).toEqual(['pkg/store.py:8', 'pkg/use.py:4', 'pkg/use.py:8']);
    expect(found.creations.map(s => s.line)).toEqual([3]);
  });

  test('in a list that is stored in the dict', () => {
    const found = use(
      'X = {}\n\ndef put(k, v):\n    X.setdefault(k, []).append(v)\n\ndef more(k, v):\n    bucket = X[k]\n    bucket.append(v)\n',
    );
    expect(found.stores.filter(s => s.nested).map(s => s.line)).toEqual([4, 8]);
  });

  test('another container of the same attribute name is not confused with it', () => {
    const found = use(
      'class A:\n    def __init__(self):\n        self.items = []\n    def put(self, v):\n        self.items.append(v)\n\nclass B:\n    def __init__(self):\n        self.items = []\n    def put(self, v):\n        self.items.append(v)\n',
      { className: 'B', attribute: 'items' },
    );
    expect(lines(found.stores)).toEqual([11]);
  });

  test('a closure cell, a default argument, a class attribute, an import', () => {
    expect(
      lines(
        use('def outer(f):\n    seen = {}\n    def inner(k):\n        seen[k] = f(k)\n    return inner\n', {
          function: 'outer.<locals>.inner',
          variable: 'seen',
        }).stores,
      ),
    ).toEqual([4]);
    expect(lines(use('def f(v, acc=[]):\n    acc.append(v)\n', { function: 'f', variable: 'acc' }).stores)).toEqual([
      2,
    ]);
    expect(
      lines(
        use('class C:\n    all = []\n    def __init__(self):\n        self.all.append(self)\n', {
          className: 'C',
          attribute: 'all',
        }).stores,
      ),
    ).toEqual([4]);
    expect(
      lines(use('import sys\n\ndef f(n, m):\n    sys.modules[n] = m\n', { module: 'sys', name: 'modules' }).stores),
    ).toEqual([4]);
  });
});

describe('removals', () => {
  test.each([
    ['del X[k]', 'del'],
    ['X.pop(k)', 'pop'],
    ['X.popitem()', 'popitem'],
    ['X.remove(k)', 'remove'],
    ['X.discard(k)', 'discard'],
    ['X.clear()', 'clear'],
    ['X = {}', 'rebind'],
    ['X = [r for r in X if r.alive]', 'filter'],
    ['X -= {k}', '-='],
  ])('%s', (statement, how) => {
    const found = use(`X = make()\n\ndef put(k, v):\n    X[k] = v\n\ndef take(k):\n    global X\n    ${statement}\n`);
    expect(found.removals.map(r => [r.line, r.how])).toEqual([[8, how]]);
    expect(found.bounded).toBe(false);
  });

  const sentence = (body: string): string => use(body).sentences[0]!;
  test('only when that same key is read again', () => {
    expect(
      sentence(
        'X = {}\ndef put(k, v, now):\n    X[k] = (now, v)\ndef get(k, now):\n    e = X.get(k)\n    if e is None:\n        return None\n    if now - e[0] > 60:\n        del X[k]\n        return None\n    return e[1]\n',
      ),
    ).toBe('entries are removed only in get() at line 9, and only when that same key is read again');
  });
  test('a sweep is not that', () => {
    const found = use(
      'X = {}\ndef put(k, v, now):\n    X[k] = (now, v)\n    for key in list(X):\n        e = X[key]\n        if now - e[0] > 60:\n            del X[key]\n',
    );
    expect(found.removals[0]!.limits).not.toContain('same-key-read');
  });
  test('on one event but not on the other', () => {
    expect(
      sentence(
        'X = {}\ndef send(k, v):\n    X[k] = v\ndef on_reply(k):\n    X.pop(k)\ndef on_timeout(k):\n    X[k].failed = True\n',
      ),
    ).toBe('an entry is removed in on_reply() at line 5 but not in on_timeout() at line 7');
  });
  test('in a function that nothing calls', () => {
    const found = use('X = {}\ndef put(k):\n    X[k] = 1\ndef purge():\n    X.clear()\nput(input())\n');
    expect(found.removals[0]!.limits).toEqual(['never-called']);
    expect(found.sentences[0]).toContain('which nothing in the program calls');
  });
  test('only on an error', () =>
    expect(
      sentence('X = {}\ndef run(k):\n    X[k] = 1\n    try:\n        work()\n    except OSError:\n        X.pop(k)\n'),
    ).toContain('only when OSError is raised'));
  test('only on success', () =>
    expect(sentence('X = {}\ndef run(k):\n    X[k] = 1\n    work(k)\n    X.pop(k)\n')).toContain(
      'not when an exception is raised before that line (no finally)',
    ));
  test('a finally is complete', () => {
    expect(
      use('X = {}\ndef run(k):\n    X[k] = 1\n    try:\n        work(k)\n    finally:\n        X.pop(k)\n').removals[0]!
        .limits,
    ).toEqual([]);
  });
  test('all that is due, from the head on', () => {
    const found = use(
      'from collections import deque\nX = deque()\ndef put(v, at):\n    X.append(v)\n    while X and X[0].at < at - 60:\n        X.popleft()\n',
    );
    expect(found.removals[0]!.limits).toEqual([]);
    expect(found.bounded).toBe(false);
  });
  test('in the finally of a generator', () => {
    const found = use(
      'X = set()\ndef sub(b):\n    X.add(b)\n    return ev(b)\nasync def ev(b):\n    try:\n        yield b\n    finally:\n        X.discard(b)\n',
    );
    expect(found.removals[0]!.limits).toEqual(['unstarted-generator']);
  });
});

describe('bounds', () => {
  test.each([
    ['X = collections.deque(maxlen=100)', 'X.append(v)', 'maxlen'],
    ['X = {}', 'X[k] = v\n    while len(X) > 10:\n        X.popitem()', 'size-check'],
    ['X = []', 'X.append(v)\n    del X[:-10]', 'slice'],
    ['X = {}', 'X[k % 64] = v', 'fixed-keys'],
    ['X = [None] * 10', 'X[k] = v', 'fixed-length'],
    ['X = {}', 'if len(X) < 10:\n        X[k] = v', 'guarded-insert'],
    ['X = []', 'if len(X) < 10:\n        X.append(v)\n    else:\n        X[k] = v', 'guarded-insert'],
    [
      'X = {}\nN = 0',
      'global N\n    if N == 50:\n        return\n    for i in v:\n        X[i] = v\n    N += 1',
      'guarded-insert',
    ],
  ])('%s', (creation, store, kind) => {
    const found = use(`import collections\n${creation}\n\ndef put(k, v):\n    ${store}\n`);
    expect(found.bounds.map(b => b.kind)).toContain(kind);
    expect(found.bounded).toBe(true);
  });
  test('deque() has none, and "%s" % x is no remainder', () => {
    expect(use('import collections\nX = collections.deque()\ndef put(v):\n    X.append(v)\n').bounded).toBe(false);
    expect(use('X = {}\ndef put(k, v):\n    X["key %s" % k] = v\n').bounded).toBe(false);
  });
});

test('a holder that is not there', () => {
  const found = use('Y = 1\n', { module: 'nowhere', name: 'nothing' });
  expect(found.found).toBe(false);
  expect(found.sentences).toEqual(['nowhere.nothing is not mentioned in the source that could be read']);
});

test('holders as the heap writes them', () => {
  const files = [
    openSource(
      '/srv/app/cache.py',
      'class Store:\n    def __init__(self):\n        self._slots = {}\n        self.inner = Inner()\nclass Inner:\n    def __init__(self):\n        self.rows = []\nSTORE = Store()\nSESSIONS = {}\n',
    ),
  ];
  expect(holderFromExpression(files, 'app.cache.SESSIONS')).toEqual({ module: 'app.cache', name: 'SESSIONS' });
  expect(holderFromExpression(files, '__main__.STORE._slots')).toEqual({
    className: 'Store',
    attribute: '_slots',
    viaGlobal: 'STORE',
  });
  expect(holderFromExpression(files, "app.cache.STORE._slots['…']")).toEqual({
    className: 'Store',
    attribute: '_slots',
    viaGlobal: 'STORE',
  });
  expect(holderFromExpression(files, 'STORE.inner.rows')).toEqual({
    className: 'Inner',
    attribute: 'rows',
    viaGlobal: 'STORE.inner',
  });
  expect(holderFromExpression(files, 'app.send.__closure__[seen]')).toEqual({ function: 'app.send', variable: 'seen' });
});

test('sites guessed from the source', () => {
  const files = [openSource('a.py', 'X = {}\nclass T:\n    pass\nT()\ndef put(k):\n    X[k] = T()\n')];
  expect(storeSiteGuess(files, { holder: { module: 'a', name: 'X' }, types: ['a.T'] })).toEqual({
    storeSites: [{ file: 'a.py', line: 6, function: 'put', evidence: 'static' }],
    creationSites: [
      { file: 'a.py', line: 6, function: 'put', evidence: 'static' },
      { file: 'a.py', line: 4, function: '<module>', evidence: 'static' },
    ],
  });
});
