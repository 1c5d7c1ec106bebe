/**
 * Which lines store into a growing container and make the growing objects: seen, not guessed, by hardware watchpoints
 * on the container's size and on the class's reference count.
 */
import { type Runtime, refcountWord, type StackLine, StackReader, youngestTail } from '../cpython/index.ts';
import { type Reader, type WatchHit, watch } from '../process/index.ts';
import { ownerOf } from './project-files.ts';
import type { Evidence, Site } from './verdict.ts';

/** One word to watch, and what a write to it means. */
export type WatchRequest =
  /** The number of items of a container. */
  | { readonly kind: 'size'; readonly suspect: number; readonly address: number; readonly length: 4 | 8 }
  /** A reference that is replaced each time (the head of a chain). */
  | { readonly kind: 'slot'; readonly suspect: number; readonly address: number }
  /** The reference count of a class: it rises when an instance is made. */
  | { readonly kind: 'class'; readonly suspect: number; readonly address: number };

/** What was seen at one watched word. */
export interface Observed {
  readonly request: WatchRequest;
  /** Python stacks, innermost frame first, of writes that added something. */
  readonly added: StackLine[][];
  /** Of writes that took something away. */
  readonly removed: StackLine[][];
}

export interface SitesResult {
  readonly observed: readonly Observed[];
  readonly stops: number;
  /** Why watchpoints could not be used; '' when they could. */
  readonly failure: string;
}

export interface SitesOptions {
  readonly maxMs: number;
  /** Added items seen at one word after which it is let go. */
  readonly enough: number;
  /** Range of the interpreter's evaluation loop: what it does inline to a class's count is no allocation. */
  readonly evaluationLoop: { readonly start: number; readonly end: number } | undefined;
}

/** Watches up to four words at a time until each has been seen often enough or the time is over. */
export async function observeSites(
  pid: number,
  runtime: Runtime,
  requests: readonly WatchRequest[],
  options: SitesOptions,
): Promise<SitesResult> {
  const observed: Observed[] = requests.map(request => ({ request, added: [], removed: [] }));
  let stops = 0;
  let failure = '';
  for (let from = 0; from < observed.length && failure === ''; from += 4) {
    const group = observed.slice(from, from + 4);
    const share = options.maxMs / Math.ceil(observed.length / 4);
    try {
      stops += await observeGroup(pid, runtime, group, { ...options, maxMs: share });
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
  }
  return { observed, stops, failure };
}

/** Hits at one word, of whatever meaning, after which it is let go: each stops a thread of the target for a moment. */
const MOST_HITS = { size: 30, slot: 30, class: 400 } as const;

async function observeGroup(
  pid: number,
  runtime: Runtime,
  group: readonly Observed[],
  options: SitesOptions,
): Promise<number> {
  const points = group.map(({ request }) =>
    request.kind === 'class'
      ? refcountWord(runtime, request.address)
      : { address: request.address, length: request.kind === 'slot' ? (8 as const) : request.length },
  );
  const last: (number | undefined)[] = points.map(() => undefined);
  const hits = points.map(() => 0);
  let stacks: StackReader | undefined;
  let open = points.length;
  const result = await watch(pid, points, {
    maxMs: options.maxMs,
    onHit: (hit: WatchHit) => {
      stacks ??= new StackReader(hit.reader, runtime);
      const { request, added, removed } = group[hit.point];
      const value = valueAt(hit.reader, points[hit.point]);
      const before = last[hit.point];
      last[hit.point] = value;
      hits[hit.point]++;
      const change = changeOf(request, before, value, hit, options);
      if (change !== 0) {
        const stack = stacks.read(hit.registers.fsBase);
        if (stack.length > 0) (change > 0 ? added : removed).push(stack);
      }
      if (added.length < options.enough && hits[hit.point] < MOST_HITS[request.kind]) return 'continue';
      open--;
      return open === 0 ? 'stop' : 'remove';
    },
  });
  return result.hits;
}

function valueAt(reader: Reader, point: { address: number; length: number }): number {
  return point.length === 4 ? reader.uint32(point.address) : reader.word(point.address);
}

/** 1 when something was added, -1 when taken away, 0 when neither or not known. */
function changeOf(
  request: WatchRequest,
  before: number | undefined,
  value: number,
  hit: WatchHit,
  options: SitesOptions,
): number {
  if (request.kind === 'slot') return value !== 0 ? 1 : 0;
  if (request.kind === 'size') {
    // The first hit has nothing to be compared with; nearly every write to a growing container is an insertion.
    if (before === undefined) return 0;
    return Math.sign(value - before);
  }
  if (before === undefined || value - before !== 1) return 0;
  const loop = options.evaluationLoop;
  return loop !== undefined && hit.registers.rip >= loop.start && hit.registers.rip < loop.end ? 0 : 1;
}

/**
 * Stacks of the next objects of the given types that become tracked by the garbage collector: for types of C, whose
 * reference count does not tell. Every tracked object stops its thread, so this is for a short time only.
 */
export async function observeTracked(
  pid: number,
  runtime: Runtime,
  /** Addresses of the types, and whether their objects are generators or coroutines. */
  types: ReadonlyMap<number, boolean>,
  options: { readonly maxMs: number; readonly enough: number; readonly maxHits: number },
): Promise<{ stacks: StackLine[][]; stops: number; failure: string }> {
  const { layout } = runtime;
  // From 3.11 on a generator is made inside its own, just entered frame: the line that called it is one further out.
  const inOwnFrame = layout.frame.form !== 'object';
  const tails = youngestTail(runtime).slice(0, 4);
  const found: StackLine[][] = [];
  const last = new Map<number, number>();
  let reader: StackReader | undefined;
  try {
    const result = await watch(
      pid,
      tails.map(t => t.word),
      {
        maxMs: options.maxMs,
        maxHits: options.maxHits,
        onHit: hit => {
          reader ??= new StackReader(hit.reader, runtime);
          const { word, head } = tails[hit.point];
          const tail = hit.reader.word(word.address);
          const before = last.get(hit.point);
          last.set(hit.point, tail);
          if (tail === head || before === undefined) return 'continue';
          // An insertion puts the new object behind the tail that was there; a removal does not.
          const previous = hit.reader.word(tail + layout.gc.prev);
          if (previous - (previous % (layout.gc.prevMask + 1)) !== before) return 'continue';
          const type = hit.reader.word(tail + layout.gc.headSize + layout.object.type);
          if (!types.has(type)) return 'continue';
          const stack = reader.read(hit.registers.fsBase);
          if (stack.length > 0) found.push(inOwnFrame && types.get(type) === true ? stack.slice(1) : stack);
          return found.length >= options.enough ? 'stop' : 'continue';
        },
      },
    );
    return { stacks: found, stops: result.hits, failure: '' };
  } catch (error) {
    return { stacks: found, stops: 0, failure: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * The lines that stacks have in common, most frequent first. Of each stack counts the innermost line of the program
 * itself: what a person can change; the library's line behind it comes as a site of its own after the program's.
 */
export function sitesOf(stacks: readonly StackLine[][], evidence: Evidence, limit = 6): Site[] {
  const program = new Map<string, Site>();
  const library = new Map<string, Site>();
  const count = (sites: Map<string, Site>, line: StackLine) => {
    const key = `${line.file}:${line.line}`;
    const known = sites.get(key);
    sites.set(key, {
      file: line.file,
      line: line.line,
      function: line.function,
      hits: (known?.hits ?? 0) + 1,
      evidence,
    });
  };
  for (const stack of stacks) {
    if (stack.length === 0) continue;
    const own =
      stack.find(line => ownerOf(line.file) === 'program') ?? stack.find(line => ownerOf(line.file) === 'library');
    if (own !== undefined) count(program, own);
    if (own !== stack[0]) count(own === undefined ? program : library, stack[0]);
  }
  const byHits = (sites: Map<string, Site>) => [...sites.values()].sort((a, b) => b.hits - a.hits);
  return [...byHits(program), ...byHits(library).slice(0, 2)].slice(0, limit);
}
