/**
 * The tables against the compiler: every offset of every interpreter of the machine that has its internal headers. Needs
 * gcc; a machine without it has not tested the tables, which is said, and fails in CI.
 */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { factsFor } from '../../scripts/layout-facts.ts';
import { answersFromHeaders, placedFacts } from '../../scripts/layout-probe.ts';
import { checkHeaders, headerVersion } from '../../scripts/layouts.ts';
import { debugOffsetNames } from '../../src/cpython/debug-offsets.ts';
import { layoutFor, numberAt, supportedVersions, variantsOf, withMoved } from '../../src/cpython/versions/index.ts';
import { pythons } from '../support/pythons.ts';

/** Different include directories, and who has them. */
const includes = new Map(
  pythons()
    .filter(p => p.include !== '')
    .map(p => [p.include, p]),
);

const hasGcc = spawnSync('gcc', ['--version']).status === 0;
const canCheck = hasGcc ? [...includes] : [];

test('the tables are checked against the headers of every interpreter that brings them', () => {
  if (!hasGcc) {
    console.error(
      'WITHOUT gcc NO LAYOUT TABLE WAS CHECKED against the headers of this machine; install it to test them',
    );
    expect(process.env.CI, 'CI must have gcc').toBeUndefined();
  }
  // A distribution may keep headers in a package of their own; these bring them along.
  const without = pythons().filter(p => p.include === '' && ['pyenv', 'chroot'].includes(p.origin));
  expect(without).toEqual([]);
});

describe.each(canCheck.map(([include, p]) => [`${p.version} ${include}`, include] as const))('%s', (_, include) => {
  test('agrees with the table, or with a known variant of it, in every fact', () => {
    const { facts, differences } = checkHeaders(include);
    expect(differences).toEqual([]);
    expect(facts).toBeGreaterThan(250);
  });

  test('agrees with the variant of debug builds when compiled as one', () => {
    const { variant, differences } = checkHeaders(include, ['-DPy_DEBUG']);
    expect(differences).toEqual([]);
    expect(variant).toMatch(headerVersion(include).minor >= 12 ? /^debug build/ : /^$/);
  });

  test('orders its debug offsets as we read them', () => {
    const { minor } = headerVersion(include);
    const names = debugOffsetNames(`3.${minor}`);
    if (minor < 13) {
      expect(names).toEqual([]);
      return;
    }
    const type = '_Py_DebugOffsets';
    const asked = [
      ...names.map(name => ({ path: name, fact: { fact: 'offset', type, field: name } as const })),
      { path: 'size', fact: { fact: 'size', type } as const },
    ];
    const answers = answersFromHeaders([include], asked);
    expect(names.map(name => answers.get(name))).toEqual(names.map((_name, i) => 24 + 8 * i));
    expect(answers.get('size')).toBe(24 + 8 * names.length);
  });
});

describe.each(supportedVersions())('the table of %s', version => {
  const layout = layoutFor(3, Number(version.slice(2)));
  if (layout === undefined) throw new Error('no table');

  test('has a number wherever the facts have one', () => {
    expect(layout.version).toBe(version);
    const missing = placedFacts(factsFor(Number(version.slice(2)))).filter(f => numberAt(layout, f.path) === undefined);
    expect(missing).toEqual([]);
  });

  test('has variants that move only what is there', () => {
    for (const { name, moved } of variantsOf(version)) {
      const variant = withMoved(layout, moved);
      for (const [path, value] of Object.entries(moved)) {
        expect(numberAt(layout, path), `${name}: ${path}`).toBeGreaterThanOrEqual(0);
        expect(numberAt(variant, path)).toBe(value);
      }
    }
  });
});
