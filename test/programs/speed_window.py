"""Fleet tracking with a window over the last positions."""
import itertools
import os
import random
import sys
import time
from collections import deque

RATE = int(os.environ.get("LEAK_RATE", "4"))
SPAN = 700
dice = random.Random(33)


class Fix:
    def __init__(self, car, at, km):
        self.car, self.at, self.km = car, at, km


window = deque()
speeds = {}


def track(car, at, km):
    window.append(Fix(car, at, km))
    while window and window[0].at < at - SPAN:
        window.popleft()
    return len(window)


def step(i):
    for k in range(RATE):
        track("car%d" % k, i, dice.random())
        speeds[k] = window[-1].km - window[0].km

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
