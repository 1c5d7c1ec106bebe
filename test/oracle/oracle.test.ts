/** Every interpreter of the machine: a snapshot holds what CPython itself says, at the thresholds the project promises. */
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/cpython/decode.ts';
import { capture } from '../../src/process/index.ts';
import { expectedMinors, pythons } from '../support/pythons.ts';
import { compare, type Rate } from './compare.ts';
import { runToBarrier } from './truth.ts';

const share = (rate: Rate) => rate.right / rate.of;
const wrong = (rate: Rate) => rate.wrong.map(w => `${w.count} ${w.what}: ${w.example}`);

/**
 * Types whose objects memory that C code allocated holds on the oracle's target, in at least one version, each for a
 * reason: see docs/accuracy.md. On anything else an unexplained reference is a mistake of ours.
 */
const HELD_BY_C = new Set([
  'method', // Thread._bootstrap, in the block that a starting thread was given
  'function', // a function given to SQLite
  'module', // _sqlite3, given along with it
  'list', // what the parser of the main script holds while that runs
  'type', // the datetime types, by the capsule of its C interface; and socket's
  'str', // texts of static structures behind more than one pointer
  'int',
  'decimal.Context', // the template of thread's contexts
  'zoneinfo.ZoneInfo', // the list of the last ones used
]);

describe.each(pythons())('CPython $version ($executable)', python => {
  test('a snapshot holds what CPython itself says', async () => {
    using target = await runToBarrier(python);
    using image = await capture(target.pid, { via: 'freeze' });
    const result = await compare(decode(image), target);
    expect(wrong(result.tracked)).toEqual([]);
    expect(wrong(result.reachable)).toEqual([]);
    expect(wrong(result.types)).toEqual([]);
    expect(share(result.sizes), wrong(result.sizes).join('; ')).toBeGreaterThanOrEqual(0.999);
    expect(share(result.references), wrong(result.references).join('; ')).toBeGreaterThanOrEqual(0.9999);
    expect(share(result.named), wrong(result.named).join('; ')).toBeGreaterThanOrEqual(0.9999);
    expect(wrong(result.locals)).toEqual([]);
    expect(1 - share(result.claimed), wrong(result.claimed).join('; ')).toBeLessThanOrEqual(1e-5);
    expect(result.unexplained.wrong.filter(w => !HELD_BY_C.has(w.what))).toEqual([]);
    expect(result.unexplained.of - result.unexplained.right).toBeLessThan(30);
    expect(result.deficit.of - result.deficit.right, wrong(result.deficit).join('; ')).toBeLessThan(5);
  });
});

test('every minor version that this machine can have was tested', () => {
  expect([...new Set(pythons().map(p => p.minor))]).toEqual(expectedMinors());
});
