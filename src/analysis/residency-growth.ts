/** How the account of resident memory changes over N reports, and how much of it is holes: fragmentation. */
import type { AllocatorFacts } from '../cpython/index.ts';
import { MEMORY_KINDS, type MemoryKind, type MemoryReport, sizeText } from './residency.ts';
import { type Slope, slopeOf } from './slope.ts';

export interface ResidencyGrowth {
  /** From the first report to the last. */
  readonly seconds: number;
  readonly resident: Slope;
  readonly parts: readonly (Slope & { readonly kind: MemoryKind })[];
  /** Blocks in use that are no part of Python objects: their bytes and their number, resident or not. */
  readonly nativeBytes: Slope;
  readonly nativeBlocks: Slope;
}

/** Growth of each part over the reports of one run, in order. With fewer than two all is 0. */
export function residencyGrowth(reports: readonly MemoryReport[]): ResidencyGrowth {
  const seconds = reports.map(r => (r.atMs - (reports[0]?.atMs ?? 0)) / 1000);
  return {
    seconds: seconds.at(-1) ?? 0,
    resident: slopeOf(
      seconds,
      reports.map(r => r.resident),
    ),
    parts: MEMORY_KINDS.map((kind, i) => ({
      kind,
      ...slopeOf(
        seconds,
        reports.map(r => r.parts[i]!.bytes),
      ),
    })),
    nativeBytes: slopeOf(
      seconds,
      reports.map(r => r.malloc.nativeBytes),
    ),
    nativeBlocks: slopeOf(
      seconds,
      reports.map(r => r.malloc.nativeBlocks),
    ),
  };
}

export interface Fragmentation {
  /** Resident bytes that are free inside the two allocators. */
  readonly bytes: number;
  /** Of all resident bytes, 0 … 1. */
  readonly share: number;
  /** Arenas of pymalloc, and those of them of which less than a quarter is in use but something is. */
  readonly arenas: number;
  readonly sparseArenas: number;
  /** Of pymalloc's arenas, the part in use, 0 … 1. */
  readonly arenaUse: number;
  /** What Python's allocator could give back if the survivors in sparse arenas stood together. */
  readonly pinnedBytes: number;
  readonly sentence: string;
}

/** An arena of which less than this is in use is held by survivors. */
const SPARSE = 0.25;

/** How much of the resident memory is holes, and what holds it. */
export function fragmentation(report: MemoryReport, allocator: AllocatorFacts): Fragmentation {
  const part = (kind: MemoryKind) => report.parts.find(p => p.kind === kind)?.bytes ?? 0;
  const inPymalloc = part('free-pymalloc');
  const inMalloc = part('free-malloc');
  const bytes = inPymalloc + inMalloc;
  let sparseArenas = 0;
  let pinnedBytes = 0;
  for (const used of allocator.arenaUsedBytes) {
    if (used === 0 || used >= SPARSE * allocator.arenaSize) continue;
    sparseArenas++;
    pinnedBytes += allocator.arenaSize - used;
  }
  const share = report.resident === 0 ? 0 : bytes / report.resident;
  const arenaUse = allocator.arenaBytes === 0 ? 1 : allocator.usedBlockBytes / allocator.arenaBytes;
  const where =
    inPymalloc >= inMalloc
      ? `${sizeText(inPymalloc)} in arenas of Python's allocator, of which ${Math.round(100 * arenaUse)} % is in use` +
        (sparseArenas > 0
          ? `: ${sparseArenas} of ${allocator.arenas} arenas are kept from the system by few survivors (under 25 % used)`
          : '')
      : `${sizeText(inMalloc)} free in malloc's heaps, kept from the system by blocks in use behind them`;
  return {
    bytes,
    share,
    arenas: allocator.arenas,
    sparseArenas,
    arenaUse,
    pinnedBytes,
    sentence: `${sizeText(bytes)} (${Math.round(100 * share)} %) of resident memory is free inside allocators, ${where}.`,
  };
}
