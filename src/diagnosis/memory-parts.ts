/** Resident memory and its growth, by kind. */
import { type Fragmentation, fragmentation, residencyGrowth } from '../analysis/index.ts';
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
  readonly fragmentation: Fragmentation;
}

/** The last account of resident memory, and the slopes over all that were made. */
export function memoryParts(observation: Observation): MemorySummary {
  const reports = observation.readings.map(r => r.memory);
  const last = reports[reports.length - 1];
  const growth = residencyGrowth(reports);
  const total = growth.resident.perSecond;
  const python = growth.parts.find(p => p.kind === 'python-objects')?.perSecond ?? 0;
  let rises = 0;
  for (let i = 1; i < reports.length; i++) if (reports[i].resident > reports[i - 1].resident) rises++;
  return {
    resident: last.resident,
    parts: last.parts.map(({ kind, bytes }) => ({ kind, bytes })),
    growth_bytes_per_second: total,
    growth_parts: growth.parts.map(({ kind, perSecond }) => ({ kind, bytes_per_second: Math.round(perSecond) })),
    unexplainedShare: total <= 0 ? 0 : Math.max(0, Math.min(1, (total - python) / total)),
    steady: reports.length >= 4 && rises >= (reports.length - 1) * 0.7,
    fragmentation: fragmentation(last, observation.latest.allocator),
  };
}
