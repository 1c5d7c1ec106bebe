/** A target that is always in the middle of something: captures succeed, say so, and can be decoded. */
import { describe, expect, it } from 'vitest';
import { type Decoded, decode, isCollecting, type Runtime } from '../../src/cpython/index.ts';
import { capture } from '../../src/process/capture.ts';
import type { ProcessImage } from '../../src/process/image.ts';
import { Memory } from '../../src/process/memory.ts';
import { interpreters } from './interpreters.ts';
import { pythonTarget } from './targets.ts';

const ITEMS = 60_000;
const HEAP = `
import gc, sys, threading
class Item:
    def __init__(self): self.me = self
items = [Item() for _ in range(${ITEMS})]
`;

/** Collects all the time; a full collection of this heap takes longer than all tries at a better moment together. */
const COLLECTING = `${HEAP}
gc.disable()
print('ready')
while True: gc.collect()
`;

/** Allocates and frees all the time, small blocks and large ones, in several threads. */
const ALLOCATING = `${HEAP}
def churn():
    while True:
        some = [bytearray(n * 7 % 5000) for n in range(300)] + [{'a': n, 'b': [n]} for n in range(300)]
        del some[::2]
for _ in range(3): threading.Thread(target=churn, daemon=True).start()
print('ready')
sys.stdin.read()
`;

function decoded(image: ProcessImage): Decoded {
  return decode(image, { memory: Memory.copy(image) });
}

function itemsIn({ columns }: Decoded): number {
  const wanted = columns.types.findIndex(type => type.name === '__main__.Item' || type.name === 'Item');
  let count = 0;
  for (let node = 0; node < columns.nodeCount; node++) if (columns.type[node] === wanted) count++;
  return count;
}

describe.each(interpreters())('%s', python => {
  it('in the middle of a collection', async () => {
    await using target = await pythonTarget(COLLECTING, [], python);
    let runtime: Runtime | undefined;
    let inCollection = 0;
    for (let round = 0; round < 3; round++) {
      const collecting = (image: ProcessImage) => runtime !== undefined && isCollecting(image, runtime);
      using image = capture(target.pid, { tryAgain: collecting });
      const heap = decoded(image);
      runtime ??= heap.runtime;
      expect(itemsIn(heap)).toBe(ITEMS);
      if (round === 0) continue;
      if (collecting(image)) inCollection++;
      expect(image.notes.some(note => note.includes('in the middle of something'))).toBe(collecting(image));
    }
    expect(inCollection).toBeGreaterThan(0);
  });
});

describe.each(interpreters().filter((_, i, all) => i === 0 || i === all.length - 1))('%s', python => {
  it('in the middle of allocations', async () => {
    await using target = await pythonTarget(ALLOCATING, [], python);
    for (let round = 0; round < 2; round++) {
      using image = capture(target.pid);
      expect(itemsIn(decoded(image))).toBe(ITEMS);
    }
  });
});
