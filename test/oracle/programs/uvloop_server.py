"""An asyncio server on uvloop, with clients connected and tasks that wait."""
import asyncio

import observe
import uvloop

HISTORY = []


async def handle(reader, writer):
    while True:
        line = await reader.readline()
        if not line:
            break
        HISTORY.append(line)
        writer.write(line.upper())
        await writer.drain()


async def background(n):
    held = [n, object()]
    await asyncio.sleep(3600)
    return held


async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    for round in range(10):
        for reader, writer in clients:
            writer.write(b"hello %d\n" % round)
            await reader.readline()
    tasks = [asyncio.create_task(background(i)) for i in range(50)]
    queue = asyncio.Queue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(5)]
    loop = asyncio.get_running_loop()
    timer = loop.call_later(3600, print, "later")
    await asyncio.sleep(0.05)
    observe.barrier()
    return tasks, waiting, timer


uvloop.install()
asyncio.run(main())
