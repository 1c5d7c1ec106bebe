/** The layout tables, one file a minor version, and the ways in which releases and builds are known to differ from them. */
import type { Layout } from '../layout.ts';
import { debugBuilds } from './debug-builds.ts';
import { layout38 } from './v3_8.ts';
import { layout39 } from './v3_9.ts';
import { layout310 } from './v3_10.ts';
import { layout311 } from './v3_11.ts';
import { layout312 } from './v3_12.ts';
import { layout313 } from './v3_13.ts';
import { layout314 } from './v3_14.ts';
import { layout315 } from './v3_15.ts';

const tables = new Map<string, Layout>(
  [layout38, layout39, layout310, layout311, layout312, layout313, layout314, layout315].map(layout => [
    layout.version,
    layout,
  ]),
);

/** The table of CPython `major.minor`, or undefined when there is none. */
export function layoutFor(major: number, minor: number): Layout | undefined {
  return tables.get(`${major}.${minor}`);
}

/** The minor versions that have a table, ascending: '3.8' to '3.15'. */
export function supportedVersions(): string[] {
  return [...tables.keys()];
}

/** A layout that some releases or builds of a minor version have. */
export interface LayoutVariant {
  /** Which, for people; '' is the table itself. */
  readonly name: string;
  /** The numbers that differ, by their path in the layout. */
  readonly moved: Readonly<Record<string, number>>;
}

/**
 * The known variants of a minor version, the table itself first. Which one a target has is found by what its pointers
 * say (`fitLayout`), not by its version.
 */
export function variantsOf(version: string): LayoutVariant[] {
  const variants: LayoutVariant[] = [{ name: '', moved: {} }];
  if (version === '3.13') {
    // Later 3.13 releases declare `} PyGC_Head Py_ALIGNED(4)`, which in C *lowers* the struct's alignment from 8: the heads of
    // the lists moved into what was padding, to addresses that are no multiple of 8. `_Py_DebugOffsets` does not tell.
    variants.push({
      name: 'gc list heads aligned to 4 bytes',
      moved: { 'gc.generations.0': 20, 'gc.generations.1': 44, 'gc.generations.2': 68 },
    });
  }
  const debug = debugBuilds[version];
  if (debug === undefined) return variants;
  return variants.flatMap(({ name, moved }) => [
    { name, moved },
    { name: name === '' ? 'debug build' : `debug build, ${name}`, moved: { ...moved, ...debug } },
  ]);
}

/** A copy of a layout in which some numbers, given by path, are others. */
export function withMoved(layout: Layout, moved: Readonly<Record<string, number>>): Layout {
  let result: unknown = layout;
  for (const [path, value] of Object.entries(moved)) result = replaced(result, path.split('.'), value);
  return result as Layout;
}

function replaced(object: unknown, [key, ...rest]: readonly string[], value: number): unknown {
  if (key === undefined) return value;
  if (typeof object !== 'object' || object === null) throw new Error(`a layout has nothing at ${key}`);
  const inner = replaced((object as Record<string, unknown>)[key], rest, value);
  if (Array.isArray(object)) return object.map((item, i) => (String(i) === key ? inner : item));
  return { ...object, [key]: inner };
}

/** The number that stands at a path of a layout. */
export function numberAt(layout: Layout, path: string): number | undefined {
  let value: unknown = layout;
  for (const key of path.split('.')) value = (value as Record<string, unknown> | null | undefined)?.[key];
  return typeof value === 'number' ? value : undefined;
}
