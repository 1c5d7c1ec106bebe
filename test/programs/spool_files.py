"""Upload spool on temporary files."""
import itertools
import os
import resource
import sys
import tempfile
import time

RATE = int(os.environ.get("LEAK_RATE", "1"))
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Spool:
    def __init__(self, limit):
        self.limit = limit
        self.refused = []
        self.sizes = {}

    def accept(self, name, chunks):
        file = tempfile.NamedTemporaryFile(prefix="spool-")
        for chunk in chunks:
            file.write(chunk)
        if file.tell() > self.limit:
            self.refused.append(file)
            return False
        self.sizes[name] = file.tell()
        file.close()
        return True


spool = Spool(limit=500)


def step(i):
    for k in range(RATE):
        spool.accept("up%d" % (i % 40), [b"x" * 100] * 3)
        if i % 3 == 0:
            spool.accept("big%d" % (i % 40), [b"x" * 100] * 6)

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
