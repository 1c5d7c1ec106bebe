/**
 * The bytes of a core file, compressed or not. Cores are many gigabytes: nothing is read but what is asked for, and a
 * compressed one is unpacked to a file without a name, which is gone when it is closed or when we die.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, statSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { Compression } from './decompress.ts';
import { ExitCode, LeakscopeError } from './errors.ts';
import { Lz4FrameDecoder } from './lz4.ts';

export interface CoreFile extends Disposable {
  /** Bytes of the (unpacked) file. */
  readonly size: number;
  /** When the file was last written, ms since 1970. */
  readonly modifiedMs: number;
  /** Why not all of it is there, or ''. */
  readonly damage: string;
  /** Copies into `into` from `at`; returns how many bytes there were. */
  read(at: number, into: Uint8Array): number;
}

const PEEK = 1 << 16;
/** An LZ4 block is unpacked whole, and may have 4 MiB. */
const PEEK_LZ4 = (1 << 22) + PEEK;

/** How a file is compressed, by its first bytes. `xz` is known but not read. */
export function compressionOf(head: Uint8Array): Compression | 'xz' | undefined {
  const is = (...bytes: number[]) => bytes.every((b, i) => head[i] === b);
  if (is(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (is(0x04, 0x22, 0x4d, 0x18)) return 'lz4';
  if (is(0x1f, 0x8b)) return 'gzip';
  return is(0xfd, 0x37, 0x7a, 0x58, 0x5a) ? 'xz' : undefined;
}

/** The first bytes of a file, unpacked; fewer than wanted, or none, when it is short, damaged, or cannot be read. */
export function peek(path: string, length: number): Uint8Array {
  let fd: number;
  try {
    // Asked first: opening a pipe would wait for somebody to write to it.
    if (!statSync(path).isFile()) return new Uint8Array(0);
    fd = openSync(path, 'r');
  } catch {
    return new Uint8Array(0);
  }
  try {
    const head = new Uint8Array(PEEK_LZ4);
    let raw = head.subarray(0, readSync(fd, head, 0, PEEK, 0));
    if (compressionOf(raw) === 'lz4') raw = head.subarray(0, readSync(fd, head, 0, PEEK_LZ4, 0));
    return unpackHead(raw).subarray(0, length);
  } catch {
    return new Uint8Array(0);
  } finally {
    closeSync(fd);
  }
}

/** Opens a core for reading at offsets. Throws LeakscopeError when it cannot be read or unpacked. */
export function openCoreFile(path: string): CoreFile {
  let fd: number;
  try {
    // Asked first: opening a pipe would wait for somebody to write to it.
    if (!statSync(path).isFile()) throw notAFile(path);
    fd = openSync(path, 'r');
  } catch (error) {
    throw error instanceof LeakscopeError ? error : cannotRead(path, error as NodeJS.ErrnoException);
  }
  try {
    const stat = fstatSync(fd);
    const head = new Uint8Array(8);
    readSync(fd, head, 0, 8, 0);
    const compression = compressionOf(head);
    if (compression === undefined) return overDescriptor(fd, stat.size, stat.mtimeMs, '');
    const unpacked = unpack(path, compression);
    const file = overDescriptor(unpacked.fd, fstatSync(unpacked.fd).size, stat.mtimeMs, unpacked.damage);
    closeSync(fd);
    return file;
  } catch (error) {
    closeSync(fd);
    throw error instanceof LeakscopeError ? error : cannotRead(path, error as NodeJS.ErrnoException);
  }
}

function unpackHead(raw: Uint8Array): Uint8Array {
  switch (compressionOf(raw)) {
    case undefined:
      return raw;
    case 'zstd':
      return zstdDecompressSync(raw, { finishFlush: constants.ZSTD_e_flush });
    case 'gzip':
      return gunzipSync(raw, { finishFlush: constants.Z_SYNC_FLUSH });
    case 'lz4': {
      let first: Uint8Array | undefined;
      const decoder = new Lz4FrameDecoder();
      decoder.push(raw, block => {
        first ??= block.slice(0, PEEK);
      });
      return first ?? new Uint8Array(0);
    }
    case 'xz':
      return new Uint8Array(0);
  }
}

function unpack(path: string, compression: Compression | 'xz'): { fd: number; damage: string } {
  if (compression === 'xz') {
    throw new LeakscopeError(
      `${path} is compressed with xz, which leakscope does not read`,
      ExitCode.unsupportedTarget,
      `Run: xz -dk ${path}`,
    );
  }
  const directory = tmpdir();
  const temporary = join(directory, `leakscope-core-${randomBytes(8).toString('hex')}`);
  let fd: number;
  try {
    fd = openSync(temporary, 'wx+', 0o600);
    unlinkSync(temporary);
  } catch (error) {
    throw new LeakscopeError(
      `the compressed core cannot be unpacked: no file can be made in ${directory} (${(error as NodeJS.ErrnoException).code})`,
      ExitCode.unsupportedTarget,
      'Set TMPDIR to a directory with room for the unpacked core.',
    );
  }
  const program = fileURLToPath(new URL(`./decompress${extname(fileURLToPath(import.meta.url))}`, import.meta.url));
  const done = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', program, compression, path], {
    stdio: ['ignore', fd, 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  if (done.status === 0) return { fd, damage: '' };
  if (done.status === 2) return { fd, damage: `its ${compression} data ends too early or is damaged` };
  closeSync(fd);
  if (done.status === 3) {
    throw new LeakscopeError(
      `the compressed core cannot be unpacked into ${directory} (${done.stderr.toString().trim()})`,
      ExitCode.unsupportedTarget,
      'Set TMPDIR to a directory with room for the unpacked core.',
    );
  }
  throw new LeakscopeError(
    `the core file ${path} cannot be unpacked`,
    ExitCode.unsupportedTarget,
    `Unpack it first (${compression} -d).`,
  );
}

function overDescriptor(fd: number, size: number, modifiedMs: number, damage: string): CoreFile {
  let open = true;
  return {
    size,
    modifiedMs,
    damage,
    read(at, into) {
      let got = 0;
      if (!open || !(at >= 0)) return 0;
      try {
        while (got < into.length && at + got < size) {
          const n = readSync(fd, into, got, into.length - got, at + got);
          if (n === 0) break;
          got += n;
        }
      } catch {
        // A medium that fails in the middle: what was read up to there is the answer.
      }
      return got;
    },
    [Symbol.dispose]() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

function notAFile(path: string): LeakscopeError {
  return new LeakscopeError(`${path} is not a core file: it is not a regular file`, ExitCode.unsupportedTarget);
}

function cannotRead(path: string, error: NodeJS.ErrnoException): LeakscopeError {
  if (error.code === 'ENOENT') return new LeakscopeError(`there is no file ${path}`, ExitCode.unsupportedTarget);
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new LeakscopeError(
      `${path} may not be read by this user`,
      ExitCode.notPermitted,
      'Run as its owner, or with sudo.',
    );
  }
  return new LeakscopeError(`${path} cannot be read (${error.code ?? error.message})`, ExitCode.unsupportedTarget);
}
