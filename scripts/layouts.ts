/**
 * Checks the layout tables of src/cpython/versions against real interpreters, and writes them.
 *
 *   node scripts/layouts.ts --check                    every fact, by compiling against the internal headers of every
 *                                                      interpreter of this machine that has them
 *   node scripts/layouts.ts --check INCLUDE ...        the same for these directories of Python.h
 *   node scripts/layouts.ts --check-debug-info FILE ... by gdb, from libraries or executables with debug information
 *                                                      (python3.MINOR must be part of the file's name)
 *   node scripts/layouts.ts --write INCLUDE ...        writes src/cpython/versions/v3_MINOR.ts from headers
 *   node scripts/layouts.ts --write-debug INCLUDE ...  writes src/cpython/versions/debug-builds.ts, what Py_DEBUG moves in them
 *
 * Exit code 1 when a table is wrong, or when nothing could be checked.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Layout } from '../src/cpython/layout.ts';
import { layoutFor, numberAt, variantsOf, withMoved } from '../src/cpython/versions/index.ts';
import { factsFor } from './layout-facts.ts';
import { answersFromDebugInfo, answersFromHeaders, fill, placedFacts } from './layout-probe.ts';
import { findPythons } from './pythons.ts';

/** The version that a directory of headers says it has, as '3.13.18', and its minor number. */
export function headerVersion(include: string): { version: string; minor: number } {
  const text = readFileSync(join(include, 'patchlevel.h'), 'utf8');
  const version = /^#define PY_VERSION\s+"([^"]+)"/m.exec(text)?.[1] ?? '';
  const minor = Number(/^#define PY_MINOR_VERSION\s+(\d+)/m.exec(text)?.[1]);
  return { version, minor };
}

/**
 * What of the table (or of one of its known variants) differs from the answers, one sentence each; empty when it agrees.
 * @returns the variant's name ('' for the table itself) that fits best, and its differences.
 */
export function compareWithTable(
  minor: number,
  answers: ReadonlyMap<string, number>,
): { variant: string; differences: string[] } {
  const table = layoutFor(3, minor);
  if (table === undefined) return { variant: '', differences: [`there is no table for 3.${minor}`] };
  const results = variantsOf(table.version).map(({ name, moved }) => {
    const layout = withMoved(table, moved);
    const differences: string[] = [];
    for (const [path, answer] of answers) {
      const stands = numberAt(layout, path);
      if (stands !== answer) differences.push(`${path} is ${answer}, the table says ${stands}`);
    }
    return { variant: name, differences };
  });
  return results.reduce((best, next) => (next.differences.length < best.differences.length ? next : best));
}

/** Answers of the headers in `include` compared with the table: see compareWithTable. `defines` such as '-DPy_DEBUG'. */
export function checkHeaders(include: string, defines: readonly string[] = []) {
  const { version, minor } = headerVersion(include);
  const answers = answersFromHeaders([include], placedFacts(factsFor(minor)), defines);
  return { version, facts: answers.size, ...compareWithTable(minor, answers) };
}

/** The text of a version's table file. */
function tableText(layout: Layout, version: string): string {
  const name = `layout${layout.version.replace('.', '')}`;
  const literal = JSON.stringify(layout, null, 2)
    .replace(/"(\w+)":/g, '$1:')
    .replaceAll('"', "'");
  return `/**
 * CPython ${layout.version} on x86-64 Linux. Written by scripts/layouts.ts --write from the headers of ${version}; its --check
 * compares it with every other interpreter. Change scripts/layout-facts.ts, not this file.
 */
import type { Layout } from '../layout.ts';

export const ${name}: Layout = ${literal};
`;
}

/** The text of debug-builds.ts: for each version the numbers that differ with Py_DEBUG. */
function debugBuildsText(includes: readonly string[]): string {
  const moved: Record<string, Record<string, number>> = {};
  for (const include of includes) {
    const { minor } = headerVersion(include);
    const facts = placedFacts(factsFor(minor));
    const usual = answersFromHeaders([include], facts);
    const debug = [...answersFromHeaders([include], facts, ['-DPy_DEBUG'])].filter(
      ([path, n]) => usual.get(path) !== n,
    );
    if (debug.length > 0) moved[`3.${minor}`] = Object.fromEntries(debug);
  }
  return `/**
 * What Py_DEBUG moves: path in the layout to its number in a debug build. Written by scripts/layouts.ts --write-debug.
 * Up to 3.11 it moves nothing. (Py_TRACE_REFS, a build option of its own since 3.8, would move every object's head.)
 */
export const debugBuilds: Readonly<Record<string, Readonly<Record<string, number>>>> = ${JSON.stringify(moved, null, 2).replaceAll('"', "'")};
`;
}

function main([mode, ...names]: readonly string[]): number {
  if (mode === '--write') {
    for (const include of names) {
      const { version, minor } = headerVersion(include);
      const facts = factsFor(minor);
      const file = join(import.meta.dirname, '../src/cpython/versions', `v3_${minor}.ts`);
      writeFileSync(file, tableText(fill(facts, answersFromHeaders([include], placedFacts(facts))), version));
      console.log(`${file}  from the headers of ${version}`);
    }
    return 0;
  }
  if (mode === '--write-debug') {
    writeFileSync(join(import.meta.dirname, '../src/cpython/versions/debug-builds.ts'), debugBuildsText(names));
    return 0;
  }
  let wrong = 0;
  let checked = 0;
  const tell = (what: string, facts: number, variant: string, differences: readonly string[]) => {
    checked++;
    wrong += differences.length;
    const verdict = differences.length === 0 ? 'agree' : `${differences.length} DIFFER`;
    console.log(`${what}  ${facts} facts, ${verdict}${variant === '' ? '' : `, as the variant: ${variant}`}`);
    for (const difference of differences) console.log(`    ${difference}`);
  };
  if (mode === '--check') {
    const includes =
      names.length > 0 ? names : [...new Set(findPythons().map(p => p.include))].filter(dir => dir !== '');
    for (const include of includes) {
      const { version, facts, variant, differences } = checkHeaders(include);
      tell(`${version.padEnd(8)} ${include}`, facts, variant, differences);
    }
  } else if (mode === '--check-debug-info') {
    for (const file of names) {
      const minor = Number(/python3\.(\d+)/.exec(basename(file))?.[1]);
      const answers = answersFromDebugInfo(file, placedFacts(factsFor(minor)));
      const { variant, differences } = compareWithTable(minor, answers);
      tell(file, answers.size, variant, differences);
    }
  } else {
    console.error('usage: layouts.ts --check [INCLUDE ...] | --check-debug-info FILE ... | --write INCLUDE ...');
    return 2;
  }
  if (checked === 0) console.error('no interpreter with internal headers was found: nothing was checked');
  return wrong > 0 || checked === 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
