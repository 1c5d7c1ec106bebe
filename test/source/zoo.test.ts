/** The zoo as realistic input: store sites, categories, and patches that still parse. */
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import {
  categoryHints,
  containerUse,
  findPatterns,
  holderFromExpression,
  openSource,
  prepareSource,
  proposeFix,
} from '../../src/source/index.ts';
import { applyPatch } from './apply-patch.ts';
import { zooFacts } from './zoo-facts.ts';
import { zooHolders } from './zoo-holders.ts';

beforeAll(prepareSource);

const zoo = new URL('../zoo/', import.meta.url);
interface Truth {
  readonly id: string;
  readonly category: Parameters<typeof proposeFix>[2]['category'];
  readonly is_leak: boolean;
  readonly leaking_types: string[];
  readonly hold_sites_all: string[];
}
const truths = readdirSync(zoo)
  .filter(f => f.endsWith('.json'))
  .map(f => JSON.parse(readFileSync(new URL(f, zoo), 'utf8')) as Truth);
const read = (id: string): string => readFileSync(new URL(`${id}.py`, zoo), 'utf8');
const near = (sites: readonly string[], line: number): boolean =>
  sites.some(s => Math.abs(Number(s.split(':')[1]) - line) <= 1);

test.each(truths.filter(t => t.is_leak && zooHolders[t.id] !== undefined).map(t => [t.id, t] as const))(
  '%s: a store site of the holder',
  (id, truth) => {
    const files = [openSource(`${id}.py`, read(id))];
    const use = containerUse(files, zooHolders[id]!);
    expect(use.stores.some(s => near(truth.hold_sites_all, s.line))).toBe(true);
    expect(use.bounded).toBe(false);
    const fix = proposeFix(files, use, { category: truth.category, storeSite: null });
    expect(fix.summary.length).toBeGreaterThan(20);
    if (fix.patch !== null) expect(openSource('p.py', applyPatch(`${id}.py`, read(id), fix.patch)).broken).toBe(false);
  },
);

test.each(truths.filter(t => zooFacts[t.id] !== undefined).map(t => [t.id, t] as const))(
  '%s: its category comes first',
  (id, truth) => {
    const files = [openSource(`${id}.py`, read(id))];
    const facts = { ...zooFacts[id]!, growingTypes: truth.leaking_types, storeSites: [] };
    expect(categoryHints(files, facts)[0]?.category).toBe(truth.category);
  },
);

test.each(truths.map(t => [t.id]))('%s: every patch applies and parses', id => {
  const text = read(id);
  for (const m of findPatterns([openSource(`${id}.py`, text)]))
    if (m.fix.patch !== null)
      expect(openSource('p.py', applyPatch(`${id}.py`, text, m.fix.patch)).broken, m.rule).toBe(false);
});

test('holders are found from the expression as well', () => {
  for (const id of ['asset_proxy', 'courier_dispatch', 'edge_gateway'])
    expect(holderFromExpression([openSource(`${id}.py`, read(id))], zooFacts[id]!.holderExpression!)).toEqual(
      zooHolders[id],
    );
});
