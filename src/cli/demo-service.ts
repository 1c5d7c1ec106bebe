/** The bundled service that leaks: starting it, asking it how it is, stopping it. */
import { fileURLToPath } from 'node:url';
import { ExitCode, LeakscopeError } from '../process/index.ts';
import type { Interpreter } from './interpreter.ts';
import { type Launched, launch } from './launch.ts';

/** What the service says of itself (GET /status). */
export interface ServiceStatus {
  readonly requests: number;
  readonly failures: number;
  /** Names of its threads, those of connections left out. */
  readonly threads: readonly string[];
}

export interface DemoService {
  readonly pid: number;
  readonly url: string;
  /** Asks the service over HTTP; throws when it does not answer. */
  status(): Promise<ServiceStatus>;
  /** Ends it and waits for its end; `leave` lets it go on instead. */
  stop(): Promise<void>;
  leave(): void;
}

const DIRECTORY = fileURLToPath(new URL('../../demo', import.meta.url));
const READY_MS = 60_000;

/** Starts the service and waits until it is warm. With `keep` it is made to outlive this process. */
export async function startDemo(python: Interpreter, keep: boolean): Promise<DemoService> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PYTHON')));
  // Without --keep its standard input is a pipe from here: however this process ends, the service sees it and ends too.
  const command = [python.executable, '-B', 'serve.py', ...(keep ? [] : ['--stdin'])];
  const stdio = [keep ? 'ignore' : 'pipe', 'pipe', keep ? 'ignore' : 'inherit'] as const;
  const launched = launch(command, { stdio: [...stdio], cwd: DIRECTORY, env, detached: keep });
  try {
    const { url, pid } = await ready(launched);
    return {
      pid,
      url,
      async status() {
        const response = await fetch(`${url}/status`, { signal: AbortSignal.timeout(10_000) });
        if (!response.ok) throw new Error(`the service answered ${response.status}`);
        return (await response.json()) as ServiceStatus;
      },
      async stop() {
        if (keep) process.kill(pid, 'SIGTERM');
        launched.shell.stdin?.end();
        await launched.ended;
      },
      leave() {
        launched.shell.stdout?.destroy();
        launched.shell.unref();
      },
    };
  } catch (error) {
    launched.shell.stdin?.end();
    const started = launched.pid();
    if (started !== undefined) process.kill(started, 'SIGTERM');
    throw error;
  }
}

/** Reads what the service prints until it says that it is ready. */
function ready({ shell, ended }: Launched): Promise<{ url: string; pid: number }> {
  return new Promise((resolve, reject) => {
    let printed = '';
    const fail = (why: string) =>
      reject(
        new LeakscopeError(`the demo service ${why}`, ExitCode.unsupportedTarget, 'What it printed stands above.'),
      );
    const timer = setTimeout(fail, READY_MS, `was not ready after ${READY_MS / 1000} s`);
    shell.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      const url = /^serving (\S+)$/m.exec(printed)?.[1];
      const pid = /^ready (\d+)$/m.exec(printed)?.[1];
      if (url === undefined || pid === undefined) return;
      clearTimeout(timer);
      resolve({ url, pid: Number(pid) });
    });
    ended.then(
      status => {
        clearTimeout(timer);
        fail(`ended with status ${status} before it was ready`);
      },
      error => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
