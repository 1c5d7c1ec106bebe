/**
 * The snapshot file: a heap graph in one file, to be opened by any later leakscope.
 *
 *     'LEAKSNAP'  version u32  checksum of what follows up to the first block u32
 *     length of the file f64   nodes f64   edges f64   names f64
 *     blocks: values u32, bytes u32, stored bytes u32, checksum u32, then the stored bytes (zstd)
 *
 * The first block is JSON: origin, types, strings. The others are the columns in the order of column-codec.ts, each cut
 * into blocks of BLOCK_VALUES values. Numbers are little-endian, checksums CRC-32 (of the three numbers before it and of the stored bytes). A file
 * is written beside its place and renamed: it is there whole or not at all.
 *
 * Nothing in a file is believed. Arrays are made only as large as the file's own length allows (a heap takes more than
 * a byte for MAX_NODES_A_BYTE objects), a block is never unpacked past its stated size, and every index is checked.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { constants, crc32, zstdCompress, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import type { HeapColumns, HeapOrigin } from '../cpython/index.ts';
import { ExitCode, LeakscopeError } from '../process/index.ts';
import { type Carry, CODECS, type ColumnCodec, type DecodedColumns, restoreKeys } from './column-codec.ts';
import { HeapGraph, noEdgeKinds, noteEdgeKinds } from './graph.ts';
import { parseHead, type SnapshotHead } from './snapshot-head.ts';
import { LONGEST_VARINT, readVarints, VarintWriter } from './varint.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export const SNAPSHOT_VERSION = 1;
const MAGIC = Buffer.from('LEAKSNAP');
const HEADER_BYTES = 8 + 4 + 4 + 8 * 4;
const BLOCK_HEADER_BYTES = 16;
const BLOCK_VALUES = 1 << 19;
/** A label and a name take two numbers at most. */
const BLOCK_BYTES_LIMIT = BLOCK_VALUES * LONGEST_VARINT * 2;
const MAX_HEAD_BYTES = 1 << 28;
const MAX_NODES_A_BYTE = 4;
const MAX_EDGES_A_BYTE = 16;
/** Heaps of this size may be in a file of any length. */
const FREE_COUNT = 1_000_000;
const MAX_COUNT = 0xffff_0000;
/** Blocks being compressed or unpacked at a time. */
const IN_FLIGHT = 4;
const ZSTD_LEVEL = 3;

/**
 * Columns that dominators do without: their blocks are checked when the file is opened and stay packed, a few bytes a
 * node at most, until somebody looks at them. A block that then turns out to make no sense is a LeakscopeError there.
 * Labels are needed to read targets, a block at a time, and what a walk must know of them is kept as bits.
 */
const LATE_COLUMNS = {
  address: Float64Array,
  type: Uint32Array,
  size: Float64Array,
  refcount: Uint32Array,
  length: Uint32Array,
  flags: Uint8Array,
  label: Uint32Array,
} as const;
type LateColumn = keyof typeof LATE_COLUMNS;
const NOT_READ = new Uint32Array(0);
const NOT_READ_FLOATS = new Float64Array(0);

function isLate(name: string): name is LateColumn {
  return name in LATE_COLUMNS;
}

interface Block {
  readonly values: number;
  readonly rawLength: number;
  readonly stored: Uint8Array;
}

/** A block's place in its column. */
interface Step {
  readonly codec: ColumnCodec;
  readonly carry: Carry;
  readonly first: number;
  readonly end: number;
}

/** A block that waits until somebody looks at its column. */
interface Packed {
  readonly step: Step;
  readonly block: Block;
}

export interface SnapshotWritten {
  readonly bytes: number;
}

/**
 * Writes a snapshot. `facts` is anything else worth keeping (JSON), given back by readSnapshot as `graph.facts`.
 * Throws a LeakscopeError (exit code 4) when the file cannot be written; then there is no new file.
 */
export async function writeSnapshot(
  file: string,
  columns: HeapColumns,
  origin: HeapOrigin,
  facts: unknown = null,
): Promise<SnapshotWritten> {
  const part = join(dirname(file), `.${basename(file)}.${process.pid}.part`);
  let descriptor = -1;
  try {
    descriptor = openSync(part, 'wx', 0o600);
    const bytes = await writeAll(descriptor, columns, origin, facts);
    fsyncSync(descriptor);
    closeSync(descriptor);
    descriptor = -1;
    renameSync(part, file);
    syncDirectory(dirname(file));
    return { bytes };
  } catch (error) {
    if (descriptor >= 0) closeSync(descriptor);
    try {
      unlinkSync(part);
    } catch {
      // It was never made, or has its name already.
    }
    throw fileError(error, `cannot write the snapshot ${file}`);
  }
}

async function writeAll(descriptor: number, columns: HeapColumns, origin: HeapOrigin, facts: unknown): Promise<number> {
  let at = HEADER_BYTES;
  const writeBlock = async (values: number, raw: Uint8Array, before: Promise<void>): Promise<void> => {
    const stored = await compress(raw, { params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
    const header = Buffer.alloc(BLOCK_HEADER_BYTES);
    header.writeUInt32LE(values, 0);
    header.writeUInt32LE(raw.length, 4);
    header.writeUInt32LE(stored.length, 8);
    header.writeUInt32LE(crc32(stored, crc32(header.subarray(0, 12))), 12);
    // Positions are given out when a block is packed: blocks are awaited in order.
    await before;
    writeFully(descriptor, header, at);
    writeFully(descriptor, stored, at + BLOCK_HEADER_BYTES);
    at += BLOCK_HEADER_BYTES + stored.length;
  };
  let previous: Promise<void> = Promise.resolve();
  const queue: Promise<void>[] = [];
  const add = async (values: number, raw: Uint8Array): Promise<void> => {
    const block = writeBlock(values, raw, previous);
    // Whoever waits for it sees the failure; until then it is not unhandled.
    block.catch(() => undefined);
    previous = block;
    queue.push(block);
    if (queue.length >= IN_FLIGHT) await queue.shift();
  };
  const { types, strings, undecoded } = columns;
  const head: SnapshotHead = { origin, types: [...types], strings: [...strings], undecoded: [...undecoded], facts };
  await add(1, Buffer.from(JSON.stringify(head)));
  for (const codec of CODECS) {
    const count = countOf(codec, columns);
    const carry: Carry = { last: 0, other: 0 };
    for (let first = 0; first < count; first += BLOCK_VALUES) {
      const end = Math.min(count, first + BLOCK_VALUES);
      const writer = new VarintWriter((end - first) * LONGEST_VARINT * 2);
      codec.encode(columns, writer, first, end, carry);
      await add(end - first, writer.bytes.slice(0, writer.length));
    }
  }
  await Promise.all(queue);

  const length = Math.max(at, shortest(columns.nodeCount, columns.edgeCount));
  if (length > at) ftruncateSync(descriptor, length);
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header, 0);
  header.writeUInt32LE(SNAPSHOT_VERSION, 8);
  header.writeDoubleLE(length, 16);
  header.writeDoubleLE(columns.nodeCount, 24);
  header.writeDoubleLE(columns.edgeCount, 32);
  header.writeDoubleLE(columns.namedNode.length, 40);
  header.writeUInt32LE(crc32(header.subarray(16)), 12);
  writeFully(descriptor, header, 0);
  return length;
}

/** The shortest file that a reader believes to hold so much. Shorter ones are made this long. */
function shortest(nodeCount: number, edgeCount: number): number {
  return Math.ceil(
    Math.max(0, (nodeCount - FREE_COUNT) / MAX_NODES_A_BYTE, (edgeCount - FREE_COUNT) / MAX_EDGES_A_BYTE),
  );
}

function writeFully(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function countOf(codec: ColumnCodec, columns: HeapColumns): number {
  return codec.per === 'node' ? columns.nodeCount : codec.per === 'edge' ? columns.edgeCount : columns.namedNode.length;
}

/** Whether a file begins as a snapshot does; false when it cannot be read. */
export function isSnapshot(file: string): boolean {
  try {
    const descriptor = openSync(file, 'r');
    try {
      const magic = Buffer.alloc(MAGIC.length);
      return readSync(descriptor, magic, 0, magic.length, 0) === magic.length && magic.equals(MAGIC);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return false;
  }
}

/** Opens a snapshot. Throws a LeakscopeError (exit code 4) when it is none, of a later version, cut short or damaged. */
export async function readSnapshot(file: string): Promise<HeapGraph> {
  let descriptor = -1;
  try {
    descriptor = openSync(file, 'r');
    return await readAll(file, descriptor, statSync(file).size);
  } catch (error) {
    throw fileError(error, `cannot read the snapshot ${file}`);
  } finally {
    if (descriptor >= 0) closeSync(descriptor);
  }
}

async function readAll(file: string, descriptor: number, size: number): Promise<HeapGraph> {
  const damaged = (what: string): LeakscopeError =>
    new LeakscopeError(
      `the snapshot ${file} is damaged: ${what}`,
      ExitCode.unsupportedTarget,
      'Take a new snapshot, or copy the file again.',
    );
  const header = Buffer.alloc(HEADER_BYTES);
  const got = readSync(descriptor, header, 0, HEADER_BYTES, 0);
  if (got < MAGIC.length || !header.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new LeakscopeError(
      `${file} is not a leakscope snapshot`,
      ExitCode.unsupportedTarget,
      'Make one with: leakscope snapshot PID -o FILE',
    );
  }
  if (got < HEADER_BYTES) throw damaged('it is cut short');
  const version = header.readUInt32LE(8);
  if (version !== SNAPSHOT_VERSION) {
    throw new LeakscopeError(
      `the snapshot ${file} has version ${version} of the format, this leakscope reads ${SNAPSHOT_VERSION}`,
      ExitCode.unsupportedTarget,
      'Use the leakscope that wrote it, or a newer one.',
    );
  }
  if (crc32(header.subarray(16)) !== header.readUInt32LE(12)) throw damaged('its header has a wrong checksum');
  const [length, nodeCount, edgeCount, nameCount] = [16, 24, 32, 40].map(at => header.readDoubleLE(at)) as [
    number,
    number,
    number,
    number,
  ];
  if (length > size) throw damaged('it is cut short');
  const sane = (count: number): boolean => Number.isInteger(count) && count >= 0 && count <= MAX_COUNT;
  if (
    !sane(nodeCount) ||
    !sane(edgeCount) ||
    !sane(nameCount) ||
    nodeCount < 1 ||
    nameCount > nodeCount ||
    length < shortest(nodeCount, edgeCount)
  ) {
    throw damaged('its counts are impossible');
  }

  let at = HEADER_BYTES;
  /** The next block's bytes, still packed; the position moves on. */
  const nextBlock = (limit: number): Block => {
    const head = Buffer.alloc(BLOCK_HEADER_BYTES);
    if (at + BLOCK_HEADER_BYTES > size || readSync(descriptor, head, 0, BLOCK_HEADER_BYTES, at) < BLOCK_HEADER_BYTES)
      throw damaged('it is cut short');
    const [values, rawLength, storedLength, checksum] = [0, 4, 8, 12].map(offset => head.readUInt32LE(offset)) as [
      number,
      number,
      number,
      number,
    ];
    if (at + BLOCK_HEADER_BYTES + storedLength > size) throw damaged('it is cut short');
    if (rawLength > limit) throw damaged('a block is larger than any that is written');
    const stored = Buffer.allocUnsafe(storedLength);
    if (readSync(descriptor, stored, 0, storedLength, at + BLOCK_HEADER_BYTES) < storedLength)
      throw damaged('it is cut short');
    if (crc32(stored, crc32(head.subarray(0, 12))) !== checksum) throw damaged('a block has a wrong checksum');
    at += BLOCK_HEADER_BYTES + storedLength;
    return { values, rawLength, stored };
  };
  const sizesOf = ({ rawLength }: Block): { maxOutputLength: number; chunkSize: number } => ({
    maxOutputLength: Math.max(1, rawLength),
    chunkSize: Math.max(64, rawLength),
  });
  const checked = (bytes: Uint8Array, { rawLength }: Block): Uint8Array => {
    if (bytes.length !== rawLength) throw damaged('a block has a wrong length');
    return bytes;
  };
  /** Unpacks on another thread. */
  const unpack = (block: Block): Promise<Uint8Array> => {
    const raw = decompress(block.stored, sizesOf(block)).then(
      bytes => checked(bytes, block),
      () => {
        throw damaged('a block cannot be unpacked');
      },
    );
    // Whoever waits for it sees the failure; until then it is not unhandled.
    raw.catch(() => undefined);
    return raw;
  };
  const unpackNow = (block: Block): Uint8Array => {
    let bytes: Uint8Array;
    try {
      bytes = zstdDecompressSync(block.stored, sizesOf(block));
    } catch {
      throw damaged('a block cannot be unpacked');
    }
    return checked(bytes, block);
  };

  const headBlock = nextBlock(MAX_HEAD_BYTES);
  const head = parseHead(await unpack(headBlock), nodeCount);
  if (typeof head === 'string') throw damaged(head);

  const columns: DecodedColumns = {
    nodeCount,
    edgeCount,
    address: NOT_READ_FLOATS,
    type: NOT_READ,
    size: NOT_READ_FLOATS,
    refcount: NOT_READ,
    length: NOT_READ,
    flags: new Uint8Array(0),
    edgeStart: new Uint32Array(nodeCount + 1),
    edgeTarget: new Uint32Array(edgeCount),
    edgeLabel: new Uint32Array(Math.min(edgeCount, BLOCK_VALUES)),
    firstLabel: 0,
    types: head.types,
    strings: head.strings,
    namedNode: new Uint32Array(nameCount),
    nodeName: new Uint32Array(nameCount),
    undecoded: head.undecoded,
  };
  const kinds = noEdgeKinds(edgeCount);
  let numbers = new Float64Array(BLOCK_VALUES * 2);
  const take = (
    into: DecodedColumns,
    { codec, carry, first, end }: Step,
    { values }: Block,
    bytes: Uint8Array,
  ): void => {
    const taken = values === end - first ? readVarints(bytes, numbers, values * codec.numbers) : -1;
    if (taken !== bytes.length || !codec.decode(into, numbers, first, end, carry))
      throw damaged(`its column ${codec.name} makes no sense`);
    // Given back now, not when the collector comes by. (Short ones share their memory with others.)
    if (bytes.length > Buffer.poolSize && bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0);
  };
  // Unpacking runs ahead on other threads while numbers are read on this one.
  const plan: Step[] = CODECS.flatMap(codec => {
    const carry: Carry = { last: 0, other: 0 };
    const count = countOf(codec, columns);
    return Array.from({ length: Math.ceil(count / BLOCK_VALUES) }, (_, i) => ({
      codec,
      carry,
      first: i * BLOCK_VALUES,
      end: Math.min(count, (i + 1) * BLOCK_VALUES),
    }));
  });
  const late = new Map<LateColumn, Packed[]>();
  const ahead: { block: Block; raw: Promise<Uint8Array> | undefined; labels: Promise<Uint8Array> | undefined }[] = [];
  const labelBlock = (edge: number): Packed => late.get('label')![edge / BLOCK_VALUES]!;
  let fetched = 0;
  for (const step of plan) {
    while (fetched < plan.length && ahead.length < IN_FLIGHT) {
      const block = nextBlock(BLOCK_BYTES_LIMIT);
      const next = plan[fetched++]!;
      const { name } = next.codec;
      if (isLate(name)) late.set(name, [...(late.get(name) ?? []), { step: next, block }]);
      ahead.push({
        block,
        raw: isLate(name) ? undefined : unpack(block),
        labels: name === 'target' ? unpack(labelBlock(next.first).block) : undefined,
      });
    }
    const { block, raw, labels } = ahead.shift()!;
    if (labels !== undefined) {
      columns.firstLabel = step.first;
      const packed = labelBlock(step.first);
      take(columns, packed.step, packed.block, await labels);
      noteEdgeKinds(kinds, columns.edgeLabel, step.first, step.end);
    }
    if (raw !== undefined) take(columns, step, block, await raw);
    if (step.codec.name === 'degree' && step.end === nodeCount && columns.edgeStart[nodeCount] !== edgeCount)
      throw damaged('its edges do not add up');
  }
  for (const [name, blocks] of late) {
    const property = name === 'label' ? 'edgeLabel' : name;
    readLate(columns, property, () => {
      const column = new LATE_COLUMNS[name](name === 'label' ? edgeCount : nodeCount);
      const into = Object.create(columns, {
        [property]: { value: column },
        firstLabel: { value: 0 },
      }) as DecodedColumns;
      const carry: Carry = { last: 0, other: 0 };
      numbers = new Float64Array(BLOCK_VALUES * 2);
      for (const { step, block } of blocks) take(into, { ...step, carry }, block, unpackNow(block));
      numbers.buffer.transfer(0);
      if (name === 'label' && !restoreKeys(into, 0, edgeCount)) throw damaged('its column label makes no sense');
      return column;
    });
  }
  numbers.buffer.transfer(0);
  return new HeapGraph(columns, head.origin, head.facts, kinds);
}

/** Makes a column that is unpacked when it is first looked at. */
function readLate(
  columns: DecodedColumns,
  name: keyof DecodedColumns,
  read: () => Float64Array | Uint32Array | Uint8Array,
): void {
  Object.defineProperty(columns, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = read();
      Object.defineProperty(columns, name, { value, enumerable: true });
      return value;
    },
  });
}

/** Errors of the file system, and of memory, as one sentence. */
function fileError(error: unknown, what: string): LeakscopeError {
  if (error instanceof LeakscopeError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file or directory',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    ENOSPC: 'the disk is full',
    EISDIR: 'it is a directory',
    EROFS: 'the file system is read-only',
  };
  const reason = error instanceof RangeError ? 'there is not enough memory' : (reasons[code ?? ''] ?? message);
  return new LeakscopeError(
    `${what}: ${reason}`,
    code === 'EACCES' || code === 'EPERM' ? ExitCode.notPermitted : ExitCode.unsupportedTarget,
    '',
  );
}
