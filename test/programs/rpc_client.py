"""JSON-RPC client over a lossy link; the caller gives up on late answers."""
import asyncio
import json
import os
from collections import Counter

RATE = int(os.environ.get("LEAK_RATE", "2"))


class Call:
    def __init__(self, number, method, future):
        self.number = number
        self.method = method
        self.future = future


class Client:
    def __init__(self, transport):
        self.pending = {}
        self.transport = transport
        self.numbers = 0
        self.outcome = Counter()

    def begin(self, method, **params):
        self.numbers += 1
        call = Call(self.numbers, method, asyncio.get_running_loop().create_future())
        self.pending[call.number] = call
        self.transport(json.dumps({"id": call.number, "method": method, "params": params}))
        return call

    async def request(self, method, **params):
        call = self.begin(method, **params)
        for _ in range(3):
            if call.future.done():
                self.outcome["answered"] += 1
                return call.future.result()
            await asyncio.sleep(0)
        self.outcome["gave up"] += 1
        return None

    def on_line(self, line):
        message = json.loads(line)
        call = self.pending.pop(message["id"], None)
        if call is not None:
            call.future.set_result(message["result"])


def lossy(line):
    message = json.loads(line)
    if message["method"] != "quote.slow":
        client.on_line(json.dumps({"id": message["id"], "result": [1, 2, 3]}))


client = Client(lossy)


async def tick(i):
    for k in range(RATE):
        await client.request("quote.fast", at=i, part=k)
        await client.request("quote.slow", at=i, part=k)

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
