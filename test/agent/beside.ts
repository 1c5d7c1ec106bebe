/** A target that stops, and whose twin (a fork of that moment) has the agent write what it sees: the same objects at the same addresses. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AGENT_DIRECTORY } from '../../src/agent/index.ts';
import { type Program, type Python, spawnTarget, type Target } from '../support/pythons.ts';

const packageFile = (name: string) => readFileSync(join(AGENT_DIRECTORY, 'leakscope_agent', name), 'utf8');

/** The agent's files, for `beside` of a target. */
export const AGENT_FILES = {
  'leakscope_agent/__init__.py': packageFile('__init__.py'),
  'leakscope_agent/__main__.py': packageFile('__main__.py'),
  'leakscope_agent/capture.py': packageFile('capture.py'),
};

/** Stands in for the oracle's observe.py. The fork is the C library's: nothing of Python is run for it. */
const BARRIER = `
import ctypes, gc, os, signal, sys
import leakscope_agent
_fork = ctypes.PyDLL(None).fork
_fork.restype = ctypes.c_int

def barrier():
    directory = os.path.dirname(os.path.abspath(__file__))
    for _ in range(3):
        gc.collect()
    gc.disable()
    sys.stdout.flush()
    sys.stderr.flush()
    wait = signal.pause
    twin = _fork()
    if twin == 0:
        try:
            leakscope_agent.snapshot(os.path.join(directory, "heap.agent"))
            os.write(1, b"ready\\n")
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    # A twin that failed or crashed: end, so that nobody waits.
    if os.waitpid(twin, 0)[1] != 0:
        os._exit(1)
    while True:
        wait()
`;

/** Starts a program that calls observe.barrier(); \`heap.agent\` is then in its directory. */
export async function stoppedTarget(python: Python, program: Program): Promise<Target> {
  const target = await spawnTarget(python, program, [], { beside: { ...AGENT_FILES, 'observe.py': BARRIER } });
  // The twin writes after the parent's last change; it sleeps soon.
  const PAUSE = '34 ';
  for (let i = 0; i < 20_000; i++) {
    if (readFileSync(`/proc/${target.pid}/syscall`, 'latin1').startsWith(PAUSE)) return target;
    await new Promise(resolve => setImmediate(resolve));
  }
  target.kill();
  throw new Error(`process ${target.pid} did not come to its barrier`);
}
