"""Pricing rules written by users, compiled when they change."""
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "3"))
TEMPLATE = "def {name}(order):\n    if order['total'] > {limit}:\n        return order['total'] * {factor}\n    return order['total']\n"


class Engine:
    def __init__(self):
        self.compiled = {}
        self.current = {}

    def install(self, name, limit, factor):
        version = (name, limit, factor)
        if version not in self.compiled:
            space = {}
            exec(compile(TEMPLATE.format(name=name, limit=limit, factor=factor), "<rule %s>" % name, "exec"), space)
            self.compiled[version] = space[name]
        self.current[name] = version

    def price(self, name, order):
        return self.compiled[self.current[name]](order)


engine = Engine()
prices = {}


def step(i):
    for k in range(RATE):
        name = "rule_%d" % (k % 7)
        engine.install(name, i, 0.9)
        prices[name] = engine.price(name, {"total": 120 + k})

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
