/** Prints what the source alone says about each program of test/zoo, beside its truth: `node bench/source-zoo.ts`. */
import { readdirSync, readFileSync } from 'node:fs';
import {
  categoryHints,
  containerUse,
  findPatterns,
  holderFromExpression,
  openSource,
  prepareSource,
} from '../src/source/index.ts';
import { zooFacts } from '../test/source/zoo-facts.ts';

await prepareSource();
const zoo = new URL('../test/zoo/', import.meta.url);
let right = 0;
let asked = 0;
for (const name of readdirSync(zoo).filter(f => f.endsWith('.json'))) {
  const truth = JSON.parse(readFileSync(new URL(name, zoo), 'utf8')) as {
    id: string;
    category: string;
    leaking_types: string[];
    hold_sites_all: string[];
    is_leak: boolean;
  };
  const started = performance.now();
  const files = [openSource(`${truth.id}.py`, readFileSync(new URL(`${truth.id}.py`, zoo), 'utf8'))];
  const patterns = findPatterns(files);
  const heap = zooFacts[truth.id];
  if (heap === undefined) {
    const sure = patterns.filter(p => p.certainty === 'sure').map(p => p.rule);
    console.log(
      `${truth.id.padEnd(18)} ${truth.category.padEnd(24)} no heap facts; sure patterns: ${sure.join(', ') || 'none'}`,
    );
    continue;
  }
  const facts = { ...heap, growingTypes: truth.leaking_types, storeSites: [] };
  const hints = categoryHints(files, facts, patterns);
  const holder = heap.holderExpression === null ? null : holderFromExpression(files, heap.holderExpression);
  const stores = holder === null ? [] : containerUse(files, holder).stores.map(s => s.line);
  const ms = performance.now() - started;
  const at = truth.hold_sites_all.map(s => Number(s.split(':')[1]));
  const sites = [...stores, ...patterns.map(p => p.line)].some(l => at.some(a => Math.abs(a - l) <= 1));
  asked++;
  if (hints[0]?.category === truth.category) right++;
  console.log(
    `${truth.id.padEnd(18)} ${truth.category.padEnd(24)} ${(hints[0]?.category === truth.category ? 'right' : 'WRONG').padEnd(6)} ${hints
      .slice(0, 3)
      .map(h => `${h.category} ${h.score}`)
      .join(', ')}  store ${sites ? 'right' : 'WRONG'}  ${ms.toFixed(0)} ms`,
  );
}
console.log(`${right} of ${asked} categories right`);
