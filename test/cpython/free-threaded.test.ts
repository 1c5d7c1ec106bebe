/**
 * A build without the GIL is recognised by what it says of itself. Debian has none, so a small C program stands in for it
 * that carries the very `_Py_DebugOffsets` which CPython's own headers make with Py_GIL_DISABLED.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readDebugOffsets } from '../../src/cpython/debug-offsets.ts';
import { findRuntime } from '../../src/cpython/interpreter.ts';
import { capture, Memory } from '../../src/process/index.ts';
import { pythons } from '../support/pythons.ts';

const hasGcc = spawnSync('gcc', ['--version']).status === 0;
const withHeaders = hasGcc ? pythons().filter(p => p.include !== '' && Number(p.minor.slice(2)) >= 14) : [];

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'leakscope-free-threaded-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const source = `
#include "Python.h"
#include "internal/pycore_runtime.h"
#include "internal/pycore_debug_offsets.h"
#include "internal/pycore_interpframe.h"
#include "internal/pycore_tstate.h"
#include "internal/pycore_unicodeobject.h"
_Py_DebugOffsets offsets __asm__("_PyRuntime") = _Py_DebugOffsets_INIT("xdebugpy");
int main(void) { puts("ready"); fflush(stdout); getchar(); return 0; }
`;

test('there is gcc to make such a program in CI', () => {
  if (!hasGcc) console.error('WITHOUT gcc THE REFUSAL OF FREE-THREADED BUILDS WAS NOT TESTED');
  if (process.env.CI !== undefined) expect(hasGcc).toBe(true);
});

describe.each([...new Map(withHeaders.map(p => [p.version, p])).values()].map(p => [p.version, p.include] as const))(
  '%s without the GIL',
  (version, include) => {
    test('is recognised and refused with its own sentence', async () => {
      const program = join(directory, `python${version}`);
      writeFileSync(`${program}.c`, source);
      const directories = [include, dirname(include), join(include, 'internal'), join(include, 'internal/mimalloc')];
      const flags = ['-std=gnu11', '-w', '-rdynamic', '-DPy_BUILD_CORE', '-DPy_GIL_DISABLED=1'];
      execFileSync('gcc', [...flags, ...directories.map(dir => `-I${dir}`), '-o', program, `${program}.c`]);
      const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
      try {
        await once(child.stdout, 'data');
        using image = capture(child.pid ?? 0, { via: 'freeze' });
        const memory = Memory.copy(image, mapping => mapping.readable);
        const runtime = image.modules[0].symbol('_PyRuntime') ?? 0;
        const offsets = readDebugOffsets(memory, runtime);
        expect(offsets?.version.join('.')).toBe(version);
        expect(offsets?.freeThreaded).toBe(true);
        expect(offsets?.fields.get('pyobject.size')).toBe(32);
        expect(() => findRuntime(memory, image.modules, image.executable)).toThrow('free-threaded');
      } finally {
        child.kill('SIGKILL');
        await once(child, 'close');
      }
    });
  },
);
