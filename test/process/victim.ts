/**
 * A leakscope that is to be killed: `victim.ts step PID NAME` dies at that step of an injection, `victim.ts hit PID
 * ADDRESS` inside a hit, `victim.ts loop PID ADDRESS` captures and watches until somebody kills it.
 */
import { capture } from '../../src/process/capture.ts';
import { injectionProbe } from '../../src/process/injection.ts';
import { watch } from '../../src/process/watch.ts';

const [, , mode, pidText, argument] = process.argv;
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
