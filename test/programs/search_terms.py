"""Search front end with statistics of what was asked."""
import collections
import itertools
import os
import random
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "12"))
dice = random.Random(12)
WORDS = ["red", "blue", "boots", "lamp", "desk", "chair", "oak", "cheap", "large", "used"]


class Statistics:
    def __init__(self):
        self.phrases = collections.Counter()
        self.words = collections.Counter()
        self.hours = collections.Counter()

    def observe(self, phrase, at):
        self.phrases[phrase] += 1
        self.words.update(phrase.split()[:2])
        self.hours[at % 24] += 1


stats = Statistics()


def phrase_for(i, k):
    return " ".join(dice.sample(WORDS, 2) + ["%d-%d" % (i, k)])


def search(phrase):
    return [w for w in WORDS if w in phrase]


def step(i):
    for k in range(RATE):
        phrase = phrase_for(i, k)
        if search(phrase):
            stats.observe(phrase, i)

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
