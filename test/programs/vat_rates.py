"""VAT calculation with a bounded functools.lru_cache."""
import functools
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))


class Rate:
    def __init__(self, country, goods):
        self.country = country
        self.goods = goods
        self.percent = 19 if country % 2 else 7


@functools.lru_cache(maxsize=3000)
def rate_for(country, goods):
    return Rate(country, goods)


invoices = {}


def step(i):
    for k in range(RATE):
        rate = rate_for(i % 27, "goods-%d-%d" % (i, k))
        invoices[i % 100] = rate.percent * k

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
