"""Route planner that loads its atlas in the background of its first requests."""
import os
import random
import time

RATE = int(os.environ.get("LEAK_RATE", "8"))
dice = random.Random(5)


class Town:
    __slots__ = ("name", "x", "y", "roads")

    def __init__(self, name, x, y):
        self.name, self.x, self.y = name, x, y
        self.roads = []


class Atlas:
    def __init__(self, pages):
        self.pages = pages
        self.towns = {}
        self.loaded = 0

    def load_page(self):
        if self.loaded == self.pages:
            return
        for n in range(RATE):
            town = Town("t%d.%d" % (self.loaded, n), dice.random(), dice.random())
            self.towns[town.name] = town
        self.loaded += 1

    def nearest(self, x, y):
        some = dice.sample(sorted(self.towns)[:20], 5)
        return min(some, key=lambda name: abs(self.towns[name].x - x) + abs(self.towns[name].y - y))


atlas = Atlas(pages=400)
answers = {}


def step(i):
    atlas.load_page()
    answers[i % 30] = atlas.nearest(0.5, 0.5)

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
