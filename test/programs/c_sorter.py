"""Sorting with the C library's qsort."""
import ctypes
import itertools
import os
import random
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "2"))
dice = random.Random(91)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))


class Order:
    def __init__(self, sign, column):
        self.sign = sign
        self.column = column


class Library:
    def __init__(self):
        self.libc = ctypes.CDLL(None)
        self.keepalive = []

    def sort(self, values, order):
        def compare(a, b):
            return order.sign * (a[0] - b[0])

        callback = COMPARE(compare)
        self.keepalive.append(callback)
        array = (ctypes.c_int * len(values))(*values)
        self.libc.qsort(array, len(values), ctypes.sizeof(ctypes.c_int), callback)
        return list(array)


library = Library()
medians = {}


def step(i):
    for k in range(RATE):
        ordered = library.sort([dice.randrange(99) for _ in range(5)], Order(1 if i % 2 else -1, k))
        medians[i % 8] = ordered[2]

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
