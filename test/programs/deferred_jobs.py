"""Upload service that cleans up partial uploads at shutdown."""
import functools
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))
on_shutdown = []
stored = {}


class Upload:
    def __init__(self, name, size):
        self.name = name
        self.parts = [b"."] * (size % 7)
        self.complete = False


def discard(upload, reason):
    if not upload.complete:
        upload.parts.clear()
        stored.pop(upload.name, reason)


def receive(name, size):
    upload = Upload(name, size)
    on_shutdown.append(functools.partial(discard, upload, reason="shutdown"))
    for n in range(len(upload.parts)):
        upload.parts[n] = b"x" * n
    upload.complete = True
    stored[name.rpartition("-")[0]] = len(upload.parts)
    return upload


def step(i):
    for k in range(RATE):
        receive("file%02d-%d" % (k * 11 % 30, i), i + k)

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
