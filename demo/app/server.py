"""The shop's HTTP server: a thread a connection, and one for housekeeping."""
import threading
import time
import urllib.parse
from collections import deque
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

from . import cache, handlers


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        shop = self.server.shop
        began = time.monotonic()
        threading.current_thread().name = "connection %d" % self.client_address[1]
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        try:
            code, body = handlers.answer(shop, url.path, query)
        except Exception:
            shop.failures += 1
            code, body = 500, b"{}"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        shop.requests += 1
        shop.recent.append({"path": url.path, "code": code, "ms": (time.monotonic() - began) * 1000})

    def log_message(self, format, *args):
        pass


class Listener(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    shop = None


class Shop:
    def __init__(self, address):
        self.requests = 0
        self.failures = 0
        self.present = set()
        self.pages = cache.PageCache(size=150)
        self.carts = cache.Carts(lifetime=1.5)
        self.recent = deque(maxlen=200)
        self._listener = Listener(address, Request)
        self._listener.shop = self

    @property
    def port(self):
        return self._listener.server_address[1]

    def start(self):
        threading.Thread(target=self._listener.serve_forever, name="listener", daemon=True).start()
        threading.Thread(target=self._housekeeping, name="housekeeping", daemon=True).start()

    def _housekeeping(self):
        while True:
            time.sleep(0.25)
            self.carts.sweep()
