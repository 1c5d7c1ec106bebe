"""Visitor statistics by region and hour."""
import os
import random
import time

RATE = int(os.environ.get("LEAK_RATE", "3"))
dice = random.Random(71)


class Cell:
    def __init__(self, region, hour):
        self.region = region
        self.hour = hour
        self.visits = 0
        self.sample = []

    def add(self, visitor):
        self.visits += 1
        self.sample.append(visitor)
        del self.sample[:-3]


class Board:
    def __init__(self):
        self.cells = {}

    def visit(self, region, hour, visitor):
        cell = self.cells.get((region, hour))
        if cell is None:
            cell = self.cells[region, hour] = Cell(region, hour)
        cell.add(visitor)
        return cell.visits


board = Board()


def step(i):
    for k in range(RATE):
        board.visit("region-%d" % dice.randrange(20), dice.randrange(12), "visitor-%d-%d" % (i, k))

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
