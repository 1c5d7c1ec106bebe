import { describe, expect, it } from 'vitest';
import { capture } from '../../src/process/capture.ts';
import { Memory } from '../../src/process/memory.ts';
import { pythonTarget } from './targets.ts';

const PAGE = 4096;

/**
 * Maps memory with a page in its middle that may not be touched, as glibc 2.42 has below thread stacks: within one
 * mapping where the kernel can (MADV_GUARD_INSTALL, Linux 6.13), else by a mapping of its own. Every page but that begins
 * with its number and a mark.
 */
const GUARDED = `
import ctypes, mmap, struct, sys
libc = ctypes.CDLL(None)
def guarded(pages, guard):
    area = mmap.mmap(-1, pages * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    page = ctypes.c_void_p(address + guard * 4096)
    if libc.madvise(page, 4096, 102) != 0: assert libc.mprotect(page, 4096, 0) == 0
    return area, address
small = guarded(9, 4)
large = guarded(20000, 10000)
def mark(area, page): area[page * 4096:page * 4096 + 8] = struct.pack('II', page, 0x6c656173)
for page in (0, 3, 5, 8): mark(small[0], page)
for page in (0, 1, 9999, 10001, 19999): mark(large[0], page)
print('ready'); print(small[1]); print(large[1])
sys.stdin.read()
`;

describe.each(['fork', 'freeze'] as const)('memory copied from a capture by %s', via => {
  it('goes on behind a page that cannot be read', async () => {
    await using target = await pythonTarget(GUARDED);
    const small = Number(await target.line());
    const large = Number(await target.line());
    using image = capture(target.pid, { via });
    const memory = Memory.copy(image);
    const marks = (start: number, pages: number[]) =>
      pages.map(page => [memory.uint32(start + page * PAGE), memory.uint32(start + page * PAGE + 4)]);
    const marked = (pages: number[]) => pages.map(page => [page, 0x6c656173]);
    expect(marks(small, [0, 3, 5, 8])).toEqual(marked([0, 3, 5, 8]));
    expect(marks(small, [1, 4, 7])).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    expect(marks(large, [0, 1, 9999, 10001, 19999])).toEqual(marked([0, 1, 9999, 10001, 19999]));
    expect(memory.word(large + 10000 * PAGE)).toBe(0);
    // A copy made while frozen cannot tell it from a page that was never touched.
    const holding = (address: number) => memory.ranges.some(r => address >= r.start && address < r.end);
    expect(holding(small + 5 * PAGE)).toBe(true);
    expect(holding(small + 4 * PAGE)).toBe(via === 'freeze');
  });
});
