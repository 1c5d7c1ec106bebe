/** Reading single values of a live process, a page at a time, while it (or the thread that matters) is stopped. */
import type { Reader } from './memory.ts';
import { readMemory } from './syscalls.ts';

const PAGE = 4096;
const ADDRESS_LIMIT = 2 ** 47;
/** Nothing is mapped below the first 64 KiB (vm.mmap_min_addr). */
const LOWEST = 65_536;
const PAGES_KEPT = 4096;

interface Page {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/**
 * A reader of a process's memory as it is. Pages read are kept until `refresh`, which has to be called whenever the
 * process may have run in between.
 */
export class LiveReader implements Reader {
  readonly pid: number;
  private readonly pages = new Map<number, Page | null>();
  /** Pages of before the last refresh, to be used again. */
  private readonly spare: Page[] = [];

  constructor(pid: number) {
    this.pid = pid;
  }

  /** Forgets what was read. */
  refresh(): void {
    for (const page of this.pages.values()) if (page && this.spare.length < PAGES_KEPT) this.spare.push(page);
    this.pages.clear();
  }

  private page(address: number): Page | null {
    if (!(address >= LOWEST && address < ADDRESS_LIMIT)) return null;
    const number = Math.floor(address / PAGE);
    const known = this.pages.get(number);
    if (known !== undefined) return known;
    if (this.pages.size >= PAGES_KEPT) this.refresh();
    let page: Page | null = this.spare.pop() ?? newPage();
    if (readMemory(this.pid, number * PAGE, page.bytes) !== PAGE) {
      this.spare.push(page);
      page = null;
    }
    this.pages.set(number, page);
    return page;
  }

  has(address: number): boolean {
    return this.page(address) !== null;
  }

  word(address: number): number {
    const page = this.page(address);
    const at = address % PAGE;
    if (!page || at > PAGE - 8) return 0;
    return page.view.getUint32(at, true) + page.view.getUint32(at + 4, true) * 0x1_0000_0000;
  }

  signed(address: number): number {
    const page = this.page(address);
    const at = address % PAGE;
    if (!page || at > PAGE - 8) return 0;
    return page.view.getUint32(at, true) + page.view.getInt32(at + 4, true) * 0x1_0000_0000;
  }

  uint32(address: number): number {
    const page = this.page(address);
    const at = address % PAGE;
    return page && at <= PAGE - 4 ? page.view.getUint32(at, true) : 0;
  }

  int32(address: number): number {
    return this.uint32(address) | 0;
  }

  uint16(address: number): number {
    const page = this.page(address);
    const at = address % PAGE;
    return page && at <= PAGE - 2 ? page.view.getUint16(at, true) : 0;
  }

  uint8(address: number): number {
    return this.page(address)?.bytes[address % PAGE] ?? 0;
  }

  /** A copy. */
  view(address: number, length: number): Uint8Array | undefined {
    if (!(length >= 0 && Number.isSafeInteger(length)) || !this.has(address)) return undefined;
    const at = address % PAGE;
    if (at + length <= PAGE) return this.page(address)!.bytes.slice(at, at + length);
    if (!this.has(address + length - 1)) return undefined;
    const bytes = new Uint8Array(length);
    return readMemory(this.pid, address, bytes) === length ? bytes : undefined;
  }

  cString(address: number, limit = 256): string {
    const parts: Uint8Array[] = [];
    for (let length = 0; length < limit; ) {
      const page = this.page(address + length);
      if (!page) break;
      const at = (address + length) % PAGE;
      const end = Math.min(PAGE, at + limit - length);
      const zero = page.bytes.indexOf(0, at);
      const stop = zero >= 0 && zero < end ? zero : end;
      parts.push(page.bytes.slice(at, stop));
      if (stop < end) break;
      length += end - at;
    }
    return Buffer.concat(parts).toString('utf8');
  }
}

function newPage(): Page {
  const bytes = new Uint8Array(PAGE);
  return { bytes, view: new DataView(bytes.buffer) };
}
