/**
 * Decompresses a core into a file descriptor, in constant memory, leaving holes where there are zeros.
 *
 * Run as a program of its own (`node decompress.ts FORMAT FILE`, output on descriptor 1, which must be a file): Node has
 * zstd and gzip as asynchronous streams only, and opening a core is synchronous. Nobody may import it but for its types.
 * Exit status: 0 whole, 2 the input ends too early or is damaged (what came before is written), 3 the output cannot be
 * written, 4 the input cannot be read.
 */
import { closeSync, createReadStream, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { Lz4FrameDecoder } from './lz4.ts';

export type Compression = 'zstd' | 'lz4' | 'gzip';

const HOLE = 1 << 16;
const CHUNK = 1 << 20;

class SparseWriter {
  private readonly fd: number;
  private at = 0;
  private readonly zeros = Buffer.alloc(HOLE);
  constructor(fd: number) {
    this.fd = fd;
  }
  write(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; from += HOLE) {
      const part = bytes.subarray(from, from + HOLE);
      if (this.zeros.compare(part, 0, part.length, 0, part.length) !== 0) {
        for (let done = 0; done < part.length; )
          done += writeSync(this.fd, part, done, part.length - done, this.at + done);
      }
      this.at += part.length;
    }
  }
  finish(): void {
    ftruncateSync(this.fd, this.at);
  }
}

async function decompress(format: Compression, path: string, fd: number): Promise<number> {
  const out = new SparseWriter(fd);
  let status = 0;
  const write = (bytes: Uint8Array) => {
    try {
      out.write(bytes);
    } catch (error) {
      process.stderr.write(String((error as NodeJS.ErrnoException).code ?? error));
      process.exit(3);
    }
  };
  if (format === 'lz4') status = lz4(path, write);
  else {
    const source = createReadStream(path, { highWaterMark: CHUNK });
    const stream = source.pipe(
      format === 'zstd' ? createZstdDecompress({ chunkSize: CHUNK }) : createGunzip({ chunkSize: CHUNK }),
    );
    source.on('error', () => process.exit(4));
    try {
      for await (const chunk of stream) write(chunk as Uint8Array);
    } catch {
      status = 2;
    }
  }
  out.finish();
  return status;
}

function lz4(path: string, write: (bytes: Uint8Array) => void): number {
  const fd = openSync(path, 'r');
  const decoder = new Lz4FrameDecoder();
  const chunk = new Uint8Array(CHUNK);
  try {
    for (let n = readSync(fd, chunk); n > 0; n = readSync(fd, chunk)) decoder.push(chunk.subarray(0, n), write);
    return decoder.complete ? 0 : 2;
  } catch {
    return 2;
  } finally {
    closeSync(fd);
  }
}

process.exit(await decompress(process.argv[2] as Compression, process.argv[3], 1));
