"""Builds at least one of everything that holds references in CPython, then stops at the oracle's barrier.

    python target.py        with observe.py beside it

Everything hangs on the dict KEEP, under a name that says what it is. Runs on 3.8 to 3.15 with the standard library.
"""
import _io
import abc
import array
import asyncio
import atexit
import bisect
import collections
import contextlib
import contextvars
import copy
import csv
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import gc
import hashlib
import io
import itertools
import json
import logging
import mmap
import operator
import os
import pickle
import queue
import random
import re
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import types
import typing
import unicodedata
import uuid
import weakref
import zlib

import observe

KEEP = {}
THREADS = []
MISSING = []


def optional(name):
    """A builder that a version or a build may lack: what it needs is then named in MISSING."""

    def wrap(build):
        try:
            KEEP[name] = build()
        except (ImportError, AttributeError, NotImplementedError) as e:
            MISSING.append("%s: %s" % (name, e))
        return build

    return wrap


class Plain:
    """An instance with attributes inside it."""

    def __init__(self, n):
        self.n = n
        self.text = "text %d" % n
        self.items = [n, str(n)]

    def method(self):
        return self.n

    @property
    def doubled(self):
        return self.n * 2

    @staticmethod
    def static():
        return KEEP

    @classmethod
    def klass(cls):
        return cls


class Slotted:
    __slots__ = ("a", "b", "unset", "__weakref__")

    def __init__(self, a, b):
        self.a = a
        self.b = b


class SlottedChild(Slotted):
    __slots__ = ("c",)


class SlottedWithDict(Slotted):
    def __init__(self, a, b):
        super().__init__(a, b)
        self.extra = object()


class IntChild(int):
    pass


class TupleChild(tuple):
    pass


class StrChild(str):
    pass


class BytesChild(bytes):
    pass


class FloatChild(float):
    pass


class ListChild(list):
    pass


class DictChild(dict):
    pass


class SetChild(set):
    pass


class Meta(type):
    def __new__(mcls, name, bases, ns):
        return super().__new__(mcls, name, bases, ns)


class WithMeta(metaclass=Meta):
    registry = []


class Abstract(abc.ABC):
    @abc.abstractmethod
    def f(self):
        ...


class Concrete(Abstract):
    def f(self):
        return 1


Abstract.register(Plain)
isinstance(Concrete(), Abstract), isinstance(3, Abstract)


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Data:
    x: int
    y: list = dataclasses.field(default_factory=list)


class Finalized:
    def __del__(self):
        pass


class Tz(datetime.tzinfo):
    def utcoffset(self, dt):
        return datetime.timedelta(hours=1)

    def dst(self, dt):
        return None

    def tzname(self, dt):
        return "here"


Point = collections.namedtuple("Point", "x y")


def instances():
    k = {}
    k["plain"] = [Plain(i) for i in range(50)]
    many = Plain(0)
    for i in range(60):
        setattr(many, "attribute_%d" % i, [i])
    k["many attributes"] = many
    deleted = Plain(1)
    del deleted.text
    k["deleted attribute"] = deleted
    materialised = Plain(2)
    materialised.__dict__["by dict"] = object()
    k["dict made"] = materialised, vars(Plain(3))
    only_read = Plain(4)
    k["dict only read"] = only_read, only_read.__dict__
    nonstring = Plain(5)
    nonstring.__dict__[5] = "five"
    k["key that is no string"] = nonstring
    replaced = Plain(6)
    replaced.__dict__ = {"a": object()}
    k["dict replaced"] = replaced
    k["slots"] = Slotted(object(), [1]), SlottedChild(1, 2), SlottedWithDict(object(), object())
    k["subclasses of built-ins"] = [
        IntChild(7), IntChild(2 ** 70), TupleChild((1, object())), StrChild("str child"), StrChild("кто"), BytesChild(b"bytes child"),
        FloatChild(1.5), ListChild([object()]), DictChild(a=object()), SetChild([object()]),
    ]
    for o in k["subclasses of built-ins"]:
        o.attribute = object()
    k["named tuple"] = Point(object(), [2])
    k["enum"] = Color.RED, Color(2)
    k["dataclass"] = Data(1)
    k["finalized"] = Finalized()
    k["meta"] = WithMeta(), WithMeta
    k["abstract"] = Concrete()
    k["bound"] = Plain(8).method, Plain.klass, [].append, "x".join, len, Plain(9).__init__, (5).__add__, Plain.__dict__["doubled"]
    k["descriptors"] = list.__dict__["append"], dict.__dict__["fromkeys"], int.__dict__["real"], object.__dict__["__repr__"], types.FunctionType.__dict__["__closure__"]
    k["simple namespace"] = types.SimpleNamespace(a=object(), b=[1])
    k["super"] = super(SlottedWithDict, SlottedWithDict(1, 2))
    k["object"] = object()
    return k


def containers():
    k = {}
    k["dict"] = {("key", i): object() for i in range(200)}
    k["dict of text"] = {"key%d" % i: [i] for i in range(300)}
    big = {i: str(i) for i in range(70000)}
    k["big dict"] = big
    holes = {"k%d" % i: object() for i in range(100)}
    for i in range(0, 100, 3):
        del holes["k%d" % i]
    k["dict with holes"] = holes
    k["empty"] = {}, [], (), set(), frozenset(), collections.deque(), "", b"", bytearray(), collections.OrderedDict()
    mixed = {"a": 1}
    mixed[1] = object()
    k["dict of both kinds"] = mixed
    k["views"] = mixed.keys(), mixed.values(), mixed.items(), iter(mixed), iter(mixed.values()), iter(mixed.items()), reversed(mixed), reversed(mixed.items()), reversed(mixed.values())
    used_up = iter([1])
    list(used_up)
    k["iterators"] = [
        iter([object()]), reversed([object()]), iter((object(), 2)), iter({object()}), iter(range(10)), iter(range(2 ** 70, 2 ** 70 + 4)),
        iter("abc"), iter(b"abc"), iter("аб"), iter(bytearray(b"xy")), iter(collections.deque([object()])), reversed(collections.deque([object()])),
        enumerate([object()], 2 ** 65), zip([object()], (1,)), map(str, [object()]), filter(None, [object()]), reversed(Sequence()), iter(Sequence()),
        iter(lambda: 5, object()), iter(array.array("i", [1])), iter(memoryview(b"mem")), used_up, iter(types.MappingProxyType({"a": 1})),
        iter(collections.OrderedDict(a=object())), iter(collections.OrderedDict(a=object()).items()), iter(frozenset([object()])), reversed(range(5)),
    ]
    it = k["iterators"][0]
    od = collections.OrderedDict((("o%d" % i), object()) for i in range(40))
    od.move_to_end("o3")
    del od["o5"]
    od[("tuple", 1)] = object()
    od.attribute = object()
    k["ordered dict"] = od
    k["ordered views"] = od.keys(), od.values(), od.items()
    dd = collections.defaultdict(lambda: object())
    dd[1], dd["two"]
    k["default dict"] = dd, collections.defaultdict(list), collections.defaultdict(None)
    k["counter"] = collections.Counter("hello world")
    k["chain map"] = collections.ChainMap({"a": 1}, {"b": object()})
    k["user"] = collections.UserDict(a=object()), collections.UserList([object()]), collections.UserString("u")
    k["proxy"] = types.MappingProxyType({"a": object()})
    k["list"] = [object() for _ in range(500)]
    grown = []
    for i in range(1000):
        grown.append((i,))
    del grown[500:]
    k["grown list"] = grown
    k["tuple"] = tuple(object() for _ in range(50))
    k["untracked tuples"] = [(1, "two", 3.0), ((1, 2), (3, b"x"))]
    s = {object() for _ in range(300)}
    for o in list(s)[:100]:
        s.discard(o)
    k["set"] = s
    k["small sets"] = {1, "a", 2.5}, frozenset([("t", 1), "b"])
    d = collections.deque(maxlen=100)
    for i in range(250):
        d.append([i])
    k["deque"] = d
    left = collections.deque()
    for i in range(200):
        left.appendleft(object())
    k["deque to the left"] = left
    rotated = collections.deque(range(130))
    rotated.rotate(50)
    k["rotated deque"] = rotated
    k["nested"] = [[[[[[{"a": ({"b": [object()]},)}]]]]]]
    loop = []
    loop.append(loop)
    k["loop"] = loop
    k["slice"] = slice(object(), [1], 2), range(5), range(2 ** 65, 2 ** 66)
    k["numbers"] = [0, 1, -1, 2 ** 30, -(2 ** 62), 2 ** 300, 1.5, 1j, True, None, Ellipsis, NotImplemented]
    k["text"] = ["ascii", "é", "кириллица", "\U0001f600 emoji", "x" * 5000, "я" * 3000, "surrogate \udc80"]
    utf8 = "žluťoučký"
    int_text = sys.intern("interned_by_hand")
    with contextlib.suppress(Exception):
        ctypes.pythonapi.PyUnicode_AsUTF8.argtypes = [ctypes.py_object]
        ctypes.pythonapi.PyUnicode_AsUTF8(utf8)
    k["text with utf-8"] = utf8, int_text
    k["bytes"] = b"b" * 1000, bytearray(b"ba" * 300), memoryview(b"view"), memoryview(bytearray(b"abc"))[1:]
    popped = bytearray(b"0123456789" * 100)
    del popped[:300]
    k["bytearray popped"] = popped
    k["array"] = array.array("d", range(100)), array.array("u", "text") if sys.version_info < (3, 13) else array.array("w", "text")
    over = array.array("i")
    for i in range(77):
        over.append(i)
    k["array appended"] = over
    return k


class Sequence:
    def __len__(self):
        return 2

    def __getitem__(self, i):
        if i > 1:
            raise IndexError
        return i


def functions():
    k = {}

    def outer(x, y=[object()], *args, kw={"d": object()}, **kwargs) -> "annotation":
        z = [x]

        def inner(a: int = 3):
            return x, z, a, y

        inner.attribute = object()
        return inner

    k["closure"] = outer(object())
    k["function"] = outer
    k["lambda"] = lambda v=object(): v
    empty_cell_holder = types.FunctionType(outer(1).__code__, globals(), "made", None, tuple(types.CellType() for _ in outer(1).__closure__))
    k["empty cells"] = empty_cell_holder
    k["code"] = compile("def f(a):\n  return [x for x in a if x in {1,2}]\nlambda: (1, (2, b'x', 'constant text'))\n", "made.py", "exec")
    cached = compile("a = 1\nb = a", "cached.py", "exec")
    cached.co_code, getattr(outer.__code__, "co_varnames"), outer.__code__.co_cellvars, outer.__code__.co_freevars, k["closure"].__code__.co_freevars, outer.__code__.co_code
    k["code read"] = cached
    k["partial"] = functools.partial(outer, object(), kw=object()), functools.partial(print)
    k["partial"][1].attribute = object()
    k["partialmethod"] = functools.partialmethod(outer, 1)
    k["cached"] = cached_function
    for i in range(20):
        cached_function(i, key=str(i))
        unbounded(i)
        once(i)
    k["cached property"] = WithCachedProperty()
    k["cached property"].value
    k["single dispatch"] = functools.singledispatch(outer)
    k["cmp"] = functools.cmp_to_key(lambda a, b: 0)(object()), functools.cmp_to_key(len)
    k["operator"] = operator.itemgetter(1, "k"), operator.attrgetter("a.b", "c"), operator.methodcaller("m", 1, x=object()), operator.itemgetter(object())
    k["reduce"] = functools.reduce
    for module in (outer,):
        module.__wrapped__ = k["closure"]
    return k


@functools.lru_cache(maxsize=8)
def cached_function(a, key=None):
    return [a, key]


@functools.lru_cache(maxsize=None)
def unbounded(a):
    return [a]


@functools.lru_cache(maxsize=0)
def once(a):
    return [a]


class WithCachedProperty:
    @functools.cached_property
    def value(self):
        return object()


def iterator_tools():
    k = {}
    a, b, c = itertools.tee((object() for _ in range(200)), 3)
    for _ in range(100):
        next(a)
    next(b)
    k["tee"] = a, b, c, copy.copy(a)
    chain = itertools.chain([object()], (1, 2))
    next(chain)
    grouped = itertools.groupby([1, 1, 2, 2, 3], key=lambda v: v // 2)
    key, group = next(grouped)
    next(group)
    product = itertools.product([object(), 2], repeat=2)
    next(product)
    combinations = itertools.combinations([object(), 2, 3], 2)
    next(combinations)
    replaced = itertools.combinations_with_replacement([object(), 2], 2)
    next(replaced)
    permutations = itertools.permutations([object(), 2, 3])
    next(permutations)
    cycle = itertools.cycle([object(), 1])
    next(cycle)
    longest = itertools.zip_longest([object()], [1, 2], fillvalue=object())
    next(longest)
    accumulate = itertools.accumulate([[1], [2]], operator.add)
    next(accumulate)
    k["all"] = [
        chain, itertools.chain.from_iterable([[object()]]), grouped, group, product, combinations, replaced, permutations, cycle, longest, accumulate,
        itertools.count(5), itertools.count(2 ** 70, 3), itertools.count(1.5, object() and 2), itertools.repeat(object()), itertools.repeat(object(), 3),
        itertools.islice([object()], 1, None), itertools.starmap(print, [(1,)]), itertools.takewhile(bool, [object()]), itertools.dropwhile(bool, [object()]),
        itertools.filterfalse(bool, [object()]), itertools.compress([object()], [1]), itertools.accumulate([1], initial=object()),
    ]
    if hasattr(itertools, "pairwise"):
        pairs = itertools.pairwise([object(), object(), 3])
        next(pairs)
        k["pairwise"] = pairs
    if hasattr(itertools, "batched"):
        k["batched"] = itertools.batched([object()], 2)
    return k


def generators():
    k = {}

    def generator(n, held):
        local = [held]
        for i in range(n):
            received = yield i
            local.append(received)
        try:
            yield local
        finally:
            held = None

    suspended = generator(3, object())
    next(suspended)
    suspended.send(object())
    finished = generator(0, object())
    for _ in finished:
        pass

    def delegating():
        inner = generator(4, object())
        yield from inner

    outer = delegating()
    next(outer)

    def handling():
        try:
            raise ValueError(object())
        except ValueError as e:
            yield e

    in_handler = handling()
    next(in_handler)
    k["generators"] = suspended, finished, generator(1, object()), outer, in_handler, (x for x in [object()])
    k["frame of generator"] = suspended.gi_frame

    async def coroutine(x):
        y = object()
        await asyncio.sleep(100, x)
        return y

    async def agen():
        value = object()
        yield value
        yield 2

    class Awaitable:
        def __await__(self):
            yield object()

    async def awaiting(v):
        await Awaitable()

    fresh = coroutine(object())
    waiting = awaiting(object())
    waiting.send(None)
    k["coroutines"] = fresh, waiting, waiting.__await__()
    ag = agen()
    asend = ag.asend(None)
    with contextlib.suppress(StopIteration):
        asend.send(None)
    k["async generators"] = ag, agen(), agen().__anext__(), agen().asend(object()), agen().athrow(ValueError), agen().aclose()
    if sys.version_info >= (3, 10):
        k["anext"] = anext(agen(), object())

    @types.coroutine
    def old_style():
        yield object()

    k["types.coroutine"] = old_style()
    return k


def raise_chain():
    try:
        try:
            first = object()
            raise KeyError(first)
        except KeyError as e:
            raise ValueError("second", [1]) from e
    except ValueError as e:
        return e


def exceptions():
    k = {}
    chained = raise_chain()
    chained.attribute = object()
    if hasattr(chained, "add_note"):
        chained.add_note("note")
    k["chained"] = chained
    k["traceback"] = chained.__traceback__, chained.__traceback__.tb_frame
    made = [OSError(2, "no", "file", None, "other"), SystemExit(object()), StopIteration(object()), ImportError("m", name="n", path="p"), SyntaxError("bad", ("f", 1, 2, "text")), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"), UnicodeEncodeError("ascii", "я", 0, 1, "why"), KeyError(object()), MemoryError(), RecursionError(), BlockingIOError(1, "b", 3)]
    with contextlib.suppress(NameError, UnboundLocalError):
        undefined_name
    try:
        undefined_name
    except NameError as e:
        made.append(e)
    try:
        object().nothing
    except AttributeError as e:
        made.append(e)
    if sys.version_info >= (3, 11):
        made.append(ExceptionGroup("several", [ValueError(object()), TypeError()]))
    k["made"] = made

    class Own(Exception):
        def __init__(self, payload):
            super().__init__(payload)
            self.payload = payload

    k["own"] = Own(object())
    return k


CONTEXT_VAR = contextvars.ContextVar("CONTEXT_VAR", default=object())
MORE_VARS = [contextvars.ContextVar("v%d" % i) for i in range(60)]


def contexts():
    k = {}
    token = CONTEXT_VAR.set(object())
    for v in MORE_VARS:
        v.set([v.name])
    context = contextvars.copy_context()
    inner = contextvars.Context()
    inner.run(CONTEXT_VAR.set, object())
    small = contextvars.Context()
    small.run(MORE_VARS[0].set, object())
    small.run(MORE_VARS[1].set, object())
    k["contexts"] = context, inner, small, contextvars.Context()
    k["token"] = token, CONTEXT_VAR.set(object())
    k["iterators"] = iter(context), iter(context.items()), iter(context.values()), context.keys(), context.items()
    return k


def weak():
    k = {}
    target = Plain(10)
    k["target"] = target
    k["ref"] = weakref.ref(target), weakref.ref(target, print), weakref.ref(target, lambda r: object())
    k["proxy"] = weakref.proxy(target), weakref.proxy(target, print), weakref.proxy(all_of_it)
    dead = weakref.ref(Plain(11))
    k["dead"] = dead
    k["method"] = weakref.WeakMethod(target.method)
    values = weakref.WeakValueDictionary()
    values["a"] = target
    keys = weakref.WeakKeyDictionary()
    keys[target] = object()
    k["weak containers"] = values, keys, weakref.WeakSet([target])
    k["finalize"] = weakref.finalize(target, print, object(), k=object())
    k["keyed"] = weakref.KeyedRef(target, None, "the key")
    return k


def modules_and_types():
    k = {}
    module = types.ModuleType("made_module")
    module.value = object()
    k["module"] = module
    k["types"] = type("Made", (Plain,), {"a": object()}), Meta("MadeByMeta", (), {})
    if sys.version_info >= (3, 9):
        k["generic alias"] = list[int], dict[str, list[int]], iter(list[int]) if sys.version_info >= (3, 11) else None
    if sys.version_info >= (3, 10):
        k["union"] = int | str | None, list[int] | None
    T = typing.TypeVar("T", bound=object)
    k["typing"] = T, typing.List[int], typing.Optional[str], typing.Callable[[int], str], typing.TypeVar("B", int, str)
    if sys.version_info >= (3, 10):
        P = typing.ParamSpec("P")
        k["param spec"] = P, P.args, P.kwargs
    if sys.version_info >= (3, 12):
        scope = {}
        exec("type Alias[A: (int, str), *B, **C] = dict[A, int]\ndef generic[A: int](x: A) -> list[A]: return [x]\nclass G[A]:\n  x: A\nAlias.__value__, Alias.__type_params__", scope)
        k["type alias"] = scope["Alias"], scope["generic"], scope["G"], typing.TypeVarTuple("Ts")
    if sys.version_info >= (3, 13):
        k["no default"] = typing.NoDefault, typing.TypeVar("D", default=int)
    k["struct sequence"] = time_struct(), os.stat("/"), sys.version_info, sys.flags
    capsule = getattr(datetime, "datetime_CAPI", None)
    k["capsule"] = capsule, unicodedata.ucd_3_2_0
    return k


def time_struct():
    import time

    return time.localtime()


def input_output():
    k = {}
    directory = tempfile.mkdtemp(prefix="oracle")
    path = os.path.join(directory, "file.txt")
    with open(path, "w") as f:
        f.write("line one\nline two\n" * 200)
    text = open(path)
    text.readline()
    k["text"] = text, iter(text)
    k["raw"] = open(path, "rb", buffering=0)
    k["buffered"] = open(path, "rb"), open(path, "r+b"), open(path, "ab")
    k["bytes io"] = io.BytesIO(b"content"), io.BytesIO()
    exported = io.BytesIO(b"exported")
    k["bytes io view"] = exported, exported.getbuffer()
    written = io.StringIO()
    written.write("abc")
    k["string io"] = io.StringIO("text"), written
    wrapper = io.TextIOWrapper(io.BytesIO(b"a\r\nb\n"), encoding="utf-8", errors="replace", newline=None)
    wrapper.readline()
    k["wrapper"] = wrapper, io.IncrementalNewlineDecoder(None, True)
    r, w = os.pipe()
    k["pair"] = io.BufferedRWPair(open(r, "rb", buffering=0), open(w, "wb", buffering=0))
    a, b = socket.socketpair()
    k["sockets"] = a, b, a.makefile("rwb")
    ep = select.epoll()
    ep.register(a.fileno())
    p = select.poll()
    p.register(b.fileno())
    k["poll"] = ep, p
    k["mmap"] = mmap.mmap(-1, 8192)
    k["scandir"] = os.scandir(directory)
    k["entries"] = list(os.scandir(directory))
    k["entries"][0].stat()
    import selectors

    selector = selectors.DefaultSelector()
    selector.register(a, 1, object())
    k["selector"] = selector
    k["csv"] = csv.reader(io.StringIO("a,b\nc,d\n")), csv.writer(io.StringIO()), csv.DictReader(io.StringIO("a,b\n1,2\n"))
    next(k["csv"][0])
    os.remove(path)
    for e in k["entries"]:
        e.name
    return k


def others():
    k = {}
    pattern = re.compile(r"(?P<word>\w+)\s(\d+)")
    match = pattern.match("hello 42")
    k["re"] = pattern, match, pattern.finditer("a 1 b 2"), pattern.scanner("x 1"), re.compile(b"bytes")
    k["struct"] = struct.Struct("<IHQ"), struct.iter_unpack("<H", b"abcd")
    pickled = io.BytesIO()
    pickler = pickle.Pickler(pickled)
    shared = [object.__new__(Plain), "memoised text"]
    pickler.dump(shared)
    pickler.dump({"again": shared})
    unpickler = pickle.Unpickler(io.BytesIO(pickled.getvalue()))
    unpickler.load()
    own = OwnPickler(io.BytesIO())
    own.dump([Plain(3)])
    k["pickle"] = pickler, unpickler, own, pickler.memo, unpickler.memo, pickle.Pickler(io.BytesIO(), fix_imports=False)
    k["decimal"] = decimal.Decimal("1.23456789012345678901234567890"), decimal.Decimal(5), decimal.getcontext(), decimal.Context(prec=10), decimal.Decimal(10) ** 400
    k["fraction"] = fractions.Fraction(1, 3)
    zone = datetime.timezone(datetime.timedelta(hours=2), "zone")
    k["datetime"] = [
        datetime.datetime(2020, 1, 1, tzinfo=zone), datetime.datetime(2020, 1, 1), datetime.date(2020, 1, 1), datetime.time(1, 2, tzinfo=zone),
        datetime.timedelta(1), zone, datetime.datetime(2020, 1, 1, tzinfo=Tz()), datetime.timezone.utc, datetime.time(1, 2), datetime.timezone(datetime.timedelta(hours=3)),
    ]
    k["hash"] = hashlib.md5(b"x"), hashlib.sha256(b"y"), hashlib.blake2b(b"z"), hashlib.sha3_256()
    k["random"] = random.Random(5), random.SystemRandom()
    k["zlib"] = zlib.compressobj(), zlib.decompressobj()
    k["uuid"] = uuid.uuid4()
    encoder = json.JSONEncoder()
    decoder = json.JSONDecoder()
    k["json"] = encoder, decoder, decoder.scan_once, json.encoder.c_make_encoder({}, encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, True)
    k["queue"] = queue.Queue(), queue.SimpleQueue(), queue.PriorityQueue()
    k["queue"][0].put(object())
    for i in range(40):
        k["queue"][1].put([i])
    k["queue"][1].get()
    k["bisect"] = bisect.bisect_left
    k["logging"] = logging.getLogger("oracle"), logging.StreamHandler(io.StringIO())
    k["unicodedata"] = unicodedata
    return k


class OwnPickler(pickle.Pickler):
    def persistent_id(self, obj):
        return None

    def reducer_override(self, obj):
        return NotImplemented


class CStructure(ctypes.Structure):
    _fields_ = [("number", ctypes.c_int), ("text", ctypes.c_char_p), ("object", ctypes.py_object)]


class CUnion(ctypes.Union):
    _fields_ = [("i", ctypes.c_int), ("s", CStructure)]


def c_types():
    k = {}
    s = CStructure(1, b"bytes text", [object()])
    k["structure"] = s
    k["pointer"] = ctypes.pointer(s), ctypes.byref(s), ctypes.POINTER(CStructure)()
    k["contents"] = k["pointer"][0].contents
    arr = (CStructure * 3)()
    arr[1].object = [1]
    k["array"] = arr, arr[1], (ctypes.c_int * 1000)()
    k["simple"] = ctypes.c_int(5), ctypes.c_char_p(b"x"), ctypes.py_object([object()]), ctypes.c_double(1.5)
    k["buffer"] = ctypes.create_string_buffer(b"abc", 5000), ctypes.create_unicode_buffer("abc")
    k["from buffer"] = (ctypes.c_char * 4).from_buffer(bytearray(b"abcd"))
    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
    callback = callback_type(lambda v: v)
    k["callback"] = callback
    k["function"] = ctypes.pythonapi.Py_IncRef
    ctypes.pythonapi.PyLong_FromLong.argtypes = [ctypes.c_long]
    ctypes.pythonapi.PyLong_FromLong.restype = ctypes.py_object
    k["union"] = CUnion()
    k["dll"] = ctypes.pythonapi
    return k


def elements():
    import xml.etree.ElementTree as ET
    from xml.parsers import expat

    k = {}
    root = ET.fromstring("<root a='1'><child>text<deep x='2'/>tail</child><child/>%s</root>" % "".join("<n%d/>" % i for i in range(20)))
    root.tail = "tail"
    k["tree"] = root, ET.ElementTree(root), ET.Element("alone", {"k": "v"}), ET.Element("bare")
    k["iterators"] = root.iter(), root.itertext(), iter(root), root.iterfind("child")
    next(k["iterators"][0])
    k["builder"] = ET.TreeBuilder()
    k["builder"].start("a", {"b": "c"})
    k["builder"].data("some")
    parser = ET.XMLParser()
    parser.feed("<a><b>x</b>")
    pull = ET.XMLPullParser(["start", "end", "comment"])
    pull.feed("<a><b>x</b><!-- c -->")
    pull_events = ET.XMLPullParser(("start", "end", "start-ns", "pi"))
    k["parsers"] = parser, pull, pull_events
    own = expat.ParserCreate()
    own.StartElementHandler = lambda *a: None
    own.CharacterDataHandler = print
    k["expat"] = own, expat.ParserCreate(intern={})
    return k


def database():
    import sqlite3

    k = {}
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.create_function("f", 1, lambda x: x)
    connection.execute("create table t (a, b)")
    connection.executemany("insert into t values (?, ?)", [(i, "text %d" % i) for i in range(50)])
    cursor = connection.execute("select a, b from t")
    row = cursor.fetchone()
    k["connection"] = connection
    k["cursor"] = cursor, connection.cursor()
    k["row"] = row
    connection.set_trace_callback(print)
    return k


async def sleeper(name, held):
    local = [held]
    await asyncio.sleep(3600)
    return local


def loop():
    k = {}
    lp = asyncio.new_event_loop()

    async def main():
        tasks = [asyncio.ensure_future(sleeper("t%d" % i, object())) for i in range(5)]
        for t in tasks[:2]:
            t.add_done_callback(functools.partial(print, t))
        tasks[0].add_done_callback(lambda f: 5)
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(print)
        done = asyncio.get_running_loop().create_future()
        done.set_result(object())
        failed = asyncio.get_running_loop().create_future()
        failed.set_exception(ValueError(object()))
        failed.exception()
        waiter = asyncio.ensure_future(asyncio.wait_for(future, 1000))
        event = asyncio.Event()
        more = [asyncio.ensure_future(event.wait())]
        q = asyncio.Queue()
        q.put_nowait(object())
        more.append(asyncio.ensure_future(asyncio.gather(*[sleeper("g", object()) for _ in range(2)])) if False else asyncio.ensure_future(q.join()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        finished = asyncio.ensure_future(asyncio.sleep(0, object()))
        await finished
        k["tasks"] = tasks
        k["futures"] = future, done, failed
        k["waiter"] = waiter, more, event, q, asyncio.Lock(), asyncio.Semaphore(2)
        k["finished"] = finished
        k["future iterator"] = future.__await__(), iter(done)

    lp.run_until_complete(main())
    k["loop"] = lp
    return k


LOCAL = threading.local()


class LocalChild(threading.local):
    def __init__(self, x):
        self.x = x


CHILD_LOCAL = LocalChild([object()])


def worker(started, stop, n):
    LOCAL.value = [object(), n]
    CHILD_LOCAL.mine = object()
    CONTEXT_VAR.set([n])
    data = {"n": n, "payload": [object() for _ in range(10)]}

    def inside(depth, cell=object()):
        text = "depth %d" % depth
        if depth == 0:
            started.set()
            stop.acquire()
            return data, text
        return [inside(depth - 1), text][0]

    inside(5)


def catching(started, stop):
    try:
        raise RuntimeError(object())
    except RuntimeError as caught:
        try:
            {}["missing"]
        except KeyError as second:
            local = [caught, second]
            started.set()
            stop.acquire()
            return local


def iterating(started, stop):
    def produce():
        inner = object()
        yield 1
        started.set()
        stop.acquire()
        yield inner

    for item in produce():
        held = [item]


def threads():
    k = {}
    LOCAL.main = object()
    stops = []
    for i, (target, extra) in enumerate([(worker, (1,)), (worker, (2,)), (catching, ()), (iterating, ())]):
        started = threading.Event()
        stop = threading.Lock()
        stop.acquire()
        t = threading.Thread(target=target, args=(started, stop) + extra, name="worker-%d" % i, daemon=True)
        t.start()
        started.wait()
        # It is asleep in acquire() soon after: the barrier waits for the GIL, which it must give up for that.
        stops.append(stop)
        THREADS.append(t)
    k["stops"] = stops
    k["locks"] = threading.Lock(), threading.RLock(), threading.Condition(), threading.Semaphore(3), threading.Barrier(2)
    k["timer"] = threading.Timer(3600, print, [object()])
    k["local"] = LOCAL, CHILD_LOCAL
    return k


def registries():
    import codecs

    atexit.register(print, object(), file=object())
    os.register_at_fork(before=lambda held=object(): None, after_in_parent=lambda held=object(): None, after_in_child=lambda held=object(): None)
    signal.signal(signal.SIGUSR2, lambda s, f, held=object(): None)
    codecs.register(lambda name, held=object(): None)
    codecs.register_error("oracle", lambda e, held=object(): ("", e.end))
    sys.addaudithook(audit)
    threading.excepthook = lambda args, held=object(): None
    sys.excepthook = lambda *a, held=object(): None
    sys.unraisablehook = lambda a, held=object(): None
    return {}


def audit(event, args, held=object()):
    return None


def all_of_it():
    for build in (instances, containers, functions, iterator_tools, generators, exceptions, contexts, weak, modules_and_types, input_output, others, c_types, registries, loop, threads):
        KEEP[build.__name__] = build()
    for name, build in (("elements", elements), ("database", database)):
        optional(name)(build)


@optional("zoneinfo")
def zone_info():
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo("Europe/Paris")
    except zoneinfo.ZoneInfoNotFoundError:
        return None


@optional("lzma")
def compressors():
    import bz2
    import lzma

    return bz2.BZ2Compressor(), lzma.LZMACompressor(), lzma.LZMADecompressor()


@optional("ssl")
def tls():
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda *a: None
    client = ssl.create_default_context()
    return context, ssl.MemoryBIO(), client.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="x")


@optional("curses and others")
def more_modules():
    import multiprocessing.pool  # noqa: F401
    import email.message
    import http.client
    import urllib.request  # noqa: F401
    import unittest.mock

    return email.message.EmailMessage(), http.client.HTTPConnection("localhost"), unittest.mock.Mock()


if __name__ == "__main__":
    # What the imports made becomes the permanent generation; what follows is young and old.
    gc.collect()
    gc.freeze()
    all_of_it()
    gc.collect()
    KEEP["young"] = [Plain(100), {"young": object()}]
    held_by_frame = object()
    if MISSING:
        print("not built here:", MISSING, file=sys.stderr)
    observe.barrier()
