/** Every interpreter of the machine has the layout that is fitted to it, and a layout that is wrong somewhere is found out. */
import { afterAll, describe, expect, test } from 'vitest';
import { readDebugOffsets, reconcile } from '../../src/cpython/debug-offsets.ts';
import { checkPointers, fitLayout } from '../../src/cpython/layout-fit.ts';
import { layoutFor, numberAt, withMoved } from '../../src/cpython/versions/index.ts';
import { capture, Memory } from '../../src/process/index.ts';
import { everyPython, killTargets, type Python, pythons, spawnTarget, type Target } from '../support/pythons.ts';

afterAll(killTargets);

/** Uses every root that is checked: codecs, at-fork, atexit, audit hooks, context, garbage, threads, a frozen object. */
const program = `
import atexit, codecs, contextvars, gc, os, sys, threading
codecs.lookup('latin-1')
os.register_at_fork(before=print, after_in_parent=print, after_in_child=print)
atexit.register(lambda: None)
sys.addaudithook(lambda *args: None)
contextvars.ContextVar('v').set(1)
gc.callbacks.append(lambda *args: None)
gc.collect(); gc.freeze(); kept = [[] for _ in range(1000)]
waiting = threading.Event()
for _ in range(3): threading.Thread(target=waiting.wait, daemon=True).start()
print('ready', flush=True)
input()
`;

function memoryOf(target: Target): { memory: Memory; runtime: number } {
  using image = capture(target.pid, { via: 'freeze' });
  const memory = Memory.copy(image);
  for (const module of image.modules) {
    const runtime = module.symbol('_PyRuntime') ?? module.section('.PyRuntime')?.address;
    if (runtime !== undefined) return { memory, runtime };
  }
  throw new Error('there is no _PyRuntime');
}

function tableOf(python: Python) {
  const table = layoutFor(3, Number(python.minor.slice(2)));
  if (table === undefined) throw new Error(`no table for ${python.minor}`);
  return table;
}

const named = (list: readonly Python[]) => list.map(p => [`${p.version} ${p.command.join(' ')}`, p] as const);

describe.each(named(pythons()))('%s', (_, python) => {
  test('has a layout that every pointer agrees with, and one that is wrong is noticed', async () => {
    using target = await spawnTarget(python, { source: program });
    const { memory, runtime } = memoryOf(target);
    const table = tableOf(python);
    const fitted = fitLayout(memory, table, runtime);
    expect(fitted.failures).toEqual([]);
    expect(fitted.disagreements).toEqual([]);
    expect(['', 'gc list heads aligned to 4 bytes']).toContain(fitted.variant);

    // Each to 8 bytes further on, where something of another kind stands (a neighbour that is null or another dict looks as good).
    for (const path of [
      'interpreter.modules',
      'interpreter.sysDict',
      'interpreter.builtins',
      'interpreter.codecSearchPath',
      'interpreter.codecErrorRegistry',
      'thread.next',
      'thread.interpreter',
      'gc.generations.0',
      'gc.permanent',
      'gc.callbacks',
      'object.type',
      'type.name',
    ]) {
      const wrong = withMoved(fitted.layout, { [path]: (numberAt(fitted.layout, path) ?? 0) + 8 });
      expect(checkPointers(memory, wrong, runtime), path).not.toEqual([]);
    }
  });

  test('says its offsets from 3.13 on, and what it says wins over the table', async () => {
    using target = await spawnTarget(python, { source: program });
    const { memory, runtime } = memoryOf(target);
    const offsets = readDebugOffsets(memory, runtime);
    if (Number(python.minor.slice(2)) < 13) {
      expect(offsets).toBeUndefined();
      return;
    }
    if (offsets === undefined) throw new Error('no debug offsets');
    expect(offsets.version.join('.')).toBe(python.version);
    expect(offsets.freeThreaded).toBe(false);

    // A table in which everything from the gc state on lies 16 bytes too low, as after a patch release that put a field in.
    const table = fitLayout(memory, tableOf(python), runtime).layout;
    const after = table.gc.state;
    const moved: Record<string, number> = { 'gc.state': after - 16 };
    for (const [field, offset] of Object.entries(table.interpreter)) {
      if (typeof offset === 'number' && offset > after) moved[`interpreter.${field}`] = offset - 16;
    }
    for (const list of ['staticTypes', 'staticExtensionTypes'] as const) {
      moved[`interpreter.${list}.first`] = (table.interpreter[list]?.first ?? 0) - 16;
    }
    table.interpreter.more.forEach(({ offset }, i) => {
      moved[`interpreter.more.${i}.offset`] = offset - 16;
    });
    const stale = withMoved(table, moved);
    expect(checkPointers(memory, stale, runtime)).not.toEqual([]);
    const { layout, disagreements } = reconcile(stale, offsets);
    expect(layout).toEqual(table);
    expect(disagreements).toContain(
      `CPython ${python.version} has interpreter_state.gc at ${after}, not at ${after - 16} as other ${python.minor} releases`,
    );
    expect(disagreements).toHaveLength(4);
  });
});

const debugBuilds = everyPython().filter(p => p.debug && layoutFor(3, Number(p.minor.slice(2))) !== undefined);
if (debugBuilds.length > 0) {
  describe.each(named(debugBuilds))('%s, a debug build', (_, python) => {
    test('is recognised as one', async () => {
      using target = await spawnTarget(python, { source: program });
      const { memory, runtime } = memoryOf(target);
      const fitted = fitLayout(memory, tableOf(python), runtime);
      expect(fitted.failures).toEqual([]);
      expect(fitted.variant).toContain(Number(python.minor.slice(2)) < 12 ? '' : 'debug build');
    });
  });
}
