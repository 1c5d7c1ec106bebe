"""Report archive with results cached on the instance."""
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))


class Summary:
    def __init__(self, first, last, total):
        self.first = first
        self.last = last
        self.total = total


class Archive:
    def __init__(self, values):
        self.values = values
        self.asked = 0

    def summary(self, first, last):
        self.asked += 1
        name = "_summary_%d_%d" % (first, last)
        if not hasattr(self, name):
            total = sum(self.values[first % 100 : last % 100])
            setattr(self, name, Summary(first, last, total))
        return getattr(self, name)


archive = Archive(list(range(100)))
shown = {}


def step(i):
    for k in range(RATE):
        shown[k] = archive.summary(i, i + k + 1).total

def run_forever(environ=os.environ):
    left = int(environ.get("LEAK_ITERS", -1))
    interval = float(environ.get("LEAK_SLEEP", 0.02 if left < 0 else 0))
    turn = 0
    while turn != left:
        step(turn)
        turn += 1
        if turn < 100:
            continue
        if turn == 100:
            print("ready %d" % os.getpid(), flush=True)
        time.sleep(interval)


if __name__ == "__main__":
    run_forever()
