/** Programs that are not the zoo's, with what the heap would say of them: the category that comes first. */
import { beforeAll, expect, test } from 'vitest';
import { categoryHints, type HeapFacts, openSource, prepareSource } from '../../src/source/index.ts';

beforeAll(prepareSource);

const common = {
  holderKind: 'dict',
  holderIsModuleGlobal: true,
  throughClosure: false,
  throughThreadLocal: false,
  throughLruCache: false,
  storeSites: [],
};
const programs: [string, string, string | null, string[], string, Partial<HeapFacts>?][] = [
  [
    'unbounded-cache',
    'plain memo',
    '__main__.results',
    ['Report'],
    `results = {}\nclass Report:\n    pass\ndef render(k):\n    return Report()\ndef report_for(k):\n    if k not in results:\n        results[k] = render(k)\n    return results[k]\n`,
  ],
  [
    'unbounded-cache',
    'try/except cache',
    '__main__.svc._users',
    ['User'],
    `class User:\n    def __init__(self, r):\n        self.r = r\nclass Svc:\n    def __init__(self):\n        self._users = {}\n    def user(self, uid):\n        try:\n            return self._users[uid]\n        except KeyError:\n            u = self._users[uid] = self._load(uid)\n            return u\n    def _load(self, uid):\n        return User(uid)\nsvc = Svc()\n`,
  ],
  [
    'unreleased-reference',
    'futures by correlation id',
    '__main__.client._futures',
    ['Reply'],
    `class Client:\n    def __init__(self):\n        self._futures = {}\n    def call(self, cid):\n        f = Reply()\n        self._futures[cid] = f\n        return f\n    def handle_reply(self, cid, data):\n        f = self._futures.pop(cid, None)\n        f.set(data)\n    def handle_error(self, cid, err):\n        f = self._futures.get(cid)\n        f.fail(err)\nclass Reply:\n    pass\nclient = Client()\n`,
  ],
  [
    'unreleased-reference',
    'exception skips release',
    '__main__.LOCKS',
    ['Lock'],
    `LOCKS = {}\nclass Lock:\n    pass\ndef run(k):\n    LOCKS[k] = Lock()\n    work(k)\n    del LOCKS[k]\n`,
  ],
  [
    'unreleased-reference',
    'calls given up: the future in them is no coroutine',
    '__main__.client.pending',
    ['Call', '_asyncio.Future'],
    `class Call:\n    def __init__(self, n, future):\n        self.n = n\n        self.future = future\nclass Client:\n    def __init__(self):\n        self.pending = {}\n    def begin(self, n, loop):\n        call = Call(n, loop.create_future())\n        self.pending[n] = call\n        return call\n    def on_line(self, n):\n        call = self.pending.pop(n, None)\n        if call is not None:\n            call.future.set_result(1)\nclient = Client()\n`,
  ],
  [
    'unbounded-cache',
    'a dict that only happens to be called memo',
    '__main__.memo',
    ['Place'],
    `memo = {}\nclass Place:\n    pass\ndef locate(lat, lon):\n    try:\n        return memo[lat, lon]\n    except KeyError:\n        place = Place()\n        memo[lat, lon] = place\n        return place\n`,
  ],
  [
    'unreleased-reference',
    'removed from one of two indexes',
    '__main__.depot.by_code',
    ['Parcel'],
    `class Parcel:\n    number = code = 0\nclass Depot:\n    def __init__(self):\n        self.by_number = {}\n        self.by_code = {}\n    def arrive(self, parcel):\n        self.by_number[parcel.number] = parcel\n        self.by_code[parcel.code] = parcel\n    def deliver(self, number):\n        return self.by_number.pop(number)\ndepot = Depot()\n`,
  ],
  [
    'global-container',
    'a defaultdict that is only read',
    '__main__.USAGE',
    ['Usage'],
    `from collections import defaultdict\nclass Usage:\n    used = 0\nUSAGE = defaultdict(Usage)\ndef allowed(client):\n    return USAGE[client].used < 9\n`,
  ],
  [
    'global-container',
    'audit trail',
    '__main__.AUDIT',
    ['Entry'],
    `AUDIT = []\nclass Entry:\n    pass\ndef act(u):\n    AUDIT.append(Entry())\n`,
  ],
  [
    'global-container',
    'class attribute registry',
    '__main__.Session.all',
    ['Session'],
    `class Session:\n    all = []\n    def __init__(self):\n        Session.all.append(self)\n`,
  ],
  [
    'event-listener',
    'observers of a module global',
    '__main__.model.observers',
    ['View'],
    `class Model:\n    def __init__(self):\n        self.observers = []\n    def attach(self, o):\n        self.observers.append(o)\n    def changed(self):\n        for o in self.observers:\n            o.update(self)\nmodel = Model()\nclass View:\n    def __init__(self):\n        model.attach(self)\n    def update(self, m):\n        pass\n`,
  ],
  [
    'event-listener',
    'dict of topic to callbacks',
    '__main__.bus._topics',
    ['method', 'Panel'],
    `import collections\nclass Bus:\n    def __init__(self):\n        self._topics = collections.defaultdict(list)\n    def subscribe(self, topic, cb):\n        self._topics[topic].append(cb)\n    def publish(self, topic, m):\n        for cb in self._topics[topic]:\n            cb(m)\nbus = Bus()\nclass Panel:\n    def __init__(self):\n        bus.subscribe("x", self.on_x)\n    def on_x(self, m):\n        pass\n`,
  ],
  [
    'thread-local',
    'request ctx append',
    '__main__.ctx.events',
    ['Event'],
    `import threading\nctx = threading.local()\nclass Event:\n    pass\ndef log(e):\n    if not hasattr(ctx, "events"):\n        ctx.events = []\n    ctx.events.append(Event())\n`,
  ],
  [
    'thread-local',
    'dict by ident',
    '__main__.CONNS',
    ['Conn'],
    `import threading\nCONNS = {}\nclass Conn:\n    pass\ndef conn():\n    i = threading.get_ident()\n    if i not in CONNS:\n        CONNS[i] = Conn()\n    return CONNS[i]\n`,
  ],
  [
    'exception-traceback',
    'errors list',
    '__main__.errors',
    ['traceback', 'frame', 'ValueError'],
    `errors = []\ndef run(j):\n    try:\n        j()\n    except Exception as e:\n        errors.append(e)\n`,
  ],
  [
    'generator-or-coroutine',
    'tasks set',
    '__main__.tasks',
    ['Task', 'coroutine'],
    `import asyncio\ntasks = set()\nasync def job(): pass\nasync def spawn():\n    tasks.add(asyncio.create_task(job()))\n`,
  ],
  [
    'class-or-code-growth',
    'dynamic models',
    '__main__.MODELS',
    ['type'],
    `MODELS = {}\ndef model(n, fields):\n    cls = type("M%d" % n, (object,), fields)\n    MODELS[n] = cls\n    return cls\n`,
  ],
  [
    'weakref-misuse',
    'weak value callback',
    '__main__.refs',
    ['ReferenceType'],
    `import weakref\nrefs = []\ndef watch(o):\n    refs.append(weakref.ref(o))\n`,
  ],
  [
    'file-or-socket-handle',
    'log files',
    '__main__.files',
    ['TextIOWrapper', 'BufferedWriter', 'FileIO'],
    `files = []\ndef log(p):\n    f = open(p, "a")\n    f.write("x")\n    files.append(f)\n`,
  ],
  [
    'finalizer-cycle',
    'resurrect',
    '__main__.graveyard',
    ['Handle'],
    `graveyard = []\nclass Handle:\n    def __del__(self):\n        graveyard.append(self)\n`,
  ],
  [
    'long-lived-object',
    'exit stack',
    '__main__.app.stack._exit_callbacks',
    ['tuple', 'method'],
    `import contextlib\nclass App:\n    def __init__(self):\n        self.stack = contextlib.ExitStack()\n    def use(self, r):\n        self.stack.enter_context(r)\napp = App()\n`,
  ],
  [
    'closure',
    'counter closure list',
    '__main__.record.__closure__[rows]',
    ['Row'],
    `class Row:\n    pass\ndef make():\n    rows = []\n    def record(x):\n        rows.append(Row())\n        return len(rows)\n    return record\nrecord = make()\n`,
    { throughClosure: true, holderKind: 'list' },
  ],
  [
    'circular-reference',
    'gc off',
    null,
    ['Node'],
    `import gc\ngc.disable()\nclass Node:\n    pass\ndef f():\n    n = Node(); n.me = n\n`,
  ],
  [
    'lru-cache-method',
    'cache',
    '__main__.Svc.price',
    ['Svc'],
    `import functools\nclass Svc:\n    @functools.lru_cache(4096)\n    def price(self, x):\n        return x\n`,
    { throughLruCache: true },
  ],
];

test.each(programs)('%s: %s', (category, _title, holderExpression, growingTypes, text, more) => {
  const hints = categoryHints([openSource('main.py', text)], { ...common, holderExpression, growingTypes, ...more });
  expect(hints[0]?.category).toBe(category);
  expect(hints[0]!.score).toBeGreaterThan(hints[1]?.score ?? 0);
  expect(hints[0]!.reasons.length).toBeGreaterThan(0);
});
