/**
 * process: the operating system's view of a target: its maps, symbols, memory, threads, and stopping it.
 * It knows ELF and Linux. It must not know what a Python object is.
 */

export { type CaptureOptions, capture } from './capture.ts';
export type { Container, ContainerKind } from './container.ts';
export { type CoreOptions, isCore, openCore } from './core.ts';
export {
  type DoctorMachine,
  type DoctorReport,
  type DoctorSelf,
  type DoctorTarget,
  examine,
  type Obstacle,
  type Outlook,
  type Way,
} from './doctor.ts';
export type { Tries, Try } from './doctor-tries.ts';
export { Elf, type ElfSection, type ElfSymbol } from './elf.ts';
export { ExitCode, LeakscopeError } from './errors.ts';
export type { CaptureVia, LoadedModule, Mapping, ProcessImage, ThreadImage } from './image.ts';
export { LiveReader } from './live.ts';
export {
  blockContaining,
  type MallocArena,
  type MallocBlocks,
  type MallocWalk,
  type MallocWalkOptions,
  MMAPPED,
  usableBytes,
  walkMalloc,
} from './malloc.ts';
export { type MallocEvent, MallocWatch } from './malloc-watch.ts';
export {
  availableMemory,
  cgroupHeadroom,
  commandLine,
  executablePath,
  type MemoryRollup,
  memoryRollup,
  type OpenFile,
  type OpenFileKind,
  openFiles,
  type ProcessStatus,
  parseMaps,
  processStartTime,
  processStatus,
  readMaps,
  residentByMapping,
} from './maps.ts';
export { Memory, type MemoryRange, type Reader } from './memory.ts';
export { type ElfModule, loadedModules, type ModuleOptions } from './modules.ts';
export { explainPermission } from './permission.ts';
export { checkTarget } from './ptrace.ts';
export { type PythonBinary, pythonBinary } from './python-binary.ts';
export type { ObstacleId, Remedies } from './remedies.ts';
export { type ResidentMapping, ResidentMemory } from './resident.ts';
export { threadIds } from './threads.ts';
export {
  type HitAnswer,
  type HitRegisters,
  type WatchHit,
  type WatchOptions,
  type WatchPoint,
  type WatchResult,
  watch,
} from './watch.ts';
