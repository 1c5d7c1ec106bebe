/** Resident memory and its growth, by kind. */
import type { Observation } from './observation.ts';
import type { MemoryKind } from './verdict.ts';

export interface MemorySummary {
  readonly resident: number;
  readonly parts: { readonly kind: MemoryKind; readonly bytes: number }[];
  readonly growth_bytes_per_second: number;
  readonly growth_parts: { readonly kind: MemoryKind; readonly bytes_per_second: number }[];
  /** The part of the growth that Python objects do not explain, 0 to 1. */
  readonly unexplainedShare: number;
  /** Did resident memory rise all the time? */
  readonly steady: boolean;
}

export function memoryParts(observation: Observation): MemorySummary {
  const { readings } = observation;
  const last = readings[readings.length - 1];
  const growth = slope(readings.map(r => [r.seconds, r.resident]));
  const python = slope(readings.map(r => [r.seconds, r.pythonBytes]));
  const { allocator } = observation.latest;
  const pythonBytes = Math.min(last.pythonBytes, last.resident);
  const free = Math.min(last.resident - pythonBytes, Math.max(0, allocator.arenaBytes - allocator.usedBlockBytes));
  let rises = 0;
  for (let i = 1; i < readings.length; i++) if (readings[i].resident > readings[i - 1].resident) rises++;
  return {
    resident: last.resident,
    parts: [
      { kind: 'python-objects', bytes: pythonBytes },
      { kind: 'free-pymalloc', bytes: free },
      { kind: 'other', bytes: last.resident - pythonBytes - free },
    ],
    growth_bytes_per_second: growth,
    growth_parts: [
      { kind: 'python-objects', bytes_per_second: Math.round(python) },
      { kind: 'other', bytes_per_second: Math.round(growth - python) },
    ],
    unexplainedShare: growth <= 0 ? 0 : Math.max(0, Math.min(1, (growth - python) / growth)),
    steady: readings.length >= 4 && rises >= (readings.length - 1) * 0.7,
  };
}

/** Least-squares slope of [x, y] pairs. */
export function slope(points: readonly (readonly [number, number])[]): number {
  const n = points.length;
  if (n < 2) return 0;
  let mx = 0;
  let my = 0;
  for (const [x, y] of points) {
    mx += x / n;
    my += y / n;
  }
  let xx = 0;
  let xy = 0;
  for (const [x, y] of points) {
    xx += (x - mx) ** 2;
    xy += (x - mx) * (y - my);
  }
  return xx === 0 ? 0 : xy / xx;
}
