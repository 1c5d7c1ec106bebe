/**
 * The two kinds of free lists whose blocks look used to the rest of glibc's malloc: each thread's cache (tcache) and the
 * fastbins. Both are singly linked, and from glibc 2.32 on their links are mangled with the link's own address.
 * Source: malloc/malloc.c, tcache_perthread_struct and PROTECT_PTR.
 */
import type { Reader } from './memory.ts';

/**
 * A thread's cache is a block of its own: an array of counts and one of list heads. 2.26 to 2.29 count in bytes, 2.30 to
 * 2.41 in 16 bits; from 2.42 on there are 12 more lists, for large blocks, and the counts are of free slots.
 */
const CACHE_FORMS = [
  { chunkBytes: 0x290, countBytes: 2, lists: 64 },
  { chunkBytes: 0x250, countBytes: 1, lists: 64 },
  { chunkBytes: 0x300, countBytes: 2, lists: 76 },
] as const;

const MAX_LINKS = 1 << 20;

/** Where in a thread's cache the list of a size class is. */
export interface ThreadCache {
  /** The block's own address. */
  readonly address: number;
  /** Address of the count of the first size class, and bytes of one count. */
  readonly counts: number;
  readonly countBytes: number;
  /** Address of the first list head. */
  readonly heads: number;
  readonly lists: number;
}

/** A chunk may be 16 bytes longer than was asked for, when what was left over was too little for a chunk. */
function formOf(chunkBytes: number) {
  return CACHE_FORMS.find(form => chunkBytes === form.chunkBytes || chunkBytes === form.chunkBytes + 16);
}

/** Are these the bytes of a chunk that could be a thread's cache? */
export function isCacheSize(chunkBytes: number): boolean {
  return formOf(chunkBytes) !== undefined;
}

/** Reads the block at `address`, of a chunk of that many bytes, as a thread's cache; undefined when it is something else. */
export function asThreadCache(memory: Reader, address: number, chunkBytes: number): ThreadCache | undefined {
  const form = formOf(chunkBytes);
  if (form === undefined) return undefined;
  const heads = address + form.lists * form.countBytes;
  let filled = 0;
  for (let i = 0; i < form.lists; i++) {
    const head = memory.word(heads + 8 * i);
    if (head === 0) continue;
    if (head % 16 !== 0 || !memory.has(head)) return undefined;
    const size = chunkSize(memory, head - 16);
    if (i < 64 ? size !== 32 + 16 * i : size <= 32 + 16 * 63) return undefined;
    filled++;
  }
  // Without a list there is nothing to take from it, and nothing to tell it from other blocks.
  if (filled === 0) return undefined;
  return { address, counts: address, countBytes: form.countBytes, heads, lists: form.lists };
}

/** Bytes of the chunk at an address, its header included. */
export function chunkSize(memory: Reader, chunk: number): number {
  const word = memory.word(chunk + 8);
  return word - (word % 16);
}

/** Follows lists of free blocks, and finds out by itself whether links are mangled. */
export class LinkReader {
  private readonly memory: Reader;
  /** Undefined until a list that is not empty has been followed. */
  mangled: boolean | undefined;

  constructor(memory: Reader) {
    this.memory = memory;
  }

  /**
   * Visits the blocks of a list, whose links stand in each block's first word. `first` and the links are addresses of
   * blocks, or of what stands `before` bytes before them. False when the list is broken.
   */
  walk(first: number, before: number, visit: (block: number) => boolean): boolean {
    if (first === 0) return true;
    this.mangled ??= this.guess(first + before, before);
    let steps = 0;
    for (let block = first + before; block !== 0; steps++) {
      if (block % 16 !== 0 || !this.memory.has(block) || steps > MAX_LINKS || !visit(block)) return false;
      block = this.next(block, before, this.mangled);
    }
    return true;
  }

  private next(block: number, before: number, mangled: boolean): number {
    const word = this.memory.word(block);
    const link = mangled ? unmangle(word, block) : word;
    return link === 0 ? 0 : link + before;
  }

  /** A list that ends (in a 0) when its links are read one way, and does not when they are read the other way. */
  private guess(first: number, before: number): boolean {
    for (const mangled of [true, false]) {
      let block = first;
      for (let steps = 0; steps < MAX_LINKS; steps++) {
        block = this.next(block, before, mangled);
        if (block === 0) return mangled;
        if (block % 16 !== 0 || !this.memory.has(block)) break;
      }
    }
    return true;
  }
}

/** `link ^ (address >> 12)`, of numbers of up to 48 bits. */
export function unmangle(link: number, address: number): number {
  const key = Math.floor(address / 4096);
  const high = (Math.floor(link / 0x1_0000_0000) ^ Math.floor(key / 0x1_0000_0000)) >>> 0;
  return high * 0x1_0000_0000 + (((link >>> 0) ^ (key >>> 0)) >>> 0);
}
