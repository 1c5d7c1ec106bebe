"""Audit hub: every event goes to each of the taps."""
import asyncio
import os

RATE = int(os.environ.get("LEAK_RATE", "4"))


class AuditEvent:
    def __init__(self, actor, verb, subject):
        self.actor, self.verb, self.subject = actor, verb, subject


class Hub:
    def __init__(self, *names):
        self.taps = {name: asyncio.Queue() for name in names}

    def publish(self, event):
        for queue in self.taps.values():
            queue.put_nowait(event)


class Archive:
    def __init__(self, size):
        self.ring = [None] * size
        self.written = 0

    def write(self, event):
        self.ring[self.written % len(self.ring)] = (event.actor, event.verb)
        self.written += 1


hub = None
archive = Archive(256)


def connect():
    global hub
    hub = Hub("archive", "trace")


async def tick(i):
    if hub is None:
        connect()
    for k in range(RATE):
        hub.publish(AuditEvent("user%d" % (i % 40), "read", "doc-%d-%d" % (i, k)))
    stored = hub.taps["archive"]
    while not stored.empty():
        archive.write(await stored.get())

async def main():
    limit = int(os.environ.get("LEAK_ITERS", "0"))
    pause = float(os.environ.get("LEAK_SLEEP", "0" if limit else "0.02"))
    number = 0
    while not limit or number < limit:
        await tick(number)
        number += 1
        if number == 100:
            print("ready", os.getpid(), flush=True)
        await asyncio.sleep(pause if number >= 100 else 0)


if __name__ == "__main__":
    asyncio.run(main())
