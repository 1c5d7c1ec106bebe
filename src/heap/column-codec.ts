/**
 * How each column becomes small numbers, and back. What is written is the difference to a guess: an address to the one
 * before it, a target to the last one, a position to the one that should follow. Most differences are 0 or 1, and zstd
 * does the rest. docs/decisions/002-snapshot-file.md has what else was measured.
 */
import { type HeapColumns, IMMORTAL_REFCOUNT, LabelKind } from '../cpython/index.ts';
import type { VarintWriter } from './varint.ts';

/** The columns while they are read: everything may be written to. */
export type DecodedColumns = { -readonly [K in keyof HeapColumns]: HeapColumns[K] } & {
  /** The edge that edgeLabel[0] is of: while targets are read, only the labels of their block are there. */
  firstLabel: number;
};

export interface ColumnCodec {
  readonly name: string;
  /** Whether values are per node, per edge, or per named node. */
  readonly per: 'node' | 'edge' | 'name';
  /** Writes values first … end - 1; state from one call to the next is kept in `carry`. */
  encode(columns: HeapColumns, writer: VarintWriter, first: number, end: number, carry: Carry): void;
  /** Numbers written for a value. */
  readonly numbers: 1 | 2;
  /** Values first … end - 1 from the numbers written for them; false when one of them cannot be. */
  decode(columns: DecodedColumns, numbers: Float64Array, first: number, end: number, carry: Carry): boolean;
}

/** What a codec remembers between two calls. All zero at the beginning of a column. */
export interface Carry {
  last: number;
  other: number;
  guesses?: Uint32Array;
}

const PAYLOAD = 0x0fff_ffff;
/** Addresses are multiples of this, or their column is written in full. */
const ALIGNMENT = 8;

const address: ColumnCodec = {
  name: 'address',
  per: 'node',
  numbers: 1,
  encode({ address: column }, writer, first, end, carry) {
    for (let i = first; i < end; i++) {
      const difference = column[i]! - carry.last;
      carry.last = column[i]!;
      // Aligned differences, nearly all, give up three bits that say nothing; the lowest bit tells them apart.
      if (difference % ALIGNMENT === 0) writer.put(zigzag(difference / ALIGNMENT) * 2);
      else writer.put(zigzag(difference) * 2 + 1);
    }
  },
  decode({ address: column }, numbers, first, end, carry) {
    let last = carry.last;
    for (let i = first; i < end; i++) {
      const raw = numbers[i - first]!;
      if (raw < 0x8000_0000) {
        const half = raw >>> 1;
        const difference = (half >>> 1) ^ -(half & 1);
        last += (raw & 1) === 1 ? difference : difference * ALIGNMENT;
      } else {
        const odd = raw % 2;
        const difference = unzigzag((raw - odd) / 2);
        last += odd === 1 ? difference : difference * ALIGNMENT;
      }
      if (last < 0) return false;
      column[i] = last;
    }
    carry.last = last;
    return true;
  },
};

function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}
function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** A column of unsigned numbers as they are; each has loops of its own, for an array of its own kind. */
const type: ColumnCodec = {
  name: 'type',
  per: 'node',
  numbers: 1,
  encode({ type: column }, writer, first, end) {
    for (let i = first; i < end; i++) writer.put(column[i]!);
  },
  decode({ type: column, types }, numbers, first, end) {
    const below = types.length;
    for (let i = first; i < end; i++) {
      const value = numbers[i - first]!;
      if (value >= below) return false;
      column[i] = value;
    }
    return true;
  },
};

const size: ColumnCodec = {
  name: 'size',
  per: 'node',
  numbers: 1,
  encode({ size: column }, writer, first, end) {
    for (let i = first; i < end; i++) writer.put(column[i]!);
  },
  decode({ size: column }, numbers, first, end) {
    column.set(numbers.subarray(0, end - first), first);
    return true;
  },
};

const length: ColumnCodec = {
  name: 'length',
  per: 'node',
  numbers: 1,
  encode({ length: column }, writer, first, end) {
    for (let i = first; i < end; i++) writer.put(column[i]!);
  },
  decode({ length: column }, numbers, first, end) {
    for (let i = first; i < end; i++) {
      const value = numbers[i - first]!;
      if (value > 0xffff_ffff) return false;
      column[i] = value;
    }
    return true;
  },
};

const flags: ColumnCodec = {
  name: 'flags',
  per: 'node',
  numbers: 1,
  encode({ flags: column }, writer, first, end) {
    for (let i = first; i < end; i++) writer.put(column[i]!);
  },
  decode({ flags: column }, numbers, first, end) {
    for (let i = first; i < end; i++) {
      const value = numbers[i - first]!;
      if (value > 255) return false;
      column[i] = value;
    }
    return true;
  },
};

/** Immortal ones, whose count is written as 0, else one more than the count. */
const refcount: ColumnCodec = {
  name: 'refcount',
  per: 'node',
  numbers: 1,
  encode({ refcount: column }, writer, first, end) {
    for (let i = first; i < end; i++) writer.put(column[i] === IMMORTAL_REFCOUNT ? 0 : column[i]! + 1);
  },
  decode({ refcount: column }, numbers, first, end) {
    for (let i = first; i < end; i++) {
      const value = numbers[i - first]!;
      if (value > IMMORTAL_REFCOUNT) return false;
      column[i] = value === 0 ? IMMORTAL_REFCOUNT : value - 1;
    }
    return true;
  },
};

/** How many edges each node has. */
const degree: ColumnCodec = {
  name: 'degree',
  per: 'node',
  numbers: 1,
  encode({ edgeStart }, writer, first, end) {
    for (let i = first; i < end; i++) writer.put(edgeStart[i + 1]! - edgeStart[i]!);
  },
  decode({ edgeStart, edgeCount }, numbers, first, end) {
    for (let i = first; i < end; i++) {
      const next = edgeStart[i]! + numbers[i - first]!;
      if (next > edgeCount) return false;
      edgeStart[i + 1] = next;
    }
    return true;
  },
};

/**
 * A label as its kind and its payload against a guess: one more than the last one for a position, the last edge's target
 * for a key that is a node (a dict's key stands before its value), nothing for a name. Labels are read before targets;
 * a key's node is put right when both are there, by restoreKeys.
 */
const label: ColumnCodec = {
  name: 'label',
  per: 'edge',
  numbers: 1,
  encode({ edgeTarget, edgeLabel }, writer, first, end, carry) {
    let expected = carry.last;
    for (let edge = first; edge < end; edge++) {
      const value = edgeLabel[edge]!;
      const kind = value >>> 28;
      const payload = value & PAYLOAD;
      if (kind === LabelKind.index) {
        writer.put(zigzag(payload - expected) * 16 + kind);
        expected = payload + 1;
        continue;
      }
      expected = 0;
      writer.put(
        (kind === LabelKind.keyNode ? (payload - (edge > 0 ? edgeTarget[edge - 1]! : 0)) & PAYLOAD : payload) * 16 +
          kind,
      );
    }
    carry.last = expected;
  },
  decode({ edgeLabel, firstLabel }, numbers, first, end, carry) {
    let expected = carry.last;
    for (let edge = first; edge < end; edge++) {
      const raw = numbers[edge - first]!;
      const kind = raw % 16;
      let payload = (raw - kind) / 16;
      if (kind === LabelKind.index) {
        payload = unzigzag(payload) + expected;
        expected = payload + 1;
      } else expected = 0;
      if (payload < 0 || payload > PAYLOAD) return false;
      edgeLabel[edge - firstLabel] = ((kind << 28) | payload) >>> 0;
    }
    carry.last = expected;
    return true;
  },
};

/** Guesses kept at a time: one for each label, or those that share its place in the table. */
const GUESSES = 1 << 14;
/** Positions beyond this are guessed from each other. */
const LAST_POSITION = 255;

/** Where the guess for a label stands. */
function guessOf(value: number): number {
  const kind = value >>> 28;
  const payload = value & PAYLOAD;
  const what =
    kind === LabelKind.index
      ? Math.min(payload, LAST_POSITION)
      : kind === LabelKind.keyNode || kind === LabelKind.inferred
        ? 0
        : payload;
  return (Math.imul((kind << 24) ^ what, 0x9e3779b1) >>> 18) & (GUESSES - 1);
}

/**
 * A target against the last one under the same label: objects of one kind lie one behind the other, and so does what
 * they refer to. (Against the edge before it, targets took eight times as many bytes.)
 */
const target: ColumnCodec = {
  name: 'target',
  per: 'edge',
  numbers: 1,
  encode({ edgeTarget, edgeLabel }, writer, first, end, carry) {
    carry.guesses ??= new Uint32Array(GUESSES);
    for (let edge = first; edge < end; edge++) {
      const at = guessOf(edgeLabel[edge]!);
      writer.put(zigzag(edgeTarget[edge]! - carry.guesses[at]!));
      carry.guesses[at] = edgeTarget[edge]!;
    }
  },
  decode({ edgeTarget, edgeLabel, firstLabel, nodeCount }, numbers, first, end, carry) {
    carry.guesses ??= new Uint32Array(GUESSES);
    const { guesses } = carry;
    for (let edge = first; edge < end; edge++) {
      const at = guessOf(edgeLabel[edge - firstLabel]!);
      const raw = numbers[edge - first]!;
      const node = guesses[at]! + (raw < 0x8000_0000 ? (raw >>> 1) ^ -(raw & 1) : unzigzag(raw));
      if (node < 0 || node >= nodeCount) return false;
      guesses[at] = node;
      edgeTarget[edge] = node;
    }
    return true;
  },
};

/** Labels of edges first … end - 1 that are nodes: the difference to the target before becomes the node; false when there is none. */
export function restoreKeys({ edgeTarget, edgeLabel, nodeCount }: DecodedColumns, first: number, end: number): boolean {
  for (let edge = first; edge < end; edge++) {
    const value = edgeLabel[edge]!;
    if (value >>> 28 !== LabelKind.keyNode) continue;
    const key = ((value & PAYLOAD) + (edge > 0 ? edgeTarget[edge - 1]! : 0)) & PAYLOAD;
    if (key >= nodeCount) return false;
    edgeLabel[edge] = ((LabelKind.keyNode << 28) | key) >>> 0;
  }
  return true;
}

const names: ColumnCodec = {
  name: 'names',
  per: 'name',
  numbers: 2,
  encode({ namedNode, nodeName }, writer, first, end, carry) {
    for (let i = first; i < end; i++) {
      writer.put(namedNode[i]! - carry.last);
      carry.last = namedNode[i]!;
      writer.putSigned(nodeName[i]! - carry.other);
      carry.other = nodeName[i]!;
    }
  },
  decode({ namedNode, nodeName, nodeCount, strings }, numbers, first, end, carry) {
    for (let i = first; i < end; i++) {
      carry.last += numbers[2 * (i - first)]!;
      carry.other += unzigzag(numbers[2 * (i - first) + 1]!);
      if (carry.last >= nodeCount || carry.other < 0 || carry.other >= strings.length) return false;
      namedNode[i] = carry.last;
      nodeName[i] = carry.other;
    }
    return true;
  },
};

/** In the order of the file. Labels come before targets, which are guessed by them. */
export const CODECS: readonly ColumnCodec[] = [
  degree,
  address,
  type,
  size,
  refcount,
  length,
  flags,
  label,
  target,
  names,
];
