/**
 * A program that waits in one system call, made through ctypes so that Python does not hide an EINTR, and then says
 * what the call returned and how long it took.
 */
export const WAITING_PROGRAM = `
import ctypes, json, os, select, socket, struct, sys, threading, time
kind, seconds = sys.argv[1], float(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
ms = int(seconds * 1000)
spec = struct.pack('qq', int(seconds), int(seconds % 1 * 1e9))
r, w = os.pipe()
ep = select.epoll()
ep.register(r, select.EPOLLIN)
events = ctypes.create_string_buffer(256)
fds = struct.pack('ihh', r, 1, 0)
word = ctypes.c_int(0)
listener = socket.create_server(('127.0.0.1', 0))
near, far = socket.socketpair()
def later(action):
    threading.Timer(seconds, action).start()
child = 0
gate, opener = os.pipe()
if kind in ('wait4', 'waitid'):
    child = os.fork()
    if child == 0:
        os.read(gate, 1)
        time.sleep(seconds)
        os._exit(7)
if kind == 'sockrcvtimeo':
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', int(seconds), int(seconds % 1 * 1e6)))
deadline = None
def absolute():
    t = time.monotonic() + seconds
    return struct.pack('qq', int(t), int(t % 1 * 1e9))
calls = {
    'nanosleep': lambda: libc.nanosleep(spec, None),
    'clock_nanosleep': lambda: libc.clock_nanosleep(1, 0, spec, None),
    'clock_nanosleep_abs': lambda: libc.clock_nanosleep(1, 1, absolute(), None),
    'poll': lambda: libc.poll(fds, 1, ms),
    'ppoll': lambda: libc.ppoll(fds, 1, spec, None),
    'select': lambda: libc.select(0, None, None, None, struct.pack('qq', int(seconds), int(seconds % 1 * 1e6))),
    'pselect': lambda: libc.pselect(0, None, None, None, spec, None),
    'epoll_wait': lambda: libc.epoll_wait(ep.fileno(), events, 8, ms),
    'epoll_pwait': lambda: libc.epoll_pwait(ep.fileno(), events, 8, ms, None),
    'futex': lambda: libc.syscall(202, ctypes.byref(word), 128, 0, spec, None, 0),
    'futex_abs': lambda: libc.syscall(202, ctypes.byref(word), 128 | 9, 0, absolute(), None, ctypes.c_uint(0xffffffff)),
    'wait4': lambda: (os.write(opener, b'x'), libc.wait4(child, None, 0, None))[1],
    'waitid': lambda: (os.write(opener, b'x'), libc.waitid(1, child, events, 4))[1],
    'wait_any': lambda: libc.waitpid(-1, None, 0),
    'pipe': lambda: (later(lambda: os.write(w, b'x')), libc.read(r, events, 8))[1],
    'accept': lambda: (later(lambda: socket.create_connection(listener.getsockname())), libc.accept(listener.fileno(), None, None))[1],
    'recv': lambda: (later(lambda: far.send(b'x')), libc.recv(near.fileno(), events, 8, 0))[1],
    'epoll_forever': lambda: (later(lambda: os.write(w, b'x')), libc.epoll_wait(ep.fileno(), events, 8, -1))[1],
    'sleep': lambda: time.sleep(seconds) or 0,
    'lock': lambda: int(threading.Event().wait(seconds)),
    'sockrcvtimeo': lambda: libc.recv(near.fileno(), events, 8, 0),
}
print('ready')
ctypes.set_errno(0)
started = time.monotonic()
result = calls[kind]()
elapsed = time.monotonic() - started
print(json.dumps({'result': result, 'errno': ctypes.get_errno() if result < 0 else 0, 'elapsed': elapsed}))
`;
