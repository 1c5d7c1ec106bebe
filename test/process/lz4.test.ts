import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lz4FrameDecoder } from '../../src/process/lz4.ts';
import { lz4Frame } from './lz4-frame.ts';

const bytes = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 4000 })), { maxLength: 60 })
  .map(runs => Buffer.concat(runs.flatMap(([run, times]) => new Array<Uint8Array>(times).fill(run))));
const options = fc.record({
  blockSize: fc.constantFrom(1 << 16, 1 << 18),
  linked: fc.boolean(),
  checksums: fc.boolean(),
});

function decode(frame: Uint8Array, chunk: number): { out: Buffer; complete: boolean } {
  const decoder = new Lz4FrameDecoder();
  const parts: Uint8Array[] = [];
  for (let at = 0; at < frame.length; at += chunk)
    decoder.push(frame.subarray(at, at + chunk), b => parts.push(b.slice()));
  return { out: Buffer.concat(parts), complete: decoder.complete };
}

describe('LZ4 frames', () => {
  it('come out as they went in, whatever the chunks', () => {
    fc.assert(
      fc.property(bytes, options, fc.integer({ min: 1, max: 100_000 }), (input, opts, chunk) => {
        const frame = lz4Frame(input, opts);
        const { out, complete } = decode(frame, Math.max(chunk, frame.length / 300));
        expect(out.equals(input)).toBe(true);
        expect(complete).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('may follow each other, with skippable frames between', () => {
    const one = lz4Frame(Buffer.from('one '.repeat(100)), { blockSize: 1 << 16, linked: true, checksums: true });
    const skip = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9);
    const { out, complete } = decode(Buffer.concat([one, skip, one]), 5);
    expect(out.toString()).toBe('one '.repeat(200));
    expect(complete).toBe(true);
  });

  it('that are cut give a beginning and are not complete; damaged ones never read outside', () => {
    const input = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i) % 251));
    const frame = lz4Frame(input, { blockSize: 1 << 16, linked: true, checksums: false });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: frame.length - 1 }), length => {
        const { out, complete } = decode(frame.subarray(0, length), 4096);
        expect(out.equals(input.subarray(0, out.length))).toBe(true);
        expect(complete).toBe(length === 0);
      }),
    );
    fc.assert(
      fc.property(fc.nat(frame.length - 1), fc.nat(255), (at, value) => {
        const damaged = new Uint8Array(frame);
        damaged[at] = value;
        try {
          decode(damaged, 4096);
        } catch (error) {
          expect((error as Error).message).toMatch(/LZ4/);
        }
      }),
      { numRuns: 500 },
    );
  });
});
