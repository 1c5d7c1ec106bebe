/**
 * Runs the doctor as another user: `node doctor-as.ts UID PID`, UID '-' to stay who one is. Prints one JSON document: the
 * report, the error for a refusal, and what ptrace itself says. A program of its own because a process cannot get its
 * user back.
 */
import { examine } from '../../src/process/doctor.ts';
import { LeakscopeError } from '../../src/process/errors.ts';
import { explainPermission } from '../../src/process/permission.ts';
import { seize } from '../../src/process/ptrace.ts';
import { Sys, systemCall } from '../../src/process/syscalls.ts';

const [, , uid, pidText] = process.argv;
const pid = Number(pidText);
// koffi and libc are loaded while their files can still be read.
systemCall(Sys.getpid);
if (uid !== '-') {
  process.setgroups!([]);
  process.setgid!(Number(uid));
  process.setuid!(Number(uid));
}
const report = examine(pid);
const { message, exitCode, remedy } = explainPermission(pid);
const code = seize(pid);
console.log(
  JSON.stringify({ report, refusal: { message, exitCode, remedy, known: LeakscopeError.name }, seize: code }),
);
