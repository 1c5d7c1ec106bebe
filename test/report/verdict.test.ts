import { expect, test } from 'vitest';
import type { Verdict } from '../../src/diagnosis/index.ts';
import { type Style, verdictText } from '../../src/report/index.ts';

const plain: Style = { color: false, unicode: true, width: 100 };

const leak: Verdict = {
  schema: 1,
  leakscope: '0.1.0',
  target: { pid: 4242, python: '3.11.7', executable: '/usr/bin/python3.11', command: ['python', 'app.py'] },
  observation: {
    seconds: 12.4,
    snapshots: 2,
    via: 'fork',
    pauses_ms: [14.1, 15.8],
    stops: 18,
    bytes_allocated_in_target: 0,
  },
  verdict: 'leak',
  summary: 'Session objects pile up in app.cache.SESSIONS',
  memory: {
    resident: 412 * 2 ** 20,
    parts: [
      { kind: 'python-objects', bytes: 286.6 * 2 ** 20 },
      { kind: 'native-blocks', bytes: 31.2 * 2 ** 20 },
      { kind: 'free-pymalloc', bytes: 50 * 2 ** 20 },
      { kind: 'free-malloc', bytes: 8.2 * 2 ** 20 },
      { kind: 'files', bytes: 36 * 2 ** 20 },
    ],
    growth_bytes_per_second: 54_000,
    growth_parts: [{ kind: 'python-objects', bytes_per_second: 53_900 }],
  },
  suspects: [
    {
      rank: 1,
      category: 'unbounded-cache',
      confidence: 0.98,
      fingerprint: 'a1b2c3',
      types: [
        { name: 'app.handlers.Session', count: 48_120, count_per_second: 20.07, bytes_per_second: 4000 },
        { name: 'dict', count: 48_120, count_per_second: 20.07, bytes_per_second: 50_000 },
      ],
      retained_bytes: 121 * 2 ** 20,
      holder: { expression: 'app.cache.SESSIONS', type: 'dict', address: '0x7f0000001000', entries: 48_120 },
      path: ['module app.cache', '.SESSIONS', "['…']"],
      store_sites: [{ file: '/srv/app/cache.py', line: 41, function: 'remember', hits: 18, evidence: 'watchpoint' }],
      creation_sites: [{ file: '/srv/app/handlers.py', line: 88, function: 'login', hits: 9, evidence: 'watchpoint' }],
      explanation: 'unbounded cache in a module global: nothing in the program ever removes from SESSIONS',
      fix: { summary: 'remove the entry on logout, or bound it (cachetools.TTLCache)', patch: '--- a\n+++ b\n' },
    },
  ],
};

const excerpt = {
  file: '/srv/app/cache.py',
  line: 41,
  lines: [
    { number: 40, text: 'def remember(token, session):' },
    { number: 41, text: '    SESSIONS[token] = session' },
  ],
};

test('a leak is told as type, holder, path, lines, cause and change', () => {
  expect(verdictText(leak, plain, [excerpt], '/srv')).toMatchInlineSnapshot(`
    "LEAK   Session  +1,204 objects/min  +3.1 MiB/min                 confidence 0.98
      and        dict +1,204/min
      held by    app.cache.SESSIONS   dict, 48,120 entries, 121 MiB retained
      path       module app.cache > SESSIONS['…'] > Session
      stored at  app/cache.py:41 in remember()    18 of 18 watched inserts
                   40   def remember(token, session):
                 > 41       SESSIONS[token] = session
      created at app/handlers.py:88 in login()    9 of 9 watched creations
      why        unbounded cache in a module global: nothing in the program ever removes from SESSIONS
      fix        remove the entry on logout, or bound it (cachetools.TTLCache)
                 leakscope fix 1 shows the patch
    MEMORY 412 MiB resident = 287 Python objects + 31 native blocks + 58 free inside allocators + 36
           code and files
    GROWTH +3.1 MiB/min resident: Python objects +3.1 MiB/min
    COST   2 pauses of 14 and 16 ms; 18 stops at a watchpoint; 0 bytes allocated in the target; watched
           for 12 s
    "
  `);
});

test('a narrow terminal wraps the sentences and cuts nothing that matters', () => {
  const text = verdictText(leak, { ...plain, width: 60 }, [excerpt], '/srv');
  expect(text).toMatchInlineSnapshot(`
    "LEAK   Session  +1,204 objects/min  +3.1 MiB/min
      confidence 0.98
      and        dict +1,204/min
      held by    app.cache.SESSIONS dict, 48,120 entries,
                 121 MiB retained
      path       module app.cache > SESSIONS['…'] > Session
      stored at  app/cache.py:41 in remember() 18 of 18 watched
                 inserts
                   40   def remember(token, session):
                 > 41       SESSIONS[token] = session
      created at app/handlers.py:88 in login() 9 of 9 watched
                 creations
      why        unbounded cache in a module global: nothing in
                 the program ever removes from SESSIONS
      fix        remove the entry on logout, or bound it
                 (cachetools.TTLCache)
                 leakscope fix 1 shows the patch
    MEMORY 412 MiB resident = 287 Python objects + 31 native
           blocks + 58 free inside allocators + 36 code and
           files
    GROWTH +3.1 MiB/min resident: Python objects +3.1 MiB/min
    COST   2 pauses of 14 and 16 ms; 18 stops at a watchpoint; 0
           bytes allocated in the target; watched for 12 s
    "
  `);
  expect(Math.max(...text.split('\n').map(line => line.length))).toBeLessThanOrEqual(60);
});

test('no leak is one sentence, the memory and the cost', () => {
  const verdict: Verdict = {
    ...leak,
    verdict: 'no-leak',
    summary: 'Nothing keeps growing: what grew at first, app.log.RING, has been full since the second snapshot.',
    suspects: [],
    memory: { ...leak.memory, growth_bytes_per_second: 0, growth_parts: [] },
    observation: { ...leak.observation, stops: 0, pauses_ms: [9.26, 14.1, 12.2, 16.4], snapshots: 4, seconds: 24 },
  };
  expect(verdictText(verdict, plain)).toMatchInlineSnapshot(`
    "NO LEAK   Nothing keeps growing: what grew at first, app.log.RING, has been full since the second
              snapshot.
    MEMORY 412 MiB resident = 287 Python objects + 31 native blocks + 58 free inside allocators + 36
           code and files
    COST   4 pauses of 9.3 to 16 ms; 0 bytes allocated in the target; watched for 24 s
    "
  `);
});

test('an inconclusive verdict says why and what to do next', () => {
  const verdict: Verdict = {
    ...leak,
    verdict: 'inconclusive',
    summary: 'Memory grows, but no container was seen to grow in all three snapshots.',
    suspects: [],
    observation: { ...leak.observation, seconds: 60, pauses_ms: [14.1], stops: 0 },
  };
  expect(verdictText(verdict, plain)).toMatchInlineSnapshot(`
    "NOT SURE  Memory grows, but no container was seen to grow in all three snapshots.
      next       watch it longer: leakscope attach 4242 --for 5m
    MEMORY 412 MiB resident = 287 Python objects + 31 native blocks + 58 free inside allocators + 36
           code and files
    GROWTH +3.1 MiB/min resident: Python objects +3.1 MiB/min
    COST   1 pause of 14 ms; 0 bytes allocated in the target; watched for 60 s
    "
  `);
});

test('fragmentation is a note, not a leak', () => {
  const verdict: Verdict = {
    ...leak,
    verdict: 'no-leak',
    summary: 'No Python object and no native block grows; the allocators keep freed memory.',
    suspects: [
      {
        ...leak.suspects[0]!,
        category: 'fragmentation',
        types: [],
        holder: null,
        path: [],
        store_sites: [],
        creation_sites: [],
        confidence: 0.9,
        retained_bytes: 0,
        explanation: '58 MiB are free inside arenas that each still hold a few live objects',
        fix: { summary: 'set MALLOC_TRIM_THRESHOLD_ or restart workers after large batches', patch: null },
      },
    ],
    memory: { ...leak.memory, growth_bytes_per_second: 0, growth_parts: [] },
  };
  expect(verdictText(verdict, plain)).toMatchInlineSnapshot(`
    "NO LEAK   No Python object and no native block grows; the allocators keep freed memory.
    NOTE   free memory that the allocators keep                      confidence 0.90
      why        58 MiB are free inside arenas that each still hold a few live objects
      fix        set MALLOC_TRIM_THRESHOLD_ or restart workers after large batches
    MEMORY 412 MiB resident = 287 Python objects + 31 native blocks + 58 free inside allocators + 36
           code and files
    COST   2 pauses of 14 and 16 ms; 18 stops at a watchpoint; 0 bytes allocated in the target; watched
           for 12 s
    "
  `);
});

test('colours go to a terminal only, and ASCII where the locale is not UTF-8', () => {
  const coloured = verdictText(leak, { ...plain, color: true }, [excerpt]);
  expect(coloured).toContain('\x1b[1;31mLEAK\x1b[0m');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the point of the test
  expect(coloured.replace(/\x1b\[[0-9;]*m/g, '')).toBe(verdictText(leak, plain, [excerpt]));
  const ascii = verdictText(leak, { ...plain, unicode: false });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the point of the test
  expect(ascii).toMatch(/^[\x00-\x7f]*$/);
  expect(ascii).toContain("SESSIONS['...']");
});

test('names from the target cannot move the cursor', () => {
  const hostile = { ...leak.suspects[0]!, explanation: 'a\x1b[2Jb', path: ['module \r\nx', '.y\u202ez'] };
  const text = verdictText({ ...leak, suspects: [hostile] }, plain);
  expect(text).not.toContain('\x1b');
  expect(text).toContain('a\\x1b[2Jb');
  expect(text).toContain('module \\x0d\\x0ax > y\\u202ez');
});

test('other evidence than watchpoints is named', () => {
  const suspect = leak.suspects[0]!;
  const sites = [{ ...suspect.store_sites[0]!, hits: 0, evidence: 'static' as const }];
  const text = verdictText({ ...leak, suspects: [{ ...suspect, store_sites: sites }] }, plain);
  expect(text).toContain('read in the source, not seen running');
});
