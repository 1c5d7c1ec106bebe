/** A copy of a stopped process's memory: what freeze capture takes while the threads stand still. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Mapping } from './image.ts';
import { readMemory } from './syscalls.ts';

const PAGE = 4096;
/** Larger mappings may be mostly reserved space: only their resident pages are copied. */
const LOOK_AT_PAGES_FROM = 64 * 2 ** 20;
/** Pages looked at in one read of pagemap: 16,384 entries of 8 bytes are 64 MiB of memory. */
const PAGES_AT_ONCE = 16_384;
/** A run of absent pages shorter than this is copied along. */
const SMALL_GAP_PAGES = 16;

interface Segment {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** The copied memory, ascending; what is not resident in a copied mapping reads as zeros, as it would in the target. */
export class FrozenCopy {
  private readonly segments: Segment[] = [];
  private readonly copied: Mapping[] = [];
  copiedBytes = 0;

  /** Copies the mappings `wanted` says yes to. The process must be stopped. */
  static of(pid: number, mappings: readonly Mapping[], wanted: (m: Mapping) => boolean): FrozenCopy {
    const copy = new FrozenCopy();
    let pagemap: number | undefined;
    try {
      pagemap = openSync(`/proc/${pid}/pagemap`, 'r');
    } catch {
      // Without pagemap large mappings are copied whole.
    }
    try {
      for (const m of mappings) {
        if (!m.readable || !wanted(m)) continue;
        copy.copied.push(m);
        if (pagemap === undefined || m.end - m.start < LOOK_AT_PAGES_FROM) copy.take(pid, m.start, m.end);
        else for (const [start, end] of residentRuns(pagemap, m)) copy.take(pid, start, end);
      }
    } finally {
      if (pagemap !== undefined) closeSync(pagemap);
    }
    return copy;
  }

  private take(pid: number, start: number, end: number): void {
    const bytes = new Uint8Array(new ArrayBuffer(end - start));
    for (let at = start; at < end; ) {
      const part = bytes.subarray(at - start);
      const got = Math.max(0, readMemory(pid, at, part));
      if (got > 0) this.segments.push({ start: at, bytes: part.subarray(0, got) });
      this.copiedBytes += got;
      at += got;
      // Guard pages lie inside the mappings of thread stacks (MADV_GUARD_INSTALL, glibc 2.42): go on behind them.
      if (at < end) at = (Math.floor(at / PAGE) + 1) * PAGE;
    }
  }

  /** Like `ProcessImage.read`, for copied mappings; undefined when the address is in none. */
  read(address: number, into: Uint8Array): number | undefined {
    const mapping = this.copied.find(m => address >= m.start && address < m.end);
    if (!mapping) return undefined;
    const length = Math.min(into.byteLength, mapping.end - address);
    let at = this.firstSegmentEndingAfter(address);
    let done = 0;
    while (done < length) {
      const segment = this.segments[at];
      const here = address + done;
      if (!segment || segment.start >= address + length) {
        into.fill(0, done, length);
        return length;
      }
      if (segment.start > here) {
        into.fill(0, done, segment.start - address);
        done = segment.start - address;
        continue;
      }
      const from = here - segment.start;
      const part = segment.bytes.subarray(from, Math.min(segment.bytes.length, from + length - done));
      into.set(part, done);
      done += part.length;
      at++;
    }
    return length;
  }

  private firstSegmentEndingAfter(address: number): number {
    let low = 0;
    let high = this.segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { start, bytes } = this.segments[middle];
      if (start + bytes.length <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Runs of pages of a mapping that are in memory or swapped out (bits 63 and 62 of a pagemap entry). */
function* residentRuns(pagemap: number, { start, end }: Mapping): Generator<[number, number]> {
  const entries = new Uint8Array(PAGES_AT_ONCE * 8);
  let runStart = -1;
  let runEnd = -1;
  for (let at = start; at < end; ) {
    const wantedPages = Math.min(PAGES_AT_ONCE, Math.ceil((end - at) / PAGE));
    const got = Math.floor(readSync(pagemap, entries, 0, wantedPages * 8, (at / PAGE) * 8) / 8);
    if (got === 0) break;
    for (let i = 0; i < got; i++) {
      if ((entries[i * 8 + 7] & 0xc0) === 0) continue;
      const page = at + i * PAGE;
      if (runStart < 0) runStart = page;
      else if (page - runEnd > SMALL_GAP_PAGES * PAGE) {
        yield [runStart, runEnd];
        runStart = page;
      }
      runEnd = page + PAGE;
    }
    at += got * PAGE;
  }
  if (runStart >= 0) yield [runStart, Math.min(end, runEnd)];
}
