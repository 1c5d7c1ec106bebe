"""Message bus with weakly referenced listeners."""
import collections
import itertools
import os
import sys
import time
import weakref

RATE = int(os.environ.get("LEAK_RATE", "5"))


class Bus:
    def __init__(self):
        self.listeners = []
        self.history = collections.deque(maxlen=60)

    def listen(self, listener):
        self.listeners.append(weakref.ref(listener))

    def say(self, text):
        self.history.append(text)
        for reference in self.listeners[-50:]:
            listener = reference()
            if listener is not None:
                listener.heard += 1


class Listener:
    def __init__(self, topic):
        self.topic = topic
        self.heard = 0


bus = Bus()
by_topic = {}


def step(i):
    for k in range(RATE):
        listener = Listener("topic%d" % (i % 30))
        bus.listen(listener)
        by_topic[listener.topic] = listener
    bus.say("tick %d" % i)

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
