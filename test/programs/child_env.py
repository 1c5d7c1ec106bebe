"""Job launcher that passes parameters through the environment."""
import collections
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "3"))


class Job:
    def __init__(self, number, inputs):
        self.number = number
        self.inputs = inputs

    def export(self):
        for name, value in self.inputs.items():
            os.environ["JOB_%d_%s" % (self.number, name.upper())] = value

    def run(self):
        self.export()
        return sum(len(value) for value in self.inputs.values())


spent = collections.Counter()


def step(i):
    for k in range(RATE):
        job = Job(i * RATE + k, {"bucket": "data/%d" % (i % 9), "shard": "%04d" % k})
        spent[i % 16] += job.run()

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
