"""Outbox that sends mail and remembers why the last sending failed."""
import collections
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "2"))


class SendFailed(Exception):
    pass


class Outbox:
    def __init__(self):
        self.last_failure = None
        self.waiting = collections.deque(maxlen=30)

    def connect(self, host, body):
        payload = [body] * 10
        if len(payload) > 5:
            raise SendFailed("%s is down" % host) from self.last_failure

    def send(self, host, body):
        try:
            self.connect(host, body)
        except SendFailed as failure:
            self.last_failure = failure
            self.waiting.append((host, body))


outbox = Outbox()
states = {}


def step(i):
    for k in range(RATE):
        outbox.send("mx%d.example" % (k % 4), "hello %d/%d" % (i, k) * 5)
    states[i % 12] = str(outbox.last_failure)

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
