"""The heap as seen from inside, written to an agent file (docs/agent.md has its format).

One file without imports of its own package: leakscope also runs its text by sys.remote_exec. CPython 3.8 to 3.15,
modules that are built in only.

Three rules shape the code:
- No code of the program is called: no getattr on its objects, no comparison, no __len__, __iter__, __hash__ or __sizeof__
  of its classes. C functions of the built-in bases are called instead, on objects of those layouts.
- Nothing is made in the program that stays: `__dict__` of an instance is never asked for, strings are not interned, the
  snapshot that `f_locals` leaves in a frame (to 3.12) is emptied.
- Memory does not grow with the heap, except for 8 bytes a collector-tracked object: objects are looked at in batches, and
  what has been seen is remembered for shared untracked objects only, LIMIT of them. Beyond that they are written again,
  and the reader knows them by their address.
"""
import binascii
import gc
import os
import sys
import time
from itertools import chain, filterfalse, islice

# Not `array`, `collections`, `operator` or `struct`: to import those runs Python code, and leaves more modules in the program.
from _collections import OrderedDict, defaultdict, deque
from _struct import Struct
from _weakref import getweakrefs

VERSION = 1
MAGIC = b"LEAKAGNT"
BATCH = 1 << 13
CHUNK = 1 << 16
LIMIT = 1 << 18
LONGEST_NAME = 120
# Sections, as in docs/agent.md.
TYPES, STRINGS, NODES, PAIRS, ITEMS, ELEMENTS, TARGETS, NAMED, NAMES, KEYS, ROOTS, END = range(1, 13)
# Label kinds, as in src/cpython/columns.ts.
INTERNAL, ATTRIBUTE, LOCAL = 0, 1, 5
MASK = (1 << 64) - 1
HAVE_GC, HEAP_TYPE, IMMUTABLE_TYPE, MANAGED_DICT, MANAGED_WEAKREF = 1 << 14, 1 << 9, 1 << 8, 1 << 4, 1 << 3

_modern = sys.version_info >= (3, 11)
_mapping_of = type.__dict__["__dict__"].__get__
_read_mro = type.__dict__["__mro__"].__get__
_bases_of = type.__dict__["__bases__"].__get__
_flags_of = type.__dict__["__flags__"].__get__
_subclasses_of = type.__dict__["__subclasses__"]
_get = object.__getattribute__
_function = type(lambda: 0)


def _mro_of(t):
    return _read_mro(t) or (t,)


def _dict_of(t):
    # Types that C code has not made ready have none.
    return _mapping_of(t) or {}


_code = type((lambda: 0).__code__)
_module = type(sys)
_member = type(_function.__dict__["__globals__"])
_method_descriptor = type(object.__dict__["__sizeof__"])
_frame = type(sys._getframe())
_referents = gc.get_referents
_count = sys.getrefcount
# Attributes of C types that are computed, give what is there and make nothing.
_computed = {
    id(_function): ("__code__", "__defaults__", "__kwdefaults__"),
    id(BaseException): ("args", "__traceback__", "__context__", "__cause__"),
    id(type(len)): ("__self__",),
}


def pack(form, *values):
    # Not struct.pack: its cache of forms is the program's, and would be emptied.
    return Struct(form).pack(*values)


def _u32(values):
    return pack("=%dI" % len(values), *values)


def _u64(values):
    return pack("=%dQ" % len(values), *values)


def _ids(objects):
    return _u64(list(map(id, objects)))


def _items_of_array(o):
    """Items of a list or tuple. Never by iterating: one that C code is filling has null pointers in it, and iterating over
    those is a crash. The collector's traversal leaves them out; it goes from the last item to the first."""
    return reversed(gc.get_referents(o))


# Built-in containers: section, length, what gives the items.
_containers = [
    (dict, PAIRS, dict.__len__, dict.items),
    (list, ITEMS, list.__len__, _items_of_array),
    (tuple, ITEMS, tuple.__len__, _items_of_array),
    (set, ELEMENTS, set.__len__, set.__iter__),
    (frozenset, ELEMENTS, frozenset.__len__, frozenset.__iter__),
    (deque, ITEMS, deque.__len__, deque.__iter__),
]
_layouts = [t for t, _, _, _ in _containers] + [OrderedDict, defaultdict, str, bytes, bytearray, int]

if hasattr(sys, "_is_interned"):
    _interned = sys._is_interned
elif sys.version_info >= (3, 12):

    def _interned(text):
        # 3.12 makes every interned string immortal.
        return _count(text) >= 0xFFFFFFF

else:

    def _interned(text):
        # A copy is interned in its stead, and goes again when it was the first.
        return len(text) == 1 or sys.intern(text[:1] + text[1:]) is text


def _json(value):
    """JSON of str, int, float, bool, None, list and dict; the json package would stay in the program."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if type(value) in (int, float):
        return repr(value)
    if type(value) is str:
        return '"%s"' % "".join(
            c if " " <= c < "\x7f" and c not in '"\\' else "".join("\\u%04x" % u for u in _utf16(c)) for c in value
        )
    if type(value) is dict:
        return "{%s}" % ",".join("%s:%s" % (_json(k), _json(v)) for k, v in value.items())
    return "[%s]" % ",".join(map(_json, value))


def _utf16(char):
    code = ord(char)
    return (code,) if code < 0x10000 else (0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code - 0x10000 & 0x3FF))


def _text(value, otherwise="?"):
    return value if type(value) is str else otherwise


def _named(t, name):
    """A computed attribute of a class, past its metaclass."""
    try:
        return _text(type.__dict__[name].__get__(t))
    except Exception:
        return "?"


class Plan(object):
    """How objects of one type are looked at."""

    def __init__(self, t, index):
        self.type = t  # keeps its address from being reused
        self.index = index
        mro = _mro_of(t)
        dicts = [_dict_of(c) for c in mro]
        self.flags = _flags_of(t)
        self.is_gc = bool(self.flags & HAVE_GC)
        self.attributes = {k for d in dicts for k in d if type(k) is str}
        self.finalizer = "__del__" in self.attributes
        self.container = next((c for base in mro for c in _containers if base is c[0]), None)
        self.exact = self.container is not None and self.container[0] is t
        self.length = self.container[2] if self.container else None
        for base, length in ((str, str.__len__), (bytes, bytes.__len__), (bytearray, bytearray.__len__)):
            if base in mro:
                self.length = length
        self.has_dict = bool(type.__dict__["__dictoffset__"].__get__(t))
        self.python = bool(self.flags & HEAP_TYPE) and not self.flags & IMMUTABLE_TYPE
        # Fields that C reads for us: slots, and members of the built-in structures.
        self.fields = []
        for c, d in zip(mro, dicts):
            for name in d:
                if type(d[name]) is _member and type(name) is str and name not in ("__dict__", "__weakref__"):
                    self.fields.append((name, d[name].__get__))
            for name in _computed.get(id(c), ()):
                if name in d:
                    self.fields.append((name, d[name].__get__))
        self.guesses = self._guesses(dicts) if self.flags & MANAGED_DICT and _modern else []
        self.looked = 0
        # __sizeof__: that of the nearest class whose own is C.
        sizers = [d["__sizeof__"] for d in dicts if "__sizeof__" in d]
        self.sizer = None
        if sizers and type(sizers[0]) is not _method_descriptor:
            head = 16 if self.is_gc else 0
            if self.flags & (MANAGED_DICT | (MANAGED_WEAKREF if sys.version_info >= (3, 12) else 0)) and _modern:
                head += 16
            safe = next(s for s in sizers if type(s) is _method_descriptor)
            self.sizer = lambda o: safe(o) + head

    def _guesses(self, dicts):
        """Names that instances' attributes may have. What is inside an instance has no dict to ask (and asking would make
        one): names that the methods of the class use are tried instead."""
        names = []
        for d in dicts:
            static = d.get("__static_attributes__")
            if type(static) is tuple:
                names.extend(n for n in static if type(n) is str)
            for value in d.values():
                if type(value) in (staticmethod, classmethod):
                    value = value.__func__
                if type(value) is _function:
                    names.extend(value.__code__.co_names)
        found = []
        for name in dict.fromkeys(names):
            if name in self.attributes:
                # A descriptor would be called.
                value = next(d[name] for d in dicts if name in d)
                if any("__get__" in _dict_of(c) for c in _mro_of(type(value))):
                    continue
            found.append(name)
        return found[:200]

    def describe(self):
        t = self.type
        module, name = _named(t, "__module__"), _named(t, "__qualname__")
        layout = next((b for b in _mro_of(t) if any(b is x for x in _layouts)), None)
        if layout is None and type in _mro_of(t):
            layout = type
        if layout is None and BaseException in _mro_of(t):
            layout = BaseException
        if layout is None:
            c_types = (b for b in _mro_of(t) if not _flags_of(b) & HEAP_TYPE or _flags_of(b) & IMMUTABLE_TYPE)
            layout = next((b for b in c_types if b is not object), None)
        return {
            "id": id(t),
            "name": _qualified(module, name),
            "layout": "instance" if layout is None else _qualified(_named(layout, "__module__"), _named(layout, "__qualname__")),
            "basic": type.__dict__["__basicsize__"].__get__(t),
            "item": type.__dict__["__itemsize__"].__get__(t),
            "heap": bool(self.flags & HEAP_TYPE),
            "finalizer": self.finalizer,
        }

    def known(self, o):
        """Pairs of a name and what the field of that name holds."""
        for name, read in self.fields:
            try:
                value = read(o)
            except Exception:
                continue
            yield name, value
        if self.guesses:
            tried = self.looked < 64
            self.looked += 1
            for name in self.guesses:
                try:
                    value = _get(o, name)
                except Exception:
                    continue
                if tried:
                    self.hits[name] = True
                yield name, value
            if self.looked == 64:
                self.guesses = [n for n in self.guesses if n in self.hits]

    hits = None


def _qualified(module, name):
    return name if module in ("builtins", "?") else "%s.%s" % (module, name)


class Walk(object):
    def __init__(self, out):
        self.out = out
        self.plans = {}
        self.new_types = []
        self.strings = {"": 0}
        self.new_strings = [""]
        self.seen = set()
        self.keyed = set()
        self.pending = []
        self.names = []
        self.known = None
        self.frames = {}
        self.running = set()
        self.nodes_written = 0
        self.torn = 0
        self.sections = 0
        self.peak = 0
        self.referent = self.string("referent")
        # References that a call of getrefcount by map() itself holds.
        probe = [object()]
        self.call = next(map(_count, probe)) - 1

    # ---- output ----

    def section(self, kind, *parts):
        data = b"".join(parts)
        head = pack("=IIQ", kind, binascii.crc32(data), len(data))
        for piece in (head, data):
            view = memoryview(piece)
            while view:
                view = view[self.out.write(view) :]
        self.sections += 1

    def string(self, text):
        index = self.strings.get(text)
        if index is None:
            # A copy: the program's own string must not count one reference more.
            text = (text + " ")[:-1]
            index = self.strings[text] = len(self.strings)
            self.new_strings.append(text)
        return index

    def label(self, kind, text):
        return kind << 28 | self.string(text)

    def flush(self):
        """Names before whatever refers to them."""
        if self.new_types:
            self.section(TYPES, _json(self.new_types).encode())
            self.new_types = []
        if self.new_strings:
            self.section(STRINGS, _json(self.new_strings).encode())
            self.new_strings = []

    def name(self, o, text):
        self.names.append((id(o), self.string(text[:300])))

    def write_names(self, kind, names):
        if names:
            self.flush()
            self.section(
                kind, pack("=II", len(names), 0), _u64([n for n, _ in names]), _u32([s for _, s in names])
            )

    # ---- objects ----

    def plan(self, t):
        plan = self.plans.get(id(t))
        if plan is None:
            plan = self.plans[id(t)] = Plan(t, len(self.plans))
            plan.hits = {}
            self.new_types.append(plan.describe())
        return plan

    def run(self, generations):
        while generations:
            number, objects = generations.pop()
            while objects:
                batch = objects[-BATCH:]
                del objects[-BATCH:]
                self.batch(batch, 1 | number << 1)
                batch = None
                self.drain()
            objects = None
            rss = _resident()
            self.peak = max(self.peak, rss)

    def drain(self):
        while self.pending:
            batch = self.pending[-BATCH:]
            del self.pending[-BATCH:]
            if self.known is None:
                self.batch(batch, 0)
                continue
            # Frozen objects (gc.freeze) are in no list that can be asked for; they are found by reference.
            frozen = [o for o in batch if gc.is_tracked(o)]
            batch = [o for o in batch if not gc.is_tracked(o)]
            self.batch(frozen, 1 | 3 << 1)
            frozen = None
            self.batch(batch, 0)

    def batch(self, objects, flags):
        groups = {}
        o = None
        for t, o in zip(map(id, map(type, objects)), objects):
            try:
                groups[t].append(o)
            except KeyError:
                groups[t] = [o]
        t = o = None
        for group in groups.values():
            plan = self.plan(type(group[0]))
            self.nodes(plan, group, flags)
            if plan.exact:
                self.container(plan, group)
            elif plan.is_gc:
                self.fielded(plan, group)
            elif plan.type is _code:
                self.codes(group)
        self.write_names(NAMES, self.names)
        self.names = []

    def nodes(self, plan, group, flags):
        # Held by the program, by the batch and by the group.
        ours = self.call + 2
        counts = [c - ours if ours <= c < 0x3FFFFFFF else c & 0xFFFFFFFF if c > ours else 0 for c in map(_count, group)]
        if plan.type is type or type in _mro_of(plan.type):
            for i, o in enumerate(group):
                if id(o) in self.plans and 0 < counts[i] < 0x3FFFFFFF:
                    counts[i] -= 1
        sizer = plan.sizer or sys.getsizeof
        try:
            sizes = _u64(list(map(sizer, group)))
        except Exception:
            sizes = _u64([_size(o, sizer) for o in group])
        lengths = _u64(list(map(plan.length, group))) if plan.length else bytes(8 * len(group))
        self.flush()
        self.section(
            NODES, pack("=IIII", len(group), plan.index, flags, 0), _ids(group), sizes, lengths, _u32(counts)
        )
        self.nodes_written += len(group)

    def container(self, plan, group):
        _, kind, length, items = plan.container
        each = 2 if kind == PAIRS else 1
        counts = list(map(length, group))
        if items is _items_of_array and sum(counts) <= CHUNK:
            refs = list(map(_referents, group))
            self.edges(kind, group, list(map(len, refs)))
            refs = list(chain.from_iterable(map(reversed, refs)))
            self.targets(kind, refs)
            return
        if sum(counts) * each <= CHUNK:
            for _ in range(3):
                flat = chain.from_iterable(map(items, group))
                if kind == PAIRS:
                    flat = chain.from_iterable(flat)
                try:
                    flat = list(flat)
                except RuntimeError:
                    flat = []
                counts = list(map(length, group))
                if len(flat) == sum(counts) * each:
                    self.edges(kind, group, counts)
                    self.targets(kind, flat)
                    return
            self.torn += 1
            return
        if len(group) > 1:
            middle = len(group) // 2
            self.container(plan, group[:middle])
            self.container(plan, group[middle:])
            return
        flat = items(group[0])
        if items is _items_of_array:
            counts[0] = flat.__length_hint__()
        self.edges(kind, group, counts)
        left = counts[0] * each
        if kind == PAIRS:
            flat = chain.from_iterable(flat)
        while left:
            try:
                part = list(islice(flat, min(CHUNK, left)))
            except RuntimeError:
                part = []
            if not part:
                # It has changed between two parts.
                self.torn += 1
                self.section(TARGETS, bytes(8 * left))
                return
            left -= len(part)
            self.targets(kind, part)
            part = None
            self.drain()

    def edges(self, kind, group, counts):
        self.section(kind, pack("=II", len(group), 0), _ids(group), _u32(counts))

    def targets(self, kind, flat):
        self.section(TARGETS, _ids(flat))
        if kind == PAIRS:
            keys = flat[::2]
            self.keys(dict(zip(map(id, keys), keys)))
            keys = None
        self.discover(flat)

    def keys(self, keys):
        """Notes the text of keys that are names: interned identifiers; anything else may be a secret."""
        found = []
        for i, key in keys.items():
            if type(key) is str and i not in self.keyed:
                if len(self.keyed) >= LIMIT:
                    self.keyed.clear()
                self.keyed.add(i)
                if len(key) <= LONGEST_NAME and key.isidentifier() and _interned(key):
                    found.append((i, self.string(key)))
        self.write_names(KEYS, found)

    def discover(self, flat):
        """Puts untracked objects (and frozen ones) that have not been seen on the list of those to look at."""
        fresh = list(filterfalse(gc.is_tracked, flat))
        if self.known is not None:
            fresh += [o for o in flat if gc.is_tracked(o) and id(o) not in self.known]
        # Held once by the program, and by both lists: nothing else leads there, and it is met only once.
        alone = self.call + 3
        seen, pending = self.seen, self.pending
        for o, count in zip(fresh, list(map(_count, fresh))):
            if count != alone or self.known is not None:
                i = id(o)
                if i in seen:
                    continue
                if len(seen) >= LIMIT and self.known is None:
                    seen.clear()
                seen.add(i)
            pending.append(o)

    def fielded(self, plan, group):
        """Objects that are no plain containers: references with the names of fields where they can be told."""
        sources, counts, targets, labels = [], [], [], []
        flat = []
        is_type = type in _mro_of(plan.type)
        for o in group:
            if plan.type is _frame and (id(o) in self.running or id(o) in self.frames):
                continue
            refs = _referents(o)
            fields = self.type_fields(o, refs) if is_type else plan.known(o)
            left = {}
            for r in refs:
                left[id(r)] = left.get(id(r), 0) + 1
            before = len(targets)
            if plan.container is not None:
                self.items_of(plan, o, refs, left)
            for name, value in fields:
                i = id(value)
                if left.get(i):
                    left[i] -= 1
                    targets.append(i)
                    labels.append(self.label(ATTRIBUTE, name))
            fields = value = None
            for r in refs:
                i = id(r)
                if left[i] > 0:
                    left[i] -= 1
                    targets.append(i)
                    own = type(r) is dict and _is_own_dict(plan, o, r)
                    labels.append(self.label(ATTRIBUTE, "__dict__") if own else self.label(INTERNAL, "referent"))
            if plan.type is _function:
                self.name_function(o)
            elif is_type:
                self.name(o, _qualified(_named(o, "__module__"), _named(o, "__qualname__")))
            elif _module in _mro_of(plan.type) and refs and type(refs[0]) is dict:
                self.name(o, _text(refs[0].get("__name__")))
            sources.append(id(o))
            counts.append(len(targets) - before)
            flat += refs
            r = refs = None
            if len(targets) > CHUNK:
                self.named(sources, counts, targets, labels)
                self.discover(flat)
                sources, counts, targets, labels, flat = [], [], [], [], []
        self.named(sources, counts, targets, labels)
        self.discover(flat)

    def named(self, sources, counts, targets, labels):
        if sources:
            self.flush()
            self.section(NAMED, pack("=II", len(sources), len(targets)), _u64(sources), _u64(targets), _u32(counts), _u32(labels))

    def items_of(self, plan, o, refs, left):
        """The items of an object that is a dict, list … with more to it; taken off the count of its referents."""
        _, kind, length, items = plan.container
        flat = []
        if items is _items_of_array:
            # What the base visits comes last.
            count = min(length(o), len(refs))
            flat = refs[: len(refs) - count - 1 if count < len(refs) else None : -1]
        else:
            try:
                flat = list(items(o))
            except RuntimeError:
                self.torn += 1
        if kind == PAIRS:
            flat = list(chain.from_iterable(flat))
        for item in flat:
            i = id(item)
            if left.get(i):
                left[i] -= 1
        item = None
        self.edges(kind, [o], [len(flat) // (2 if kind == PAIRS else 1)])
        self.targets(kind, flat)

    def type_fields(self, t, refs):
        dicts = _referents(_mapping_of(t)) if _mapping_of(t) is not None else []
        if not refs:
            # Static types have no traversal of their own.
            refs += dicts
            refs += [r for r in (_read_mro(t), _bases_of(t)) if r is not None]
        return [("__dict__", d) for d in dicts] + [("__mro__", _read_mro(t)), ("__bases__", _bases_of(t))]

    def name_function(self, f):
        self.name(f, _text(_function.__dict__["__qualname__"].__get__(f)))
        closure = _function.__dict__["__closure__"].__get__(f)
        if closure:
            code = _function.__dict__["__code__"].__get__(f)
            for name, cell in zip(code.co_freevars, closure):
                self.name(cell, name)

    def codes(self, group):
        sources, counts, targets, labels = [], [], [], []
        for code in group:
            self.name(code, _code_name(code))
            sources.append(id(code))
            counts.append(2)
            targets.extend((id(code.co_consts), id(code.co_names)))
            labels.extend((self.label(ATTRIBUTE, "co_consts"), self.label(ATTRIBUTE, "co_names")))
        self.named(sources, counts, targets, labels)
        for code in group:
            self.discover([code.co_consts, code.co_names])

    def classes(self):
        """Puts all classes on the list, and the weak references to them. Needed for frozen ones only: nothing that can be
        asked refers to static types, nor to the weak references by which a class knows its subclasses."""
        found = {id(object): object}
        waiting = [object]
        while waiting:
            t = waiting.pop()
            # That of `type` itself: for a metaclass, the list is that of its subclasses, too.
            for t in _subclasses_of(t):
                if id(t) not in found:
                    found[id(t)] = t
                    waiting.append(t)
        classes = list(found.values())
        found = t = None
        self.discover(classes)
        for t in classes:
            self.discover(getweakrefs(t))

    # ---- roots ----

    def threads(self):
        """Frames of all threads, this capture's own left out, with the names of their locals."""
        mine = _own_code
        named = getattr(sys.modules.get("threading"), "_active", {})
        threads = []
        for ident, frame in list(sys._current_frames().items()):
            try:
                name = _text(_get(named[ident], "_name"), "")
            except Exception:
                name = ""
            frames = []
            while frame is not None:
                if frame.f_code in mine:
                    self.running.add(id(frame))
                else:
                    frames.append(self.running_frame(frame))
                frame = frame.f_back
            threads.append({"ident": ident, "name": name, "frames": frames})
        return threads

    def running_frame(self, frame):
        code = frame.f_code
        pairs = []
        if code.co_flags & 1:
            variables = frame.f_locals if _modern or not _has_locals_dict(frame) else {}
            pairs = [(self.label(LOCAL, k), v) for k, v in variables.items() if type(k) is str]
            if type(variables) is dict and _count(variables) <= 3:
                # To 3.12: the frame keeps this copy, which would keep the variables alive.
                variables.clear()
            variables = None
        else:
            pairs = [(self.label(ATTRIBUTE, "f_locals"), frame.f_locals)]
        pairs.append((self.label(ATTRIBUTE, "f_globals"), frame.f_globals))
        pairs.append((self.label(ATTRIBUTE, "f_code"), code))
        self.frames[id(frame)] = True
        self.flush()
        values = [v for _, v in pairs]
        self.named(
            [id(frame)], [len(pairs)], list(map(id, values)), [k for k, _ in pairs]
        )
        pairs = None
        self.discover(values)
        return {"id": id(frame), "name": _code_name(code), "tracked": gc.is_tracked(frame), "size": sys.getsizeof(frame)}

    def roots(self):
        threads = self.threads()
        modules = [[k, id(v)] for k, v in list(sys.modules.items()) if type(k) is str and v is not None]
        state = [["sys.modules", id(sys.modules)], ["gc.garbage", id(gc.garbage)], ["gc.callbacks", id(gc.callbacks)]]
        self.discover([v for v in list(sys.modules.values())])
        self.discover([None, True, False, Ellipsis, NotImplemented])
        return {"modules": modules, "threads": threads, "state": state, "frame_type": self.plan(_frame).index}


def _size(o, sizer):
    try:
        return sizer(o) & MASK
    except Exception:
        return 0


def _code_name(code):
    return "%s %s:%d" % (getattr(code, "co_qualname", code.co_name), code.co_filename, code.co_firstlineno)


def _has_locals_dict(frame):
    """To 3.10: has somebody called locals() there? That dict is theirs."""
    skip = (id(frame.f_globals), id(frame.f_builtins))
    # Referents of a frame begin: f_back, f_code, f_builtins, f_globals, f_locals.
    return any(type(r) is dict and id(r) not in skip for r in _referents(frame)[:5])


def _is_own_dict(plan, o, d):
    """Is this dict the `__dict__` of o? Told by an attribute that is the dict's value; nothing is made by asking so."""
    if not plan.has_dict and not plan.flags & MANAGED_DICT:
        return False
    if plan.type is _module or _module in _mro_of(plan.type):
        return True
    for key in islice(iter(d), 8):
        if type(key) is str and key not in plan.attributes:
            try:
                return _get(o, key) is d[key]
            except Exception:
                return False
    # To 3.10 nothing else can be a dict in an instance of a Python class, but slots, which were named before.
    return plan.python and not _modern


def _resident():
    try:
        with open("/proc/self/statm", "rb") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except Exception:
        return 0


def snapshot(path):
    """Writes what is alive now to `path`, whole or not at all, and returns what it cost: seconds, objects, bytes."""
    path = os.fspath(path)
    part = "%s.part-%d" % (path, os.getpid())
    collecting = gc.isenabled()
    # A collection in the middle would run the program's finalizers.
    gc.disable()
    try:
        with open(part, "xb", buffering=0) as out:
            report = _write(out, collecting)
        os.replace(part, path)
    except BaseException:
        try:
            os.unlink(part)
        except OSError:
            pass
        raise
    finally:
        if collecting:
            gc.enable()
    return report


def _write(out, collecting):
    begun = time.perf_counter()
    before = _resident()
    facts = {
        "python": "%d.%d.%d" % sys.version_info[:3],
        "pid": os.getpid(),
        "platform": sys.platform,
        "byteorder": sys.byteorder,
        "executable": _text(sys.executable, ""),
        "command": [_text(sys.executable, "")] + [a for a in getattr(sys, "argv", []) if type(a) is str],
        "taken_at_ms": time.time() * 1000,
        "collector": {
            "enabled": collecting,
            "debug": gc.get_debug(),
            "thresholds": list(gc.get_threshold()),
            "counts": list(gc.get_count()),
            "frozen": gc.get_freeze_count(),
        },
    }
    # The youngest first: the lists made here are young themselves.
    young = gc.get_objects(generation=0)
    middle = gc.get_objects(generation=1)
    old = gc.get_objects(generation=2)
    tracked = len(young) + len(middle) + len(old)
    walk = Walk(out)
    # What this function has made is not the program's.
    mine = {id(facts), id(facts["command"]), id(facts["collector"]), id(facts["collector"]["thresholds"])}
    mine.update((id(facts["collector"]["counts"]), id(out)))
    frame = sys._getframe()
    while frame is not None and frame.f_code in _own_code:
        mine.add(id(frame))
        frame = frame.f_back
    frame = None
    young[:] = [o for o in young if id(o) not in mine]
    head = _json(facts).encode()
    out.write(MAGIC + pack("=II", VERSION, len(head)) + head)
    if facts["collector"]["frozen"]:
        walk.known = set(map(id, chain(young, middle, old)))
    roots = walk.roots()
    if walk.known is not None:
        walk.classes()
    walk.flush()
    generations = [(0, young), (1, middle), (2, old)]
    young = middle = old = None
    walk.run(generations)
    walk.drain()
    walk.flush()
    walk.section(ROOTS, _json(roots).encode())
    seconds = time.perf_counter() - begun
    peak = max(walk.peak, _resident())
    cost = {
        "seconds": seconds,
        "objects": walk.nodes_written,
        "tracked": tracked,
        "resident_before": before,
        "resident_peak": peak,
        "threads": len(roots["threads"]),
        "torn": walk.torn,
    }
    walk.section(END, _json({"cost": cost, "sections": walk.sections + 1}).encode())
    return cost


_own_code = {f.__code__ for c in (Walk, Plan) for f in vars(c).values() if type(f) is _function}
_own_code.update((snapshot.__code__, _write.__code__))
