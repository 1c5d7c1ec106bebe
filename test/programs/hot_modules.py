"""Workflow runner: user scripts are loaded as modules."""
import collections
import os
import sys
import time
import types

RATE = int(os.environ.get("LEAK_RATE", "2"))
SCRIPT = "LIMIT = %d\n\ndef run(value):\n    return min(value, LIMIT)\n"


def load(name, text):
    module = types.ModuleType(name)
    module.__dict__["__file__"] = "<%s>" % name
    exec(compile(text, module.__file__, "exec"), module.__dict__)
    sys.modules[name] = module
    return module


results = collections.deque(maxlen=120)


def step(i):
    for k in range(RATE):
        script = load("workflow_%d_v%d" % (k, i), SCRIPT % (i % 500))
        results.append(script.run(i))

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
