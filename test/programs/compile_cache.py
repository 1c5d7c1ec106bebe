"""Log grep: users' patterns are compiled and kept for a while."""
import itertools
import os
import re
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "3"))


class Matcher:
    def __init__(self, words):
        self.words = words
        self.used = 0

    def __call__(self, line):
        self.used += 1
        return all(word in line for word in self.words)


class Matchers:
    LIMIT = 1500

    def __init__(self):
        self.known = {}
        self.resets = 0

    def get(self, text):
        if text in self.known:
            return self.known[text]
        if len(self.known) >= self.LIMIT:
            self.known.clear()
            self.resets += 1
        matcher = self.known[text] = Matcher(re.split(r"\s+", text))
        return matcher


matchers = Matchers()
hits = {}


def step(i):
    for k in range(RATE):
        matcher = matchers.get("error %d %d" % (i, k))
        hits[i % 20] = matcher("error %d 1 in module" % i)

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
