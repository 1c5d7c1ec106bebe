"""Electricity tariffs by time of day."""
import datetime
import functools
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))
START = datetime.datetime(2024, 1, 1)


class Tariff:
    def __init__(self, name, cents, moment):
        self.name = name
        self.cents = cents
        self.moment = moment

    @classmethod
    @functools.lru_cache(maxsize=None)
    def at(cls, moment):
        night = moment.hour < 6 or moment.hour >= 22
        return cls("night" if night else "day", 21 if night else 33, moment)

    @staticmethod
    @functools.lru_cache(maxsize=32)
    def label(name):
        return "tariff: %s" % name


bills = {}


def meter(customer, moment, watts):
    tariff = Tariff.at(moment)
    bills[customer] = bills.get(customer, 0) + watts * tariff.cents
    return Tariff.label(tariff.name)


def step(i):
    for k in range(RATE):
        meter("m%02d" % (k % 25), START + datetime.timedelta(seconds=31 * i, microseconds=k), 900 + k)

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
