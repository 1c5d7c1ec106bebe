import { expect, test } from 'vitest';
import {
  cyclesText,
  doctorText,
  dominatorsText,
  growthText,
  heapText,
  memoryText,
  objectText,
  queryText,
  type Style,
  snapshotText,
  typesText,
  wasteText,
  whoDot,
  whoText,
} from '../../src/report/index.ts';

const plain: Style = { color: false, unicode: true, width: 90 };
const head = {
  schema: 1,
  target: { pid: 4242, python: '3.11.7', executable: '/usr/bin/python3.11', command: ['python', 'app.py'] },
} as const;

test('types', () => {
  const document = {
    ...head,
    by: 'size',
    objects: 51_204,
    bytes: 9_000_000,
    type_count: 240,
    types: [
      { name: 'dict', count: 48_120, shallow_bytes: 6_000_000, retained_bytes: 8_800_000 },
      { name: 'app.handlers.Session', count: 1204, shallow_bytes: 57_792, retained_bytes: 3_250_585 },
    ],
  } as const;
  expect(typesText(document, plain)).toMatchInlineSnapshot(`
    "51,204 objects of 240 types, 8.6 MiB

    objects      size  of all  retained  type
     48,120   5.7 MiB    67 %   8.4 MiB  dict
      1,204  56.4 KiB   0.6 %   3.1 MiB  app.handlers.Session

    and 238 more types; --limit 0 shows all
    "
  `);
});

test('a narrow terminal cuts names at their start, where they say least', () => {
  const parts = [{ name: 'a.very.long.package.name.with.a.module.Class', count: 3, shallow_bytes: 2048 }];
  const text = heapText(
    { ...head, by: 'module', objects: 3, bytes: 2048, parts, part_count: 1 },
    { ...plain, width: 48 },
  );
  expect(text).toMatchInlineSnapshot(`
    "3 objects, 2.0 KiB

    objects     size  of all  reached through
          3  2.0 KiB   100 %  …e.with.a.module.Class
    "
  `);
});

test('growth, and who holds it', () => {
  const document = {
    ...head,
    seconds: 42,
    snapshots: 3,
    types: [
      { name: 'app.handlers.Session', count_growth: 840, bytes_growth: 40_320 },
      { name: 'list', count_growth: -3, bytes_growth: -180 },
    ],
    holders: [
      {
        expression: 'app.cache.SESSIONS',
        path: ['module app.cache', '.SESSIONS'],
        type: 'app.handlers.Session',
        holder_type: 'dict',
        count_growth: 840,
        bytes_growth: 2_268_000,
        fingerprint: 'f00',
      },
    ],
  };
  expect(growthText(document, plain)).toMatchInlineSnapshot(`
    "3 snapshots, 42 s from the first to the last

    objects       size  type
       +840  +39.4 KiB  app.handlers.Session
         -3     -180 B  list

    who holds what grew
    objects      size  holder              type
       +840  +2.2 MiB  app.cache.SESSIONS  app.handlers.Session
    "
  `);
  expect(growthText({ ...document, types: [], holders: [] }, plain)).toContain('No type has more objects');
});

test('dominators are a tree', () => {
  const sizes = { shallow_bytes: 48, retained_bytes: 2700 };
  const document = {
    ...head,
    objects: 51_204,
    edges: 150_000,
    bytes: 9_000_000,
    seconds: { decode: 0.1, dominators: 0.02 },
    top: [
      {
        address: '0x7f00',
        type: 'dict',
        expression: 'app.cache.SESSIONS',
        shallow_bytes: 2_621_528,
        retained_bytes: 8_000_000,
        dominator: null,
      },
      {
        address: '0x7f02',
        type: 'app.handlers.Session',
        expression: "app.cache.SESSIONS['…']",
        ...sizes,
        dominator: 0,
      },
      { address: '0x7f03', type: 'list', expression: "app.cache.SESSIONS['…'].seen", ...sizes, dominator: 1 },
      { address: '0x7f04', type: 'app.handlers.Session', expression: '', ...sizes, dominator: 0 },
      { address: '0x7f05', type: 'module', expression: 'app.server', ...sizes, dominator: null },
    ],
  };
  expect(dominatorsText(document, plain)).toMatchInlineSnapshot(`
    "51,204 objects, 8.6 MiB; retained is what would be freed with the object

    retained  of all   itself  object                          address
     7.6 MiB    89 %  2.5 MiB  app.cache.SESSIONS  dict        0x7f00
     2.6 KiB  <0.1 %     48 B  ├─ ['…']  app.handlers.Session  0x7f02
     2.6 KiB  <0.1 %     48 B  │  └─ .seen  list               0x7f03
     2.6 KiB  <0.1 %     48 B  └─ app.handlers.Session         0x7f04
     2.6 KiB  <0.1 %     48 B  app.server  module              0x7f05
    "
  `);
  expect(dominatorsText(document, { ...plain, unicode: false })).toContain("|- ['...']  app.handlers.Session");
});

const who = {
  ...head,
  type: 'app.handlers.Session',
  count: 1204,
  paths: [
    {
      share: 0.98,
      nodes: [
        { label: 'module app.cache', type: 'module', address: '0x7f00' },
        { label: '.SESSIONS', type: 'dict', address: '0x7f01' },
        { label: "['…']", type: 'app.handlers.Session', address: '0x7f02' },
      ],
    },
    {
      share: 0.02,
      nodes: [
        { label: 'thread worker-3', type: '<thread>', address: '0x0' },
        { label: '<frame local session>', type: 'app.handlers.Session', address: '0x7f02' },
      ],
    },
  ],
};

test('who: merged paths, as text and as a graph', () => {
  expect(whoText(who, plain)).toMatchInlineSnapshot(`
    "1,204 objects of type app.handlers.Session

    98 % are held by
      module app.cache
        └─ SESSIONS  dict
          └─ ['…']  app.handlers.Session

    2.0 % are held by
      thread worker-3  <thread>
        └─ <frame local session>  app.handlers.Session
    "
  `);
  expect(whoText({ ...who, paths: [] }, plain)).toContain('they wait for the garbage collector');
  expect(whoDot(who)).toMatchInlineSnapshot(`
    "digraph who {
      label="app.handlers.Session";
      rankdir=LR;
      node [shape=box, fontname="sans-serif"];
      n0 [label="module app.cache"];
      n1 [label="dict"];
      n2 [label="app.handlers.Session"];
      n3 [label="thread worker-3"];
      n0 -> n1 [label=".SESSIONS"];
      n1 -> n2 [label="['…'] (98 %)"];
      n3 -> n2 [label="<frame local session> (2.0 %)"];
    }
    "
  `);
});

test('object', () => {
  const document = {
    ...head,
    address: '0x7f01',
    type: 'dict',
    expression: 'app.cache.SESSIONS',
    shallow_bytes: 2_621_528,
    retained_bytes: 8_000_000,
    length: 48_120,
    refcount: 2,
    references_found: 2,
    referrers: [{ address: '0x7f00', type: 'dict', label: "['SESSIONS']" }],
    referents: [{ address: '0x7f02', type: 'str', label: '<key>' }],
    referrer_count: 2,
    referent_count: 1,
  };
  expect(objectText(document, plain)).toMatchInlineSnapshot(`
    "dict at 0x7f01
      is        app.cache.SESSIONS
      size      2.5 MiB, length 48,120
      retained  7.6 MiB would be freed with it
      count     reference count 2, 2 references found: all are accounted for

    referred to by 2 objects
      0x7f00  dict  ['SESSIONS']
      and 1 more; --limit 0 shows all

    refers to 1 object
      0x7f02  str  <key>
    "
  `);
  expect(objectText({ ...document, refcount: 5 }, plain)).toContain('3 held by native code, or never released by it');
  expect(objectText({ ...document, refcount: null }, plain)).toContain('immortal; 2 references found');
});

test('cycles', () => {
  const document = {
    ...head,
    enabled: true,
    generations: [
      { generation: 0, objects: 312, threshold: 700, count: 312 },
      { generation: 2, objects: 40_000, threshold: 10, count: 3 },
    ],
    frozen: 12,
    unreachable: { objects: 6, bytes: 900 },
    garbage: [{ type: 'app.Node', count: 2 }],
    finalizers: [{ type: 'app.Node', count: 6 }],
    cycles: [
      {
        count: 3,
        objects: 6,
        bytes: 900,
        around: [
          { type: 'app.Node', label: '.children', address: '0x7f01' },
          { type: 'list', label: '[0]', address: '0x7f02' },
          { type: 'app.Leaf', label: '.parent', address: '0x7f03' },
        ],
        finalizers: 3,
        reachable: false,
      },
    ],
  };
  expect(cyclesText(document, plain)).toMatchInlineSnapshot(`
    "Automatic collection is on.

    generation  objects  count  threshold
             0      312    312        700
             2   40,000      3         10
    12 objects frozen by gc.freeze(), never collected

    6 objects of garbage, 900 B, wait for a collection.

    gc.garbage holds 2 app.Node

    with a finalizer (__del__): 6 app.Node

    3 cycles, 6 objects, 900 B, garbage, with a finalizer
      app.Node at 0x7f01  .children  ->  list
      list at 0x7f02  [0]  ->  app.Leaf
      app.Leaf at 0x7f03  .parent  ->  app.Node   closes it
    "
  `);
  expect(cyclesText({ ...document, enabled: false }, plain)).toContain('Automatic collection is off');
});

test('memory, waste, query, snapshot', () => {
  const parts = [
    { kind: 'python-objects', bytes: 3_000_000, detail: '51,204 objects' },
    { kind: 'free-malloc', bytes: 1_000_000, detail: 'in 3 arenas' },
  ];
  expect(memoryText({ ...head, resident: 4_000_000, parts }, plain)).toMatchInlineSnapshot(`
    "3.8 MiB resident

    2.9 MiB  75 %  Python objects                     51,204 objects
    977 KiB  25 %  free in the C library's allocator  in 3 arenas
    "
  `);
  const waste = [{ kind: 'slots', type: 'app.Node', count: 4000, bytes: 600_000, bytes_to_gain: 250_000 } as const];
  expect(wasteText({ ...head, objects: 9, bytes: 9_000_000, waste }, plain)).toMatchInlineSnapshot(`
    "up to 244 KiB of 8.6 MiB could be saved; rows may overlap, and none of this is a leak

    to gain  objects  what                                         type
    244 KiB    4,000  instances that __slots__ would make smaller  app.Node
    "
  `);
  expect(wasteText({ ...head, objects: 9, bytes: 9, waste: [] }, plain)).toBe('Nothing found that wastes memory.\n');
  const rows = [
    ['dict', 48_120],
    ['str', null],
  ];
  expect(queryText({ ...head, columns: ['type', 'n'], rows }, plain)).toMatchInlineSnapshot(`
    "type      n
    dict  48120
    str    NULL

    2 rows
    "
  `);
  const snapshot = {
    ...head,
    file: 'app.lss',
    bytes: 300_000,
    via: 'fork',
    pause_ms: 14.1,
    objects: 51_204,
    edges: 150_000,
    native_blocks: 12,
    undecoded: [{ reason: 'its type pointer is not a type', count: 2 }],
    seconds: { read: 0.2, decode: 0.3, write: 0.1 },
    notes: ['frozen instead of forked: little memory is free'],
  };
  expect(snapshotText(snapshot, plain)).toMatchInlineSnapshot(`
    "app.lss  293 KiB
      holds  51,204 objects, 150,000 references, 12 native blocks
      from   python app.py (pid 4242, Python 3.11.7)
      took   600 ms by fork, the target stood still for 14 ms
      2 blocks not decoded: its type pointer is not a type
      note   frozen instead of forked: little memory is free
    "
  `);
  // Other threads go on beside the agent: nothing stands still.
  const inside = snapshotText({ ...snapshot, via: 'agent', pause_ms: 2000 }, plain);
  expect(inside).toContain('took   600 ms by agent, the agent ran in one of its threads for 2.0 s\n');
  expect(inside).not.toContain('stood still');
});

test('doctor', () => {
  const document = {
    schema: 1,
    target: { pid: 4242, python: '3.11.7', executable: '/usr/bin/python3.11' },
    ok: false,
    summary: 'leakscope may not look into process 4242: it belongs to another user',
    checks: [
      {
        name: 'user',
        status: 'obstacle',
        detail: 'you are 1000, it is 0',
        remedies: [{ where: 'plain machine', command: 'sudo leakscope attach 4242' }],
      },
      { name: 'ptrace_scope', status: 'ok', detail: '0: any process of yours', remedies: [] },
    ],
    captures: [{ via: 'fork', works: false, detail: 'needs ptrace' }],
  } as const;
  expect(doctorText(document, plain)).toMatchInlineSnapshot(`
    "leakscope may not look into process 4242: it belongs to another user

      NO    user          you are 1000, it is 0
                          plain machine: sudo leakscope attach 4242
      ok    ptrace_scope  0: any process of yours

    ways to look
      NO    fork          needs ptrace
    "
  `);
});
