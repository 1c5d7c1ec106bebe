/**
 * What is alive although nothing in the heap holds it: variables of C code.
 *
 * Objects whose reference count exceeds the references found are looked for where C keeps pointers: in the data of the
 * executable and of each library, in the interpreters' and threads' states, on the threads' C stacks. A word there that
 * is the address of such an object explains one reference. What is left and unreached is held by memory that C code
 * allocated; it gets a root of its own as well.
 */
import type { LoadedModule, Mapping, Memory, ThreadImage } from '../process/index.ts';
import type { HeapBuilder } from './builder.ts';
import { IMMORTAL_REFCOUNT, LabelKind, NodeFlag } from './columns.ts';
import { referenceSurplus } from './reconcile.ts';

/** Memory in which C variables are, and what to call it. */
export interface NativeArea {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** A C stack: also old values are on it, so what they point at is not followed. */
  readonly isStack?: boolean;
}

/** A reference from C. */
export interface NativeReference {
  readonly node: number;
  /** The area's name, or '' when it was not found. */
  readonly from: string;
}

/** Bytes of an interpreter state or thread state that are searched; nothing that follows is touched when it is shorter. */
const STATE_BYTES = 1 << 19;
const THREAD_STATE_BYTES = 1024;
const STACK_BYTES = 1 << 20;

type FileOfCode = Pick<LoadedModule, 'path' | 'start' | 'end' | 'section'>;

/**
 * The memory that belongs to loaded files: their mappings, and of the anonymous one behind the last what is their .bss.
 * (The rest of it can be anything: the kernel joins mappings that touch.)
 */
export function moduleAreas(
  mappings: readonly Mapping[],
  modules: readonly FileOfCode[],
): (NativeArea & { readonly writable: boolean })[] {
  const areas: (NativeArea & { readonly writable: boolean })[] = [];
  let last: FileOfCode | undefined;
  for (const m of mappings) {
    const module = modules.find(l => m.start >= l.start && m.start < l.end);
    const before = areas.at(-1);
    if (module !== undefined) {
      areas.push({
        start: m.start,
        end: m.end,
        name: `variable of ${module.path.slice(module.path.lastIndexOf('/') + 1)}`,
        writable: m.writable && m.private,
      });
      last = module;
    } else if (m.path === '' && m.writable && before?.end === m.start && before.writable) {
      const bss = last?.section('.bss');
      const end = bss === undefined ? m.start : Math.min(m.end, bss.address + bss.size);
      if (end > m.start) areas.push({ ...before, start: m.start, end });
    }
  }
  return areas;
}

/** The areas of one image: libraries' data, `interpreters` and `threads` (addresses of their states), C stacks. */
export function nativeAreas(
  mappings: readonly Mapping[],
  modules: readonly FileOfCode[],
  interpreters: readonly number[],
  threads: readonly { readonly address: number; readonly name: string }[],
  kernelThreads: readonly ThreadImage[],
): NativeArea[] {
  const areas: NativeArea[] = moduleAreas(mappings, modules).filter(a => a.writable);
  const inModule = (address: number) => areas.some(a => address >= a.start && address < a.end);
  for (const at of interpreters) {
    const m = mappings.find(x => at >= x.start && at < x.end);
    if (m !== undefined && !inModule(at))
      areas.push({ start: at, end: Math.min(m.end, at + STATE_BYTES), name: 'interpreter state' });
  }
  for (const t of threads)
    areas.push({ start: t.address, end: t.address + THREAD_STATE_BYTES, name: `state of thread ${t.name}` });
  for (const t of kernelThreads) {
    const m = mappings.find(x => t.stackPointer >= x.start && t.stackPointer < x.end);
    if (m === undefined) continue;
    const start = Math.floor(t.stackPointer / 8) * 8;
    areas.push({ start, end: Math.min(m.end, start + STACK_BYTES), name: `C stack of thread ${t.tid}`, isStack: true });
  }
  return areas;
}

/** What C code holds, of a heap whose edges are complete. In the order of the areas, then of the nodes. */
export function findNativeReferences(
  heap: HeapBuilder,
  memory: Memory,
  areas: readonly NativeArea[],
): NativeReference[] {
  const surplus = referenceSurplus(heap, true);
  const found: NativeReference[] = [];
  const search = (start: number, end: number, name: string, steps: number) => {
    for (let at = start; at < end; at += 8) {
      const word = memory.word(at);
      if (word < 0x10000 || word % 8 !== 0) continue;
      const node = heap.known(word);
      if (node === 0) {
        // What a variable points at may be an array of references, such as the interpreter's table of identifiers.
        const bytes = steps > 0 ? heap.nativeBlockBytes(word) : 0;
        if (bytes > 0) search(word, word + bytes, name, steps - 1);
      } else if (surplus[node] > 0) {
        surplus[node]--;
        found.push({ node, from: name });
      }
    }
  };
  for (const area of areas) search(area.start, area.end, area.name, area.isStack ? 0 : 1);
  const reached = new Uint8Array(heap.nodeCount);
  reach(heap, reached, 0);
  for (const { node } of found) reach(heap, reached, node);
  for (let n = 1; n < heap.nodeCount; n++) {
    const forever = heap.refcount[n] === IMMORTAL_REFCOUNT || (heap.flags[n] & NodeFlag.static) !== 0;
    if (reached[n] === 0 && (surplus[n] > 0 || forever)) found.push({ node: n, from: '' });
  }
  return found;
}

let queue = new Uint32Array(1024);

/** Marks what can be reached from a node by anything but weak references. */
function reach(heap: HeapBuilder, reached: Uint8Array, start: number): void {
  if (reached[start] !== 0) return;
  const { edgeStart, edgeTarget, edgeLabel } = heap;
  if (queue.length < heap.nodeCount) queue = new Uint32Array(heap.nodeCount);
  reached[start] = 1;
  queue[0] = start;
  let length = 1;
  while (length > 0) {
    const node = queue[--length];
    for (let e = edgeStart[node], end = edgeStart[node + 1]; e < end; e++) {
      const target = edgeTarget[e];
      if (reached[target] !== 0 || edgeLabel[e] >>> 28 === LabelKind.weak) continue;
      reached[target] = 1;
      queue[length++] = target;
    }
  }
}
