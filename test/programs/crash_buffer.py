"""Import worker that logs rows it cannot read."""
import logging
import logging.handlers
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "2"))


class KeepAll(logging.handlers.MemoryHandler):
    def flush(self):
        if self.target is not None:
            super().flush()


crashes = KeepAll(capacity=100)
log = logging.getLogger("imports")
log.propagate = False
log.addHandler(crashes)


def parse(row):
    fields = row.split(";")
    checked = [field.strip() for field in fields] * 8
    return int(fields[2]), checked


def load(row):
    try:
        number, _ = parse(row)
        return number
    except ValueError:
        log.exception("bad row")
        return None


totals = {"good": 0, "bad": 0}


def step(i):
    for k in range(RATE * 2):
        row = "%d;item %d;%s" % (i, k, "12" if k % 2 else "twelve")
        totals["bad" if load(row) is None else "good"] += 1

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
