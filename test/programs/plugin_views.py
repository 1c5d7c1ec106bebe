"""Report server: views are assembled from column sets."""
import collections
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "2"))
COLUMNS = ["id", "name", "price", "stock", "weight"]


class View:
    known = {}
    columns = ()

    def __init_subclass__(cls, slug=None, **kwargs):
        super().__init_subclass__(**kwargs)
        View.known[slug or cls.__name__] = cls

    def rows(self, count):
        return [dict.fromkeys(self.columns, n) for n in range(count)]


def view_for(request_id, columns):
    class Custom(View, slug="view-%s" % request_id):
        pass

    Custom.columns = tuple(columns)
    return Custom()


rendered = collections.deque(maxlen=64)


def step(i):
    for k in range(RATE):
        view = view_for("%d-%d" % (i, k), COLUMNS[: 1 + i % 5])
        rendered.append(len(view.rows(4)))

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
