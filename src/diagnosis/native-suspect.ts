/** Native memory that grows: how much, of what, and the lines of Python during which it is allocated and lost. */
import { type NativeGrowth, NativeSites, type NativeSurvey, nativeGrowth } from '../analysis/index.ts';
import { type StackLine, StackReader } from '../cpython/index.ts';
import { MallocWatch, watch } from '../process/index.ts';
import { findPatterns, type PatternMatch, type SourceFile } from '../source/index.ts';
import type { Observation } from './observation.ts';
import { ownerOf, type ProjectFiles } from './project-files.ts';
import type { Site, Suspect } from './verdict.ts';

/** Bytes per second of lost native blocks below which nothing is said. */
const FAINT = 200;

export interface NativeLeak {
  readonly growth: NativeGrowth;
  readonly bytesPerSecond: number;
  readonly blocksPerSecond: number;
  /** Sizes of the blocks in the heap, headers included, most bytes first. */
  readonly sizes: readonly number[];
  readonly from: 'malloc' | 'pymalloc';
}

/** Native blocks that nothing points to and that become more with every snapshot; undefined when there are none. */
export function nativeLeak(observation: Observation): NativeLeak | undefined {
  const surveys = observation.moments.map(m => m.native).filter(s => s !== undefined);
  if (surveys.length < 3) return undefined;
  const growth = nativeGrowth(surveys);
  const lost = growth.suspects.filter(s => s.holder === 'none');
  const [first] = lost;
  if (first === undefined || first.blocksGrown < 5 || first.bytesPerSecond.perSecond < FAINT) return undefined;
  // Blocks that are lost for good, not passing ones that no pointer happened to lead to.
  if (growth.lostBlocks < 0.5 * first.blocksGrown) return undefined;
  return {
    growth,
    bytesPerSecond: lost.reduce((sum, s) => sum + s.bytesPerSecond.perSecond, 0),
    blocksPerSecond: lost.reduce((sum, s) => sum + s.blocksPerSecond.perSecond, 0),
    sizes: first.sizes.map(s => s.blockBytes),
    from: first.from,
  };
}

/** Watches malloc serve blocks of the sizes that are lost; the lines during which that happens, those whose blocks are lost first. */
export async function nativeSites(
  pid: number,
  observation: Observation,
  leak: NativeLeak,
  maxMs: number,
): Promise<{ sites: Site[]; stacks: StackLine[][]; stops: number }> {
  const { facts, runtime } = observation;
  const survey = observation.latest.native;
  if (facts === undefined || runtime === undefined || survey === undefined || leak.from !== 'malloc')
    return { sites: [], stacks: [], stops: 0 };
  const malloc = MallocWatch.of(facts.malloc, leak.sizes.slice(0, 4), youngLost(observation, survey));
  if (malloc.points.length === 0) return { sites: [], stacks: [], stops: 0 };
  const lines = new NativeSites<StackLine[]>(stack =>
    stack
      .map(l => `${l.file}:${l.line}`)
      .slice(0, 4)
      .join('<'),
  );
  let stacks: StackReader | undefined;
  let stops = 0;
  try {
    const result = await watch(pid, malloc.points, {
      maxMs,
      maxHits: 1000,
      onHit: hit => {
        stacks ??= new StackReader(hit.reader, runtime);
        const event = malloc.read(hit.point, hit.reader);
        if (event === undefined) return 'continue';
        lines.add(event, () => {
          const stack = stacks!.read(hit.registers.fsBase);
          return stack.length > 0 ? stack : undefined;
        });
        return lines.seen >= 200 ? 'stop' : 'continue';
      },
    });
    stops = result.hits;
  } catch {
    return { sites: [], stacks: [], stops };
  }
  // Which of the blocks that were seen to be allocated are lost now?
  observation.take();
  const found = lines.sites(observation.latest.native);
  const lostSomewhere = found.some(f => f.lost > 0);
  const sites = new Map<string, Site>();
  const kept: StackLine[][] = [];
  for (const { line: stack, seen, lost } of found) {
    if (lostSomewhere && lost === 0) continue;
    kept.push(stack);
    const own = stack.find(l => ownerOf(l.file) === 'program') ?? stack[0];
    const key = `${own.file}:${own.line}`;
    const hits = (sites.get(key)?.hits ?? 0) + (lostSomewhere ? lost : seen);
    sites.set(key, { file: own.file, line: own.line, function: own.function, hits, evidence: 'watchpoint' });
  }
  return { sites: [...sites.values()].sort((a, b) => b.hits - a.hits).slice(0, 5), stacks: kept, stops };
}

/** Addresses of lost blocks that the snapshot before did not have. */
function youngLost(observation: Observation, last: NativeSurvey): Float64Array {
  const before = observation.moments[observation.moments.length - 2]?.native;
  if (before === undefined) return last.unreachableAddress;
  const known = new Set(before.unreachableAddress);
  const young = last.unreachableAddress.filter(address => !known.has(address));
  return young.length > 0 ? young : last.unreachableAddress;
}

/** The suspect as the verdict has it. */
export function nativeSuspect(
  leak: NativeLeak,
  sites: readonly Site[],
  rank: number,
  files: ProjectFiles,
  sources: readonly SourceFile[],
  root: string,
): Suspect {
  const pattern = patternFor(sources, sites, root);
  const [site] = sites;
  const size = leak.sizes[0] - 8;
  const reasons = [
    `${leak.growth.lostBlocks} blocks of native memory (mostly of up to ${size} bytes, ${(leak.bytesPerSecond / 1024).toFixed(1)} KiB/s) are pointed to by nothing in the process: C code has allocated them and lost them`,
  ];
  if (pattern !== undefined) reasons.unshift(pattern.sentence);
  if (site !== undefined) {
    const text = files.open(site.file)?.lines[site.line - 1]?.trim();
    reasons.push(`they are allocated while ${site.function}() runs line ${site.line}${text ? `: ${text}` : ''}`);
  }
  const extensions = leak.growth.extensions.map(path => path.slice(path.lastIndexOf('/') + 1));
  if (extensions.length > 0 && extensions.length <= 6)
    reasons.push(`native libraries that are neither Python’s nor the system’s: ${extensions.join(', ')}`);
  return {
    rank,
    category: 'native-malloc',
    confidence: sites.length > 0 ? 0.95 : 0.8,
    fingerprint: `native:${leak.from}:${site === undefined ? leak.sizes.join(',') : `${site.file.slice(site.file.lastIndexOf('/') + 1)}:${site.function}`}`,
    types: [],
    retained_bytes: leak.growth.lostBytes,
    holder: null,
    path: [],
    store_sites:
      pattern === undefined
        ? [...sites]
        : [
            ...sites,
            { file: pattern.file, line: pattern.line, function: pattern.function, hits: 0, evidence: 'static' },
          ],
    creation_sites: [...sites],
    explanation: `${reasons.map(r => r.charAt(0).toUpperCase() + r.slice(1)).join('. ')}.`,
    fix: pattern?.fix ?? {
      summary:
        site === undefined
          ? 'free what the C code allocates: in tp_dealloc of the extension type, or by the library’s own free function'
          : `see that what the call at line ${site.line} allocates is freed: by the library’s own free function, or in the extension type’s tp_dealloc`,
      patch: null,
    },
  };
}

function patternFor(sources: readonly SourceFile[], sites: readonly Site[], root: string): PatternMatch | undefined {
  let matches: PatternMatch[] = [];
  try {
    matches = findPatterns(sources, { root }).filter(m => m.category === 'native-malloc');
  } catch {
    return undefined;
  }
  return matches.find(m => sites.some(s => s.file === m.file)) ?? (sites.length === 0 ? matches[0] : undefined);
}
