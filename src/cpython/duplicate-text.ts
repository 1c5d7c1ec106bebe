/**
 * Text and bytes that are there more than once: how much, never what. Contents are hashed while the copy of the target's
 * memory is there, and only the sums are kept, so that nothing of a value gets into a snapshot.
 */
import type { Memory } from '../process/index.ts';
import { type HeapColumns, NodeFlag } from './columns.ts';
import type { Layout } from './layout.ts';

/** Objects of one type that have the same contents as another one. */
export interface DuplicateText {
  readonly type: 'str' | 'bytes';
  /** Objects besides the first of each contents, and their bytes. */
  readonly count: number;
  readonly bytes: number;
}

/** Contents longer than this are told apart by their beginning and length only; they are few. */
const LONGEST = 4096;

/** Counts duplicate str and bytes objects of the exact built-in types. Reads each contents once; 16 bytes a text meanwhile. */
export function duplicateTexts(memory: Memory, layout: Layout, columns: HeapColumns): DuplicateText[] {
  const { nodeCount, address, type, types, size, length, flags } = columns;
  const kinds = types.map(t => (t.heapType ? '' : t.name === 'str' || t.name === 'bytes' ? t.name : ''));
  const sums = { str: { count: 0, bytes: 0 }, bytes: { count: 0, bytes: 0 } };
  let texts = 0;
  for (let node = 1; node < nodeCount; node++) if (kinds[type[node]] !== '') texts++;
  const slots = 2 ** Math.ceil(Math.log2(Math.max(16, texts * 2)));
  const low = new Uint32Array(slots);
  const high = new Uint32Array(slots);
  const u = layout.unicode;
  for (let node = 1; node < nodeCount; node++) {
    const kind = kinds[type[node]];
    if (kind !== 'str' && kind !== 'bytes') continue;
    if ((flags[node] & (NodeFlag.synthetic | NodeFlag.static | NodeFlag.immortal)) !== 0) continue;
    const at = address[node];
    let start = at + layout.bytes.items;
    let width = 1;
    if (kind === 'str') {
      const state = memory.uint32(at + u.state);
      if (((state >>> u.compact.shift) & u.compact.mask) === 0) continue;
      width = (state >>> u.kind.shift) & u.kind.mask;
      start = at + (((state >>> u.ascii.shift) & u.ascii.mask) !== 0 ? u.asciiSize : u.compactSize);
    }
    const contents = memory.view(start, Math.min(LONGEST, length[node] * width));
    if (contents === undefined) continue;
    // Two FNV-1a hashes of different primes and beginnings: 64 bits in all, so that no two contents meet by chance.
    let a = (0x811c_9dc5 ^ length[node]) >>> 0;
    let b = (0x9747_b28c ^ (width * 31 + (kind === 'str' ? 1 : 2))) >>> 0;
    for (let i = 0; i < contents.length; i++) {
      a = Math.imul(a ^ contents[i], 0x0100_0193);
      b = Math.imul(b ^ contents[i], 0x85eb_ca6b) ^ (b >>> 15);
    }
    a = (a | 1) >>> 0;
    b >>>= 0;
    let slot = (a ^ (b >>> 7)) & (slots - 1);
    while (low[slot] !== 0 && (low[slot] !== a || high[slot] !== b)) slot = (slot + 1) & (slots - 1);
    if (low[slot] === 0) {
      low[slot] = a;
      high[slot] = b;
    } else {
      sums[kind].count++;
      sums[kind].bytes += size[node];
    }
  }
  return (['str', 'bytes'] as const).map(name => ({ type: name, ...sums[name] })).filter(row => row.count > 0);
}
