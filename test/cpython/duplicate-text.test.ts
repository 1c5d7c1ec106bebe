import { afterEach, expect, it } from 'vitest';
import { decode, duplicateTexts } from '../../src/cpython/index.ts';
import { capture, Memory } from '../../src/process/index.ts';
import { killTargets, onePythonPerMinor, spawnTarget } from '../support/pythons.ts';

afterEach(killTargets);

const SOURCE = `
import sys
five = len("abcde")
def make(same):
    kept = ["".join(["customer number ", str(7), " of the shop"]) for _ in range(same)]
    kept += [("\\u0416-%d" % five) * 3 for _ in range(same)]
    return kept, [bytes([1, 2, 3] * 20) for _ in range(same)]
first = make(100)
print("ready", flush=True)
sys.stdin.readline()
more = make(500)
print("made", flush=True)
sys.stdin.readline()
`;

function duplicatesIn(pid: number) {
  using image = capture(pid);
  const memory = Memory.copy(image);
  const decoded = decode(image, { memory });
  const rows = duplicateTexts(memory, decoded.runtime.layout, decoded.columns);
  const of = (type: string) => rows.find(row => row.type === type) ?? { count: 0, bytes: 0 };
  return { str: of('str'), bytes: of('bytes') };
}

it.each(onePythonPerMinor().map(p => [p.version, p] as const))(
  'counts texts that are there more than once, on %s',
  async (_, python) => {
    const target = await spawnTarget(python, { source: SOURCE });
    const few = duplicatesIn(target.pid);
    target.send('go on');
    await target.lineStarting('made');
    const many = duplicatesIn(target.pid);
    // 500 more of each of two texts, and of one bytes object; a call makes at most one or two texts of its own.
    expect(Math.abs(many.str.count - few.str.count - 1000)).toBeLessThanOrEqual(2);
    expect(many.bytes.count - few.bytes.count).toBe(500);
    expect(many.bytes.bytes - few.bytes.bytes).toBe(500 * (33 + 60));
  },
);
