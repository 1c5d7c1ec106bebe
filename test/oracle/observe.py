"""What CPython says of its own heap, written down without disturbing it.

`barrier()` forks with the C function, under the GIL and without any of Python's fork hooks: the child has
the very same objects at the same addresses, thread states of all threads included, and may allocate as it likes while
it looks at them. The parent touches nothing more and sleeps in pause(). So what the child writes is true of the parent.

Files written (all numbers native 64-bit):
  objects.bin    per object: id, id of its type, sys.getsizeof, sys.getrefcount - 1, gc.is_tracked, number of referents
  referents.bin  ids of gc.get_referents of each object, in the same order
  meta.json      version, types by id, frames of all threads with the ids of their locals
Standard library only; Python 3.8 to 3.15.
"""
import array
import ctypes
import gc
import json
import os
import signal
import sys

_fork = ctypes.PyDLL(None).fork
_fork.restype = ctypes.c_int
NONE = (1 << 64) - 1


def barrier():
    """Writes what is alive now beside this file, says so with one line on stdout, and never returns."""
    directory = os.path.dirname(os.path.abspath(__file__))
    # What is only waiting to be freed goes first: the snapshot must not have to guess whether it is alive.
    for _ in range(3):
        gc.collect()
    gc.disable()
    sys.stdout.flush()
    sys.stderr.flush()
    wait = signal.pause
    if _fork() == 0:
        try:
            observe(gc.get_objects(), directory)
            os.write(1, b"ready\n")
            answer()
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    while True:
        wait()


def size_of(o):
    """sys.getsizeof, or 2**64 - 1 where it runs Python code: that may change anything, and measures what it likes."""
    try:
        if type(type(o).__sizeof__) is type(size_of):
            return NONE
        return sys.getsizeof(o)
    except Exception:
        return NONE


def answer():
    """Takes a line of addresses as objects, and says for each what type it is; ends with its standard input."""
    while True:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        words = line.split()
        types = []
        while len(types) < len(words):
            # In a process of its own: what is no object does not survive this, and counts as none.
            r, w = os.pipe()
            if _fork() == 0:
                for word in words[len(types):]:
                    o = ctypes.cast(int(word), ctypes.py_object).value
                    repr(o), gc.get_referents(o), sys.getsizeof(o)
                    os.write(w, ("%d\n" % id(type(o))).encode())
                os._exit(0)
            os.close(w)
            with os.fdopen(r) as answers:
                types.extend(answers.read().split())
            if len(types) < len(words):
                types.append("0")
        os.write(1, ("objects " + " ".join(types) + "\n").encode())


def observe(tracked, directory):
    mine = {id(tracked)}
    tracked_ids = {id(o) for o in tracked}
    objects = tracked
    # sys._getframe() makes frame objects: only once all else has been seen.
    index = {}
    queue = []
    if sys.version_info < (3, 11):
        # Frames are objects, tracked: this function's own leads to the observation itself.
        frame = sys._getframe()
        mine.add(id(frame))
    for o in objects:
        if id(o) not in mine:
            index[id(o)] = len(queue)
            queue.append(o)
    mine.update((id(mine), id(tracked_ids), id(index), id(queue)))
    rows = array.array("Q")
    referents = array.array("Q")
    mine.update((id(rows), id(referents)))
    get_referents = gc.get_referents
    # Sizes before references are followed: some count what nobody else holds, and the queue will hold it.
    sizes = {}
    mine.add(id(sizes))
    for o in queue:
        sizes[id(o)] = size_of(o)
    # Referents of the frame that waits in barrier() include the observation's arguments.
    at = 0
    found = []
    mine.add(id(found))
    while at < len(queue):
        o = queue[at]
        at += 1
        direct = get_referents(o)
        ids = [id(r) for r in direct if id(r) not in mine]
        for r in direct:
            if id(r) not in index and id(r) not in mine:
                index[id(r)] = len(queue)
                queue.append(r)
        found.append(ids)
    types = {}
    getrefcount = sys.getrefcount

    class Probe(object):
        pass

    probe = [Probe()]
    held = [probe[0]]  # as an object that is held once and in the queue
    for o in probe:
        surplus = getrefcount(o) - 1
    del o
    is_tracked = gc.is_tracked
    counts = array.array("Q")
    o = None
    for o in queue:
        # One reference is the queue's, and for tracked ones one is the list's that gc.get_objects() gave.
        count = getrefcount(o) - surplus - (id(o) in tracked_ids)
        counts.append(count if count > 0 else 0)
    for at, o in enumerate(queue):
        t = type(o)
        types[id(t)] = t
        size = sizes.get(id(o))
        if size is None:
            size = size_of(o)
        rows.extend((id(o), id(t), size, counts[at], 1 if is_tracked(o) else 0, len(found[at])))
        referents.extend(found[at])
    names = {}
    for i, t in types.items():
        module = type.__dict__["__module__"].__get__(t)
        qualname = type.__dict__["__qualname__"].__get__(t)
        # Some types made in C have something else there.
        names[str(i)] = None if not isinstance(module, str) else qualname if module == "builtins" else "%s.%s" % (module, qualname)
    threads = {}
    for ident, frame in sys._current_frames().items():
        stack = []
        while frame is not None:
            if frame.f_code not in (observe.__code__,):
                variables = frame.f_locals
                optimized = frame.f_code.co_flags & 1
                stack.append(
                    {
                        "name": frame.f_code.co_name,
                        "file": frame.f_code.co_filename,
                        "locals": {k: id(v) for k, v in variables.items()} if optimized else None,
                        "dict": 0 if optimized else id(variables),
                    }
                )
            frame = frame.f_back
        threads[str(ident)] = stack
    with open(os.path.join(directory, "objects.bin"), "wb") as f:
        rows.tofile(f)
    with open(os.path.join(directory, "referents.bin"), "wb") as f:
        referents.tofile(f)
    with open(os.path.join(directory, "meta.json"), "w") as f:
        json.dump({"version": sys.version, "pid": os.getppid(), "types": names, "threads": threads}, f)
