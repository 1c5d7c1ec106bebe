/**
 * ELF files, 64-bit little-endian, as far as finding symbols, sections and build ids needs (System V gABI, and the GNU
 * hash table as binutils writes it).
 *
 * Nothing is read before it is asked for, and then only the tables that the question needs: a library may be hundreds of
 * megabytes. Every table can be hostile (truncated, absurd sizes): reading then ends in `undefined`, never in a throw.
 */

/** Copies at most `length` bytes from `at`; fewer, or none, when there are not so many. Never throws. */
export type ReadBytes = (at: number, length: number) => Uint8Array;

/** Where an ELF's bytes come from: a file, or the target's memory when no file is to be had. */
export type ElfBytes =
  | { readonly kind: 'file'; readonly atOffset: ReadBytes }
  | {
      readonly kind: 'memory';
      readonly atAddress: ReadBytes /** Where offset 0 of the file is mapped. */;
      readonly start: number;
    };

export interface ElfSegment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** A symbol of the file: its value as linked, and whether the value is absolute (then the load bias is not added). */
export interface ElfSymbol {
  readonly value: number;
  readonly size: number;
  readonly absolute: boolean;
}

export const ElfType = { executable: 2, shared: 3, core: 4 } as const;
export const SegmentType = { load: 1, dynamic: 2, note: 4 } as const;
export const MACHINE_X86_64 = 62;
export const MACHINE_AARCH64 = 183;

const HEADER_SIZE = 64;
const SEGMENT_SIZE = 56;
const SECTION_SIZE = 64;
const SYMBOL_SIZE = 24;
/** No table of a sane file is larger; a larger one is a lie or not worth reading. */
const TABLE_LIMIT = 512 * 2 ** 20;
const SHT_SYMTAB = 2;
const SHT_NOTE = 7;
const SHT_NOBITS = 8;
const SHT_DYNSYM = 11;
const NT_GNU_BUILD_ID = 3;
/** Local symbols that link-time optimisation renamed: `arenas.lto_priv.0`, `arenas.llvm.123`; and statics in functions, `cache.3`. */
const RENAMED = /^\.(lto_priv\.\d+|llvm\.\d+|\d+)$/;

interface SymbolTable {
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly names: Buffer;
}

interface Dynamic {
  readonly symbols: number;
  readonly names: number;
  readonly namesSize: number;
  readonly gnuHash: number;
  readonly hash: number;
}

/** One ELF file, parsed as far as it was asked about. */
export class Elf {
  readonly type: number;
  readonly machine: number;
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
  private readonly bytes: ElfBytes;
  private readonly sectionHeaders: { offset: number; count: number; names: number };
  private sectionList: readonly ElfSection[] | undefined;
  private dynamicPart: Dynamic | null | undefined;
  private symtab: SymbolTable | null | undefined;
  private dynsym: SymbolTable | null | undefined;

  private constructor(
    bytes: ElfBytes,
    header: DataView,
    segments: readonly ElfSegment[],
    sectionHeaders: Elf['sectionHeaders'],
  ) {
    this.bytes = bytes;
    this.type = header.getUint16(16, true);
    this.machine = header.getUint16(18, true);
    this.entry = word(header, 24);
    this.segments = segments;
    this.sectionHeaders = sectionHeaders;
  }

  /** Reads the header and the program headers; undefined when these bytes are not a 64-bit little-endian ELF. */
  static parse(bytes: ElfBytes): Elf | undefined {
    // The header and the program headers are in the first page of the file, and so at the start of its first mapping.
    const atOffset: ReadBytes =
      bytes.kind === 'file' ? bytes.atOffset : (at, length) => bytes.atAddress(bytes.start + at, length);
    const first = atOffset(0, HEADER_SIZE);
    if (first.length < HEADER_SIZE || !isElfHeader(first)) return undefined;
    const header = viewOf(first);
    const sectionOffset = word(header, 40);
    let sectionCount = header.getUint16(60, true);
    let segmentCount = header.getUint16(56, true);
    let nameSection = header.getUint16(62, true);
    const overflow = segmentCount === 0xffff || (sectionCount === 0 && sectionOffset > 0) || nameSection === 0xffff;
    if (overflow && bytes.kind === 'file') {
      // More than 65,534 of them: the true counts stand in the first section header (cores of large processes).
      const zero = bytes.atOffset(sectionOffset, SECTION_SIZE);
      if (zero.length === SECTION_SIZE) {
        const view = viewOf(zero);
        if (segmentCount === 0xffff) segmentCount = view.getUint32(44, true);
        if (sectionCount === 0) sectionCount = Math.min(word(view, 32), 1 << 20);
        if (nameSection === 0xffff) nameSection = view.getUint32(40, true);
      }
    }
    if (header.getUint16(54, true) !== SEGMENT_SIZE) segmentCount = 0;
    const segmentOffset = word(header, 32);
    const segmentBytes = Math.min(segmentCount * SEGMENT_SIZE, TABLE_LIMIT);
    const table = atOffset(segmentOffset, segmentBytes);
    const view = viewOf(table);
    const segments: ElfSegment[] = [];
    for (let at = 0; at + SEGMENT_SIZE <= table.length; at += SEGMENT_SIZE) {
      segments.push({
        type: view.getUint32(at, true),
        flags: view.getUint32(at + 4, true),
        offset: word(view, at + 8),
        address: word(view, at + 16),
        fileSize: word(view, at + 32),
        memorySize: word(view, at + 40),
      });
    }
    const sane = header.getUint16(58, true) === SECTION_SIZE && bytes.kind === 'file';
    return new Elf(bytes, header, segments, {
      offset: sectionOffset,
      count: sane ? sectionCount : 0,
      names: nameSection,
    });
  }

  /** All sections; none when they were stripped or the source is memory. */
  get sections(): readonly ElfSection[] {
    this.sectionList ??= this.readSections();
    return this.sectionList;
  }

  section(name: string): ElfSection | undefined {
    return this.sections.find(s => s.name === name);
  }

  /** The bytes of a section; empty when it has none in the file. */
  sectionBytes(section: ElfSection): Uint8Array {
    if (this.bytes.kind !== 'file' || section.type === SHT_NOBITS || section.size > TABLE_LIMIT)
      return new Uint8Array(0);
    return this.bytes.atOffset(section.offset, section.size);
  }

  /** A copy of what the file says about `length` bytes at a link-time address; shorter when it does not say. */
  bytesAt(address: number, length: number): Uint8Array {
    if (!(length >= 0 && length <= TABLE_LIMIT)) return new Uint8Array(0);
    if (this.bytes.kind === 'memory') return this.bytes.atAddress(this.memoryBias() + address, length);
    for (const s of this.segments) {
      if (s.type !== SegmentType.load || address < s.address || address >= s.address + s.fileSize) continue;
      return this.bytes.atOffset(s.offset + (address - s.address), Math.min(length, s.address + s.fileSize - address));
    }
    return new Uint8Array(0);
  }

  /** Bytes of the file from an offset; none when the source is memory. */
  fileBytes(offset: number, length: number): Uint8Array {
    return this.bytes.kind === 'file' ? this.bytes.atOffset(offset, length) : new Uint8Array(0);
  }

  /**
   * What to add to link-time addresses, given one mapping of this file: its first address and its file offset.
   * Undefined when no segment of the file can have been mapped there.
   */
  bias(start: number, offset: number, pageSize = 4096): number | undefined {
    if (this.type === ElfType.executable) return 0;
    const loads = this.segments.filter(s => s.type === SegmentType.load);
    const floor = (n: number) => n - (n % pageSize);
    const exact = loads.find(s => floor(s.offset) === offset);
    if (exact) return start - floor(exact.address);
    const inside = loads.find(s => offset >= floor(s.offset) && offset < s.offset + s.fileSize);
    return inside && start - (inside.address + (offset - inside.offset));
  }

  /**
   * A defined symbol by its plain name (versions such as `@@GLIBC_2.2.5` are not part of it). Exported ones are found by
   * hash; then .symtab is searched, which also has the static variables; there a global symbol is preferred to a local
   * one, and an exact name to one that link-time optimisation gave a suffix.
   */
  symbol(name: string): ElfSymbol | undefined {
    if (name === '') return undefined;
    return this.hashed(name) ?? inTable(this.symtabTable(), name) ?? inTable(this.dynsymTable(), name);
  }

  /** The GNU build id in hexadecimal, or undefined. */
  buildId(): string | undefined {
    for (const s of this.segments) {
      if (s.type !== SegmentType.note) continue;
      const size = Math.min(s.fileSize, 1 << 16);
      const found = buildIdIn(
        this.bytes.kind === 'file' ? this.bytes.atOffset(s.offset, size) : this.bytesAt(s.address, size),
      );
      if (found !== undefined) return found;
    }
    for (const s of this.sections) {
      const found = s.type === SHT_NOTE && s.size <= 1 << 16 ? buildIdIn(this.sectionBytes(s)) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** What the loader added to link-time addresses; 0 when the source is a file. */
  private memoryBias(): number {
    return this.bytes.kind === 'memory' ? (this.bias(this.bytes.start, 0) ?? 0) : 0;
  }

  private readSections(): ElfSection[] {
    const { offset, count, names } = this.sectionHeaders;
    if (count === 0 || offset === 0 || this.bytes.kind !== 'file') return [];
    const table = this.bytes.atOffset(offset, count * SECTION_SIZE);
    const view = viewOf(table);
    const raw: { name: number; section: ElfSection }[] = [];
    for (let at = 0; at + SECTION_SIZE <= table.length; at += SECTION_SIZE) {
      raw.push({
        name: view.getUint32(at, true),
        section: {
          name: '',
          type: view.getUint32(at + 4, true),
          address: word(view, at + 16),
          offset: word(view, at + 24),
          size: word(view, at + 32),
          link: view.getUint32(at + 40, true),
        },
      });
    }
    const strings = raw[names] ? Buffer.from(this.sectionBytes(raw[names].section)) : Buffer.alloc(0);
    return raw.map(r => ({ ...r.section, name: cStringAt(strings, r.name) }));
  }

  private dynamic(): Dynamic | null {
    if (this.dynamicPart !== undefined) return this.dynamicPart;
    this.dynamicPart = null;
    const segment = this.segments.find(s => s.type === SegmentType.dynamic);
    if (!segment) return null;
    const table = this.bytesAt(segment.address, Math.min(segment.fileSize, 1 << 16));
    const view = viewOf(table);
    const values = new Map<number, number>();
    for (let at = 0; at + 16 <= table.length; at += 16) {
      const tag = word(view, at);
      if (tag === 0) break;
      values.set(tag, word(view, at + 8));
    }
    const bias = this.memoryBias();
    // glibc's loader writes run-time addresses over the ones of the file; musl's does not.
    const linked = (tag: number) => {
      const value = values.get(tag) ?? 0;
      return bias > 0 && value >= bias ? value - bias : value;
    };
    const part = {
      hash: linked(4),
      names: linked(5),
      symbols: linked(6),
      namesSize: values.get(10) ?? 0,
      gnuHash: linked(0x6ffffef5),
    };
    if (part.names > 0 && part.symbols > 0) this.dynamicPart = part;
    return this.dynamicPart;
  }

  /** One exported symbol through DT_GNU_HASH or DT_HASH. */
  private hashed(name: string): ElfSymbol | undefined {
    const d = this.dynamic();
    if (!d) return undefined;
    const wanted = Buffer.from(name, 'latin1');
    return d.gnuHash > 0 ? this.byGnuHash(d, wanted) : d.hash > 0 ? this.bySysvHash(d, wanted) : undefined;
  }

  private byGnuHash(d: Dynamic, name: Buffer): ElfSymbol | undefined {
    const head = this.bytesAt(d.gnuHash, 16);
    if (head.length < 16) return undefined;
    const view = viewOf(head);
    const buckets = view.getUint32(0, true);
    const first = view.getUint32(4, true);
    const bloomWords = view.getUint32(8, true);
    if (buckets === 0) return undefined;
    let hash = 5381;
    for (const c of name) hash = (Math.imul(hash, 33) + c) >>> 0;
    const bucketsAt = d.gnuHash + 16 + bloomWords * 8;
    const chainsAt = bucketsAt + buckets * 4;
    let index = this.uint32(bucketsAt + (hash % buckets) * 4);
    if (index === undefined || index < first) return undefined;
    for (let steps = 0; steps < 1 << 16; steps++, index++) {
      const entry = this.uint32(chainsAt + (index - first) * 4);
      if (entry === undefined) return undefined;
      const symbol = (entry ^ hash) >>> 1 === 0 ? this.dynamicSymbol(d, index, name) : undefined;
      if (symbol) return symbol;
      if (entry & 1) return undefined;
    }
    return undefined;
  }

  private bySysvHash(d: Dynamic, name: Buffer): ElfSymbol | undefined {
    const buckets = this.uint32(d.hash);
    if (!buckets) return undefined;
    let hash = 0;
    for (const c of name) {
      hash = ((hash << 4) + c) >>> 0;
      const high = hash & 0xf0000000;
      if (high) hash ^= high >>> 24;
      hash = (hash & ~high) >>> 0;
    }
    let index = this.uint32(d.hash + 8 + (hash % buckets) * 4);
    for (let steps = 0; index && steps < 1 << 16; steps++) {
      const symbol = this.dynamicSymbol(d, index, name);
      if (symbol) return symbol;
      index = this.uint32(d.hash + 8 + (buckets + index) * 4);
    }
    return undefined;
  }

  private dynamicSymbol(d: Dynamic, index: number, name: Buffer): ElfSymbol | undefined {
    const entry = this.bytesAt(d.symbols + index * SYMBOL_SIZE, SYMBOL_SIZE);
    if (entry.length < SYMBOL_SIZE) return undefined;
    const view = viewOf(entry);
    const text = this.bytesAt(d.names + view.getUint32(0, true), name.length + 1);
    if (text.length <= name.length || text[name.length] !== 0 || name.compare(text, 0, name.length) !== 0)
      return undefined;
    return definedAt(view, 0);
  }

  private uint32(address: number): number | undefined {
    const bytes = this.bytesAt(address, 4);
    return bytes.length === 4 ? viewOf(bytes).getUint32(0, true) : undefined;
  }

  private symtabTable(): SymbolTable | null {
    if (this.symtab === undefined) this.symtab = this.tableOf(SHT_SYMTAB);
    return this.symtab;
  }

  private dynsymTable(): SymbolTable | null {
    if (this.dynsym === undefined) this.dynsym = this.tableOf(SHT_DYNSYM) ?? this.dynsymWithoutSections();
    return this.dynsym;
  }

  private tableOf(type: number): SymbolTable | null {
    const section = this.sections.find(s => s.type === type);
    const strings = section && this.sections[section.link];
    return section && strings ? symbolTable(this.sectionBytes(section), this.sectionBytes(strings)) : null;
  }

  /** Without a hash table and sections the number of symbols is unknown; linkers put the names right after them. */
  private dynsymWithoutSections(): SymbolTable | null {
    const d = this.dynamic();
    if (!d || d.gnuHash > 0 || d.hash > 0 || d.names <= d.symbols) return null;
    return symbolTable(this.bytesAt(d.symbols, d.names - d.symbols), this.bytesAt(d.names, d.namesSize));
  }
}

/** Does this begin like a 64-bit little-endian ELF file? */
export function isElfHeader(bytes: Uint8Array): boolean {
  return (
    bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46 && bytes[4] === 2 && bytes[5] === 1
  );
}

/** Calls `visit` with each note of a PT_NOTE segment: its name without the NUL, its type, and its bytes (a view). Stops when `visit` returns true. */
export function eachNote(
  bytes: Uint8Array,
  visit: (name: string, type: number, body: Uint8Array) => boolean | undefined,
): void {
  const view = viewOf(bytes);
  for (let at = 0; at + 12 <= bytes.length; ) {
    const nameSize = view.getUint32(at, true);
    const bodySize = view.getUint32(at + 4, true);
    const bodyAt = at + 12 + Math.ceil(nameSize / 4) * 4;
    if (bodyAt > bytes.length) return;
    const name = Buffer.from(bytes.buffer, bytes.byteOffset + at + 12, nameSize)
      .toString('latin1')
      .replace(/\0.*$/s, '');
    if (visit(name, view.getUint32(at + 8, true), bytes.subarray(bodyAt, Math.min(bodyAt + bodySize, bytes.length))))
      return;
    at = bodyAt + Math.ceil(bodySize / 4) * 4;
  }
}

function buildIdIn(notes: Uint8Array): string | undefined {
  let found: string | undefined;
  eachNote(notes, (name, type, body) => {
    if (name === 'GNU' && type === NT_GNU_BUILD_ID && body.length > 0) found = Buffer.from(body).toString('hex');
    return found !== undefined;
  });
  return found;
}

function symbolTable(bytes: Uint8Array, names: Uint8Array): SymbolTable | null {
  const count = Math.floor(bytes.length / SYMBOL_SIZE);
  if (count === 0 || names.length === 0) return null;
  return { count, bytes, view: viewOf(bytes), names: Buffer.from(names.buffer, names.byteOffset, names.length) };
}

/**
 * A symbol in a table without an index. The name is looked for in the string table first (a fast byte search; a string
 * may be the tail of a longer one), then the few offsets found are looked for in the table.
 */
function inTable(table: SymbolTable | null, name: string): ElfSymbol | undefined {
  if (!table) return undefined;
  const wanted = Buffer.from(name, 'latin1');
  const exact = new Set<number>();
  const renamed = new Set<number>();
  for (let at = table.names.indexOf(wanted); at >= 0; at = table.names.indexOf(wanted, at + 1)) {
    const after = table.names[at + wanted.length];
    if (after === 0) exact.add(at);
    else if (after === 0x2e && RENAMED.test(cStringAt(table.names, at + wanted.length))) renamed.add(at);
  }
  return withNames(table, exact) ?? withNames(table, renamed);
}

function withNames(table: SymbolTable, offsets: ReadonlySet<number>): ElfSymbol | undefined {
  if (offsets.size === 0) return undefined;
  let local: ElfSymbol | undefined;
  for (let i = 0; i < table.count; i++) {
    if (!offsets.has(table.view.getUint32(i * SYMBOL_SIZE, true))) continue;
    const symbol = definedAt(table.view, i * SYMBOL_SIZE);
    if (!symbol) continue;
    if (table.view.getUint8(i * SYMBOL_SIZE + 4) >> 4 !== 0) return symbol;
    local ??= symbol;
  }
  return local;
}

/** The symbol at `at` when it is defined here and is code, data or untyped (not a section, file or thread-local). */
function definedAt(view: DataView, at: number): ElfSymbol | undefined {
  const type = view.getUint8(at + 4) & 15;
  const section = view.getUint16(at + 6, true);
  if (section === 0 || !(type <= 2 || type === 10)) return undefined;
  return { value: word(view, at + 8), size: word(view, at + 16), absolute: section === 0xfff1 };
}

function cStringAt(bytes: Buffer, at: number): string {
  if (at >= bytes.length) return '';
  const end = bytes.indexOf(0, at);
  return bytes.toString('latin1', at, end < 0 ? bytes.length : end);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function word(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}
