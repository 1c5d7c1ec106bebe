"""Plant supervisor: reads sensors in one long loop."""
import collections
import os
import random
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))
dice = random.Random(55)
Limits = collections.namedtuple("Limits", "low high")


class Reading:
    def __init__(self, sensor, value):
        self.sensor = sensor
        self.value = value


def sample(sensor):
    return Reading(sensor, dice.gauss(20, 4))


def supervise():
    limits = Limits(8, 32)
    readings = []
    alarms = collections.Counter()
    number = 0
    while True:
        for k in range(RATE):
            reading = sample("s%d" % (k % 12))
            readings.append(reading)
            if not limits.low < reading.value < limits.high:
                alarms[reading.sensor] += 1
        number += 1
        yield number, alarms


shift = supervise()


def step(i):
    next(shift)

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
