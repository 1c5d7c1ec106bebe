/** The first block of a snapshot file: JSON, of which every field is checked before anything uses it. */
import type { HeapOrigin, TypeInfo } from '../cpython/index.ts';

export interface SnapshotHead {
  readonly origin: HeapOrigin;
  readonly types: readonly TypeInfo[];
  readonly strings: readonly string[];
  readonly undecoded: readonly { readonly reason: string; readonly count: number }[];
  /** Whatever the writer added. */
  readonly facts: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

/** The head, or what is wrong with it. */
export function parseHead(bytes: Uint8Array, nodeCount: number): SnapshotHead | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch {
    return 'its description is not JSON';
  }
  if (!isFields(parsed)) return 'its description is not an object';
  const { origin, types, strings, undecoded } = parsed;
  if (!isOrigin(origin)) return 'it does not say where it comes from';
  if (!Array.isArray(types) || !types.every(type => isType(type, nodeCount))) return 'its types make no sense';
  if (!Array.isArray(strings) || !strings.every(text => typeof text === 'string')) return 'its strings make no sense';
  if (
    !Array.isArray(undecoded) ||
    !undecoded.every(item => isFields(item) && typeof item.reason === 'string' && typeof item.count === 'number')
  ) {
    return 'its list of undecoded blocks makes no sense';
  }
  return { origin, types, strings, undecoded, facts: parsed.facts ?? null };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOrigin(value: unknown): value is HeapOrigin {
  return (
    isFields(value) &&
    ['pid', 'takenAtMs', 'capturedAtMs', 'pauseMs'].every(name => typeof value[name] === 'number') &&
    ['executable', 'python', 'via'].every(name => typeof value[name] === 'string') &&
    ['fork', 'freeze', 'core', 'agent'].includes(value.via as string) &&
    ['command', 'notes'].every(
      name => Array.isArray(value[name]) && (value[name] as unknown[]).every(item => typeof item === 'string'),
    )
  );
}

function isType(value: unknown, nodeCount: number): value is TypeInfo {
  return (
    isFields(value) &&
    typeof value.name === 'string' &&
    typeof value.layout === 'string' &&
    typeof value.heapType === 'boolean' &&
    ['address', 'basicSize', 'itemSize', 'node'].every(name => Number.isFinite(value[name])) &&
    Number.isInteger(value.node) &&
    (value.node as number) >= 0 &&
    (value.node as number) < nodeCount
  );
}
