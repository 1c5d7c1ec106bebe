"""Tile server with its own least-recently-used cache."""
import collections
import os
import random
import time

RATE = int(os.environ.get("LEAK_RATE", "5"))
dice = random.Random(8)


class RenderedTile:
    def __init__(self, where, zoom):
        self.where = where
        self.zoom = zoom
        self.png = b"\x89PNG" + bytes(200)


class TileLru:
    def __init__(self, capacity):
        self.capacity = capacity
        self.entries = collections.OrderedDict()
        self.misses = 0

    def get(self, where, zoom):
        key = where, zoom
        if key in self.entries:
            self.entries.move_to_end(key)
            return self.entries[key]
        self.misses += 1
        tile = RenderedTile(where, zoom)
        self.entries[key] = tile
        if len(self.entries) > self.capacity:
            self.entries.popitem(last=False)
        return tile


cache = TileLru(2500)
recent = collections.deque(maxlen=100)


def step(i):
    for k in range(RATE):
        recent.append(cache.get((i * RATE + k, i % 13), 4).zoom)
        cache.get((dice.randrange(max(1, i)), i % 13), 4)

def main():
    limit = int(os.environ.get("LEAK_ITERS", "0"))
    pause = float(os.environ.get("LEAK_SLEEP", "0" if limit else "0.02"))
    done = 0
    while not limit or done < limit:
        step(done)
        done += 1
        if done == 80:
            print("ready", os.getpid(), flush=True)
        if pause and done >= 80:
            time.sleep(pause)


if __name__ == "__main__":
    main()
