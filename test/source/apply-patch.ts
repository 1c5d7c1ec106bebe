/** Applies a patch as a person would, with `patch -p1` in a folder of its own, and gives the file's new text. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export function applyPatch(file: string, text: string, patch: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'leakscope-patch-'));
  try {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    // git apply is the stricter of the two: it takes no offset or fuzz.
    execFileSync('git', ['apply', '-p1', '--whitespace=nowarn', '-'], {
      cwd: folder,
      input: patch,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return readFileSync(path, 'utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
