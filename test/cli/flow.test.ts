import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { checkFlow, importsOf } from '../../scripts/check-flow.ts';

test('the source tree follows the flow', () => {
  expect(checkFlow(resolve(import.meta.dirname, '../../src'))).toEqual([]);
});

test('imports in every form are seen', () => {
  const text = [
    "import { a } from './a.ts';",
    'import type {',
    '  B,',
    "} from '../b/index.ts';",
    "export * from './c.ts';",
    "export type { D } from './d.ts';",
    "import './e.ts';",
    "const f = await import('./f.ts');",
    "const text = 'from';",
  ].join('\n');
  expect(importsOf(text).map(({ specifier }) => specifier)).toEqual([
    './a.ts',
    '../b/index.ts',
    './c.ts',
    './d.ts',
    './e.ts',
    './f.ts',
  ]);
});

test('what breaks the flow is named with file and line', () => {
  const root = mkdtempSync(join(tmpdir(), 'leakscope-flow-'));
  try {
    const files = {
      'process/index.ts': "/** The system. */\nexport * from '../heap/index.ts';\n",
      'heap/index.ts': "export { a } from './a.ts';\n",
      'heap/a.ts': "import koffi from 'koffi';\nimport { b } from '../process/maps.ts';\nimport 'left-pad';\n",
      'kitchen/index.ts': '/** Not in the flow. */\n',
    };
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    expect(checkFlow(root).sort()).toEqual([
      'src/heap/a.ts:1: imports koffi, which belongs to src/process',
      'src/heap/a.ts:2: imports ../process/maps.ts; go through src/process/index.ts',
      'src/heap/a.ts:3: imports the package left-pad, which no room owns (scripts/check-flow.ts)',
      'src/heap/index.ts: open with a few lines that say what the room is for and must not know',
      'src/kitchen: no such room in the flow; give it a place in scripts/check-flow.ts',
      'src/process/index.ts:2: src/process must not know src/heap (../heap/index.ts)',
    ]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
