"""Parcel depot with two indexes."""
import os
import time
from typing import Dict

RATE = int(os.environ.get("LEAK_RATE", "3"))


class Parcel:
    def __init__(self, number: int, barcode: str, weight: float) -> None:
        self.number = number
        self.barcode = barcode
        self.weight = weight


class Depot:
    def __init__(self) -> None:
        self.by_number: Dict[int, Parcel] = {}
        self.by_barcode: Dict[str, Parcel] = {}
        self.delivered = 0

    def arrive(self, parcel: Parcel) -> None:
        self.by_number[parcel.number] = parcel
        self.by_barcode[parcel.barcode] = parcel

    def scan(self, barcode: str) -> int:
        return self.by_barcode[barcode].number

    def deliver(self, number: int) -> float:
        parcel = self.by_number.pop(number)
        self.delivered += 1
        return parcel.weight


depot = Depot()
load = {}


def step(i):
    for k in range(RATE):
        number = i * RATE + k
        depot.arrive(Parcel(number, "BC%08d" % number, k + 0.5))
    for k in range(RATE):
        load[k] = depot.deliver(depot.scan("BC%08d" % (i * RATE + k)))

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
