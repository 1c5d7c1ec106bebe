"""Game server: levels are built for each match; collector pauses are unwelcome."""
import gc
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "1"))


class Door:
    def __init__(self, room, leads_to):
        self.room = room
        self.leads_to = leads_to


class Room:
    def __init__(self, number):
        self.number = number
        self.doors = []

    def connect(self, other):
        self.doors.append(Door(self, other))
        other.doors.append(Door(other, self))


def build_level(size):
    rooms = [Room(n) for n in range(size)]
    for one, two in zip(rooms, rooms[1:]):
        one.connect(two)
    return rooms


scores = {}


def match(i):
    level = build_level(6)
    scores[i % 32] = sum(len(room.doors) for room in level)


def step(i):
    for _ in range(RATE):
        match(i)
    if i % 5 == 0:
        gc.freeze()

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
