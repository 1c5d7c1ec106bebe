/**
 * diagnosis: joins what grows, who holds it, where it is stored and what the source says into a cause and a change.
 * It must not know how anything is printed or how memory is read.
 */
export type { Category, Evidence, MemoryKind, Site, SourceExcerpt, Suspect, SuspectType, Verdict } from './verdict.ts';
export { VERSION } from './version.ts';
export { type WatchTargetOptions, watchTarget } from './watch-target.ts';
