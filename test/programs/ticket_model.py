"""Support tickets: triage finds tags in the text."""
import collections
import itertools
import os
import sys
import time

RATE = int(os.environ.get("LEAK_RATE", "2"))


class Tag:
    def __init__(self, name, weight):
        self.name = name
        self.weight = weight


class Ticket:
    def __init__(self, number, text):
        self.number = number
        self.text = text
        self.priority = 0


def triage(ticket, tags=[]):
    for word in ticket.text.split():
        if word.startswith("#"):
            tags.append(Tag(word, len(word)))
    ticket.priority = min(9, sum(tag.weight for tag in tags[-4:]))
    return ticket.priority


open_tickets = collections.OrderedDict()


def step(i):
    for k in range(RATE):
        number = i * RATE + k
        ticket = Ticket(number, "printer %d is #broken in room %d #urgent" % (number, i % 70))
        open_tickets[number] = ticket
        triage(ticket)
    while len(open_tickets) > 50:
        open_tickets.popitem(last=False)

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
