"""Chat hub over socket pairs."""
import os
import resource
import socket
import time

RATE = int(os.environ.get("LEAK_RATE", "1"))
_, top = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (top, top))


class Link:
    def __init__(self, sock, nick):
        self.sock = sock
        self.nick = nick
        self.inbox = bytearray()
        self.eof = False

    def pump(self):
        data = self.sock.recv(4096)
        if data:
            self.inbox += data
        else:
            self.eof = True


class Hub:
    def __init__(self):
        self.links = []
        self.received = 0

    def join(self, nick):
        mine, theirs = socket.socketpair()
        link = Link(mine, nick)
        self.links.append(link)
        return link, theirs

    def live(self):
        return [link for link in self.links[-20:] if not link.eof]


hub = Hub()


def step(i):
    if i % 2:
        return
    for k in range(RATE):
        link, remote = hub.join("nick%d" % (i % 77))
        remote.sendall(b"hello")
        remote.close()
        while not link.eof:
            link.pump()
        hub.received += len(link.inbox)
    hub.live()

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
