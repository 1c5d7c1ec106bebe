/** The layout tables, one file a minor version. */
import type { Layout } from '../layout.ts';
import { layout311 } from './v3_11.ts';
import { layout313 } from './v3_13.ts';

const tables = new Map<string, Layout>([layout311, layout313].map(layout => [layout.version, layout]));

/** The table of CPython `major.minor`, or undefined when there is none. */
export function layoutFor(major: number, minor: number): Layout | undefined {
  return tables.get(`${major}.${minor}`);
}

/** The minor versions that have a table, ascending: '3.8' … */
export function supportedVersions(): string[] {
  return [...tables.keys()];
}
