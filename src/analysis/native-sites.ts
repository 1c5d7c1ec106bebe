/**
 * Which line allocates native blocks that are lost. While malloc is watched, every allocation of a suspect's sizes is
 * noted with its line, and taken off again when the block is freed; afterwards only those count whose block a survey
 * finds in use and reached by nothing (or held as the suspect's are).
 */
import type { MallocEvent } from '../process/index.ts';
import type { NativeSurvey } from './native.ts';

export interface NativeSite<Line> {
  readonly line: Line;
  /** Allocations that were seen there. */
  readonly seen: number;
  /** Of those, the ones whose block was lost. Without a survey after the watch, those not freed while it lasted. */
  readonly lost: number;
}

/** Collects what `MallocWatch.read` tells, with the line of each allocation. */
export class NativeSites<Line> {
  private readonly keyOf: (line: Line) => string;
  private readonly lines = new Map<string, { line: Line; seen: number; unplaced: number; blocks: Set<number> }>();
  private readonly allocatedBy = new Map<number, string>();
  private unplacedFrees = 0;

  /** `keyOf` tells lines apart: `file:line`, say. */
  constructor(keyOf: (line: Line) => string) {
    this.keyOf = keyOf;
  }

  /** Notes an event; `line` is asked only for an allocation, and may not know. */
  add(event: MallocEvent, line: () => Line | undefined): void {
    if (event.kind === 'freed') {
      if (event.address === 0) this.unplacedFrees++;
      else this.release(event.address);
      return;
    }
    // A block that is allocated again has been freed in between, where it was not seen.
    this.release(event.address);
    const where = line();
    if (where === undefined) return;
    const key = this.keyOf(where);
    let site = this.lines.get(key);
    if (site === undefined) {
      site = { line: where, seen: 0, unplaced: 0, blocks: new Set() };
      this.lines.set(key, site);
    }
    site.seen++;
    if (event.address === 0) {
      site.unplaced++;
    } else {
      site.blocks.add(event.address);
      this.allocatedBy.set(event.address, key);
    }
  }

  private release(address: number): void {
    const key = this.allocatedBy.get(address);
    if (key === undefined) return;
    this.allocatedBy.delete(address);
    this.lines.get(key)?.blocks.delete(address);
  }

  /** Allocations seen, lost or not: enough to stop the watch? */
  get seen(): number {
    let sum = 0;
    for (const site of this.lines.values()) sum += site.seen;
    return sum;
  }

  /** The lines, most lost blocks first. `after` is a survey taken when the watch was over. */
  sites(after?: Pick<NativeSurvey, 'unreachableAddress'>): NativeSite<Line>[] {
    return [...this.lines.values()]
      .map(({ line, seen, blocks, unplaced }) => ({
        line,
        seen,
        lost:
          (after === undefined ? blocks.size : countPresent(blocks, after.unreachableAddress)) +
          Math.max(0, unplaced - this.unplacedFrees),
      }))
      .sort((a, b) => b.lost - a.lost || b.seen - a.seen);
  }
}

function countPresent(addresses: ReadonlySet<number>, ascending: Float64Array): number {
  let count = 0;
  for (const address of addresses) {
    let low = 0;
    let high = ascending.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ascending[middle]! < address) low = middle + 1;
      else high = middle;
    }
    if (ascending[low] === address) count++;
  }
  return count;
}
