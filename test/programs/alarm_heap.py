"""Alarm scheduler on a heap."""
import heapq
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))
QUEUE = []
numbers = itertools.count()
fired = {}


class Alarm:
    def __init__(self, due, label):
        self.due = due
        self.label = label
        self.cancelled = False


def schedule(due, label):
    alarm = Alarm(due, label)
    heapq.heappush(QUEUE, (due, next(numbers), alarm))
    return alarm


def cancel(alarm):
    alarm.cancelled = True


def advance(now):
    while QUEUE and QUEUE[0][0] <= now:
        _, _, alarm = heapq.heappop(QUEUE)
        if not alarm.cancelled:
            fired[alarm.label] = now


def step(i):
    for k in range(RATE):
        watch = schedule(i + 31_536_000 + k, "watchdog-%d" % (i % 25))
        schedule(i, "poll-%d" % k)
        cancel(watch)
    advance(i)

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
