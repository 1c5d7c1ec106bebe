"""What the shop answers."""
import json
import random
import threading
import time

from . import cache

CATALOGUE = ["article-%d" % number for number in range(400)]


class Session:
    """A visitor who is logged in."""

    def __init__(self, user, token):
        self.user = user
        self.token = token
        self.started = time.time()
        self.closed = False
        self.preferences = {"language": random.choice(("en", "de", "fr")), "currency": "EUR", "per_page": 24}
        self.seen = []


def login(shop, query):
    token = "%032x" % random.getrandbits(128)
    session = Session(query.get("user", "anonymous"), token)
    cache.remember(token, session)
    shop.present.add(session.user)
    return {"token": token}


def logout(shop, query):
    session = cache.recall(query.get("token"))
    if session is None:
        return {"logged_out": False}
    session.closed = True
    shop.present.discard(session.user)
    return {"logged_out": True}


def page(shop, query):
    session = cache.recall(query.get("token"))
    path = query.get("path", "/")
    if session is not None:
        session.seen.append({"path": path, "at": time.time()})
    return {"page": shop.pages.get(path, render)}


def render(path):
    rng = random.Random(path)
    rows = ["<li>%s: %d EUR</li>" % (rng.choice(CATALOGUE), rng.randrange(5, 90)) for _ in range(12)]
    return "<h1>%s</h1><ul>%s</ul>" % (path, "".join(rows))


def cart(shop, query):
    return {"articles": shop.carts.add(query.get("token"), query.get("article"))}


def status(shop, _query):
    return {
        "requests": shop.requests,
        "failures": shop.failures,
        "present": len(shop.present),
        "carts": len(shop.carts),
        "threads": sorted(thread.name for thread in threading.enumerate() if not thread.name.startswith("connection")),
    }


ROUTES = {"/login": login, "/logout": logout, "/page": page, "/cart": cart, "/status": status}


def answer(shop, path, query):
    """Status code and body of one request."""
    route = ROUTES.get(path)
    if route is None:
        return 404, b"{}"
    return 200, json.dumps(route(shop, query)).encode()
