/** Files as they come: names like CPython's, lines, encodings, broken text. */
import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { decodeSource, excerpt, functionAt, openSource, prepareSource } from '../../src/source/index.ts';

beforeAll(prepareSource);

const text = `import a.b as c
from d import e
G = 1

@decorator
class Outer:
    class Inner:
        def method(self):
            self.x = 1
            def local():
                return [i for i in self.x]
            return lambda: local()

async def gen():
    yield 1
`;

test('qualified names are those of the interpreter', () => {
  const file = openSource('pkg/mod.py', text);
  expect(file.module).toBe('pkg.mod');
  const walk = `import sys\nnames = []\ndef walk(code, prefix):\n    for c in code.co_consts:\n        if hasattr(c, 'co_code'):\n            names.append([getattr(c, 'co_qualname', None), c.co_name, c.co_firstlineno]); walk(c, '')\nwalk(compile(sys.stdin.read(), 'm', 'exec'), '')\nimport json; print(json.dumps([sys.version_info[:2], names]))`;
  const [version, names] = JSON.parse(execFileSync('python3', ['-c', walk], { input: text, encoding: 'utf8' })) as [
    [number, number],
    [string | null, string, number][],
  ];
  const ours = file.functions.map(f => f.qualname);
  expect(ours).toEqual(['Outer.Inner.method', 'Outer.Inner.method.<locals>.local', 'gen']);
  if (version[0] === 3 && version[1] >= 11) for (const name of ours) expect(names.map(n => n[0])).toContain(name);
  else for (const f of file.functions) expect(names.map(n => n[1])).toContain(f.name);
  expect(file.functions[2]).toMatchObject({ async: true, generator: true, line: 14, endLine: 15 });
  expect(file.classes.map(c => c.qualname)).toEqual(['Outer', 'Outer.Inner']);
  expect(file.attributes).toEqual([
    { className: 'Outer.Inner', attribute: 'x', function: 'Outer.Inner.method', line: 9, value: '1' },
  ]);
  expect(file.moduleNames).toEqual(['c', 'e', 'G', 'Outer', 'gen']);
});

test('the function and the lines at a line', () => {
  const file = openSource('m.py', text);
  expect(functionAt(file, 11)?.qualname).toBe('Outer.Inner.method.<locals>.local');
  expect(functionAt(file, 3)).toBeNull();
  expect(excerpt(file, 3, 1)).toEqual([
    { number: 2, text: 'from d import e' },
    { number: 3, text: 'G = 1' },
    { number: 4, text: '' },
  ]);
  expect(excerpt(file, 999)).toEqual([]);
});

test('encodings', () => {
  expect(decodeSource(Buffer.from('\ufeffx = "ä"'))).toBe('x = "ä"');
  expect(decodeSource(Buffer.from('# -*- coding: latin-1 -*-\nx = "ä"', 'latin1'))).toContain('"ä"');
  expect(decodeSource(Buffer.from('x = "ä"', 'latin1'))).toContain('"ä"');
  expect(decodeSource(Buffer.from('# coding: no-such-thing\nx = 1'))).toContain('x = 1');
});

test('a chain of thousands of operators does not overflow', () => {
  expect(openSource('m.py', `x = ${'1 + '.repeat(5000)}1\n`).broken).toBe(false);
});

test('bytes that are no Python', () => {
  for (const bad of ['\0\0\0', '{{{{', 'def', 'class :', '    x\n  y\n', 'x = "', '\t\t@\n'])
    expect(() => openSource('m.py', bad)).not.toThrow();
});
