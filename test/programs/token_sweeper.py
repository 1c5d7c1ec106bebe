"""Token service: tokens live for a few seconds, a thread sweeps the expired ones."""
import os
import secrets
import threading
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))
TTL = float(os.environ.get("TOKEN_TTL", "3"))


class Token:
    __slots__ = ("value", "subject", "expires")

    def __init__(self, subject, now):
        self.value = secrets.token_urlsafe(12)
        self.subject = subject
        self.expires = now + TTL


class TokenTable:
    def __init__(self):
        self.tokens = {}
        self.lock = threading.Lock()
        self.swept = 0

    def issue(self, subject):
        token = Token(subject, time.monotonic())
        with self.lock:
            self.tokens[token.value] = token
        return token

    def sweep(self):
        now = time.monotonic()
        with self.lock:
            expired = [value for value, token in self.tokens.items() if token.expires < now]
            for value in expired:
                del self.tokens[value]
            self.swept += len(expired)

    def run(self):
        while True:
            time.sleep(1.0)
            self.sweep()


table = TokenTable()
threading.Thread(target=table.run, name="sweeper", daemon=True).start()
latest = {}


def step(i):
    for k in range(RATE):
        latest[k] = table.issue("svc-%d" % (i % 60)).value

def run_forever(environ=os.environ):
    left = int(environ.get("LEAK_ITERS", -1))
    interval = float(environ.get("LEAK_SLEEP", 0.02 if left < 0 else 0))
    turn = 0
    while turn != left:
        step(turn)
        turn += 1
        if turn < 100:
            continue
        if turn == 100:
            print("ready %d" % os.getpid(), flush=True)
        time.sleep(interval)


if __name__ == "__main__":
    run_forever()
