"""Quota service: usage by client, quotas by tenant."""
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field

RATE = int(os.environ.get("LEAK_RATE", "4"))


@dataclass
class Usage:
    used: int = 0
    limit: int = 1000
    marks: list = field(default_factory=list)


USAGE = defaultdict(Usage)
by_tenant = defaultdict(int)


def allowed(client):
    entry = USAGE[client]
    return entry.used < entry.limit


def charge(tenant, amount):
    USAGE[tenant].used += amount
    by_tenant[tenant] += amount
    if USAGE[tenant].used >= 1000:
        USAGE[tenant].used = 0


def step(i):
    for k in range(RATE):
        caller = "10.%d.%d.%d" % (i >> 8 & 255, i & 255, k)
        if allowed(caller):
            charge("tenant-%02d" % (i % 20), 3)

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
