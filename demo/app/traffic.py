"""Visitors of the shop: each logs in, looks around, fills a cart, logs out, and comes again."""
import http.client
import json
import random
import threading
import time
import urllib.parse


class Visitor(threading.Thread):
    def __init__(self, port, number, pace):
        super().__init__(name="visitor-%d" % number, daemon=True)
        self.warm_up = threading.Event()
        self._port = port
        self._pace = pace
        self._random = random.Random(number)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def run(self):
        visits = 0
        warm = 40  # the first visits come without a pause, until the caches are full
        while True:
            try:
                self.visit(visits)
            except (OSError, http.client.HTTPException):
                self._connection.close()
            visits += 1
            if visits == warm:
                self.warm_up.set()
            if visits > warm:
                time.sleep(self._pace)

    def visit(self, number):
        token = self.get("/login", user="%s-%d" % (self.name, number % 500))["token"]
        for _ in range(3):
            self.get("/page", token=token, path="/shelf/%d" % self._random.randrange(400))
        self.get("/cart", token=token, article="article-%d" % self._random.randrange(400))
        self.get("/logout", token=token)

    def get(self, route, **query):
        self._connection.request("GET", route + "?" + urllib.parse.urlencode(query))
        return json.loads(self._connection.getresponse().read())
