"""Message encoder with a class for each schema."""
import collections
import functools
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "2"))


@functools.singledispatch
def encode(message):
    return str(message)


class Message:
    fields = ()

    def __init__(self, **values):
        self.values = values


def declare(schema, fields):
    kind = type("Message_%s" % schema, (Message,), {"fields": fields})

    def encoder(message):
        return ",".join(str(message.values[f]) for f in fields)

    encode.register(kind, encoder)
    return kind


sent = collections.Counter()


def step(i):
    for k in range(RATE):
        kind = declare("v%d_%d" % (i, k), ("id", "size"))
        sent[len(encode(kind(id=i, size=k)))] += 1

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
