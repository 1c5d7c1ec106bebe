import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bytesRate,
  bytesText,
  countRate,
  durationText,
  percentText,
  plural,
  sharedUnit,
} from '../../src/report/units.ts';

test('bytes are in IEC units of three digits', () => {
  expect([0, 1, 1023, 1024, 3.1 * 2 ** 20, 412 * 2 ** 20, 1023.9 * 2 ** 20, 2 ** 41, -2048].map(bytesText)).toEqual([
    '0 B',
    '1 B',
    '1023 B',
    '1.0 KiB',
    '3.1 MiB',
    '412 MiB',
    '1.0 GiB',
    '2.0 TiB',
    '-2.0 KiB',
  ]);
});

test('rates are per minute, slow ones per hour', () => {
  expect(countRate(20.07)).toBe('+1,204 objects/min');
  expect(countRate(0.05)).toBe('+3.0 objects/min');
  expect(countRate(0.001)).toBe('+4 objects/h');
  expect(bytesRate(54_000)).toBe('+3.1 MiB/min');
  expect(bytesRate(-1024)).toBe('-60.0 KiB/min');
});

test('durations and parts', () => {
  expect([0.0004, 0.014, 1.23, 12.4, 60, 200, 7325].map(durationText)).toEqual([
    '0.4 ms',
    '14 ms',
    '1.2 s',
    '12 s',
    '60 s',
    '3 min 20 s',
    '2 h 2 min',
  ]);
  expect([0, 0.0001, 0.034, 0.98, 1].map(percentText)).toEqual(['0 %', '<0.1 %', '3.4 %', '98 %', '100 %']);
  expect([plural(1, 'object'), plural(2, 'object'), plural(1000, 'entry', 'entries')]).toEqual([
    '1 object',
    '2 objects',
    '1,000 entries',
  ]);
});

test('parts in a shared unit add up to the sum that is shown', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 2 ** 31 - 1 }), { minLength: 1, maxLength: 8 }), bytes => {
      const total = bytes.reduce((sum, part) => sum + part, 0);
      const { sum, parts } = sharedUnit(total, bytes);
      expect(parts.reduce((all, part) => all + part, 0)).toBe(Number(sum.split(' ')[0]?.replaceAll(',', '')));
    }),
  );
});
