"""`python -m leakscope_agent run script.py …`: runs a program that writes a snapshot whenever it gets a signal."""
import sys

USAGE = """usage: python -m leakscope_agent run [-d DIRECTORY] [-s SIGNAL] script.py [argument ...]

Runs script.py as python would; whenever the process gets SIGNAL (SIGUSR2) it writes
DIRECTORY/heap-PID-TIME.agent (DIRECTORY: where it was started).

In a program of your own instead:
  import leakscope_agent
  leakscope_agent.snapshot("heap.agent")
  leakscope_agent.install(signal.SIGUSR2, "/var/tmp")

Then: leakscope types heap.agent, or any other command that takes a snapshot.
"""


def main(arguments):
    directory, name = ".", "SIGUSR2"
    if arguments[:1] != ["run"]:
        asked = arguments[:1] in (["-h"], ["--help"])
        (sys.stdout if asked else sys.stderr).write(USAGE)
        return 0 if asked else 2
    arguments = arguments[1:]
    while len(arguments) > 1 and arguments[0] in ("-d", "-s"):
        if arguments[0] == "-d":
            directory = arguments[1]
        else:
            name = arguments[1]
        arguments = arguments[2:]
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write(USAGE)
        return 2
    import os
    import runpy
    import signal

    import leakscope_agent

    number = getattr(signal, name, None) or getattr(signal, "SIG" + name, None)
    if number is None:
        sys.stderr.write("leakscope_agent: there is no signal %s here\n" % name)
        return 2
    try:
        leakscope_agent.install(number, directory)
    except OSError as error:
        sys.stderr.write("leakscope_agent: %s\n" % error)
        return 2
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
    runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
