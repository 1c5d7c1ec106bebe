/**
 * Has a running program write an agent file, by sys.remote_exec (PEP 768, Python 3.14 on). The program's own executable is
 * asked to do it, in the program's own root and pid namespace, since the caller must be of the same minor version.
 *
 * The program runs the script at its main thread's next line of Python: one that waits in C code runs it only then.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { checkTarget, ExitCode, examine, LeakscopeError, processStatus } from '../process/index.ts';

/** The folder to put on PYTHONPATH; the same in a checkout and in the package. */
export const AGENT_DIRECTORY = resolve(import.meta.dirname, '../../src/agent');

export interface AgentCapture {
  /** The agent file, as this process sees it. */
  readonly file: string;
  /** Removes the file. */
  [Symbol.dispose](): void;
}

export interface AgentOptions {
  /** How long to wait for the program to write it, ms. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 120_000;
const ASK = 'import sys; sys.remote_exec(int(sys.argv[1]), sys.argv[2])';

/** Throws a LeakscopeError when the program cannot be asked (it then says how to load the agent) or does not answer. */
export async function captureByAgent(pid: number, options: AgentOptions = {}): Promise<AgentCapture> {
  checkTarget(pid);
  const { target } = examine(pid);
  if (target === undefined) throw new LeakscopeError(`there is no process ${pid}`, ExitCode.usage);
  const { python } = target;
  const [, minor = 0] = (python?.version ?? '').split('.').map(Number);
  if (python === undefined || minor < 14) {
    const what =
      python === undefined ? 'is not seen to be Python' : `runs Python ${python.version || 'of an unknown version'}`;
    throw new LeakscopeError(
      `process ${pid} ${what}, and only Python 3.14 and newer can be asked to run the agent`,
      ExitCode.unsupportedTarget,
      `Load it in the program: put ${AGENT_DIRECTORY} on PYTHONPATH, and there: import leakscope_agent, signal; leakscope_agent.install(signal.SIGUSR2, "/var/tmp"); then kill -USR2 ${pid} writes a file that every command takes.`,
    );
  }
  const root = `/proc/${pid}/root`;
  const directory = mkdtempSync(join(root, 'tmp', 'leakscope-agent-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    chmodSync(directory, 0o700);
    if (process.getuid?.() === 0) chownSync(directory, statSync(`/proc/${pid}`).uid, statSync(`/proc/${pid}`).gid);
    const inside = join('/tmp', basename(directory));
    const script = join(directory, 'run.py');
    const answer = join(directory, 'heap.agent');
    writeFileSync(script, scriptFor(join(inside, 'heap.agent')), { mode: 0o644 });
    const rootPath = readlinkSync(root);
    const executable = inRoot(target.executable, rootPath);
    ask(pid, target.innerPid, executable, join(inside, 'run.py'), isApart(rootPath, target.sameNamespace));
    await written(pid, answer, script, options.timeoutMs ?? TIMEOUT_MS);
    return { file: answer, [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function isApart(
  root: string,
  same: { readonly mnt: boolean | undefined; readonly pid: boolean | undefined },
): boolean {
  return same.mnt === false || same.pid === false || root !== '/';
}

/** The executable's path as the program itself has it. */
function inRoot(executable: string, root: string): string {
  return root !== '/' && executable.startsWith(`${root}/`) ? executable.slice(root.length) : executable;
}

function ask(pid: number, innerPid: number, executable: string, script: string, apart: boolean): void {
  const call = [executable, '-I', '-S', '-c', ASK, String(apart ? innerPid : pid), script];
  const enter = ['nsenter', '--target', String(pid), '--mount', '--pid', '--root', '--wd=/', '--'];
  const [command, ...args] = apart ? [...enter, ...call] : call;
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 30_000 });
  if (status === 0) return;
  const reason = error?.message ?? stderr.trim().split('\n').at(-1) ?? '';
  const forbidden = /permission|not permitted/i.test(reason);
  throw new LeakscopeError(
    `process ${pid} cannot be asked to run the agent: ${reason}`,
    forbidden ? ExitCode.notPermitted : ExitCode.unsupportedTarget,
    forbidden
      ? `leakscope doctor ${pid} says what is missing; sys.remote_exec needs what ptrace needs.`
      : `It may have been started with PYTHON_DISABLE_REMOTE_DEBUG; load the agent in the program instead: put ${AGENT_DIRECTORY} on PYTHONPATH and import leakscope_agent there.`,
  );
}

/** Python text that leaves nothing behind in the program's modules. */
function scriptFor(path: string): string {
  const capture = readFileSync(join(AGENT_DIRECTORY, 'leakscope_agent', 'capture.py'), 'utf8');
  return `def _leakscope_agent(source, path):
    import sys
    space = {"__name__": "leakscope_agent.capture", "__builtins__": __builtins__}
    brought = {}
    try:
        for name in "_struct", "binascii", "gc":
            if name not in sys.modules:
                __import__(name)
                brought[name] = sys.getrefcount(sys.modules[name])
        exec(compile(source, "<leakscope_agent>", "exec"), space)
        frame = sys._getframe()
        space["_own_code"].update((frame.f_code, frame.f_back.f_code))
        frame = None
        space["snapshot"](path)
    except BaseException as error:
        with open(path + ".error", "w") as file:
            file.write("%s: %s" % (type(error).__name__, error))
    finally:
        space.clear()
        # As before, unless another thread has begun to use them meanwhile.
        for name, count in brought.items():
            if "struct" not in sys.modules and sys.getrefcount(sys.modules[name]) <= count:
                del sys.modules[name]


_leakscope_agent(${JSON.stringify(capture)}, ${JSON.stringify(path)})
del _leakscope_agent
`;
}

/** Waits for the file. A program that does not get to it in time finds an empty script later. */
async function written(pid: number, answer: string, script: string, timeoutMs: number): Promise<void> {
  const POLL_MS = 20;
  const failed = `${answer}.error`;
  const gone = () =>
    new LeakscopeError(`process ${pid} ended before the agent had written the heap`, ExitCode.targetEnded);
  for (const deadline = performance.now() + timeoutMs; ; ) {
    if (existsSync(answer)) return;
    if (existsSync(failed) && statSync(failed).size > 0)
      throw new LeakscopeError(
        `the agent failed in process ${pid}: ${readFileSync(failed, 'utf8').split('\n')[0]}`,
        ExitCode.unsupportedTarget,
        `It writes to ${dirname(answer)} as the program sees it; is there room?`,
      );
    const status = processStatus(pid);
    if (status === undefined || status.state === 'Z') throw gone();
    if (performance.now() > deadline) {
      writeFileSync(script, '');
      throw new LeakscopeError(
        `process ${pid} has not run the agent within ${Math.round(timeoutMs / 1000)} s`,
        ExitCode.unsupportedTarget,
        'It does so when its main thread next runs Python code; while that waits in C code (a lock, a read, a long sleep), it cannot.',
      );
    }
    await new Promise(wake => setTimeout(wake, POLL_MS));
  }
}
