"""Support chat: lines are shown at once and kept for a transcript."""
import collections
import io
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "8"))


class Feed:
    def __init__(self, room):
        self.room = room
        self.transcript = io.StringIO()
        self.screen = collections.deque(maxlen=40)
        self.said = 0

    def say(self, who, text):
        line = "[%s] %s: %s\n" % (self.room, who, text)
        self.screen.append(line)
        self.transcript.write(line)
        self.said += 1

    def render(self):
        return "".join(self.screen)


feed = Feed("helpdesk")
pages = {}


def step(i):
    for k in range(RATE):
        feed.say("agent%d" % (k % 3), "answer %d.%d " % (i, k) + "bla " * 60)
    pages[i % 5] = feed.render()

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
