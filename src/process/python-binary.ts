/** What the files of a process say about the CPython in it, without reading its memory. */
import { basename } from 'node:path';
import type { Mapping } from './image.ts';
import { type ElfModule, loadedModules } from './modules.ts';

/** The Python of a process, as far as files tell. */
export interface PythonBinary {
  /** The executable or library that the interpreter is in. */
  readonly path: string;
  /** `3.11.7`, or `3.9` where the file says no more, or '' when it does not say. */
  readonly version: string;
  readonly shared: boolean;
  readonly debugBuild: boolean;
  readonly freeThreaded: boolean;
}

const NAME = /^(?:lib)?python(\d+\.\d+)([a-z]*)(?:[.-]|$)/;

/** Finds the interpreter among a process's files; undefined when there is none. */
export function pythonBinary(pid: number, mappings: readonly Mapping[]): PythonBinary | undefined {
  const modules = loadedModules(pid, mappings);
  const found =
    modules.find(m => m.symbol('_PyRuntime') !== undefined) ??
    modules.find(m => m.symbol('Py_GetVersion') !== undefined);
  if (!found) return undefined;
  const [, named = '', flags = ''] = NAME.exec(basename(found.path)) ?? [];
  return {
    path: found.path,
    version: hexVersion(found) ?? named,
    shared: found !== modules[0],
    debugBuild: found.symbol('_Py_NegativeRefcount') !== undefined || flags.includes('d'),
    // Only the build without the GIL merges reference counts of other threads.
    freeThreaded: found.symbol('_Py_MergeZeroLocalRefcount') !== undefined,
  };
}

/** `Py_Version`, a constant of 3.11 and later: 0x030b07f0 is 3.11.7. */
function hexVersion(module: ElfModule): string | undefined {
  const symbol = module.elf()?.symbol('Py_Version');
  const bytes = symbol && module.elf()?.bytesAt(symbol.value, 4);
  if (!bytes || bytes.length < 4 || bytes[3] < 2) return undefined;
  const level = { 10: 'a', 11: 'b', 12: 'rc' }[bytes[0] >> 4];
  return `${bytes[3]}.${bytes[2]}.${bytes[1]}${level ? `${level}${bytes[0] & 15}` : ''}`;
}
