/**
 * Checks that the folder tree is the flow of ARCHITECTURE.md: a room imports only from rooms earlier in the flow,
 * only through their index.ts, and opens its index.ts by saying what it is for. Packages stay in the rooms that own them.
 *
 *   npm run flow
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

/** For every room, the rooms it may import from. A new room gets a line here and a paragraph in ARCHITECTURE.md. */
const FLOW: Readonly<Record<string, readonly string[]>> = {
  process: [],
  cpython: ['process'],
  heap: ['process', 'cpython'],
  analysis: ['process', 'cpython', 'heap'],
  source: ['process'],
  allocation: ['process', 'cpython', 'source'],
  agent: ['process', 'cpython', 'heap'],
  diagnosis: ['process', 'cpython', 'heap', 'analysis', 'source', 'allocation'],
  report: ['process', 'cpython', 'heap', 'analysis', 'source', 'allocation', 'diagnosis'],
  export: ['process', 'cpython', 'heap', 'analysis', 'source', 'allocation', 'diagnosis'],
  ui: [],
  server: ['process', 'cpython', 'heap', 'analysis', 'source', 'allocation', 'diagnosis', 'report', 'export'],
  cli: [
    ...['process', 'cpython', 'heap', 'analysis', 'source', 'allocation', 'agent', 'diagnosis'],
    ...['report', 'export', 'server'],
  ],
};

/** Packages that one room keeps to itself, so that replacing one changes one room. */
const OWNED_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  koffi: ['process'],
  commander: ['cli'],
  'web-tree-sitter': ['source'],
  'tree-sitter-python': ['source'],
  '@duckdb/node-api': ['export'],
};

const IMPORT =
  /^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

/** The modules that a TypeScript text imports, with the line of each. */
export function importsOf(text: string): { specifier: string; line: number }[] {
  const found: { specifier: string; line: number }[] = [];
  for (const match of text.matchAll(IMPORT)) {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    const line = text.slice(0, match.index + match[0].length).split('\n').length;
    found.push({ specifier, line });
  }
  return found;
}

/** Sentences about what breaks the flow in the source tree at `root`; none when it is kept. */
export function checkFlow(root: string): string[] {
  const problems: string[] = [];
  const rooms = readdirSync(root, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name);
  for (const room of rooms) {
    const files = readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).filter(name =>
      name.endsWith('.ts'),
    );
    if (files.length === 0) continue;
    const mayImport = FLOW[room];
    if (mayImport === undefined) {
      problems.push(`src/${room}: no such room in the flow; give it a place in scripts/check-flow.ts`);
      continue;
    }
    for (const name of files) {
      const file = join(root, room, name);
      const text = readFileSync(file, 'utf8');
      if (name === 'index.ts' && !text.trimStart().startsWith('/*')) {
        problems.push(`src/${room}/index.ts: open with a few lines that say what the room is for and must not know`);
      }
      for (const { specifier, line } of importsOf(text)) {
        const problem = judge(root, room, mayImport, file, specifier);
        if (problem !== undefined) problems.push(`src/${room}/${name}:${line}: ${problem}`);
      }
    }
  }
  return problems;
}

function judge(root: string, room: string, mayImport: readonly string[], file: string, specifier: string) {
  if (specifier.startsWith('node:')) return undefined;
  if (!specifier.startsWith('.')) {
    const owner = Object.entries(OWNED_PACKAGES).find(
      ([name]) => specifier === name || specifier.startsWith(`${name}/`),
    );
    if (owner === undefined) return `imports the package ${specifier}, which no room owns (scripts/check-flow.ts)`;
    return owner[1].includes(room) ? undefined : `imports ${specifier}, which belongs to src/${owner[1].join(', ')}`;
  }
  const [otherRoom, ...inside] = relative(root, resolve(dirname(file), specifier)).split(sep);
  if (otherRoom === '..') return specifier.endsWith('/package.json') ? undefined : `imports ${specifier}, outside src`;
  if (otherRoom === undefined || otherRoom === room) return undefined;
  if (!mayImport.includes(otherRoom)) return `src/${room} must not know src/${otherRoom} (${specifier})`;
  if (inside.join('/') !== 'index.ts') return `imports ${specifier}; go through src/${otherRoom}/index.ts`;
  return undefined;
}

if (import.meta.main) {
  const problems = checkFlow(resolve(import.meta.dirname, '..', 'src'));
  for (const problem of problems) console.error(problem);
  console.log(problems.length === 0 ? 'imports follow the flow' : `${problems.length} imports break the flow`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
