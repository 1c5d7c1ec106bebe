/**
 * Seeing malloc at work from outside: which words of glibc's heap are written when a block of a size is allocated, and
 * what each write means. With a hardware watchpoint on them (watch.ts), the thread stops inside malloc, below the line
 * that called it.
 *
 * A block comes from one of four places, and each leaves a mark:
 * - from the top of the heap: `top` moves up by the size of the block;
 * - from a piece split off a larger free one: what is left becomes the first chunk of the unsorted list;
 * - from the thread's cache: the head of the list of its size class becomes the next one;
 * - from a mapping of its own: `mmapped_mem` grows by its size.
 * An exact fit from a bin leaves none of these; a heap that grows cannot live on those.
 * Source: malloc/malloc.c (_int_malloc, tcache_get, sysmalloc_mmap), glibc 2.28 to 2.43.
 */

import { blockContaining, type MallocWalk, MMAPPED } from './malloc.ts';
import { chunkSize, unmangle } from './malloc-free-lists.ts';
import type { Reader } from './memory.ts';

const HEADER = 16;
const MIN_CHUNK = 32;
/** Of the unsorted list's first link, behind `top` and `last_remainder`. */
const UNSORTED = 16;

export interface MallocEvent {
  readonly kind: 'allocated' | 'freed';
  /** Of the block; 0 when the place does not tell (a mapping of its own). */
  readonly address: number;
  /** In the heap, header included; one of the sizes asked for. */
  readonly bytes: number;
}

interface Place {
  readonly kind: 'top' | 'split' | 'cache' | 'mapped';
  readonly address: number;
  readonly length: 8;
  /** Bytes of the class, for 'cache'. */
  readonly bytes: number;
}

/** What to watch to see blocks of some sizes being allocated, and the meaning of what is seen. */
export class MallocWatch {
  /** At most four, the most telling first. To be armed in this order; none when there is nothing to watch. */
  readonly points: readonly { readonly address: number; readonly length: 8 }[];
  private readonly places: readonly Place[];
  private readonly sizes: ReadonlySet<number>;
  private readonly last: (number | undefined)[];
  private readonly mangled: boolean;

  private constructor(places: readonly Place[], sizes: ReadonlySet<number>, mangled: boolean) {
    this.places = places.slice(0, 4);
    this.points = this.places.map(({ address, length }) => ({ address, length }));
    this.sizes = sizes;
    this.last = this.places.map(() => undefined);
    this.mangled = mangled;
  }

  /**
   * For blocks of the sizes `blockBytes` (in the heap, headers included). `examples` are addresses of such blocks, the
   * youngest if possible: they tell which arena and which threads' caches matter.
   */
  static of(walk: MallocWalk, blockBytes: readonly number[], examples: ArrayLike<number>): MallocWatch {
    const perArena = new Map<number, number>();
    for (let i = 0; i < examples.length; i++) {
      const block = blockContaining(walk.blocks, examples[i]!);
      if (block < 0) continue;
      const arena = walk.blocks.arena[block]!;
      perArena.set(arena, (perArena.get(arena) ?? 0) + 1);
    }
    const places: Place[] = [];
    for (const [index] of [...perArena].sort((a, b) => b[1] - a[1])) {
      if (index === MMAPPED) {
        if (walk.mmappedBytesWord !== 0) {
          places.push({ kind: 'mapped', address: walk.mmappedBytesWord, length: 8, bytes: 0 });
        }
        continue;
      }
      const arena = walk.arenas[index]!;
      places.push({ kind: 'top', address: arena.topWord, length: 8, bytes: 0 });
      places.push({ kind: 'split', address: arena.topWord + UNSORTED, length: 8, bytes: 0 });
      const inArena = (address: number) => arena.regions.some(r => r.start <= address && address < r.end);
      for (const bytes of blockBytes) {
        for (const cache of walk.threadCaches) {
          const list = (bytes - MIN_CHUNK) / 16;
          if (list < 64 && inArena(cache.address)) {
            places.push({ kind: 'cache', address: cache.heads + 8 * list, length: 8, bytes });
          }
        }
      }
    }
    return new MallocWatch(places, new Set(blockBytes), walk.mangledLinks);
  }

  /**
   * What a write at `points[point]` was; undefined when it has nothing to do with blocks of the sizes asked for, and for
   * the first write at a point, before which its value is not known.
   */
  read(point: number, reader: Reader): MallocEvent | undefined {
    const place = this.places[point];
    if (place === undefined) return undefined;
    const now = reader.word(place.address);
    const before = this.last[point];
    this.last[point] = now;
    switch (place.kind) {
      case 'top':
        return before === undefined ? undefined : this.moved(before, now - before);
      case 'mapped':
        return before === undefined ? undefined : this.mapped(now - before);
      case 'split':
        return this.split(now, reader);
      default:
        return before === undefined ? undefined : this.cached(before, now, place.bytes, reader);
    }
  }

  private moved(chunk: number, bytes: number): MallocEvent | undefined {
    return this.sizes.has(bytes) ? { kind: 'allocated', address: chunk + HEADER, bytes } : undefined;
  }

  private mapped(bytes: number): MallocEvent | undefined {
    if (this.sizes.has(bytes)) return { kind: 'allocated', address: 0, bytes };
    return this.sizes.has(-bytes) ? { kind: 'freed', address: 0, bytes: -bytes } : undefined;
  }

  /** `rest` is what is left of a free chunk; the block is in front of it, and the chunk's header still tells of both. */
  private split(rest: number, reader: Reader): MallocEvent | undefined {
    for (const bytes of this.sizes) {
      const chunk = rest - bytes;
      if (!reader.has(chunk)) continue;
      const whole = chunkSize(reader, chunk);
      if (whole < bytes + MIN_CHUNK || !reader.has(chunk + whole)) continue;
      if (reader.word(chunk + whole) !== whole || reader.uint32(chunk + whole + 8) % 2 !== 0) continue;
      return { kind: 'allocated', address: chunk + HEADER, bytes };
    }
    return undefined;
  }

  private cached(before: number, now: number, bytes: number, reader: Reader): MallocEvent | undefined {
    const next = (block: number) => (this.mangled ? unmangle(reader.word(block), block) : reader.word(block));
    if (now !== 0 && reader.has(now) && next(now) === before) return { kind: 'freed', address: now, bytes };
    return before === 0 ? undefined : { kind: 'allocated', address: before, bytes };
  }
}
