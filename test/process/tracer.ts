/** Traces a process until its standard input closes: `node tracer.ts PID`. Prints `ready` or the error number. */
import { seize } from '../../src/process/ptrace.ts';

const result = seize(Number(process.argv[2]));
console.log(result === 0 ? 'ready' : result);
process.stdin.resume();
