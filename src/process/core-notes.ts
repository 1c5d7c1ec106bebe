/**
 * What the notes of an ELF core say: threads and their registers (NT_PRSTATUS), the process (NT_PRPSINFO), mapped files
 * (NT_FILE) and the auxiliary vector. Layouts are those of Linux: `struct elf_prstatus`, `struct elf_prpsinfo`
 * (include/linux/elfcore.h), `struct user_regs_struct` (arch/x86), `struct user_pt_regs` (arm64), fill_files_note().
 */
import { eachNote, MACHINE_AARCH64 } from './elf.ts';
import type { ThreadImage } from './image.ts';

export interface MappedFile {
  readonly start: number;
  readonly end: number;
  /** Offset into the file, bytes. */
  readonly offset: number;
  readonly path: string;
}

export interface CoreNotes {
  readonly pid: number;
  /** The kernel's name of the process, at most 15 bytes. */
  readonly name: string;
  /** At most 79 bytes of the command line, arguments separated by spaces. */
  readonly args: string;
  /** By thread id, as a live process's are. */
  readonly threads: readonly ThreadImage[];
  /** Ascending. */
  readonly files: readonly MappedFile[];
  /** Auxiliary vector: type to value. */
  readonly auxv: ReadonlyMap<number, number>;
}

export const Auxv = { programHeaders: 3, vdso: 33, random: 25, executableName: 31 } as const;

const NT_PRSTATUS = 1;
const NT_PRPSINFO = 3;
const NT_AUXV = 6;
const NT_FILE = 0x46494c45;
const NT_ARM_TLS = 0x401;
/** Offset of the registers in struct elf_prstatus of a 64-bit machine. */
const REGISTERS = 112;
const X86 = { rip: 16, rsp: 19, fsBase: 21 };
const ARM = { sp: 31, pc: 32 };
const COUNT_LIMIT = 1 << 20;

/** Reads the notes of a PT_NOTE segment. Notes that are cut off or make no sense are passed over. */
export function parseCoreNotes(bytes: Uint8Array, machine: number): CoreNotes {
  let pid = 0;
  let name = '';
  let args = '';
  const threads: { tid: number; stackPointer: number; instructionPointer: number; threadPointer: number }[] = [];
  let files: MappedFile[] = [];
  const auxv = new Map<number, number>();
  eachNote(bytes, (owner, type, body) => {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    if (owner === 'LINUX' && type === NT_ARM_TLS && threads.length > 0 && body.length >= 8) {
      threads[threads.length - 1].threadPointer = word(view, 0);
    }
    if (owner !== 'CORE') return undefined;
    if (type === NT_PRSTATUS && body.length >= REGISTERS) {
      const register = (n: number) => (REGISTERS + n * 8 + 8 <= body.length ? word(view, REGISTERS + n * 8) : 0);
      const arm = machine === MACHINE_AARCH64;
      threads.push({
        tid: view.getInt32(32, true),
        stackPointer: register(arm ? ARM.sp : X86.rsp),
        instructionPointer: register(arm ? ARM.pc : X86.rip),
        threadPointer: arm ? 0 : register(X86.fsBase),
      });
    } else if (type === NT_PRPSINFO && body.length >= 136) {
      pid = view.getInt32(24, true);
      name = text(body, 40, 16);
      args = text(body, 56, 80).trim();
    } else if (type === NT_AUXV) {
      for (let at = 0; at + 16 <= body.length && word(view, at) !== 0; at += 16)
        auxv.set(word(view, at), word(view, at + 8));
    } else if (type === NT_FILE) {
      files = mappedFiles(body, view);
    }
    return undefined;
  });
  return {
    pid: pid || (threads[0]?.tid ?? 0),
    name,
    args,
    // A core has one name only, that of the process; the kernel keeps the threads' names to itself.
    threads: threads.map(t => ({ ...t, name: t.tid === pid ? name : '' })).sort((a, b) => a.tid - b.tid),
    files: files.sort((a, b) => a.start - b.start),
    auxv,
  };
}

function mappedFiles(body: Uint8Array, view: DataView): MappedFile[] {
  if (body.length < 16) return [];
  const count = Math.min(word(view, 0), Math.floor((body.length - 16) / 24), COUNT_LIMIT);
  const pageSize = word(view, 8);
  const files: MappedFile[] = [];
  let nameAt = 16 + count * 24;
  for (let i = 0; i < count; i++) {
    const end = body.indexOf(0, nameAt);
    if (end < 0) break;
    const path = Buffer.from(body.buffer, body.byteOffset + nameAt, end - nameAt).toString('utf8');
    nameAt = end + 1;
    const at = 16 + i * 24;
    const file = { start: word(view, at), end: word(view, at + 8), offset: word(view, at + 16) * pageSize, path };
    if (file.end > file.start) files.push(file);
  }
  return files;
}

function text(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length)
    .toString('utf8')
    .replace(/\0.*$/s, '');
}

function word(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}
