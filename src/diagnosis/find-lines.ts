/** The lines that feed a leak and make its objects: arming the watchpoints for each suspect, and reading the source for the rest. */
import {
  attributeWord,
  itemWord,
  LabelKind,
  labelKind,
  labelPayload,
  type StackLine,
  sizeWord,
} from '../cpython/index.ts';
import { type ElfModule, LiveReader } from '../process/index.ts';
import { containerUse, type SourceFile } from '../source/index.ts';
import { causeOf } from './cause.ts';
import { cyclePath } from './cycle-path.ts';
import { growsSteadily, type Judged, whyGarbageStays } from './judge.ts';
import type { Observation } from './observation.ts';
import { filesOf, ownerOf, type ProjectFiles } from './project-files.ts';
import { observeSites, observeTracked, sitesOf, type WatchRequest } from './sites.ts';
import type { Site } from './verdict.ts';

/** Milliseconds for which containers and classes are watched at most. */
const WATCH_MS = 5000;
const ENOUGH_HITS = 20;

export async function findSites(
  pid: number,
  observation: Observation,
  leaks: Judged[],
  judged: Judged[],
  files: ProjectFiles,
  cwd: string,
): Promise<number> {
  const runtime = observation.runtime;
  if (runtime === undefined) return 0;
  const last = observation.latest;
  const { graph } = last;
  const requests: WatchRequest[] = [];
  const reader = new LiveReader(pid);
  const wanted = leaks.slice(0, 2);
  // Four words at a time: the first four are the first suspect's.
  for (const leak of wanted) {
    const suspect = judged.indexOf(leak);
    const store = storeWord(reader, observation, leak);
    if (store !== undefined) requests.push({ ...store, suspect } as WatchRequest);
    const classes = leak.candidate.types.filter(t => t.heapType && t.address !== 0);
    for (const type of classes.slice(0, store === undefined ? 4 : 3))
      requests.push({ kind: 'class', suspect, address: type.address });
  }
  const loop = (runtime.module as ElfModule).elf?.()?.symbol('_PyEval_EvalFrameDefault');
  const start = runtime.module.symbol('_PyEval_EvalFrameDefault');
  let stops = 0;
  if (requests.length > 0) {
    const seen = await observeSites(pid, runtime, requests, {
      maxMs: WATCH_MS,
      enough: ENOUGH_HITS,
      evaluationLoop:
        loop !== undefined && start !== undefined && loop.size > 0 ? { start, end: start + loop.size } : undefined,
    });
    stops += seen.stops;
    for (const leak of wanted) leak.unwatched = seen.failure;
    for (const { request, added, removed } of seen.observed) {
      const leak = judged[request.suspect];
      if (request.kind === 'class') leak.creations.push(...sitesOf(added, 'watchpoint'));
      else {
        leak.stores.push(...sitesOf(added, 'watchpoint'));
        leak.storeStacks.push(...added);
        leak.inserted += added.length;
        leak.removed += removed.length;
      }
    }
  }
  for (const leak of wanted) {
    // Types of C do not count their instances: their objects are seen when the collector begins to track them.
    const tracked = leak.candidate.types.filter(t => t.address !== 0 && isTracked(t.layout));
    const wantedTypes =
      leak.creations.length > 0 ? tracked.slice(0, 4).filter(t => CALLABLE.test(t.type)) : tracked.slice(0, 3);
    if (wantedTypes.length > 0) {
      const types = new Map(wantedTypes.map(t => [t.address, /^(generator|coroutine|async_generator)$/.test(t.type)]));
      const seen = await observeTracked(pid, runtime, types, { maxMs: 1500, enough: ENOUGH_HITS, maxHits: 1000 });
      stops += seen.stops;
      leak.creations.push(...sitesOf(seen.stacks, 'watchpoint'));
    }
    // What is not tracked (str, bytes) is mostly made where it is stored, or by the caller.
    if (leak.creations.length === 0) leak.creations.push(...creationsNear(leak.storeStacks));
  }
  // With the lines known, the source can say more.
  const also = leaks.flatMap(l => [...l.stores, ...l.creations].map(s => s.file));
  const sources = files.all(filesOf(graph), also);
  for (const leak of leaks) {
    const index = judged.indexOf(leak);
    const stuck =
      leak.candidate.growth.kind === 'garbage' ? whyGarbageStays(last, leak.candidate, observation.moments) : '';
    const cause = causeOf({
      candidate: leak.candidate,
      place: leak.place,
      collector: last.collector,
      sites: [...leak.stores, ...leak.creations],
      files: sources,
      root: cwd,
      stuck,
      handlesGrow: growsSteadily(observation.readings.map(r => r.handles)),
    });
    if (leak.candidate.growth.kind === 'garbage')
      leak.stores.push(...cycleStores(cyclePath(observation, leak.candidate), sources));
    const better: Judged = { ...leak, cause };
    judged[index] = better;
    leaks[leaks.indexOf(leak)] = better;
  }
  return stops;
}

/** The word that is written when the suspect gains something. */
function storeWord(
  reader: LiveReader,
  observation: Observation,
  leak: Judged,
): { kind: 'size' | 'slot'; address: number; length: 4 | 8 } | undefined {
  const runtime = observation.runtime!;
  const { columns } = observation.latest.graph;
  const { growth } = leak.candidate;
  if (growth.kind !== 'object') return undefined;
  if (growth.slot === undefined) {
    const word = sizeWord(runtime, columns, growth.node);
    return word === undefined ? undefined : { kind: 'size', ...word };
  }
  const kind = labelKind(growth.slot);
  const name = columns.strings[labelPayload(growth.slot)];
  const layout = columns.types[columns.type[growth.node]].layout;
  const address = columns.address[growth.node];
  const word =
    layout === 'dict' && (kind === LabelKind.key || kind === LabelKind.attribute)
      ? itemWord(reader, runtime, address, name)
      : kind === LabelKind.attribute
        ? attributeWord(reader, runtime, address, name)
        : undefined;
  return word === undefined ? undefined : { kind: 'slot', ...word };
}

/** Where the source makes the references of a cycle: `['Room', '.doors', 'list', '[0]', 'Door', '.room', 'Room']`. */
function cycleStores(path: readonly string[], sources: readonly SourceFile[]): Site[] {
  const sites: Site[] = [];
  for (let i = 0; i + 1 < path.length; i++) {
    const attribute = /^\.(\w+)$/.exec(path[i + 1]);
    if (attribute === null || path[i].startsWith('.')) continue;
    const use = containerUse(sources, { className: path[i], attribute: attribute[1] });
    for (const { file, line, function: name } of [...use.stores, ...use.creations]) {
      if (!sites.some(s => s.file === file && s.line === line))
        sites.push({ file, line, function: name, hits: 0, evidence: 'static' });
    }
  }
  return sites.slice(0, 6);
}

const CALLABLE = /^(function|method|generator|coroutine|async_generator|functools\.partial)$/;

/** The two innermost lines of the program in each stack of a store, as an inference. */
function creationsNear(stacks: readonly StackLine[][]): Site[] {
  const own = stacks.map(stack => stack.filter(line => ownerOf(line.file) === 'program'));
  const inner = sitesOf(
    own.map(stack => stack.slice(0, 1)),
    'inferred',
    2,
  );
  const outer = sitesOf(
    own.map(stack => stack.slice(1, 2)),
    'inferred',
    2,
  );
  return [...inner, ...outer];
}

function isTracked(layout: string): boolean {
  return !/^(str|int|float|bytes|bool|NoneType|complex|bytearray)$/.test(layout);
}
