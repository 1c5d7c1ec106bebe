"""Feature settings with temporary overrides for each experiment."""
import os
import time
from collections import ChainMap

RATE = int(os.environ.get("LEAK_RATE", "2"))
DEFAULTS = {"theme": "light", "rows": 25, "beta": False}


class Override:
    def __init__(self, owner, value):
        self.owner = owner
        self.value = value


class Active:
    def __init__(self):
        self.current = ChainMap({}, DEFAULTS)
        self.changes = 0

    def override(self, key, value, owner):
        self.current = self.current.new_child({key: Override(owner, value)})
        self.changes += 1

    def lookup(self, key):
        value = self.current[key]
        return value.value if isinstance(value, Override) else value


active = Active()
seen = {}


def step(i):
    for k in range(RATE):
        active.override(("theme", "rows", "beta")[(i + k) % 3], i % 7, "exp-%d" % (i % 30))
    seen[i % 50] = active.lookup("rows")

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
