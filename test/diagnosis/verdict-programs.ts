/**
 * The main job on real programs: each is started, left to get warm, and watched to a verdict, with every CPython of a
 * minor version that the machine has. What the verdict must name stands beside the program (test/zoo/ID.json).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Suspect, watchTarget } from '../../src/diagnosis/index.ts';
import { killTargets, pythonsOf, spawnTarget, type Target } from '../support/pythons.ts';

const ZOO = join(import.meta.dirname, '../zoo');

interface Truth {
  readonly id: string;
  readonly category: string;
  readonly leaking_types: readonly string[];
  readonly holder_names: readonly string[];
  readonly hold_sites_all: readonly string[];
  readonly alloc_sites_all: readonly string[];
}

function truthOf(id: string): Truth {
  return JSON.parse(readFileSync(join(ZOO, `${id}.json`), 'utf8')) as Truth;
}

/** What of a process must be the same before and after it was looked at. */
function stateOf(pid: number): Record<string, unknown> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
  return {
    threads: readdirSync(`/proc/${pid}/task`).sort(),
    children: readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'),
    tracer: field('TracerPid'),
    blocked: field('SigBlk'),
    ignored: field('SigIgn'),
    caught: field('SigCgt'),
    pending: field('SigPnd'),
    files: readdirSync(`/proc/${pid}/fd`).length,
  };
}

async function startProgram(command: ReturnType<typeof pythonsOf>[number], id: string): Promise<Target> {
  const target = await spawnTarget(command, { file: join(ZOO, `${id}.py`) });
  return target;
}

const near = (sites: Suspect['store_sites'], wanted: readonly string[]) =>
  wanted.some(site => {
    const [file, line] = site.split(':');
    return sites.some(s => basename(s.file) === file && Math.abs(s.line - Number(line)) <= 1);
  });

/** Defines the tests for one minor version; a file each, so that two run at a time. */
export function testVerdicts(minor: string): void {
  afterEach(killTargets);
  const interpreters = pythonsOf(minor);
  it(`there is a CPython ${minor} to test with`, () => expect(interpreters).not.toEqual([]));
  describe.each(interpreters.map(p => [`${p.version} ${p.origin}`, p] as const))('with CPython %s', (_, python) => {
    it.each(['asset_proxy', 'courier_dispatch', 'edge_gateway', 'import_queue', 'schema_views', 'stanza_gateway'])(
      'names type, holder and line of %s, and leaves it as it was',
      async id => {
        const truth = truthOf(id);
        const target = await startProgram(python, id);
        const before = stateOf(target.pid);
        const verdict = await watchTarget(target.pid, { forMs: 40_000 });
        expect(verdict.verdict, verdict.summary).toBe('leak');
        const suspect = verdict.suspects[0];
        const types = suspect.types.map(t => t.name.slice(t.name.lastIndexOf('.') + 1));
        expect(
          types.some(t => truth.leaking_types.includes(t)),
          types.join(),
        ).toBe(true);
        const said: string[] =
          JSON.stringify([suspect.holder, suspect.path, suspect.explanation]).match(/[A-Za-z_]\w*/g) ?? [];
        expect(
          truth.holder_names.some(name => name.split(/\W+/).every(word => said.includes(word))),
          said.join(' '),
        ).toBe(true);
        expect(near(suspect.store_sites, truth.hold_sites_all), JSON.stringify(suspect.store_sites)).toBe(true);
        expect(suspect.category).toBe(truth.category);
        expect(verdict.observation.bytes_allocated_in_target).toBe(0);
        expect(stateOf(target.pid)).toEqual(before);
      },
    );

    it.each(['log_ring', 'tree_churn'])('finds no leak in %s', async id => {
      const target = await startProgram(python, id);
      const verdict = await watchTarget(target.pid, { forMs: 20_000 });
      expect(verdict.verdict, verdict.summary).toBe('no-leak');
      expect(verdict.suspects.filter(s => s.category !== 'fragmentation')).toEqual([]);
    });
  });
}
