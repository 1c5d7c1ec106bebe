/** Snapshots of one target over time: taking them, keeping a few well spread ones, and what was measured along the way. */
import { computeDominators, type DominatorTree } from '../analysis/index.ts';
import { type AllocatorFacts, type CollectorFacts, decode, isCollecting, type Runtime } from '../cpython/index.ts';
import { HeapGraph } from '../heap/index.ts';
import { capture, memoryRollup, openFiles } from '../process/index.ts';

/** One moment of the target. */
export interface Moment {
  /** Seconds since the first one. */
  readonly seconds: number;
  readonly graph: HeapGraph;
  readonly tree: DominatorTree;
  readonly allocator: AllocatorFacts;
  readonly collector: CollectorFacts;
}

/** What is cheap to keep of every moment, also of those whose graph was let go. */
export interface Reading {
  readonly seconds: number;
  readonly resident: number;
  readonly objects: number;
  readonly pythonBytes: number;
  readonly files: number;
  readonly sockets: number;
}

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
    let decoded: ReturnType<typeof decode>;
    try {
      decoded = decode(image, { onCopied: () => image[Symbol.dispose]() });
    } finally {
      image[Symbol.dispose]();
    }
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
    };
    this.moments.push(moment);
    this.readings.push(this.read(moment));
    this.thinOut();
    this.lastCostMs = performance.now() - began;
    return moment;
  }

  private read(moment: Moment): Reading {
    const files = openFiles(this.pid) ?? [];
    const { columns } = moment.graph;
    let pythonBytes = 0;
    for (let n = 0; n < columns.nodeCount; n++) pythonBytes += columns.size[n];
    return {
      seconds: moment.seconds,
      resident: memoryRollup(this.pid)?.resident ?? 0,
      objects: columns.nodeCount,
      pythonBytes,
      files: files.length,
      sockets: files.filter(f => f.kind === 'socket').length,
    };
  }

  /** Lets every second graph between the first and the last go when there are too many. */
  private thinOut(): void {
    if (this.moments.length <= MOST_MOMENTS) return;
    this.moments = this.moments.filter((_, i) => i % 2 === 0 || i === this.moments.length - 1);
  }
}
