/**
 * Which layout a running interpreter really has: the table of its minor version, or a known variant of it, with the
 * interpreter's own debug offsets put in, believed only when the pointers that hang off `_PyRuntime` lead where they should.
 */
import type { Reader } from '../process/index.ts';
import { type DebugOffsets, readDebugOffsets, reconcile } from './debug-offsets.ts';
import { lookUp } from './dict-table.ts';
import type { Layout } from './layout.ts';
import { variantsOf, withMoved } from './versions/index.ts';

export interface FittedLayout {
  readonly layout: Layout;
  /** The known variant that it is, such as 'debug build'; '' for the table itself. */
  readonly variant: string;
  /** Sentences: where the interpreter's own offsets differ from the table. */
  readonly disagreements: readonly string[];
  /** Sentences: what even this layout does not explain. Not empty: some field has moved, and what stands on it may be wrong. */
  readonly failures: readonly string[];
}

/**
 * Fits a minor version's table to the interpreter at `runtime` (the address of `_PyRuntime`): of the known variants the one
 * against which the pointers speak least. Reads a few hundred words.
 */
export function fitLayout(
  reader: Reader,
  table: Layout,
  runtime: number,
  offsets: DebugOffsets | undefined = readDebugOffsets(reader, runtime),
): FittedLayout {
  let best: FittedLayout | undefined;
  for (const { name, moved } of variantsOf(table.version)) {
    const variant = withMoved(table, moved);
    const { layout, disagreements } =
      offsets === undefined ? { layout: variant, disagreements: [] } : reconcile(variant, offsets);
    const failures = checkPointers(reader, layout, runtime);
    if (best === undefined || failures.length < best.failures.length) {
      best = { layout, variant: name, disagreements, failures };
    }
    if (failures.length === 0) break;
  }
  if (best === undefined) throw new Error(`no variant of ${table.version}`);
  return best;
}

const MOST_INTERPRETERS = 1000;
const MOST_THREADS = 10_000;

/**
 * Follows the pointers of every interpreter and thread state and returns one sentence for each that leads elsewhere than
 * the layout says: threads to their interpreter, roots to objects of the right type, `type` to itself, gc lists back to
 * their heads, pymalloc's state to its arenas. Empty when all agree.
 */
export function checkPointers(reader: Reader, layout: Layout, runtime: number): string[] {
  const failures: string[] = [];
  const seen = new Set<number>();
  if (layout.gc.stateIn === 'runtime') checkCollector(reader, layout, runtime + layout.gc.state, failures);
  let at = reader.word(runtime + layout.runtime.interpretersHead);
  if (at === 0) return ['there is no interpreter'];
  for (; at !== 0 && seen.size < MOST_INTERPRETERS; at = reader.word(at + layout.interpreter.next)) {
    if (!reader.has(at) || seen.has(at)) return [...failures, 'the list of interpreters is broken'];
    seen.add(at);
    // One that is being made or torn down has no sys.modules; the first must have one.
    if (reader.word(at + layout.interpreter.modules) === 0 && seen.size > 1) continue;
    checkInterpreter(reader, layout, at, failures);
  }
  const main = reader.word(runtime + layout.runtime.interpretersMain);
  if (!seen.has(main)) failures.push('the main interpreter is not one of the interpreters');
  return failures;
}

/** References of an interpreter and the types they must have; all but the first three may be null. */
const roots: readonly (readonly [keyof Layout['interpreter'], readonly string[]])[] = [
  ['modules', ['dict']],
  ['sysDict', ['dict']],
  ['builtins', ['dict']],
  ['modulesByIndex', ['list']],
  ['importLib', ['module']],
  ['dict', ['dict']],
  ['codecSearchPath', ['list']],
  ['codecSearchCache', ['dict']],
  ['codecErrorRegistry', ['dict']],
  ['atForkBefore', ['list']],
  ['atForkParent', ['list']],
  ['atForkChild', ['list']],
  ['auditHooks', ['list']],
  ['interned', ['dict']],
];

function checkInterpreter(reader: Reader, layout: Layout, at: number, failures: string[]): void {
  const i = layout.interpreter;
  roots.forEach(([field, types], nth) => {
    const offset = i[field] as number;
    if (offset >= 0)
      expectType(reader, layout, reader.word(at + offset), types, `interpreter.${field}`, nth >= 3, failures);
  });
  // Neighbours are dicts too; these know which they are. It also proves the layouts of dict and str.
  if (failures.length === 0) {
    if (lookUp(reader, layout, reader.word(at + i.sysDict), 'hexversion') === 0)
      failures.push('interpreter.sysDict is another dict');
    if (lookUp(reader, layout, reader.word(at + i.builtins), 'len') === 0)
      failures.push('interpreter.builtins is another dict');
  }
  if (i.atexitForm === 'list')
    expectType(reader, layout, reader.word(at + i.atexit), ['list'], 'interpreter.atexit', true, failures);
  if (i.atexitForm === 'module')
    expectType(reader, layout, reader.word(at + i.atexit), ['module'], 'interpreter.atexit', true, failures);
  if (i.atexitForm === 'array') {
    const array = reader.word(at + i.atexit);
    const count = reader.int32(at + i.atexitCount);
    if ((array !== 0 && !reader.has(array)) || count < 0 || count > 1e7)
      failures.push('interpreter.atexit is not an array of callbacks');
  }
  for (const table of [i.staticTypes, i.staticExtensionTypes]) {
    if (table === null) continue;
    const type = reader.word(at + table.first + table.type);
    if (table === i.staticTypes || type !== 0)
      expectType(reader, layout, type, ['type'], 'the first static type', false, failures);
  }
  if (i.obmalloc >= 0) {
    const state = layout.pymalloc.form === 'embedded' ? at + i.obmalloc : reader.word(at + i.obmalloc);
    const arenas = reader.word(state + layout.pymalloc.arenas);
    const most = reader.uint32(state + layout.pymalloc.maxArenas);
    // Both are 0 when another allocator is chosen (PYTHONMALLOC=malloc), and in a subinterpreter that uses the main one's.
    if (
      !reader.has(state) ||
      (arenas === 0) !== (most === 0) ||
      (arenas !== 0 && !reader.has(arenas)) ||
      most > 2 ** 26
    ) {
      failures.push('interpreter.obmalloc is not the state of pymalloc');
    }
  }
  if (layout.gc.stateIn === 'interpreter') checkCollector(reader, layout, at + layout.gc.state, failures);
  checkThreads(reader, layout, at, failures);
}

function checkThreads(reader: Reader, layout: Layout, interpreter: number, failures: string[]): void {
  const t = layout.thread;
  const seen = new Set<number>();
  for (
    let at = reader.word(interpreter + layout.interpreter.threadsHead);
    at !== 0 && seen.size < MOST_THREADS;
    at = reader.word(at + t.next)
  ) {
    if (!reader.has(at) || seen.has(at)) {
      failures.push('the list of threads is broken');
      return;
    }
    seen.add(at);
    if (reader.word(at + t.interpreter) !== interpreter) {
      failures.push('a thread does not lead back to its interpreter');
      return;
    }
    expectType(reader, layout, reader.word(at + t.dict), ['dict'], 'thread.dict', true, failures);
    expectType(
      reader,
      layout,
      reader.word(at + t.context),
      ['Context', '_contextvars.Context'],
      'thread.context',
      true,
      failures,
    );
    const frame = t.frameObject >= 0 ? t.frameObject : t.cframe >= 0 ? t.cframe : t.currentFrame;
    for (const [name, offset] of [['frame', frame] as const, ['exceptionInfo', t.exceptionInfo] as const]) {
      const pointer = reader.word(at + offset);
      if (pointer !== 0 && !reader.has(pointer)) failures.push(`thread.${name} leads nowhere`);
    }
  }
  if (seen.size === 0) failures.push('an interpreter has no threads');
}

function checkCollector(reader: Reader, layout: Layout, state: number, failures: string[]): void {
  const gc = layout.gc;
  const enabled = reader.int32(state + gc.enabled);
  if (enabled !== 0 && enabled !== 1) failures.push('gc.enabled is neither 0 nor 1');
  expectType(reader, layout, reader.word(state + gc.garbage), ['list'], 'gc.garbage', true, failures);
  expectType(reader, layout, reader.word(state + gc.callbacks), ['list'], 'gc.callbacks', true, failures);
  // While it runs, the collector keeps other things in the objects' links; the heads' own stay pointers.
  const running = reader.int32(state + gc.collecting) !== 0;
  [...gc.generations, gc.permanent].forEach((offset, nth) => {
    const name = nth < gc.generations.length ? `of generation ${nth}` : 'of frozen objects';
    const head = state + offset;
    const next = untagged(reader.word(head + gc.next), gc.nextMask);
    const prev = untagged(reader.word(head + gc.prev), gc.prevMask);
    const isLinked =
      reader.has(next) &&
      reader.has(prev) &&
      (running ||
        (untagged(reader.word(next + gc.prev), gc.prevMask) === head &&
          untagged(reader.word(prev + gc.next), gc.nextMask) === head));
    if (!isLinked) failures.push(`the gc list ${name} does not lead back to its head`);
  });
}

function untagged(word: number, mask: number): number {
  return word - (word % (mask + 1));
}

function expectType(
  reader: Reader,
  layout: Layout,
  object: number,
  types: readonly string[],
  name: string,
  mayBeNull: boolean,
  failures: string[],
): void {
  if (object === 0 && mayBeNull) return;
  const type = reader.has(object) ? reader.word(object + layout.object.type) : 0;
  const metatype = reader.has(type) ? reader.word(type + layout.object.type) : 0;
  const isType = reader.has(metatype) && reader.word(metatype + layout.object.type) === metatype;
  const found = isType ? reader.cString(reader.word(type + layout.type.name)) : '';
  if (!types.includes(found)) {
    failures.push(`${name} is ${found === '' ? 'no object' : `of type ${found}`}, not of type ${types.join(' or ')}`);
  }
}
