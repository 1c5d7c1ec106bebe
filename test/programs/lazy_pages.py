"""Web pages with a debug toolbar whose panels are rendered lazily."""
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "3"))


class Toolbar:
    enabled = False

    def __init__(self):
        self.panels = []

    def add(self, render):
        self.panels.append(render)

    def flush(self):
        if self.enabled:
            text = [render() for render in self.panels]
            self.panels = []
            return text
        return []


class Page:
    def __init__(self, path, query):
        self.path = path
        self.query = query
        self.body = "<h1>%s</h1>" % path


toolbar = Toolbar()


def respond(path, **query):
    page = Page(path, query)
    toolbar.add(lambda: "%s took %d" % (page.path, len(page.body)))
    toolbar.flush()
    return page.body


sizes = {}


def step(i):
    for k in range(RATE):
        sizes[i % 64] = len(respond("/p/%d/%d" % (i, k), page=i % 9))

class Runner:
    warm = 100

    def __init__(self):
        self.budget = os.environ.get("LEAK_ITERS")
        self.wait = float(os.environ.get("LEAK_SLEEP", "0" if self.budget else "0.02"))

    def __call__(self):
        turns = itertools.count() if self.budget is None else iter(range(int(self.budget)))
        for turn in turns:
            step(turn)
            if turn + 1 == self.warm:
                print("ready", os.getpid(), flush=True)
            elif turn >= self.warm and self.wait:
                time.sleep(self.wait)


if __name__ == "__main__":
    Runner()()
