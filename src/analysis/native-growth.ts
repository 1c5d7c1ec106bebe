/** What native memory grew between surveys of one run: by holder and library, and how sure that is. */
import {
  NATIVE_HOLDERS,
  type NativeContent,
  type NativeGroup,
  type NativeHolder,
  type NativeSurvey,
} from './native.ts';
import { type Slope, slopeOf } from './slope.ts';

/** One size of block in a suspect. */
export interface NativeSize {
  /** In the heap, header included. */
  readonly blockBytes: number;
  readonly blocks: number;
  /** From the first survey to the last. */
  readonly blocksGrown: number;
  readonly blocksPerSecond: Slope;
}

/** Native blocks of one holder that became more. */
export interface NativeSuspect {
  readonly from: NativeGroup['from'];
  readonly holder: NativeHolder;
  /** Library the blocks are reached from, or else that they point into; '' when neither tells. */
  readonly library: string;
  readonly blocks: number;
  readonly bytes: number;
  readonly blocksGrown: number;
  readonly bytesGrown: number;
  readonly blocksPerSecond: Slope;
  readonly bytesPerSecond: Slope;
  /** The sizes that grow most in bytes, most first; at most 8. */
  readonly sizes: readonly NativeSize[];
  readonly content: NativeContent;
}

export interface NativeGrowth {
  readonly seconds: number;
  /** Of all native blocks together. */
  readonly blocksPerSecond: Slope;
  readonly bytesPerSecond: Slope;
  /** Unreachable blocks that were so in the last two surveys: these are lost for good. */
  readonly lostBlocks: number;
  readonly lostBytes: number;
  /** Fastest growing first. Only what grew in every interval, or nearly so. */
  readonly suspects: readonly NativeSuspect[];
  readonly extensions: readonly string[];
}

const MOST_SIZES = 8;

/** Growth over two or more surveys, in order. */
export function nativeGrowth(surveys: readonly NativeSurvey[]): NativeGrowth {
  const seconds = surveys.map(s => (s.atMs - surveys[0]!.atMs) / 1000);
  const last = surveys.at(-1);
  const series = new Map<
    string,
    { key: string; from: NativeGroup['from']; holder: NativeHolder; library: string; blocks: number[]; bytes: number[] }
  >();
  const sizes = new Map<string, Map<number, number[]>>();
  surveys.forEach((survey, at) => {
    for (const group of survey.groups) {
      const library = libraryOf(group);
      const key = keyOf(group);
      let one = series.get(key);
      if (one === undefined) {
        const zeros = () => surveys.map(() => 0);
        one = { key, from: group.from, holder: group.holder, library, blocks: zeros(), bytes: zeros() };
        series.set(key, one);
        sizes.set(key, new Map());
      }
      one.blocks[at] = one.blocks[at]! + group.blocks;
      one.bytes[at] = one.bytes[at]! + group.bytes;
      const bySize = sizes.get(key)!;
      let counts = bySize.get(group.blockBytes);
      if (counts === undefined) {
        counts = surveys.map(() => 0);
        bySize.set(group.blockBytes, counts);
      }
      counts[at] = counts[at]! + group.blocks;
    }
  });
  const suspects: NativeSuspect[] = [];
  for (const { key, from, holder, library, blocks, bytes } of series.values()) {
    const bytesPerSecond = slopeOf(seconds, bytes);
    const blocksGrown = blocks.at(-1)! - blocks[0]!;
    const bytesGrown = bytes.at(-1)! - bytes[0]!;
    if (bytesPerSecond.perSecond <= 0 || blocksGrown <= 0 || !risesThroughout(bytes)) continue;
    const grownSizes = [...sizes.get(key)!]
      .map(([blockBytes, counts]) => ({
        blockBytes,
        blocks: counts.at(-1)!,
        blocksGrown: counts.at(-1)! - counts[0]!,
        blocksPerSecond: slopeOf(seconds, counts),
      }))
      .filter(s => s.blocksGrown > 0)
      .sort((a, b) => b.blocksGrown * b.blockBytes - a.blocksGrown * a.blockBytes)
      .slice(0, MOST_SIZES);
    suspects.push({
      from,
      holder,
      library,
      blocks: blocks.at(-1)!,
      bytes: bytes.at(-1)!,
      blocksGrown,
      bytesGrown,
      blocksPerSecond: slopeOf(seconds, blocks),
      bytesPerSecond,
      sizes: grownSizes,
      content: contentOf(last!, key, grownSizes),
    });
  }
  suspects.sort(
    (a, b) =>
      b.bytesPerSecond.perSecond - a.bytesPerSecond.perSecond ||
      NATIVE_HOLDERS.indexOf(a.holder) - NATIVE_HOLDERS.indexOf(b.holder),
  );
  const lost = lostForGood(surveys);
  return {
    seconds: seconds.at(-1) ?? 0,
    blocksPerSecond: slopeOf(
      seconds,
      surveys.map(s => s.blocks),
    ),
    bytesPerSecond: slopeOf(
      seconds,
      surveys.map(s => s.bytes),
    ),
    lostBlocks: lost.blocks,
    lostBytes: lost.bytes,
    suspects,
    extensions: last?.extensions ?? [],
  };
}

function keyOf(group: NativeGroup): string {
  return `${group.from} ${group.holder} ${libraryOf(group)}`;
}

/** A group's library: where it is held from, else where it points to unless that is everybody's (the C library, Python). */
function libraryOf(group: NativeGroup): string {
  if (group.library !== '') return group.library;
  return /\/(libc|libm|libpthread|ld-linux[^/]*|libpython[^/]*|python[\d.]*)([.-][^/]*)?$/.test(group.pointsInto)
    ? ''
    : group.pointsInto;
}

/** No interval in which it fell by more than a tenth of what it grew in all. */
function risesThroughout(values: readonly number[]): boolean {
  const grown = values.at(-1)! - values[0]!;
  for (let i = 1; i < values.length; i++) if (values[i]! < values[i - 1]! - grown / 10) return false;
  return true;
}

function contentOf(survey: NativeSurvey, key: string, sizes: readonly NativeSize[]): NativeContent {
  const grown = new Map(sizes.map(s => [s.blockBytes, s.blocksGrown * s.blockBytes]));
  const weight = new Map<NativeContent, number>();
  for (const group of survey.groups) {
    if (keyOf(group) !== key) continue;
    weight.set(group.content, (weight.get(group.content) ?? 0) + (grown.get(group.blockBytes) ?? 0));
  }
  return [...weight].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'other';
}

/** Blocks that were unreachable in the last two surveys alike: same address, same size. */
function lostForGood(surveys: readonly NativeSurvey[]): { blocks: number; bytes: number } {
  const [a, b] = surveys.slice(-2);
  if (a === undefined || b === undefined) return { blocks: 0, bytes: 0 };
  let blocks = 0;
  let bytes = 0;
  for (let i = 0, k = 0; i < a.unreachableAddress.length && k < b.unreachableAddress.length; ) {
    const difference = a.unreachableAddress[i]! - b.unreachableAddress[k]!;
    if (difference < 0) i++;
    else if (difference > 0) k++;
    else {
      if (a.unreachableSize[i] === b.unreachableSize[k]) {
        blocks++;
        bytes += b.unreachableSize[k]!;
      }
      i++;
      k++;
    }
  }
  return { blocks, bytes };
}
