/**
 * report: what a person reads. Pure functions from a document (the JSON of CLI.md) to text, and the types of the documents.
 * It must not know where a document comes from, nor write anywhere.
 */

export { cyclesText } from './cycles.ts';
export { doctorText } from './doctor.ts';
export type * from './documents.ts';
export { dominatorsText } from './dominators.ts';
export { growthText } from './growth.ts';
export { memoryText } from './memory.ts';
export { objectText } from './object.ts';
export { heapText, typesText, wasteText } from './partition.ts';
export { exportText, queryText } from './query.ts';
export { snapshotText } from './snapshot.ts';
export { paint, printable, type Style, styleFor } from './style.ts';
export { bytesText, countText, durationText } from './units.ts';
export { verdictText } from './verdict.ts';
export { whoDot, whoText } from './who.ts';
