"""Takes snapshots of this program's heap from inside, for leakscope to read.

    import leakscope_agent
    leakscope_agent.snapshot("heap.agent")                        # now
    leakscope_agent.install(signal.SIGUSR2, "/var/tmp")           # whenever the signal comes

Then `leakscope types heap.agent`, `leakscope snapshot heap.agent -o heap.lss` or any other command. See docs/agent.md.
"""
import os
import sys
import time

from .capture import _own_code, snapshot

__all__ = ["snapshot", "install"]


def install(signum, directory):
    """Has the program write a snapshot into `directory` whenever it gets this signal. Call it in the main thread.

    Python runs the handler between two lines of the main thread. Returns the handler that was there before.
    """
    import signal

    directory = os.path.abspath(directory)
    if not os.path.isdir(directory):
        raise NotADirectoryError(directory)

    def on_signal(signum, frame):
        path = os.path.join(directory, "heap-%d-%d.agent" % (os.getpid(), time.time_ns() // 1000000))
        try:
            cost = snapshot(path)
            said = "%s: %d objects in %.2f s" % (path, cost["objects"], cost["seconds"])
        except Exception as error:
            said = "no snapshot: %s" % error
        try:
            sys.stderr.write("leakscope_agent: %s\n" % said)
        except Exception:
            pass

    _own_code.add(on_signal.__code__)
    return signal.signal(signum, on_signal)
