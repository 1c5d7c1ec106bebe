/** Resident memory and its growth, by kind. */
import { type Fragmentation, fragmentation, residencyGrowth } from '../analysis/index.ts';
import type { Observation } from './observation.ts';
import type { MemoryKind } from './verdict.ts';

export interface MemorySummary {
  readonly resident: number;
  readonly parts: { readonly kind: MemoryKind; readonly bytes: number }[];
  readonly growth_bytes_per_second: number;
  readonly growth_parts: { readonly kind: MemoryKind; readonly bytes_per_second: number }[];
  /** What grows besides Python objects and free space inside the allocators: native blocks, stacks, the rest; bytes per second. */
  readonly unexplained: number;
  /** Did that rise in nearly every interval? */
  readonly steady: boolean;
  /** Growth of Python objects, bytes per second, and whether it is more than noise and rose in nearly every interval to the end. */
  readonly python: number;
  readonly pythonSteady: boolean;
  readonly fragmentation: Fragmentation;
}

/** Python objects that grow by less than this are noise, bytes per second. */
const NOISE = 4096;

const UNEXPLAINED = new Set<MemoryKind>(['native-blocks', 'stacks', 'other']);

/** The last account of resident memory, and the slopes over all that were made. */
export function memoryParts(observation: Observation): MemorySummary {
  const reports = observation.readings.map(r => r.memory);
  const last = reports[reports.length - 1];
  const growth = residencyGrowth(reports);
  const total = growth.resident.perSecond;
  const native = reports.map(r => r.parts.filter(p => UNEXPLAINED.has(p.kind)).reduce((sum, p) => sum + p.bytes, 0));
  const objects = reports.map(r => r.parts.find(p => p.kind === 'python-objects')?.bytes ?? 0);
  const python = growth.parts.find(p => p.kind === 'python-objects')?.perSecond ?? 0;
  let objectRises = 0;
  for (let i = 1; i < objects.length; i++) if (objects[i] > objects[i - 1]) objectRises++;
  const half = Math.floor(objects.length / 2);
  const lateGain = objects[objects.length - 1] - objects[half];
  let rises = 0;
  for (let i = 1; i < native.length; i++) if (native[i] > native[i - 1]) rises++;
  return {
    resident: last.resident,
    parts: last.parts.map(({ kind, bytes }) => ({ kind, bytes })),
    growth_bytes_per_second: total,
    growth_parts: growth.parts.map(({ kind, perSecond }) => ({ kind, bytes_per_second: Math.round(perSecond) })),
    unexplained: growth.parts.filter(p => UNEXPLAINED.has(p.kind)).reduce((sum, p) => sum + p.perSecond, 0),
    steady: reports.length >= 4 && rises >= (reports.length - 1) * 0.7,
    python,
    pythonSteady:
      reports.length >= 5 &&
      python > NOISE &&
      objectRises >= 0.8 * (objects.length - 1) &&
      lateGain > 0.3 * (objects[objects.length - 1] - objects[0]),
    fragmentation: fragmentation(last, observation.latest.allocator),
  };
}
