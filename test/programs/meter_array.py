"""Electricity meters: samples for a chart."""
import array
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "400"))


class Meters:
    def __init__(self):
        self.samples = array.array("d")
        self.last = {}

    def read(self, meter, value):
        self.samples.append(value)
        self.last[meter] = value

    def chart(self, width):
        return list(self.samples[-width:])


meters = Meters()
charts = {}


def step(i):
    for k in range(RATE):
        meters.read(k % 60, i * 0.25 + k)
    charts[i % 4] = meters.chart(120)

def main():
    limit = int(os.environ.get("LEAK_ITERS", "0"))
    pause = float(os.environ.get("LEAK_SLEEP", "0" if limit else "0.02"))
    done = 0
    while not limit or done < limit:
        step(done)
        done += 1
        if done == 80:
            print("ready", os.getpid(), flush=True)
        if pause and done >= 80:
            time.sleep(pause)


if __name__ == "__main__":
    main()
