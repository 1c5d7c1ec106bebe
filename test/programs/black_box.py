"""Robot controller with a flight recorder."""
import math
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))


class Pose:
    def __init__(self, x, y, heading):
        self.x, self.y, self.heading = x, y, heading


class Recorder:
    def __init__(self, size):
        self.size = size
        self.slots = []
        self.at = 0

    def record(self, pose):
        if len(self.slots) < self.size:
            self.slots.append(pose)
        else:
            self.slots[self.at] = pose
        self.at = (self.at + 1) % self.size


recorder = Recorder(2000)
last = {}


def step(i):
    for k in range(RATE):
        angle = (i * RATE + k) / 50
        pose = Pose(math.cos(angle), math.sin(angle), angle % 6.28)
        recorder.record(pose)
        last[k] = pose.heading

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
