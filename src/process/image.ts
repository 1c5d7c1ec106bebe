/**
 * What every way of looking at a target gives: one frozen moment of its memory.
 *
 * Addresses are JavaScript numbers: user space ends below 2^47 on x86-64 (and 2^48 on arm64), so every
 * address is exact in a double. Nothing in this project uses a bigint for an address.
 */

export type CaptureVia = 'fork' | 'freeze' | 'core';

/** One line of `/proc/PID/maps`, or one program header and NT_FILE entry of a core. */
export interface Mapping {
  readonly start: number;
  /** First address after the mapping. */
  readonly end: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly private: boolean;
  /** Offset into the file, bytes. */
  readonly offset: number;
  readonly inode: number;
  /** Path as the target sees it, `[heap]`, `[stack]`, …, or '' for anonymous memory. A deleted file keeps its path without the ` (deleted)` mark. */
  readonly path: string;
  readonly deleted: boolean;
}

/** One thread at the moment of the capture. */
export interface ThreadImage {
  readonly tid: number;
  /** The kernel's name of it (`comm`). */
  readonly name: string;
  /** x86-64 `rsp`, `rip` and `fs_base` (pthread_self()), in the order the capture could read them; 0 when unknown. */
  readonly stackPointer: number;
  readonly instructionPointer: number;
  readonly threadPointer: number;
}

/** An ELF file that the target has mapped, with what is needed to find its symbols. */
export interface LoadedModule {
  readonly path: string;
  /** What to add to a symbol's value to have its address in the target (0 when not position independent). */
  readonly bias: number;
  readonly start: number;
  readonly end: number;
  /** Address of a symbol in the target, or undefined. Looks in .symtab and .dynsym. */
  symbol(name: string): number | undefined;
  /** Address and size in the target of a section such as `.PyRuntime`, or undefined. */
  section(name: string): { address: number; size: number } | undefined;
}

/** A frozen moment of a target. Reading never changes the target. Close it with `using`. */
export interface ProcessImage extends Disposable {
  readonly pid: number;
  readonly via: CaptureVia;
  /** The executable as the target sees it. */
  readonly executable: string;
  readonly command: readonly string[];
  readonly mappings: readonly Mapping[];
  readonly threads: readonly ThreadImage[];
  /** Modules worth asking for symbols: the executable first, then shared objects in map order. Parsed when first asked. */
  readonly modules: readonly LoadedModule[];
  /** Milliseconds for which the target's threads stood still; 0 for a core. */
  readonly pauseMs: number;
  /** Monotonic milliseconds (`performance.now()`) of the moment the image shows. */
  readonly capturedAtMs: number;
  /** Sentences for the user about this image: why freeze instead of fork, what a truncated core lacks, … */
  readonly notes: readonly string[];
  /** Copies `into.byteLength` bytes from `address`; returns how many bytes could be read from the start on (0 when the address is not mapped). */
  read(address: number, into: Uint8Array): number;
}
