"""Double-entry ledger with an in-memory journal."""
import itertools
import os
import time
from collections import namedtuple

RATE = int(os.environ.get("LEAK_RATE", "2"))
Posting = namedtuple("Posting", "account amount memo")


class Journal(list):
    def post(self, *postings):
        if sum(p.amount for p in postings):
            raise ValueError("unbalanced")
        self.extend(postings)
        return len(self)


class Ledger:
    def __init__(self):
        self.journal = Journal()
        self.balances = {}

    def transfer(self, source, target, amount):
        debit = Posting(source, -amount, "to %s" % target)
        credit = Posting(target, amount, "from %s" % source)
        self.journal.post(debit, credit)
        for posting in (debit, credit):
            self.balances[posting.account] = self.balances.get(posting.account, 0) + posting.amount


ledger = Ledger()


def step(i):
    for k in range(RATE):
        ledger.transfer("acc%d" % (i % 40), "acc%d" % ((i + k + 1) % 40), (i * 7 + k) % 90 + 1)

class Runner:
    warm = 100

    def __init__(self):
        self.budget = os.environ.get("LEAK_ITERS")
        self.wait = float(os.environ.get("LEAK_SLEEP", "0" if self.budget else "0.02"))

    def __call__(self):
        turns = itertools.count() if self.budget is None else iter(range(int(self.budget)))
        for turn in turns:
            step(turn)
            if turn + 1 == self.warm:
                print("ready", os.getpid(), flush=True)
            elif turn >= self.warm and self.wait:
                time.sleep(self.wait)


if __name__ == "__main__":
    Runner()()
