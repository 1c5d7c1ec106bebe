"""Audio filter working on buffers of the C library."""
import ctypes
import os
import time

RATE = int(os.environ.get("LEAK_RATE", "4"))
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


class Clipped(Exception):
    pass


def smooth(samples, gain):
    block = libc.malloc(1400)
    ctypes.memset(block, 0, 1400)
    view = (ctypes.c_short * 600).from_address(block)
    for n, sample in enumerate(samples):
        view[n] = sample * gain % 30000
    if gain > 3:
        raise Clipped("gain %d" % gain)
    result = sum(view[:16]) // 16
    libc.free(block)
    return result


levels = {}
clipped = 0


def step(i):
    global clipped
    for k in range(RATE):
        try:
            levels[k] = smooth([i % 50, k, 3], gain=1 + k % 4 + (k % 2) * 2)
        except Clipped:
            clipped += 1

def run_forever(environ=os.environ):
    left = int(environ.get("LEAK_ITERS", -1))
    interval = float(environ.get("LEAK_SLEEP", 0.02 if left < 0 else 0))
    turn = 0
    while turn != left:
        step(turn)
        turn += 1
        if turn < 100:
            continue
        if turn == 100:
            print("ready %d" % os.getpid(), flush=True)
        time.sleep(interval)


if __name__ == "__main__":
    run_forever()
