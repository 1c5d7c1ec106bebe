/** Every rule on a program that has the leak and on one that does not: the rule must speak for the first only, and its patch must apply and parse. */
import { beforeAll, describe, expect, test } from 'vitest';
import { findPatterns, openSource, prepareSource, rules } from '../../src/source/index.ts';
import { applyPatch } from './apply-patch.ts';
import { examples } from './examples.ts';

beforeAll(prepareSource);

describe('rules', () => {
  test('each rule has examples', () => {
    expect(rules.map(r => r.id).filter(id => !examples.some(e => e.rule === id))).toEqual([]);
  });

  for (const e of examples) {
    test(`${e.rule} finds: ${e.title}`, () => {
      const found = findPatterns([openSource('app/example.py', e.bad)], { only: [e.rule] });
      expect(found.length).toBeGreaterThan(0);
      const match = found[0]!;
      if (e.line !== undefined) expect(found.map(m => m.line)).toContain(e.line);
      expect(match.category).toBe(e.category ?? rules.find(r => r.id === e.rule)!.category);
      expect(match.sentence).toMatch(/\w{3}/);
      expect(match.sentence.endsWith('.')).toBe(false);
      expect(match.fix.summary.length).toBeGreaterThan(20);
      if (e.patched === true) expect(match.fix.patch).not.toBeNull();
      for (const m of found) {
        if (m.fix.patch === null) continue;
        const after = applyPatch('app/example.py', e.bad, m.fix.patch);
        expect(after).not.toBe(e.bad);
        expect(openSource('app/example.py', after).broken).toBe(false);
      }
    });
    if (e.good !== undefined)
      test(`${e.rule} is silent: ${e.title}`, () => {
        expect(findPatterns([openSource('app/example.py', e.good!)], { only: [e.rule] })).toEqual([]);
      });
  }

  test('broken Python neither throws nor is patched into something worse', () => {
    for (const e of examples) {
      const text = `${e.bad}\ndef broken(:\n    x = [\n`;
      const file = openSource('app/example.py', text);
      expect(file.broken).toBe(true);
      findPatterns([file]);
    }
  });
});
