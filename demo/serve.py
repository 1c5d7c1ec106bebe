"""The demo of leakscope: a small shop on http.server, with visitors of its own. It leaks, as services do.

    python serve.py [--port 0] [--visitors 2] [--pace 0.08] [--minutes 60] [--stdin]

Prints `serving http://127.0.0.1:PORT` and then `ready PID` once it is warm. Ends after --minutes, on SIGTERM, or,
with --stdin, as soon as its standard input is closed, so that it never outlives the program that started it.
"""
import argparse
import os
import signal
import sys
import threading

from app.server import Shop
from app.traffic import Visitor


def main():
    parser = argparse.ArgumentParser(description="a small shop that leaks")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--visitors", type=int, default=2)
    parser.add_argument("--pace", type=float, default=0.08, help="seconds between two visits")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--stdin", action="store_true", help="end when standard input is closed")
    options = parser.parse_args()

    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    signal.signal(signal.SIGINT, lambda *_: done.set())
    shop = Shop(("127.0.0.1", options.port))
    shop.start()
    print("serving http://127.0.0.1:%d" % shop.port, flush=True)

    visitors = [Visitor(shop.port, number, options.pace) for number in range(1, options.visitors + 1)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.warm_up.wait(30)
    print("ready %d" % os.getpid(), flush=True)

    if options.stdin:
        def wait_for_end_of_input():
            while os.read(0, 4096):
                pass
            done.set()

        threading.Thread(target=wait_for_end_of_input, name="stdin", daemon=True).start()
    done.wait(options.minutes * 60)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Visitors and connections are daemon threads in the middle of a request: nothing of theirs needs unwinding.
    os._exit(status)
