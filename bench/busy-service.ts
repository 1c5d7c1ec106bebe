/** A busy Python service, and a client that keeps it busy from outside: what bench/soak.ts disturbs and listens to. */

/**
 * Answers HTTP on a port of its own in a thread a request; runs an asyncio loop, makes subprocesses and forks and waits
 * for any child, takes SIGUSR1, and has threads that wait in every common way and note each wait that ends early.
 * Prints `ready`, the address of a word that a thread keeps writing to, and its port; at the end of its standard input
 * what it counted, as JSON.
 */
export const SERVICE = `
import asyncio, ctypes, http.server, json, os, select, signal, subprocess, sys, threading, time, warnings
warnings.simplefilter('ignore')
counts = {'subprocesses': 0, 'forks': 0, 'chld': 0, 'usr1': 0, 'waits': 0, 'tasks': 0, 'threads': 0}
bad = []
running = True
cells = (ctypes.c_long * 8)()
libc = ctypes.CDLL(None, use_errno=True)
def count(name): counts[name] += 1
signal.signal(signal.SIGUSR1, lambda *_: count('usr1'))
signal.signal(signal.SIGCHLD, lambda *_: count('chld'))
# Signals are for the main thread: the others see an interrupted call only if somebody else interrupts it.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGCHLD])

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = ('%s %d' % (self.path, sum(range(2000)))).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()
        self.wfile.write(body); cells[0] += 1
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    def handle_error(self, *_): bad.append(['server', repr(sys.exc_info()[1])])
server = Server(('127.0.0.1', 0), Handler)

def guarded(work):
    def run():
        try: work()
        except BaseException as error: bad.append([work.__name__, repr(error)])
    thread = threading.Thread(target=run, name=work.__name__); thread.start(); return thread

r, w = os.pipe()
def timed(seconds, wait, expected):
    began = time.monotonic(); got = wait(); took = time.monotonic() - began
    if took < seconds - 1e-5 or got != expected: bad.append(['early', seconds, took, repr(got)])
    counts['waits'] += 1
def sleeps():
    while running: timed(0.005, lambda: time.sleep(0.005), None)
def events():
    event = threading.Event()
    while running: timed(0.007, lambda: event.wait(0.007), False)
def selects():
    while running: timed(0.006, lambda: select.select([r], [], [], 0.006), ([], [], []))
def polls():
    poll = select.poll(); poll.register(r, select.POLLIN)
    while running: timed(0.008, lambda: poll.poll(8), [])
def raw_epolls():
    # Through ctypes, for Python itself would hide an EINTR.
    ep = select.epoll(); ep.register(r, select.EPOLLIN)
    out = ctypes.create_string_buffer(256)
    def wait():
        ctypes.set_errno(0)
        return (libc.epoll_wait(ep.fileno(), out, 8, 20), ctypes.get_errno())
    while running: timed(0.02, wait, (0, 0))
def counter():
    while running: cells[0] += 1; time.sleep(0.001)
def starter():
    while running:
        t = threading.Thread(target=lambda: sum(range(1000))); t.start(); t.join(); counts['threads'] += 1; time.sleep(0.002)
def loop():
    async def task():
        while running:
            began = time.monotonic(); await asyncio.sleep(0.004)
            # The loop's clock resolution is what it may be early by.
            if time.monotonic() - began < 0.0039: bad.append(['early', 'asyncio', time.monotonic() - began])
            counts['tasks'] += 1
    async def main(): await asyncio.gather(*[task() for _ in range(5)])
    asyncio.run(main())
def serve(): server.serve_forever(0.5)
threads = [guarded(f) for f in (sleeps, events, selects, polls, raw_epolls, counter, starter, loop)]
threading.Thread(target=serve, daemon=True).start()
def ask():
    global running
    sys.stdin.read(); running = False
threads.append(guarded(ask))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1, signal.SIGCHLD])
print('ready'); print(ctypes.addressof(cells)); print(server.server_address[1], flush=True)
while running:
    code = subprocess.run(['/bin/sh', '-c', 'exit 9']).returncode
    counts['subprocesses'] += 1
    if code != 9: bad.append(['subprocess', code])
    pid = os.fork()
    if pid == 0: os._exit(5)
    got, status = os.wait()
    counts['forks'] += 1
    if (got, status) != (pid, 5 << 8): bad.append(['wait', got, pid, status])
    time.sleep(0.003)
for t in threads: t.join()
try: os.wait(); bad.append(['wait', 'a child was left'])
except ChildProcessError: pass
server.shutdown()
print(json.dumps({**counts, 'bad': bad}), flush=True)
sys.exit(3)
`;

/** Asks the service at a port from two threads until its standard input ends; prints what it counted. */
export const CLIENT = `
import http.client, json, sys, threading, time
port = int(sys.argv[1])
counts = {'answered': 0, 'failed': [], 'slowest_ms': 0.0}
running = True
def ask(keep):
    connection = None
    n = 0
    while running:
        n += 1
        path = '/%s/%d' % ('kept' if keep else 'new', n)
        began = time.monotonic()
        try:
            if connection is None: connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
            connection.request('GET', path); response = connection.getresponse(); body = response.read().decode()
            if response.status != 200 or body != '%s %d' % (path, sum(range(2000))): counts['failed'].append(body)
            counts['answered'] += 1
        except Exception as error:
            counts['failed'].append(repr(error)); connection = None
        counts['slowest_ms'] = max(counts['slowest_ms'], (time.monotonic() - began) * 1000)
        if not keep and connection: connection.close(); connection = None
        time.sleep(0.004)
threads = [threading.Thread(target=ask, args=(keep,)) for keep in (True, False)]
for t in threads: t.start()
print('ready', flush=True)
sys.stdin.read()
running = False
for t in threads: t.join()
print(json.dumps(counts), flush=True)
`;
