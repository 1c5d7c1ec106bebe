/** What a snapshot says of small programs, exactly: counts, labels, roots, subinterpreters, extension types. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type Decoded,
  decode,
  type HeapColumns,
  LabelKind,
  labelKind,
  labelPayload,
  NodeFlag,
} from '../../src/cpython/index.ts';
import { capture } from '../../src/process/index.ts';
import { killTargets, onePythonPerMinor, type Python, pythons, spawnTarget, type Target } from '../support/pythons.ts';

afterEach(killTargets);

const WAIT = '\nimport sys\nprint("ready", flush=True)\nsys.stdin.readline()\n';

async function snapshotOf(target: Target): Promise<Decoded> {
  using image = await capture(target.pid, { via: 'freeze' });
  return decode(image);
}

async function run(python: Python, source: string): Promise<HeapColumns> {
  using target = await spawnTarget(python, { source: source + WAIT });
  return (await snapshotOf(target)).columns;
}

const typeName = (c: HeapColumns, node: number) => c.types[c.type[node]].name;

function nodesOf(c: HeapColumns, type: string): number[] {
  return Array.from({ length: c.nodeCount }, (_, n) => n).filter(n => typeName(c, n) === type);
}

/** A label as a person would write it. */
function labelText(c: HeapColumns, label: number): string {
  const kind = labelKind(label);
  const text = c.strings[labelPayload(label)] ?? '';
  if (kind === LabelKind.attribute) return `.${text}`;
  if (kind === LabelKind.key) return `['${text}']`;
  if (kind === LabelKind.index) return `[${labelPayload(label)}]`;
  if (kind === LabelKind.inferred) return '<inferred>';
  if (kind === LabelKind.weak) return '<weak>';
  return `<${text}>`;
}

function edgesOf(c: HeapColumns, node: number): { label: string; target: number }[] {
  const edges: { label: string; target: number }[] = [];
  for (let e = c.edgeStart[node]; e < c.edgeStart[node + 1]; e++) {
    edges.push({ label: labelText(c, c.edgeLabel[e]), target: c.edgeTarget[e] });
  }
  return edges;
}

/** Follows labels from a root's edge. */
function follow(c: HeapColumns, ...labels: string[]): number {
  let node = 0;
  for (const label of labels) {
    const edge = edgesOf(c, node).find(e => e.label === label);
    if (edge === undefined) {
      const has = edgesOf(c, node).map(e => e.label);
      throw new Error(`${typeName(c, node)} has no ${label}, but ${has.slice(0, 40).join(' ')}`);
    }
    node = edge.target;
  }
  return node;
}

function unreached(c: HeapColumns): number {
  const reached = new Uint8Array(c.nodeCount);
  const queue = [0];
  reached[0] = 1;
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    for (let e = c.edgeStart[node]; e < c.edgeStart[node + 1]; e++) {
      const target = c.edgeTarget[e];
      if (reached[target] !== 0 || labelKind(c.edgeLabel[e]) === LabelKind.weak) continue;
      reached[target] = 1;
      queue.push(target);
    }
  }
  return c.nodeCount - reached.reduce((sum, r) => sum + r, 0);
}

describe.each(onePythonPerMinor())('CPython $version', python => {
  test('instances, containers and closures are reached under the names that people use', async () => {
    const c = await run(
      python,
      `
import collections
class Plain:
    def __init__(self): self.name = ["held by name"]
class Slotted:
    __slots__ = ("first", "second")
PLAIN = Plain()
SLOTTED = Slotted()
SLOTTED.second = {"key": PLAIN}
QUEUE = collections.deque([1, PLAIN])
def outer():
    cache = {}
    def inner(): return cache
    return inner
INNER = outer()
class Marked: pass
MARKED = [Marked() for _ in range(137)]
`,
    );
    const main = ['<module __main__>', '.__dict__'];
    const plain = follow(c, ...main, "['PLAIN']");
    expect(typeName(c, plain)).toBe('__main__.Plain');
    expect(typeName(c, follow(c, ...main, "['PLAIN']", ...attributes(c, plain, 'name')))).toBe('list');
    expect(follow(c, ...main, "['SLOTTED']", '.second', "['key']")).toBe(plain);
    expect(follow(c, ...main, "['QUEUE']", '[1]')).toBe(plain);
    expect(typeName(c, follow(c, ...main, "['INNER']", '.__closure__', '[0]', '<cache>'))).toBe('dict');
    expect(nodesOf(c, '__main__.Marked')).toHaveLength(137);
    expect(c.length[follow(c, ...main, "['MARKED']")]).toBe(137);
    expect(c.undecoded).toEqual([]);
  });

  test('what is reached from C code alone has a root', async () => {
    const c = await run(python, 'import gc, threading, decimal, socket\ngc.collect()');
    expect(unreached(c)).toBe(0);
    expect(follow(c, '<native code>')).toBe(c.nodeCount - 1);
  });

  test('a cycle that nothing holds is garbage: it has no root', async () => {
    const c = await run(
      python,
      `
import gc
gc.disable()
class Lost: pass
a, b = Lost(), Lost()
a.other, b.other = b, a
del a, b
`,
    );
    expect(nodesOf(c, '__main__.Lost')).toHaveLength(2);
    expect(unreached(c)).toBeGreaterThanOrEqual(2);
  });

  test('frozen objects are in the permanent generation', async () => {
    const c = await run(python, 'import gc\nclass Old: pass\nOLD = Old()\ngc.freeze()\nclass New: pass\nNEW = New()');
    const generation = (node: number) => (c.flags[node] & NodeFlag.generationMask) >> NodeFlag.generationShift;
    expect(nodesOf(c, '__main__.Old').map(generation)).toEqual([3]);
    expect(nodesOf(c, '__main__.New').map(generation)).toEqual([0]);
  });

  test('subinterpreters are decoded, with roots of their own', async () => {
    const c = await run(
      python,
      `
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
other = interpreters.create()
interpreters.run_string(other, "class Held: pass\\nKEEP = [Held() for _ in range(100)]")
`,
    );
    const held = nodesOf(c, '__main__.Held');
    expect(held).toHaveLength(100);
    expect(held.every(n => (c.flags[n] & NodeFlag.tracked) !== 0)).toBe(true);
    const keep = follow(c, '<interpreter 1, module __main__>', '.__dict__', "['KEEP']");
    expect(c.length[keep]).toBe(100);
  });
});

/** The labels from an instance to one of its attributes: over its dict where it has one. */
function attributes(c: HeapColumns, node: number, name: string): string[] {
  return edgesOf(c, node).some(e => e.label === `.${name}`) ? [`.${name}`] : ['.__dict__', `.${name}`];
}

/** A type made in C whose layout nobody knows: a reference in it, and one in memory that it allocated. */
const EXTENSION = `
#include <Python.h>
typedef struct { PyObject_HEAD long number; PyObject *direct; PyObject **block; } Odd;
static void odd_dealloc(PyObject *self) { Py_TYPE(self)->tp_free(self); }
static int odd_init(PyObject *self, PyObject *args, PyObject *kwargs) {
  PyObject *a, *b;
  if (!PyArg_ParseTuple(args, "OO", &a, &b)) return -1;
  Odd *odd = (Odd *)self;
  odd->number = 12345; odd->direct = Py_NewRef(a);
  odd->block = malloc(2000); memset(odd->block, 0, 2000); odd->block[7] = Py_NewRef(b);
  return 0;
}
static PyTypeObject OddType = { PyVarObject_HEAD_INIT(NULL, 0) .tp_name = "odd.Odd", .tp_basicsize = sizeof(Odd),
  .tp_flags = Py_TPFLAGS_DEFAULT, .tp_new = PyType_GenericNew, .tp_init = odd_init, .tp_dealloc = odd_dealloc };
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "odd", NULL, -1 };
PyMODINIT_FUNC PyInit_odd(void) {
  PyObject *m = PyModule_Create(&module);
  PyType_Ready(&OddType); PyModule_AddObject(m, "Odd", Py_NewRef((PyObject *)&OddType));
  return m;
}
`;

test('pointers in an extension object, and in memory that it allocated, are found and marked as inferred', async () => {
  const python = pythons().findLast(
    p => p.root === '' && p.minor !== '3.8' && p.minor !== '3.9' && existsSync(join(p.include, 'Python.h')),
  );
  if (python === undefined) throw new Error('no interpreter with headers to build an extension for');
  const directory = mkdtempSync(join(tmpdir(), 'leakscope-extension-'));
  try {
    writeFileSync(join(directory, 'odd.c'), EXTENSION);
    execFileSync('cc', [
      '-shared',
      '-fPIC',
      '-O1',
      `-I${python.include}`,
      '-o',
      join(directory, 'odd.so'),
      join(directory, 'odd.c'),
    ]);
    expect(readFileSync(join(directory, 'odd.so')).length).toBeGreaterThan(1000);
    const c = await run(
      python,
      `
import sys
sys.path.insert(0, ${JSON.stringify(directory)})
import odd
class First: pass
class Second: pass
ODD = odd.Odd(First(), Second())
`,
    );
    const [object] = nodesOf(c, 'odd.Odd');
    const targets = edgesOf(c, object).map(e => `${e.label} ${typeName(c, e.target)}`);
    expect(targets.sort()).toEqual(['<inferred> __main__.First', '<inferred> __main__.Second']);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
