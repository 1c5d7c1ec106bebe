/** One look at a target's memory, as the diagnosis takes it. */
import { residency, residencyFacts, surveyNative } from '../../src/analysis/index.ts';
import { decode, rawPoolBlocks } from '../../src/cpython/index.ts';
import { capture, Memory, ResidentMemory } from '../../src/process/index.ts';

export function lookAt(pid: number) {
  using image = capture(pid, { via: 'freeze' });
  // While the target still stands where it stood: the look is at a target that waits for its next line.
  const resident = ResidentMemory.read(pid);
  const memory = Memory.copy(image);
  const decoded = decode(image, { memory });
  const facts = residencyFacts(image, memory, decoded, resident);
  return {
    decoded,
    facts,
    report: residency(facts),
    /** Who holds the native blocks; searched when asked. */
    survey: () => surveyNative(image, memory, decoded.runtime, facts),
    /** The same, with the small blocks that C code got from PyMem_Malloc. */
    surveyOfBoth: () => {
      const { runtime, columns, allocator } = decoded;
      return surveyNative(image, memory, runtime, facts, rawPoolBlocks(memory, runtime.layout, columns, allocator));
    },
  };
}

export type Look = ReturnType<typeof lookAt>;

export function bytesOf(look: Look, kind: Look['report']['parts'][number]['kind']): number {
  return look.report.parts.find(p => p.kind === kind)!.bytes;
}
