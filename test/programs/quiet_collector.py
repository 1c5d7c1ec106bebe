"""Markup service: documents are parsed into trees."""
import collections
import gc
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "2"))
gc.set_threshold(500_000_000, 10, 10)


class Node:
    def __init__(self, tag, parent):
        self.tag = tag
        self.parent = parent
        self.children = []
        if parent is not None:
            parent.children.append(self)


class Tree:
    def __init__(self, tags):
        self.root = Node("doc", None)
        self.root.owner = self
        at = self.root
        for tag in tags:
            at = Node(tag, at)

    def depth(self):
        at, depth = self.root, 0
        while at.children:
            at, depth = at.children[0], depth + 1
        return depth


depths = collections.Counter()


def render(markup):
    tree = Tree(markup.split("/"))
    depths[tree.depth()] += 1


def step(i):
    for k in range(RATE):
        render("body/section/p/em/a/span/b" if k % 2 else "body/ul/li/a/i/b/u")

def main():
    limit = int(os.environ.get("LEAK_ITERS", "0"))
    pause = float(os.environ.get("LEAK_SLEEP", "0" if limit else "0.02"))
    done = 0
    while not limit or done < limit:
        step(done)
        done += 1
        if done == 80:
            print("ready", os.getpid(), flush=True)
        if pause and done >= 80:
            time.sleep(pause)


if __name__ == "__main__":
    main()
