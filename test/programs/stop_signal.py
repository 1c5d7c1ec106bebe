"""HTTP server whose requests must hear of a shutdown."""
import asyncio
import functools
import os

RATE = int(os.environ.get("LEAK_RATE", "3"))


class Exchange:
    def __init__(self, method, url):
        self.method = method
        self.url = url
        self.headers = {"host": "example.net"}
        self.aborted = False

    def abort(self, reason):
        self.aborted = True


def on_stop(exchange, future):
    exchange.abort("server stops")


class Server:
    def __init__(self):
        self.stopping = None
        self.served = 0

    async def handle(self, exchange):
        if self.stopping is None:
            self.stopping = asyncio.get_running_loop().create_future()
        self.stopping.add_done_callback(functools.partial(on_stop, exchange))
        await asyncio.sleep(0)
        self.served += 1
        return len(exchange.url)


server = Server()


async def tick(i):
    await asyncio.gather(*[server.handle(Exchange("GET", "/%d/%d" % (i, k))) for k in range(RATE)])

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
