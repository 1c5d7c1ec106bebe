/**
 * Types of the target, read once each: what they are called and how their instances are laid out.
 *
 * An address is a type when what its `ob_type` points at is a type whose instances are types (`type` itself or a
 * metaclass), followed to `type`. Nothing has to be enumerated, and a block of memory is an object when its second
 * word is a type.
 */
import type { Memory } from '../process/index.ts';
import type { TypeInfo } from './columns.ts';
import { lookUp } from './dict-table.ts';
import type { Layout } from './layout.ts';
import { readText } from './text.ts';

/** tp_flags, Include/object.h; the same in all supported versions. */
export const TypeFlag = {
  heapType: 1 << 9,
  haveGc: 1 << 14,
  intSubclass: 1 << 24,
  listSubclass: 1 << 25,
  tupleSubclass: 1 << 26,
  bytesSubclass: 1 << 27,
  strSubclass: 1 << 28,
  dictSubclass: 1 << 29,
  exceptionSubclass: 1 << 30,
  typeSubclass: -(2 ** 31),
} as const;

/** A `__slots__` entry or another C-level member that is a reference. */
export interface Slot {
  readonly offset: number;
  readonly name: string;
}

/** A type made in C: its tp_name and its instances' size. */
export interface CBase {
  readonly name: string;
  readonly address: number;
  readonly basicSize: number;
}

/** How instances of one type are laid out. */
export interface TypePlan {
  readonly index: number;
  readonly address: number;
  readonly name: string;
  /** The built-in whose C structure the instances begin with; '' when only `object`. */
  readonly base: string;
  /** That built-in and its own bases that are made in C, nearest first, without `object`. */
  readonly cBases: readonly CBase[];
  /** Members that the C bases themselves say are references (tp_members). */
  readonly members: readonly Slot[];
  /** Offsets of words that are named otherwise, ascending: members, dict, weak list. */
  readonly skipOffsets: readonly number[];
  readonly basicSize: number;
  readonly itemSize: number;
  readonly flags: number;
  readonly heapType: boolean;
  readonly hasGc: boolean;
  /** Bytes before the object in its block: gc header, managed dict and weak list. */
  readonly preSize: number;
  /** Slots of Python classes, own and inherited. */
  readonly slots: readonly Slot[];
  /** tp_dictoffset when it is in use (not managed); 0 for none, negative from the end. */
  readonly dictOffset: number;
  readonly managedDict: boolean;
  readonly inlineValues: boolean;
  /** Does it have `__del__` or a tp_finalize of its own (generators excluded)? */
  readonly finalizer: boolean;
  readonly weakListOffset: number;
}

const CACHE_SIZE = 8192;

/** All types met so far. */
export class TypeTable {
  readonly plans: TypePlan[] = [];
  private readonly memory: Memory;
  private readonly layout: Layout;
  private readonly typeType: number;
  /** Static builtin types' dicts, kept in the interpreter from 3.12 on: type address to dict address. */
  readonly staticDicts: ReadonlyMap<number, number>;
  private readonly known = new Map<number, number>();
  private readonly cacheKey = new Float64Array(CACHE_SIZE).fill(-1);
  private readonly cacheIndex = new Int32Array(CACHE_SIZE);
  private objectFinalize = 0;

  constructor(memory: Memory, layout: Layout, typeType: number, staticDicts: ReadonlyMap<number, number>) {
    this.memory = memory;
    this.layout = layout;
    this.typeType = typeType;
    this.staticDicts = staticDicts;
    this.objectFinalize = memory.word(memory.word(typeType + layout.type.base) + layout.type.finalize);
  }

  /** A type that no object of the target has: threads, frames without an object, native blocks. */
  addSynthetic(name: string): number {
    const index = this.plans.length;
    this.plans.push({
      index,
      address: 0,
      name,
      base: name,
      cBases: [],
      members: [],
      skipOffsets: [],
      basicSize: 0,
      itemSize: 0,
      flags: 0,
      heapType: false,
      hasGc: false,
      preSize: 0,
      slots: [],
      dictOffset: 0,
      managedDict: false,
      inlineValues: false,
      finalizer: false,
      weakListOffset: 0,
    });
    return index;
  }

  /** The index of the type at an address, or -1 when there is no type. */
  indexOf(address: number): number {
    const slot = (address / 16) & (CACHE_SIZE - 1);
    if (this.cacheKey[slot] === address) return this.cacheIndex[slot];
    const index = this.find(address);
    // Only what is a type: what is none is told quickly, and is another address each time.
    if (index >= 0) {
      this.cacheKey[slot] = address;
      this.cacheIndex[slot] = index;
    }
    return index;
  }

  /** As indexOf, but only for a type met lately, whose objects stand `preSize` bytes behind their block's start; -1 otherwise. */
  metAt(low: number, high: number, preSize: number): number {
    const address = low + high * 0x1_0000_0000;
    const slot = (address / 16) & (CACHE_SIZE - 1);
    if (this.cacheKey[slot] !== address) return -1;
    const index = this.cacheIndex[slot];
    return this.preSizes[index] === preSize ? index : -1;
  }
  /** preSize of each plan. */
  private readonly preSizes = new Uint8Array(1 << 22);

  private find(address: number): number {
    if (address % 8 !== 0 || !this.memory.has(address)) return -1;
    // Quick no: what it points at would have to be a type of types.
    const meta = this.memory.word(address + this.layout.object.type);
    if (meta !== this.typeType) {
      const slot = (meta / 16) & (CACHE_SIZE - 1);
      if (this.cacheKey[slot] === meta && (this.plans[this.cacheIndex[slot]].flags & TypeFlag.typeSubclass) === 0)
        return -1;
      if (!this.isMetatype(meta, 4)) return -1;
    }
    return this.known.get(address) ?? this.describe(address);
  }

  private isMetatype(address: number, depth: number): boolean {
    if (address === this.typeType) return true;
    if (depth === 0 || address % 8 !== 0 || !this.memory.has(address)) return false;
    const flags = this.memory.int32(address + this.layout.type.flags);
    return (
      (flags & TypeFlag.typeSubclass) !== 0 &&
      this.isMetatype(this.memory.word(address + this.layout.object.type), depth - 1)
    );
  }

  private describe(address: number): number {
    const { memory, layout } = this;
    const t = layout.type;
    const basicSize = memory.signed(address + t.basicSize);
    const itemSize = memory.signed(address + t.itemSize);
    const tpName = memory.cString(memory.word(address + t.name), 400);
    // A class that is being made or torn down has no name or no size yet.
    if (tpName === '' || basicSize < 0 || basicSize > 2 ** 24 || itemSize < 0 || itemSize > 2 ** 20) return -1;
    const flags = memory.uint32(address + t.flags) | 0;
    const heapType = (flags & TypeFlag.heapType) !== 0;
    const hasGc = (flags & TypeFlag.haveGc) !== 0;
    const m = layout.managed;
    const managedDict = m.dictFlag !== 0 && (flags & m.dictFlag) !== 0;
    const preHeader = managedDict || (m.weakFlag !== 0 && (flags & m.weakFlag) !== 0);
    const finalize = memory.word(address + t.finalize);
    const index = this.plans.length;
    const cBases = this.cBasesOf(address);
    const base = baseLayout(cBases, flags);
    const dictOffset = managedDict ? 0 : memory.signed(address + t.dictOffset);
    const members = this.membersOf(cBases).filter(m => m.offset !== dictOffset);
    const weakListOffset = memory.signed(address + t.weakListOffset);
    const plan: TypePlan = {
      index,
      address,
      name: this.qualifiedName(address, tpName, heapType),
      base,
      cBases,
      members,
      skipOffsets: [...new Set([...members.map(m => m.offset), dictOffset, weakListOffset])]
        .filter(o => o > 0)
        .sort((a, b) => a - b),
      basicSize,
      itemSize,
      flags,
      heapType,
      hasGc,
      preSize: (hasGc ? layout.gc.headSize : 0) + (preHeader ? m.preHeaderSize : 0),
      slots: this.slotsOf(address),
      dictOffset,
      managedDict,
      inlineValues: m.inlineFlag !== 0 && (flags & m.inlineFlag) !== 0,
      finalizer:
        (heapType && finalize !== 0 && finalize !== this.objectFinalize && isPythonClass(tpName)) ||
        memory.word(address + t.del) !== 0,
      weakListOffset,
    };
    this.plans.push(plan);
    if (index < this.preSizes.length) this.preSizes[index] = plan.preSize;
    this.known.set(address, index);
    return index;
  }

  /** The bases that are made in C, nearest first; classes made by a class statement are left out. */
  private cBasesOf(address: number): CBase[] {
    const { memory, layout } = this;
    const bases: CBase[] = [];
    let at = address;
    for (let depth = 0; depth < 200 && memory.has(at); depth++) {
      const name = memory.cString(memory.word(at + layout.type.name), 400);
      const isHeap = (memory.uint32(at + layout.type.flags) & TypeFlag.heapType) !== 0;
      // A type made in C from a specification has its module in tp_name; a class statement gives a bare name.
      if ((!isHeap || !isPythonClass(name)) && name !== 'object') {
        bases.push({ name, address: at, basicSize: memory.signed(at + layout.type.basicSize) });
      }
      at = memory.word(at + layout.type.base);
    }
    return bases;
  }

  /** The references among the tp_members of C types. */
  private membersOf(bases: readonly CBase[]): Slot[] {
    const { memory, layout } = this;
    const members = new Map<number, string>();
    for (const { address } of bases) {
      let member = memory.word(address + layout.type.members);
      for (let i = 0; i < 1000 && memory.has(member) && memory.word(member + layout.member.name) !== 0; i++) {
        const offset = memory.signed(member + layout.member.offset);
        if (
          layout.member.objectKinds.includes(memory.int32(member + layout.member.type)) &&
          offset > 0 &&
          offset < 2 ** 20 &&
          offset % 8 === 0
        ) {
          if (!members.has(offset)) members.set(offset, memory.cString(memory.word(member + layout.member.name), 200));
        }
        member += layout.member.size;
      }
    }
    return [...members].map(([offset, name]) => ({ offset, name }));
  }

  private slotsOf(type: number): Slot[] {
    const { memory, layout } = this;
    const slots: Slot[] = [];
    let at = type;
    for (let depth = 0; depth < 200 && memory.has(at); depth++) {
      if ((memory.uint32(at + layout.type.flags) & TypeFlag.heapType) === 0) break;
      // Members of types made in C are their decoders' business.
      if (!isPythonClass(memory.cString(memory.word(at + layout.type.name), 400))) break;
      const count = memory.signed(at + layout.var.count);
      const meta = memory.word(at + layout.object.type);
      const members = at + memory.signed(meta + layout.type.basicSize);
      for (let i = 0; i < count && i < 10_000; i++) {
        const member = members + i * layout.member.size;
        if (!layout.member.objectKinds.includes(memory.int32(member + layout.member.type))) continue;
        const offset = memory.signed(member + layout.member.offset);
        const name = memory.cString(memory.word(member + layout.member.name), 200);
        if (offset > 0 && offset < 2 ** 24 && name !== '') slots.push({ offset, name });
      }
      at = memory.word(at + layout.type.base);
    }
    return slots;
  }

  /** `module.qualname`; bare for builtins. */
  private qualifiedName(address: number, tpName: string, heapType: boolean): string {
    const { memory, layout } = this;
    if (!heapType) return tpName.startsWith('builtins.') ? tpName.slice(9) : tpName;
    const qualname = readText(memory, layout, memory.word(address + layout.heapType.qualname), 400) ?? tpName;
    const dict = memory.word(address + layout.type.dict);
    const module = memory.has(dict) ? lookUp(memory, layout, dict, '__module__') : 0;
    const moduleName = module === 0 ? undefined : readText(memory, layout, module, 400);
    if (moduleName !== undefined && moduleName !== '' && moduleName !== 'builtins') return `${moduleName}.${qualname}`;
    return moduleName === undefined && tpName.includes('.') ? tpName : qualname;
  }

  /** What the columns say of each type. `nodeOf` gives a type object's node. */
  infos(nodeOf: (address: number) => number): TypeInfo[] {
    return this.plans.map(p => ({
      address: p.address,
      name: p.name,
      layout: p.base === '' ? 'instance' : p.base,
      node: p.address === 0 ? 0 : nodeOf(p.address),
      basicSize: p.basicSize,
      itemSize: p.itemSize,
      heapType: p.heapType,
    }));
  }
}

/** The C structure that instances begin with: the name of the nearest base that is made in C. */
function baseLayout(cBases: readonly CBase[], flags: number): string {
  if ((flags & TypeFlag.typeSubclass) !== 0) return 'type';
  if ((flags & TypeFlag.exceptionSubclass) !== 0) return 'BaseException';
  return cBases.length === 0 ? '' : cBases[0].name;
}

/** Was a class of this tp_name made by a class statement? Types made in C from a specification have their module in it. */
function isPythonClass(tpName: string): boolean {
  return !tpName.includes('.');
}
