"""Puzzle solver that builds a small grid of linked cells for each puzzle."""
import itertools
import os
import random
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "1"))
dice = random.Random(64)


class Cell:
    def __init__(self, row, column):
        self.row, self.column = row, column
        self.value = 0
        self.near = []


def grid(size):
    cells = [[Cell(r, c) for c in range(size)] for r in range(size)]
    for r, c in itertools.product(range(size), repeat=2):
        for dr, dc in ((0, 1), (1, 0)):
            if r + dr < size and c + dc < size:
                cells[r][c].near.append(cells[r + dr][c + dc])
                cells[r + dr][c + dc].near.append(cells[r][c])
    return cells


solved = {}


def step(i):
    for k in range(RATE):
        cells = grid(3)
        for row in cells:
            for cell in row:
                cell.value = dice.randrange(9)
        solved[i % 50] = sum(len(cell.near) for row in cells for cell in row)

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
