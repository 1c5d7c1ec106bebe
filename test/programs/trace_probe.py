"""Checkout with a probe for slow calls."""
import inspect
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "3"))


class Probe:
    def __init__(self, threshold):
        self.threshold = threshold
        self.slow = []
        self.calls = 0

    def mark(self, cost):
        self.calls += 1
        if cost > self.threshold:
            self.slow.append(inspect.currentframe().f_back)


class Basket:
    def __init__(self, number):
        self.number = number
        self.lines = [(n, n * 1.5) for n in range(6)]

    def total(self):
        return sum(price for _, price in self.lines)


probe = Probe(threshold=5)


def checkout(number, cost):
    basket = Basket(number)
    amount = basket.total()
    probe.mark(cost)
    return amount


latest = {}


def step(i):
    for k in range(RATE):
        latest[k] = checkout(i * RATE + k, cost=9)
        checkout(-1, cost=2)

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
