"""Event writer: flushes in batches."""
import collections
import itertools
import json
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))


class Line:
    __slots__ = ("at", "kind", "data")

    def __init__(self, at, kind, data):
        self.at, self.kind, self.data = at, kind, data


class Writer:
    def __init__(self, batch, path=os.devnull):
        self.batch = batch
        self.buffered = []
        self.path = path
        self.flushed = collections.Counter()

    def write(self, line):
        self.buffered.append(line)
        if len(self.buffered) >= self.batch:
            self.flush()

    def flush(self):
        with open(self.path, "w") as out:
            for line in self.buffered:
                out.write(json.dumps([line.at, line.kind, line.data]) + "\n")
        self.flushed["lines"] += len(self.buffered)
        self.buffered.clear()


writer = Writer(1200)


def step(i):
    for k in range(RATE):
        writer.write(Line(i, "click" if k % 2 else "view", {"page": i % 90, "x": k}))

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
