"""Exchange rates: the next table is filled bit by bit, then swapped in."""
import os
import random
import time

RATE = int(os.environ.get("LEAK_RATE", "6"))
dice = random.Random(19)


class Rate:
    def __init__(self, pair, value):
        self.pair = pair
        self.value = value


class Rates:
    def __init__(self, rounds):
        self.rounds = rounds
        self.current = {}
        self.upcoming = {}
        self.age = 0

    def feed(self, pair, value):
        self.upcoming[pair] = Rate(pair, value)

    def turn(self):
        self.age += 1
        if self.age >= self.rounds:
            self.current, self.upcoming = self.upcoming, {}
            self.age = 0


rates = Rates(300)
quotes = {}


def step(i):
    for k in range(RATE):
        rates.feed("P%03d/%03d" % (i % 300, k), dice.random())
    rates.turn()
    found = rates.current.get("P%03d/%03d" % (i % 300, 0))
    quotes[i % 10] = found.value if found else None

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
