/**
 * A leakscope that is to be killed. It says `loaded` and waits for a line on standard input: `step PID NAME` dies at that
 * step of an injection, `hit PID ADDRESS` inside a hit, `loop PID ADDRESS` captures and watches until somebody kills it.
 */
import { once } from 'node:events';
import { capture } from '../../src/process/capture.ts';
import { injectionProbe } from '../../src/process/injection.ts';
import { watch } from '../../src/process/watch.ts';

process.stdout.write('loaded\n');
const [mode, pidText, ...rest] = String((await once(process.stdin, 'data'))[0])
  .trim()
  .split(' ');
const argument = rest.join(' ');
const pid = Number(pidText);
const die = () => {
  process.kill(process.pid, 'SIGKILL');
};

if (mode === 'step') {
  injectionProbe.step = name => {
    if (name === argument) die();
  };
  capture(pid, { via: 'fork' });
} else if (mode === 'hit') {
  await watch(pid, [{ address: Number(argument), length: 8 }], {
    maxMs: 60_000,
    onHit: () => {
      die();
      return 'continue';
    },
  });
} else {
  process.stdout.write('ready\n');
  for (;;) {
    for (let i = 0; i < 3; i++) {
      using image = capture(pid, { via: i === 2 ? 'freeze' : 'fork' });
      image.read(image.mappings[0].start, new Uint8Array(4096));
    }
    await watch(pid, [{ address: Number(argument), length: 8 }], { maxMs: 30, onHit: () => 'continue' });
  }
}
