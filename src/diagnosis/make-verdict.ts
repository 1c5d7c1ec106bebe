/** Writing the verdict down: the words, the numbers and the order of CLI.md's document. */
import { elementsOf, expressionOf, type PathStep } from '../analysis/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import { type Candidate, sum } from './candidate.ts';
import { cyclePath } from './cycle-path.ts';
import type { Judged } from './judge.ts';
import { type MemorySummary, memoryParts } from './memory-parts.ts';
import type { Observation } from './observation.ts';
import { programClasses } from './place.ts';
import { ownerOf } from './project-files.ts';
import type { Category, Site, Suspect, Verdict } from './verdict.ts';
import { VERSION } from './version.ts';

export interface Findings {
  readonly observation: Observation;
  /** All candidates that were looked at. */
  readonly judged: readonly Judged[];
  /** Those that leak, the biggest first. */
  readonly leaks: readonly Judged[];
  /** Native memory that is lost. */
  readonly native: { readonly suspect: Suspect; readonly bytesPerSecond: number } | undefined;
  readonly stops: number;
}

const MOST_SUSPECTS = 5;

export function makeVerdict(findings: Findings): Verdict {
  const { observation, leaks, judged } = findings;
  const { origin } = observation.latest.graph;
  const memory = memoryParts(observation);
  const ranked = leaks.map(leak => ({
    suspect: suspectOf(leak, 0, observation),
    bytesPerSecond: leak.candidate.bytesPerSecond,
  }));
  if (findings.native !== undefined) ranked.push(findings.native);
  ranked.sort((a, b) => b.bytesPerSecond - a.bytesPerSecond);
  const suspects: Suspect[] = ranked.slice(0, MOST_SUSPECTS).map(({ suspect }, i) => ({ ...suspect, rank: i + 1 }));
  const growing = memory.growth_bytes_per_second;
  let verdict: Verdict['verdict'] = 'no-leak';
  let summary: string;
  const unsettled = judged.filter(
    j =>
      j.candidate.bytesPerSecond > FAINT &&
      (j.standing === 'growing' || (j.standing === 'unclear' && stillRises(j.candidate))),
  );
  const bounded = judged.filter(j => j.standing === 'bounded' || j.standing === 'collectable');
  const seconds = observation.elapsedSeconds;
  if (suspects.length > 0) {
    verdict = 'leak';
    summary = leakSummary(suspects[0]);
  } else if (observation.snapshots < 4) {
    verdict = 'inconclusive';
    summary = `${seconds.toFixed(0)} s and ${observation.snapshots} snapshots are too few to tell a leak from a warm-up`;
  } else if (unsettled.length > 0) {
    verdict = 'inconclusive';
    const [first] = unsettled;
    summary = `${first.candidate.expression || first.candidate.types[0]?.type} still grows, but not steadily enough to call it a leak after ${seconds.toFixed(0)} s`;
  } else if (memory.pythonSteady && bounded.length === 0 && !judged.some(j => j.standing === 'stopped')) {
    verdict = 'inconclusive';
    summary = `Python objects grow by ${(memory.python / 1024).toFixed(0)} KiB/s, but no holder of the growth could be named`;
  } else if (memory.unexplained > RSS_NOISE && memory.steady) {
    verdict = 'inconclusive';
    summary = `resident memory outside of Python objects grows by ${(memory.unexplained / 1024).toFixed(0)} KiB/s, and what grows is not known`;
  } else if (bounded.length > 0) {
    summary = boundedSummary(bounded[0]);
  } else {
    const stopped = judged.find(j => j.standing === 'stopped');
    summary =
      stopped === undefined
        ? `nothing grew steadily in ${seconds.toFixed(0)} s`
        : `${stopped.candidate.expression || 'what grew'} has stopped growing; nothing else grew steadily in ${seconds.toFixed(0)} s`;
  }
  if (verdict === 'no-leak' && memory.fragmentation.share > LOTS_OF_HOLES && memory.fragmentation.bytes > MUCH) {
    suspects.push(fragmentationSuspect(memory));
  }
  return {
    schema: 1,
    leakscope: VERSION,
    target: {
      pid: observation.pid,
      python: origin.python,
      executable: origin.executable,
      command: [...origin.command],
    },
    observation: {
      seconds: round(seconds, 1),
      snapshots: observation.snapshots,
      via: observation.usedVia,
      pauses_ms: observation.pausesMs.map(ms => round(ms, 1)),
      stops: findings.stops,
      bytes_allocated_in_target: 0,
    },
    verdict,
    summary,
    memory: {
      resident: memory.resident,
      parts: memory.parts,
      growth_bytes_per_second: Math.round(growing),
      growth_parts: memory.growth_parts,
    },
    suspects,
  };
}

/** Higher than ever, and rising more often than not. */
function stillRises({ series }: Candidate): boolean {
  let rises = 0;
  for (let i = 1; i < series.length; i++) if (series[i] > series[i - 1]) rises++;
  return rises >= 0.6 * (series.length - 1) && series[series.length - 1] >= Math.max(...series);
}

/** Free space inside the allocators that is worth explaining: this part of resident memory, and this many bytes. */
const LOTS_OF_HOLES = 0.3;
const MUCH = 4 << 20;

function fragmentationSuspect({ fragmentation: holes }: MemorySummary): Suspect {
  return {
    rank: 1,
    category: 'fragmentation',
    confidence: 0.9,
    fingerprint: 'fragmentation',
    types: [],
    retained_bytes: holes.bytes,
    holder: null,
    path: [],
    store_sites: [],
    creation_sites: [],
    explanation: holes.sentence,
    fix: {
      summary:
        'nothing leaks: keep what lives long apart from what is made in bulk (build it before or after, or in a child process), so that whole arenas become free',
      patch: null,
    },
  };
}

/** A growth of fewer bytes per second than this is not worth a doubt: 17 MiB a day. */
const FAINT = 200;
/** Resident memory that rises by less than this is noise, bytes per second. */
const RSS_NOISE = 4096;

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function suspectOf(leak: Judged, rank: number, observation: Observation): Suspect {
  const { candidate, cause } = leak;
  const { graph } = observation.latest;
  const { growth } = candidate;
  const elapsed = observation.latest.seconds - observation.moments[0].seconds;
  const swelling = sum(growth.born) === 0;
  const net = swelling ? 1 : candidate.objectsPerSecond / Math.max(1e-9, sum(growth.born) / elapsed);
  const counts = new Map<number, number>();
  for (let n = 0; n < graph.nodeCount; n++)
    counts.set(graph.columns.type[n], (counts.get(graph.columns.type[n]) ?? 0) + 1);
  const countOf = (address: number, name: string) => {
    let total = 0;
    graph.columns.types.forEach((t, i) => {
      if (t.address === address && t.name === name) total += counts.get(i) ?? 0;
    });
    return total;
  };
  const entriesNode = growth.kind === 'object' && growth.slot === undefined ? growth.node : growth.sample;
  const holderNode = growth.kind === 'object' ? entriesNode : -1;
  return {
    rank,
    category: cause.category,
    confidence: confidenceOf(leak, observation),
    fingerprint: candidate.fingerprint,
    types: candidate.types.slice(0, 6).map(t => ({
      name: t.type,
      count: countOf(t.address, t.type),
      count_per_second: round((sum(t.born) / elapsed) * Math.min(1, net), 3),
      bytes_per_second: round((t.bytes / elapsed) * Math.min(1, net), 1),
    })),
    retained_bytes: Math.round(growth.retained[growth.retained.length - 1]),
    holder:
      growth.kind === 'object'
        ? {
            expression: plainExpression(graph, candidate.steps) || candidate.expression,
            type: graph.typeName(holderNode),
            address: `0x${(graph.columns.address[holderNode] ?? 0).toString(16)}`,
            entries: graph.columns.length[holderNode] ?? 0,
          }
        : null,
    path: growth.kind === 'garbage' ? cyclePath(observation, candidate) : [...candidate.path],
    store_sites: storesOf(leak),
    creation_sites: programFirst(dedupe(leak.creations)).slice(0, 6),
    explanation: explanationOf(leak),
    fix: cause.fix,
  };
}

/** The holder as the program names it: without the inner attributes of a library's container (`states.data` is `states`). */
function plainExpression(graph: HeapGraph, steps: readonly PathStep[]): string {
  const program = programClasses(graph);
  let end = steps.length;
  const elements = elementsOf(graph, steps);
  for (let i = elements.length - 1; i >= 2; i--) {
    const owner = elements[i - 1].node;
    const type = graph.columns.types[graph.columns.type[owner]];
    const inner =
      /^(weakref|collections|functools)\b/.test(type.name) && type.layout === 'instance' && !program(type.node);
    if (!inner || !elements[i].text.startsWith('.')) break;
    end = steps.findIndex(step => step.node === owner) + 1;
  }
  return end > 0 && end < steps.length ? expressionOf(graph, steps.slice(0, end)) : '';
}

/** Lines that were seen at work; then those that only the source tells of, where the container's own inserts cannot be seen or are C's. */
function storesOf(leak: Judged): Site[] {
  const seen = programFirst(dedupe(leak.stores));
  // With a line that was seen at work nobody asks where the container is made, unless it is a part of a library's object.
  const working = !leak.place.inner && seen.some(s => s.evidence === 'watchpoint' && ownerOf(s.file) === 'program');
  const { staticStores, staticCreations } = leak.cause;
  const fromSource = [...staticStores, ...(working ? [] : staticCreations)].filter(
    s => !seen.some(t => t.file === s.file && t.line === s.line),
  );
  return [...seen, ...dedupe(fromSource).slice(0, 4)];
}

/** Lines of the program before those of libraries, more hits before fewer; what was seen before what is inferred. */
function programFirst(sites: readonly Site[]): Site[] {
  const rank = (site: Site) => (ownerOf(site.file) === 'program' ? 0 : 1);
  return [...sites].sort((a, b) => rank(a) - rank(b) || b.hits - a.hits);
}

function dedupe(sites: readonly Site[]): Site[] {
  const byLine = new Map<string, Site>();
  for (const site of sites) {
    const key = `${site.file}:${site.line}`;
    const known = byLine.get(key);
    byLine.set(key, known === undefined ? site : { ...known, hits: known.hits + site.hits });
  }
  return [...byLine.values()];
}

/** With a capital, unless it begins with a name of the program. */
function sentence(text: string): string {
  const first = /^\S+/.exec(text)?.[0] ?? '';
  return /^[a-z]+$/.test(first) && PLAIN_WORDS.has(first) ? first.charAt(0).toUpperCase() + text.slice(1) : text;
}

const PLAIN_WORDS = new Set(
  'a all an each entries every exceptions it native nothing of suspended that the they this what when while'.split(' '),
);

function explanationOf(leak: Judged): string {
  const parts = [...leak.cause.reasons.slice(0, 3)];
  if (leak.inserted > 0) {
    const total = leak.inserted + leak.removed;
    parts.push(
      leak.removed === 0
        ? `all ${total} watched changes were insertions`
        : `of ${total} watched changes ${leak.inserted} were insertions and ${leak.removed} removals`,
    );
  }
  if (leak.unwatched !== '')
    parts.push(`the lines are read from the source, they could not be watched: ${leak.unwatched}`);
  const text = parts.map(sentence).join('. ');
  return text.endsWith('.') ? text : `${text}.`;
}

/** How sure: steady growth, seen lines, and a source that agrees each add to it. */
function confidenceOf(leak: Judged, observation: Observation): number {
  let doubt = leak.standing === 'leaking' ? 0.25 : 0.45;
  doubt *= Math.max(0.4, 1 - 0.12 * Math.max(0, observation.snapshots - 3));
  if (leak.stores.length > 0) doubt *= 0.4;
  if (leak.inserted > 0 && leak.removed === 0) doubt *= 0.7;
  if (leak.creations.length > 0) doubt *= 0.7;
  doubt *= 1 - 0.5 * leak.cause.agreement;
  return round(1 - doubt, 2);
}

const NOUN: Record<Category, string> = {
  'unreleased-reference': 'a reference that is not released on every path',
  'global-container': 'a container that only grows',
  'unbounded-cache': 'a cache without a bound',
  'circular-reference': 'reference cycles that are never collected',
  'finalizer-cycle': 'objects that finalizers or gc debugging keep alive',
  closure: 'a closure that keeps what it has seen',
  'event-listener': 'listeners that are never unregistered',
  'long-lived-object': 'a long-lived object that accumulates',
  'thread-local': 'thread storage that is not cleared',
  'exception-traceback': 'exceptions kept with their frames',
  'generator-or-coroutine': 'generators that are never finished',
  'class-or-code-growth': 'classes or code made again and again',
  'lru-cache-method': 'an lru_cache on a method',
  'weakref-misuse': 'a weak container that holds strongly',
  'c-extension-refcount': 'a reference that an extension never drops',
  'native-malloc': 'native memory that is never freed',
  fragmentation: 'fragmented memory',
  'file-or-socket-handle': 'files or sockets that are never closed',
};

function leakSummary(suspect: Suspect): string {
  const type = suspect.types[0];
  const where = suspect.holder === null ? '' : `, held by ${suspect.holder.expression}`;
  const rate = type === undefined ? '' : ` (${type.count_per_second.toFixed(1)} ${type.name} objects/s)`;
  return `${NOUN[suspect.category]}${where}${rate}`;
}

function boundedSummary(j: Judged): string {
  const name = j.candidate.expression || j.candidate.types[0]?.type || 'what grows';
  if (j.standing === 'collectable')
    return 'what grows is garbage in cycles, which the collector frees from time to time';
  const length = j.candidate.series[j.candidate.series.length - 1];
  if (j.bound !== undefined) return `${name} grows, but is bounded: ${length} of at most ${j.bound} entries`;
  return `${name} grows, but is bounded: ${j.cause.reasons[0] ?? 'the program limits it'}`;
}
