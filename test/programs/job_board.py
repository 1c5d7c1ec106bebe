"""Job board: work is spread over a small thread pool."""
import collections
import hashlib
import itertools
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

RATE = int(os.environ.get("LEAK_RATE", "3"))


class Outcome:
    def __init__(self, digest, size):
        self.digest = digest
        self.size = size


def checksum(blob):
    return Outcome(hashlib.sha1(blob).hexdigest(), len(blob))


class Board:
    def __init__(self, workers):
        self.pool = ThreadPoolExecutor(max_workers=workers)
        self.submitted = []
        self.sizes = collections.deque(maxlen=50)
        self.guard = threading.Lock()

    def post(self, blob):
        future = self.pool.submit(checksum, blob)
        future.add_done_callback(self.note)
        self.submitted.append(future)
        return future

    def note(self, future):
        with self.guard:
            self.sizes.append(future.result().size)


board = Board(2)


def step(i):
    batch = [board.post(b"%d:%d" % (i, k) * 20) for k in range(RATE)]
    for future in batch:
        future.result()

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
