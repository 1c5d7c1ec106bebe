/**
 * Compares snapshots with what CPython itself says, on every interpreter of this machine, and prints the table.
 *
 *   node scripts/accuracy.ts             prints it
 *   node scripts/accuracy.ts --write     writes it into docs/accuracy.md
 *   node scripts/accuracy.ts --programs  real programs from PyPI as well, installed once outside the checkout
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode } from '../src/cpython/decode.ts';
import { capture } from '../src/process/index.ts';
import { type Comparison, compare, type Rate } from '../test/oracle/compare.ts';
import { prepareProgram, programs } from '../test/oracle/programs.ts';
import { runToBarrier, type StoppedTarget } from '../test/oracle/truth.ts';
import { pythons } from '../test/support/pythons.ts';

const document = join(dirname(fileURLToPath(import.meta.url)), '..', 'docs', 'accuracy.md');

async function measure(start: () => Promise<StoppedTarget>): Promise<Comparison> {
  using target = await start();
  using image = await capture(target.pid, { via: 'freeze' });
  return compare(decode(image), target);
}

/** `100 %`, or as many digits as it takes to show what is missing. */
function percent(rate: Rate): string {
  if (rate.right === rate.of) return '100 %';
  const share = (100 * rate.right) / rate.of;
  return `${share > 99.9999 ? share.toFixed(5) : share.toFixed(4)} %`;
}
const missing = (rate: Rate) => String(rate.of - rate.right);
const thousands = (n: number) => n.toLocaleString('en-US');

const HEAD = [
  '| target | objects | tracked found | untracked found | types | sizes | references found | and named | locals | claimed, not there | surplus, unexplained |',
  '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
];

function row(name: string, r: Comparison): string {
  const cells = [
    name,
    thousands(r.claimed.of),
    percent(r.tracked),
    percent(r.reachable),
    percent(r.types),
    percent(r.sizes),
    percent(r.references),
    percent(r.named),
    percent(r.locals),
    missing(r.claimed),
    missing(r.unexplained),
  ];
  return `| ${cells.join(' | ')} |`;
}

function exceptions(name: string, r: Comparison): string[] {
  const lines: string[] = [];
  for (const key of [
    'tracked',
    'reachable',
    'types',
    'sizes',
    'references',
    'locals',
    'claimed',
    'unexplained',
    'deficit',
  ] as const) {
    const wrong = r[key].wrong.map(w => `${w.count} ${w.what}`);
    if (wrong.length > 0)
      lines.push(`- ${name}, ${key}: ${wrong.slice(0, 12).join(', ')}${wrong.length > 12 ? ', …' : ''}`);
  }
  for (const u of r.undecoded) lines.push(`- ${name}, not decoded: ${u.count} ${u.reason}`);
  return lines;
}

async function table(targets: readonly { name: string; start: () => Promise<StoppedTarget> }[]): Promise<string> {
  const rows: string[] = [];
  const left: string[] = [];
  for (const { name, start } of targets) {
    try {
      const result = await measure(start);
      rows.push(row(name, result));
      left.push(...exceptions(name, result));
      console.error(rows.at(-1));
    } catch (error) {
      console.error(`${name}: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  }
  return [...HEAD, ...rows, '', 'What is not right:', '', ...left].join('\n');
}

function replaceSection(text: string, name: string, content: string): string {
  const begin = `<!-- ${name}: begin -->`;
  const end = `<!-- ${name}: end -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  return from < 0 || to < from ? text : `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`;
}

const options = process.argv.slice(2);
const sections: [string, string][] = [];
if (!options.includes('--only-programs')) {
  const interpreters = pythons().map(python => ({
    name: `${python.version}${python.root === '' ? '' : ' (Debian)'}${/pie/.test(python.executable) ? ' pie' : ''}`,
    start: () => runToBarrier(python),
  }));
  sections.push(['interpreters', await table(interpreters)]);
}
if (options.includes('--programs') || options.includes('--only-programs')) {
  const targets = programs.flatMap(program => {
    const prepared = prepareProgram(program);
    if (typeof prepared === 'string') {
      console.error(`${program.name}: ${prepared}`);
      return [];
    }
    return [
      {
        name: `${program.name}, ${prepared.version}`,
        start: () => runToBarrier(prepared, program.file, program.env === undefined ? {} : { env: program.env }),
      },
    ];
  });
  sections.push(['programs', await table(targets)]);
}
for (const [, content] of sections) console.log(content);
if (options.includes('--write')) {
  let text = readFileSync(document, 'utf8');
  for (const [name, content] of sections) text = replaceSection(text, name, content);
  writeFileSync(document, text);
}
