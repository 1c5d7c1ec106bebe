/** The layout tables, one file a minor version, and the ways in which patch releases are known to differ from them. */
import type { Layout } from '../layout.ts';
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

/** A layout that some patch releases of a minor version have; `name` says which, '' is the table itself. */
export interface LayoutVariant {
  readonly name: string;
  readonly layout: Layout;
}

/**
 * The table and its known variants, the table first. Which one a target has is found by its gc lists' back-pointers
 * (`locateGcLists`), not by its version.
 */
export function variantsOf(layout: Layout): LayoutVariant[] {
  const variants: LayoutVariant[] = [{ name: '', layout }];
  if (layout.version === '3.13') {
    // Later 3.13 releases declare `} PyGC_Head Py_ALIGNED(4)`, which in C *lowers* the struct's alignment from 8: the list
    // heads moved into what was padding. `_Py_DebugOffsets` does not tell.
    const gc = { ...layout.gc, generations: layout.gc.generations.map(offset => offset - 4) };
    variants.push({ name: 'gc list heads aligned to 4 bytes', layout: { ...layout, gc } });
  }
  return variants;
}
