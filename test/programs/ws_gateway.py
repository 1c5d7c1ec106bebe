"""Websocket gateway: every message to a client waits for its acknowledgement."""
import asyncio
import collections
import os
import random

RATE = int(os.environ.get("LEAK_RATE", "2"))
dice = random.Random(3)
DELIVERIES = set()
latencies = collections.deque(maxlen=300)


class Envelope:
    __slots__ = ("client", "body", "acked")

    def __init__(self, client, body):
        self.client = client
        self.body = body
        self.acked = asyncio.Event()


async def deliver(envelope):
    await envelope.acked.wait()
    latencies.append(len(envelope.body))


def send(client, body):
    envelope = Envelope(client, body)
    task = asyncio.get_running_loop().create_task(deliver(envelope))
    DELIVERIES.add(task)
    task.add_done_callback(DELIVERIES.discard)
    return envelope


async def tick(i):
    for k in range(RATE * 2):
        envelope = send("c%03d" % dice.randrange(400), "price %d/%d" % (i, k))
        if k % 2 == 0:
            envelope.acked.set()
    await asyncio.sleep(0)

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
