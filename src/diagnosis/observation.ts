/** Snapshots of one target over time: taking them, keeping a few well spread ones, and what was measured along the way. */
import {
  computeDominators,
  type DominatorTree,
  type MemoryReport,
  type NativeSurvey,
  type ResidencyFacts,
  residency,
  residencyFacts,
  surveyNative,
} from '../analysis/index.ts';
import { type AllocatorFacts, type CollectorFacts, decode, isCollecting, type Runtime } from '../cpython/index.ts';
import { HeapGraph } from '../heap/index.ts';
import { capture, Memory, type OpenFile, openFiles, type ProcessImage, ResidentMemory } from '../process/index.ts';

/** One moment of the target. */
export interface Moment {
  /** Seconds since the first one. */
  readonly seconds: number;
  readonly graph: HeapGraph;
  readonly tree: DominatorTree;
  readonly allocator: AllocatorFacts;
  readonly collector: CollectorFacts;
  /** Blocks of native memory and their holders; undefined where the heap is too big to search it each time. */
  readonly native: NativeSurvey | undefined;
}

/** What is cheap to keep of every moment, also of those whose graph was let go. */
export interface Reading {
  readonly seconds: number;
  readonly memory: MemoryReport;
  /** Open files, sockets, pipes. */
  readonly handles: number;
}

/** Above this much copied memory the native blocks are not searched at every snapshot. */
const SEARCHED_BYTES = 1 << 30;
/** Graphs kept at most: enough for a trend, few enough for memory. */
const MOST_MOMENTS = 6;

export class Observation {
  readonly pid: number;
  private readonly via: 'auto' | 'fork' | 'freeze';
  moments: Moment[] = [];
  readonly readings: Reading[] = [];
  readonly pausesMs: number[] = [];
  snapshots = 0;
  usedVia = '';
  runtime: Runtime | undefined;
  /** Of the last snapshot: where malloc's blocks are. */
  facts: ResidencyFacts | undefined;
  private firstAtMs = 0;
  /** What the last snapshot cost leakscope, ms. */
  lastCostMs = 0;

  constructor(pid: number, via: 'auto' | 'fork' | 'freeze') {
    this.pid = pid;
    this.via = via;
  }

  get latest(): Moment {
    return this.moments[this.moments.length - 1];
  }

  get elapsedSeconds(): number {
    return this.moments.length === 0 ? 0 : (performance.now() - this.firstAtMs) / 1000;
  }

  /** Takes one snapshot. Throws what `capture` and `decode` throw. */
  take(): Moment {
    const began = performance.now();
    const image = capture(this.pid, {
      via: this.via,
      tryAgain: candidate => this.runtime !== undefined && isCollecting(candidate, this.runtime),
    });
    let open: readonly OpenFile[];
    let resident: ResidentMemory | undefined;
    let memory: Memory;
    try {
      resident = ResidentMemory.read(this.pid);
      open = openFiles(this.pid) ?? [];
      memory = Memory.copy(image);
    } finally {
      image[Symbol.dispose]();
    }
    const decoded = decode(image, { memory });
    const facts = residencyFacts(image, memory, decoded, resident);
    this.facts = facts;
    this.pausesMs.push(image.pauseMs);
    this.usedVia = image.via;
    this.runtime = decoded.runtime;
    this.snapshots++;
    if (this.firstAtMs === 0) this.firstAtMs = image.capturedAtMs;
    const graph = new HeapGraph(decoded.columns, decoded.origin);
    const moment: Moment = {
      seconds: (image.capturedAtMs - this.firstAtMs) / 1000,
      graph,
      tree: computeDominators(graph),
      allocator: decoded.allocator,
      collector: decoded.collector,
      native: memory.copiedBytes <= SEARCHED_BYTES ? this.survey(image, memory, decoded.runtime, facts) : undefined,
    };
    this.moments.push(moment);
    this.readings.push({ seconds: moment.seconds, memory: residency(facts), handles: open.length });
    this.thinOut();
    this.lastCostMs = performance.now() - began;
    return moment;
  }

  private survey(
    image: ProcessImage,
    memory: Memory,
    runtime: Runtime,
    facts: ResidencyFacts,
  ): NativeSurvey | undefined {
    const survey = surveyNative(image, memory, runtime, facts);
    return survey.known ? survey : undefined;
  }

  /** Lets every second graph between the first and the last go when there are too many. */
  private thinOut(): void {
    if (this.moments.length <= MOST_MOMENTS) return;
    this.moments = this.moments.filter((_, i) => i % 2 === 0 || i === this.moments.length - 1);
  }
}
