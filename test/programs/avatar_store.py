"""Avatar renderer with a least-recently-used store."""
import itertools
import os
import sys
import time
from collections import OrderedDict

RATE = int(os.environ.get("LEAK_RATE", "4"))


class Avatar:
    def __init__(self, owner, size):
        self.owner = owner
        self.size = size
        self.pixels = bytes(size * 4)


class Store:
    def __init__(self, limit):
        self.limit = limit
        self.items = OrderedDict()
        self.order = []
        self.hits = 0

    def fetch(self, owner, size):
        key = (owner.lower(), size)
        found = self.items.get(key)
        if found is not None:
            self.items.move_to_end(key)
            self.hits += 1
            return found
        avatar = Avatar(owner, size)
        self.items[key] = avatar
        self.order.append((owner, size))
        self.evict()
        return avatar

    def evict(self):
        while len(self.order) > self.limit:
            self.items.pop(self.order.pop(0), None)


store = Store(limit=100)


def step(i):
    for k in range(RATE):
        store.fetch("User-%d-%d" % (i, k), 32)
        store.fetch("User-%d-%d" % (i, k), 32)

if __name__ == "__main__":
    total = int(os.environ.get("LEAK_ITERS") or 0)
    rest = float(os.environ.get("LEAK_SLEEP") or (0 if total else 0.02))
    for number in range(total) if total else itertools.count():
        step(number)
        if number == 90:
            sys.stdout.write("ready {}\n".format(os.getpid()))
            sys.stdout.flush()
        if number > 90 and rest:
            time.sleep(rest)
