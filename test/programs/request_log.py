"""Shop API that marks its log lines with the request id."""
import collections
import itertools
import logging
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))


class RequestFilter(logging.Filter):
    def __init__(self, request):
        super().__init__()
        self.request = request

    def filter(self, record):
        record.request_id = self.request["id"]
        return True


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.last = collections.deque(maxlen=80)

    def emit(self, record):
        self.last.append(self.format(record))


log = logging.getLogger("shop")
log.propagate = False
log.setLevel(logging.INFO)
log.addHandler(Lines())


class Rejected(Exception):
    pass


def handle(request):
    mark = RequestFilter(request)
    log.addFilter(mark)
    if request["qty"] % 2:
        raise Rejected("odd quantity")
    if request["qty"] % 100 == 0:
        log.info("sold %d", request["qty"])
    log.removeFilter(mark)


refused = collections.Counter()


def step(i):
    for k in range(RATE):
        try:
            handle({"id": "%d.%d" % (i, k), "qty": i * RATE + k, "items": ["a", "b"]})
        except Rejected as reason:
            refused[str(reason)] += 1

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
