import { afterEach, describe, expect, it } from 'vitest';
import { watchTarget } from '../../src/diagnosis/index.ts';
import { killTargets, pythons, spawnTarget } from '../support/pythons.ts';

afterEach(killTargets);

describe('a target that ends while it is watched', () => {
  it('is said to have ended, with the exit code for it', async () => {
    const [python] = pythons();
    const target = await spawnTarget(python, {
      source:
        "import sys, time\nprint('ready', flush=True)\nkept = []\nfor i in range(300):\n    kept.append([i])\n    time.sleep(0.01)\n",
    });
    await expect(watchTarget(target.pid, { forMs: 30_000 })).rejects.toMatchObject({ exitCode: 5 });
  });
});
