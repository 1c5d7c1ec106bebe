"""What the shop keeps in memory between requests."""
import threading
import time
from collections import OrderedDict

# token -> Session of everyone who is logged in
SESSIONS = {}

_lock = threading.Lock()


class PageCache:
    """Rendered pages, the least recently used forgotten first."""

    def __init__(self, size):
        self.size = size
        self._pages = OrderedDict()

    def get(self, path, render):
        with _lock:
            page = self._pages.pop(path, None)
        if page is None:
            page = render(path)
        with _lock:
            self._pages[path] = page
            while len(self._pages) > self.size:
                self._pages.popitem(last=False)
        return page


class Carts:
    """Carts of visitors; one that nobody touched for a while is swept by housekeeping."""

    def __init__(self, lifetime):
        self.lifetime = lifetime
        self._carts = {}

    def add(self, token, article):
        with _lock:
            cart = self._carts.setdefault(token, {"articles": [], "touched": 0.0})
            cart["articles"].append(article)
            cart["touched"] = time.monotonic()
            return len(cart["articles"])

    def sweep(self):
        oldest = time.monotonic() - self.lifetime
        with _lock:
            for token in [token for token, cart in self._carts.items() if cart["touched"] < oldest]:
                del self._carts[token]

    def __len__(self):
        return len(self._carts)


def remember(token, session):
    with _lock:
        SESSIONS[token] = session


def recall(token):
    return SESSIONS.get(token)
