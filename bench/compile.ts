/** leakscope as it is installed: src/ compiled into a directory outside the checkout, packages found through a link. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Compiles into a new directory; returns where `heap/index.js`, `cli/main.js` and the others are. */
export function compile(directory: string): string {
  const root = dirname(import.meta.dirname);
  const output = join(directory, 'dist');
  mkdirSync(directory);
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  writeFileSync(join(directory, 'package.json'), readFileSync(join(root, 'package.json')));
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', join(root, 'tsconfig.build.json'), '--outDir', output]);
  return output;
}
