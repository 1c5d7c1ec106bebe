"""Terminal server: each connection brings a character set."""
import codecs
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "2"))


class Charset:
    def __init__(self, label, table):
        self.label = label
        self.table = table

    def decode(self, data, errors="strict"):
        return "".join(self.table.get(b, chr(b)) for b in data), len(data)


class Connection:
    def __init__(self, number, label):
        self.number = number
        charset = Charset(label, {0x80: "\u20ac", 0x9F: "\u0178"})

        def search(name):
            if name == charset.label:
                return codecs.CodecInfo(None, charset.decode, name=name)
            return None

        codecs.register(search)
        self.charset = charset

    def text(self, data):
        return self.charset.decode(data)[0]


lengths = {}


def step(i):
    for k in range(RATE):
        connection = Connection(i, "term-%d" % (i % 5))
        lengths[k] = len(connection.text(b"hello \x80"))

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
