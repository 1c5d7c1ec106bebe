"""Order desk: orders flow through states and are settled at once."""
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "5"))


class Base:
    __slots__ = ()


class Order(Base):
    __slots__ = ("number", "lines", "state")
    history = []
    open_orders = {}

    def __init__(self, number, lines):
        self.number = number
        self.lines = lines
        self.state = "new"
        self.history.append(self)
        self.open_orders[number] = self

    def settle(self):
        self.state = "settled"
        del self.open_orders[self.number]
        return sum(price for _, price in self.lines)

    @classmethod
    def place(cls, number, lines):
        return cls(number, lines)


takings = {}


def step(i):
    for k in range(RATE):
        order = Order.place(i * RATE + k, [("sku%d" % n, n + 0.5) for n in range(3)])
        takings[i % 31] = order.settle()

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
