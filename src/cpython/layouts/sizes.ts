/**
 * What `__sizeof__` of C types counts besides the object itself. Each is run after the type's decoder and adds to the
 * size column. Sources: the `*_sizeof` functions of Objects/ and Modules/.
 */
import type { HeapBuilder } from '../builder.ts';
import { type SizeFacts, sizeFacts } from '../versions/sizes.ts';
import type { Decoder } from './decoder.ts';

/** Bytes of a C string with its NUL; 0 for a null pointer. */
function cStringBytes(heap: HeapBuilder, address: number): number {
  return address === 0 ? 0 : Buffer.byteLength(heap.memory.cString(address, 1 << 16)) + 1;
}

/** What sys.getsizeof says of a bytes object. */
function bytesObjectSize(heap: HeapBuilder, address: number): number {
  return heap.layout.bytes.items + 1 + heap.memory.word(address + heap.layout.var.count);
}

const arraySize: Decoder = (heap, a, node) => {
  const { memory } = heap;
  heap.length[node] = memory.word(a + 16);
  // arraydescr: {char typecode; int itemsize; …}
  heap.size[node] += memory.word(a + 32) * memory.int32(memory.word(a + 40) + 4);
  // ob_size counts items of the buffer, which is not part of the object.
};

const structSize: Decoder = (heap, a, node) => {
  const { memory } = heap;
  // formatcode: {fmtdef, offset, size, repeat}, ended by one without fmtdef, which counts.
  const FORMAT_CODE = 32;
  let code = memory.word(a + 32);
  for (let i = 0; code !== 0 && i < 100_000; i++) {
    heap.size[node] += FORMAT_CODE;
    if (memory.word(code) === 0) return;
    code += FORMAT_CODE;
  }
};

const bufferedSize: Decoder = (heap, a, node) => {
  const { memory } = heap;
  if (memory.word(a + 56) !== 0) heap.size[node] += memory.word(a + 120);
};

const bytesIoSize: Decoder = (heap, a, node) => {
  const { memory, layout } = heap;
  const buffer = memory.word(a + 16);
  // A buffer that somebody else holds too is not counted.
  if (buffer !== 0 && memory.uint32(buffer + layout.object.refcount) === 1)
    heap.size[node] += bytesObjectSize(heap, buffer);
};

const picklerSize =
  (outputAt: number): Decoder =>
  (heap, a, node) => {
    const { memory } = heap;
    const memo = memory.word(a + 16);
    if (memo !== 0) heap.size[node] += 32 + 16 * memory.word(memo + 16);
    const output = memory.word(a + outputAt);
    if (output !== 0) heap.size[node] += bytesObjectSize(heap, output);
  };

const unpicklerSize =
  (at: SizeFacts['unpickler']): Decoder =>
  (heap, a, node) => {
    const { memory } = heap;
    if (memory.word(a + 24) !== 0) heap.size[node] += 8 * memory.word(a + 32);
    if (memory.word(a + at.marks) !== 0) heap.size[node] += 8 * memory.word(a + at.marksSize);
    for (const text of at.texts) heap.size[node] += cStringBytes(heap, memory.word(a + text));
  };

/** combinations and permutations keep arrays of indices. */
const indicesSize =
  (countOf: (heap: HeapBuilder, a: number) => number): Decoder =>
  (heap, a, node) => {
    heap.size[node] += 8 * countOf(heap, a);
  };
const tupleLength = (heap: HeapBuilder, at: number) => heap.memory.word(heap.memory.word(at) + heap.layout.var.count);

/** The ring of items: capacity at 48. */
const queueSize: Decoder = (heap, a, node) => {
  heap.size[node] += 8 * heap.memory.word(a + 48);
};

const decimalSize: Decoder = (heap, a, node) => {
  const { memory } = heap;
  const STATIC_DATA = 0x20;
  if ((memory.uint8(a + 24) & STATIC_DATA) === 0) heap.size[node] += 8 * memory.word(a + 56);
};

const stgDictSize: Decoder = (heap, a, node) => {
  const { memory } = heap;
  const length = memory.word(a + 64);
  const elements = memory.word(a + 88);
  // sizeof(StgDictObject) - sizeof(PyDictObject), which dict's own __sizeof__ has counted already.
  heap.size[node] += 144 + cStringBytes(heap, memory.word(a + 168)) + 8 * memory.int32(a + 176);
  if (elements !== 0) heap.size[node] += 8 * (length + 1);
};

/** numpy's scalars count their value twice: in the object and as an item. */
const itemSize =
  (bytes: number): Decoder =>
  (heap, _a, node) => {
    heap.size[node] += bytes;
  };

const sizes = new Map<string, Decoder>(
  [
    ...Object.entries({ bool: 1, int8: 1, uint8: 1, int16: 2, uint16: 2, float16: 2, int32: 4, uint32: 4, float32: 4 }),
    ...Object.entries({
      int64: 8,
      uint64: 8,
      longlong: 8,
      ulonglong: 8,
      float64: 8,
      complex64: 8,
      datetime64: 8,
      timedelta64: 8,
    }),
    ...Object.entries({ longdouble: 16, complex128: 16, clongdouble: 32 }),
  ].map(([name, bytes]) => [`numpy.${name}`, itemSize(bytes)]),
);
for (const [name, decoder] of [
  ['array.array', arraySize],
  ['Struct', structSize],
  ['_struct.Struct', structSize],
  ['_io.BufferedReader', bufferedSize],
  ['_io.BufferedWriter', bufferedSize],
  ['_io.BufferedRandom', bufferedSize],
  ['_io.BytesIO', bytesIoSize],
  ['itertools.product', indicesSize((heap, a) => tupleLength(heap, a + 16))],
  ['itertools.combinations', indicesSize((heap, a) => heap.memory.word(a + 40))],
  ['itertools.combinations_with_replacement', indicesSize((heap, a) => heap.memory.word(a + 40))],
  ['itertools.permutations', indicesSize((heap, a) => tupleLength(heap, a + 16) + heap.memory.word(a + 48))],
  ['decimal.Decimal', decimalSize],
  ['StgDict', stgDictSize],
] as const) {
  sizes.set(name, decoder);
}

/** What to add to the size of a type's objects, by its tp_name, in one version ('3.11'), by its tp_basicsize; undefined when there is nothing to add. */
export function sizeDecoder(name: string, version: string, basicSize: number): Decoder | undefined {
  const facts = sizeFacts(version, basicSize);
  if (name === '_pickle.Pickler') return picklerSize(facts.picklerOutput);
  if (name === '_pickle.Unpickler') return unpicklerSize(facts.unpickler);
  if (name === '_queue.SimpleQueue' && facts.queueRing) return queueSize;
  return sizes.get(name);
}
