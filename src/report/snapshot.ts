/** What a snapshot holds and what it cost. */
import type { SnapshotDocument } from './documents.ts';
import { finish, printable, type Style } from './style.ts';
import { bytesText, durationText, plural } from './units.ts';

export function snapshotText(document: SnapshotDocument, style: Style): string {
  const snapshot = printable(document);
  const { seconds } = snapshot;
  const blocks = snapshot.native_blocks > 0 ? `, ${plural(snapshot.native_blocks, 'native block')}` : '';
  const time = durationText(snapshot.pause_ms / 1000);
  // Only the thread that the agent runs in waits for it; what the others did is in the notes.
  const pauses: Record<string, string> = { core: '', agent: `, the agent ran in one of its threads for ${time}` };
  const pause = pauses[snapshot.via] ?? `, the target stood still for ${time}`;
  const lines = [
    `${snapshot.file}  ${bytesText(snapshot.bytes)}`,
    `  holds  ${plural(snapshot.objects, 'object')}, ${plural(snapshot.edges, 'reference')}${blocks}`,
    `  from   ${snapshot.target.command.join(' ')} (pid ${snapshot.target.pid}, Python ${snapshot.target.python})`,
    `  took   ${durationText(seconds.read + seconds.decode + seconds.write)} by ${snapshot.via}${pause}`,
    ...snapshot.undecoded.map(({ reason, count }) => `  ${plural(count, 'block')} not decoded: ${reason}`),
    ...(snapshot.notes ?? []).map(note => `  note   ${note}`),
  ];
  return finish(lines, style);
}
