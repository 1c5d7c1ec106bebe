"""Shared drawing board with undo."""
import os
import random
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))
dice = random.Random(28)


class Stroke:
    __slots__ = ("points", "colour", "before")

    def __init__(self, points, colour, before):
        self.points = points
        self.colour = colour
        self.before = before


class DrawBoard:
    def __init__(self):
        self.head = None
        self.depth = 0
        self.pixels = {}

    def draw(self, points, colour):
        self.head = Stroke(points, colour, self.head)
        self.depth += 1
        for x, y in points:
            self.pixels[x % 20, y % 20] = colour

    def undo(self):
        if self.head is not None:
            self.head = self.head.before
            self.depth -= 1


board = DrawBoard()


def step(i):
    for k in range(RATE + 1):
        board.draw([(dice.randrange(90), k), (k, i % 90)], "c%d" % (i % 6))
    board.undo()

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
