"""Stock screens that follow a price feed (a package with its own observer module)."""
import os
import time

from ticker_lib.observable import Observable
from ticker_lib.screens import Screen

RATE = int(os.environ.get("LEAK_RATE", "2"))
ticker = Observable("price", "volume")
totals = {"opened": 0, "closed": 0}


def visit(user):
    screen = Screen(user)
    screen.attach(ticker)
    totals["opened"] += 1
    return screen


def step(i):
    screens = [visit("user%d" % ((i + k) % 300)) for k in range(RATE)]
    if i % 25 == 0:
        ticker.emit("price", 100 + i % 9)
    for screen in screens:
        screen.close()
        totals["closed"] += 1

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
