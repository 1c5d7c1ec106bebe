"""Login sessions with an idle timeout of one hour."""
import asyncio
import os
import secrets

RATE = int(os.environ.get("LEAK_RATE", "3"))
IDLE = 3600.0


class Session:
    def __init__(self, user):
        self.user = user
        self.token = secrets.token_hex(16)
        self.cart = []
        self.open = True

    def expire(self):
        if self.open:
            logout(self)


sessions = {}
counts = {"in": 0, "out": 0}


def login(user):
    session = Session(user)
    sessions[session.token] = session
    asyncio.get_running_loop().call_later(IDLE, session.expire)
    counts["in"] += 1
    return session


def logout(session):
    session.open = False
    sessions.pop(session.token, None)
    counts["out"] += 1


async def tick(i):
    fresh = [login("u%d" % ((i * RATE + k) % 900)) for k in range(RATE)]
    for session in fresh:
        session.cart.extend(range(5))
    await asyncio.sleep(0)
    for session in fresh:
        logout(session)

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
