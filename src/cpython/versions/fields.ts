/**
 * Where the C structures of the standard library's types hold references: types that are no more than some pointers at
 * fixed places, from their own structures in CPython's Objects/ and Modules/ of each version (written from debug
 * information of 3.8 to 3.13 and from the sources of 3.14 and 3.15, proved by test/oracle).
 *
 * Per type (its tp_name) the forms its structure has had, each with the first minor version that has it. A form is a
 * list of `offset name`:
 *   16 .func       the reference is seen from Python as an attribute
 *   16 it          a field of C alone
 *   16 ~prev       points at an object, but owns no reference
 *   40 values*57   57 pointers one behind the other
 *   24 data[16]    a pointer to an array of as many pointers as the word at offset 16 says
 *   64 handlers[=22]  the same, with a fixed number
 *   40 values*@24  as many pointers as the int at offset 24 says, one behind the other
 * A form that was given to a patch release of an older version, too, has the structure's size in bytes, which tells.
 * Null pointers are skipped. `__dict__` and weak lists are not here: the type itself says where they are.
 */
type Forms = readonly (readonly [sinceMinor: number, fields: string, basicSize?: number])[];

const VIEW: Forms = [[8, '16 .mapping']];
const DICT_ITERATOR: Forms = [[8, '16 dict, 40 result']];
const SEQUENCE_ITERATOR: Forms = [[8, '24 sequence']];
const POOL: Forms = [[8, '16 pool, 32 result']];
const FUNCTION_AND_ITERATOR: Forms = [[8, '16 function, 24 iterator']];
const BUFFERED: Forms = [[8, '16 .raw']];
const CDATA: Forms = [[8, '32 ._b_base_, 64 ._objects']];
/** The list of a statement cache: each node is held by the one before it, besides the cache's dict. */
const SQLITE_NODE: Forms = [[8, '16 key, 24 data, 40 ~previous, 48 next']];
const UNICODE_ERROR: Forms = [
  [8, '64 .encoding, 72 .object, 96 .reason'],
  [11, '72 .encoding, 80 .object, 104 .reason'],
];

export const fieldForms: Readonly<Record<string, Forms>> = {
  // Objects/
  dict_keys: VIEW,
  dict_values: VIEW,
  dict_items: VIEW,
  odict_keys: VIEW,
  odict_values: VIEW,
  odict_items: VIEW,
  dict_keyiterator: DICT_ITERATOR,
  dict_valueiterator: DICT_ITERATOR,
  dict_itemiterator: DICT_ITERATOR,
  dict_reversekeyiterator: DICT_ITERATOR,
  dict_reversevalueiterator: DICT_ITERATOR,
  dict_reverseitemiterator: DICT_ITERATOR,
  odict_iterator: [[8, '24 odict, 48 current, 56 result']],
  mappingproxy: [[8, '16 mapping']],
  list_iterator: SEQUENCE_ITERATOR,
  list_reverseiterator: SEQUENCE_ITERATOR,
  tuple_iterator: SEQUENCE_ITERATOR,
  set_iterator: [[8, '16 set']],
  str_iterator: SEQUENCE_ITERATOR,
  str_ascii_iterator: SEQUENCE_ITERATOR,
  bytes_iterator: SEQUENCE_ITERATOR,
  bytearray_iterator: SEQUENCE_ITERATOR,
  memory_iterator: SEQUENCE_ITERATOR,
  iterator: SEQUENCE_ITERATOR,
  callable_iterator: [[8, '16 callable, 24 sentinel']],
  reversed: [[8, '24 sequence']],
  enumerate: [
    [8, '24 iterator, 32 result, 40 index'],
    [11, '24 iterator, 32 result, 40 index, 48 one'],
  ],
  zip: [[8, '24 iterators, 32 result']],
  map: [[8, '16 iterators, 24 function']],
  filter: [[8, '16 function, 24 iterator']],
  range: [[8, '16 .start, 24 .stop, 32 .step, 40 length']],
  range_iterator: [[8, '']],
  longrange_iterator: [
    [8, '16 index, 24 start, 32 step, 40 length'],
    [12, '16 start, 24 step, 32 length'],
  ],
  super: [[8, '16 .__thisclass__, 24 .__self__, 32 .__self_class__']],
  memoryview: [[8, '24 managed buffer, 64 ~.obj']],
  managedbuffer: [[8, '40 exporter']],
  coroutine_wrapper: [[8, '16 coroutine']],
  async_generator_asend: [[8, '16 generator, 24 value']],
  async_generator_athrow: [
    [8, '16 generator, 24 arguments'],
    [15, '16 generator, 24 type, 32 traceback, 40 value'],
  ],
  async_generator_wrapped_value: [[8, '16 value']],
  anext_awaitable: [[8, '16 awaitable, 24 default']],
  'types.GenericAlias': [[8, '16 .__origin__, 24 .__args__, 32 .__parameters__']],
  generic_alias_iterator: [[8, '16 object']],
  ga_iterator: [[8, '16 object']],
  'types.UnionType': [[8, '16 .__args__, 24 .__parameters__']],
  'typing.Union': [[8, '16 .__args__, 24 hashable arguments, 32 unhashable arguments, 40 .__parameters__']],
  'typing.TypeVar': [
    [12, '16 .__name__, 24 .__bound__, 32 evaluate bound, 40 .__constraints__, 48 evaluate constraints'],
    [
      13,
      '16 .__name__, 24 .__bound__, 32 evaluate bound, 40 .__constraints__, 48 evaluate constraints, 56 .__default__, 64 evaluate default',
    ],
  ],
  'typing.ParamSpec': [
    [12, '16 .__name__, 24 .__bound__'],
    [13, '16 .__name__, 24 .__bound__, 32 .__default__, 40 evaluate default'],
  ],
  'typing.TypeVarTuple': [
    [12, '16 .__name__'],
    [13, '16 .__name__, 24 .__default__, 32 evaluate default'],
    [15, '16 .__name__, 24 .__bound__, 32 .__default__, 40 evaluate default'],
  ],
  'typing.ParamSpecArgs': [[12, '16 .__origin__']],
  'typing.ParamSpecKwargs': [[12, '16 .__origin__']],
  'typing.TypeAliasType': [
    [12, '16 .__name__, 24 .__type_params__, 32 compute value, 40 .__value__, 48 .__module__'],
    [15, '16 .__name__, 24 .__qualname__, 32 .__type_params__, 40 compute value, 48 .__value__, 56 .__module__'],
  ],
  'typing.Generic': [[12, '']],
  'typing.NoDefaultType': [[13, '']],
  'types.SimpleNamespace': [[8, '']],
  PyCapsule: [[8, '']],
  EncodingMap: [[8, '']],
  'Token.MISSING': [[8, '']],
  'sys.getwindowsversion': [[8, '']],
  moduledef: [[8, '32 copy of the dict']],
  instancemethod: [[8, '16 .__func__']],
  FrameLocalsProxy: [[13, '16 frame']],
  line_iterator: [[10, '16 code']],
  positions_iterator: [[11, '16 code']],
  fieldnameiterator: [[8, '16 text']],
  formatteriterator: [[8, '16 text']],
  _buffer_wrapper: [[12, '16 memoryview, 24 exporter']],
  // Exceptions: what their structures have after PyBaseExceptionObject.
  SyntaxError: [
    [8, '64 .msg, 72 .filename, 80 .lineno, 88 .offset, 96 .text, 104 .print_file_and_line'],
    [
      10,
      '64 .msg, 72 .filename, 80 .lineno, 88 .offset, 96 .end_lineno, 104 .end_offset, 112 .text, 120 .print_file_and_line',
    ],
    [
      11,
      '72 .msg, 80 .filename, 88 .lineno, 96 .offset, 104 .end_lineno, 112 .end_offset, 120 .text, 128 .print_file_and_line',
    ],
    [
      14,
      '72 .msg, 80 .filename, 88 .lineno, 96 .offset, 104 .end_lineno, 112 .end_offset, 120 .text, 128 .print_file_and_line, 136 metadata',
    ],
  ],
  ImportError: [
    [8, '64 .msg, 72 .name, 80 .path'],
    [11, '72 .msg, 80 .name, 88 .path'],
    [12, '72 .msg, 80 .name, 88 .path, 96 .name_from'],
  ],
  OSError: [
    [8, '64 .errno, 72 .strerror, 80 .filename, 88 .filename2'],
    [11, '72 .errno, 80 .strerror, 88 .filename, 96 .filename2'],
  ],
  SystemExit: [
    [8, '64 .code'],
    [11, '72 .code'],
  ],
  StopIteration: [
    [8, '64 .value'],
    [11, '72 .value'],
  ],
  UnicodeEncodeError: UNICODE_ERROR,
  UnicodeDecodeError: UNICODE_ERROR,
  UnicodeTranslateError: UNICODE_ERROR,
  NameError: [
    [10, '64 .name'],
    [11, '72 .name'],
  ],
  AttributeError: [
    [10, '64 .obj, 72 .name'],
    [11, '72 .obj, 80 .name'],
  ],
  BaseExceptionGroup: [
    [11, '72 .message, 80 .exceptions'],
    [14, '72 .message, 80 .exceptions, 88 text of the exceptions', 96],
  ],

  // Modules/: collections, functools, itertools, operator
  'collections.defaultdict': [[8, '48 .default_factory']],
  '_collections._deque_iterator': [[8, '32 deque']],
  '_collections._deque_reverse_iterator': [[8, '32 deque']],
  'collections._deque_iterator': [[8, '32 deque']],
  'collections._deque_reverse_iterator': [[8, '32 deque']],
  'collections._tuplegetter': [[8, '24 .__doc__']],
  '_collections._tuplegetter': [[8, '24 .__doc__']],
  'functools.partial': [
    [8, '16 .func, 24 .args, 32 .keywords'],
    [14, '16 .func, 24 .args, 32 .keywords, 56 ~placeholder'],
  ],
  'functools._PlaceholderType': [[14, '']],
  'functools.KeyWrapper': [[8, '16 compare, 24 .obj']],
  'functools._lru_cache_wrapper': [
    [8, '72 cache, 88 .__wrapped__, 112 cache_info type'],
    [10, '72 cache, 88 .__wrapped__, 112 mark of keywords, 120 link type, 128 cache_info type'],
  ],
  'functools._lru_list_elem': [[8, '16 ~previous, 24 ~next, 40 key, 48 result']],
  'itertools.tee': [[8, '16 data']],
  'itertools._tee': [[8, '16 data']],
  'itertools._tee_dataobject': [[8, '16 iterator, 32 next, 40 value*@24']],
  'itertools.teedataobject': [[8, '16 iterator, 32 next, 40 value*@24']],
  'itertools.groupby': [[8, '16 iterator, 24 key function, 32 target key, 40 current key, 48 current value']],
  'itertools._grouper': [[8, '16 parent, 24 target key']],
  'itertools.cycle': [[8, '16 iterator, 24 saved']],
  'itertools.dropwhile': FUNCTION_AND_ITERATOR,
  'itertools.takewhile': FUNCTION_AND_ITERATOR,
  'itertools.starmap': FUNCTION_AND_ITERATOR,
  'itertools.filterfalse': FUNCTION_AND_ITERATOR,
  'itertools.chain': [[8, '16 source, 24 active']],
  'itertools.islice': [[8, '16 iterator']],
  'itertools.product': [[8, '16 pools, 32 result']],
  'itertools.combinations': POOL,
  'itertools.combinations_with_replacement': POOL,
  'itertools.permutations': [[8, '16 pool, 40 result']],
  'itertools.accumulate': [[8, '16 total, 24 iterator, 32 function, 40 initial']],
  'itertools.compress': [[8, '16 data, 24 selectors']],
  'itertools.count': [[8, '24 count, 32 step']],
  'itertools.repeat': [[8, '16 element']],
  'itertools.zip_longest': [[8, '32 iterators, 40 result, 48 fill value']],
  'itertools.pairwise': [
    [10, '16 iterator, 24 old'],
    [13, '16 iterator, 24 old, 32 result'],
  ],
  'itertools.batched': [[12, '16 iterator']],
  'operator.itemgetter': [[8, '24 item']],
  'operator.attrgetter': [[8, '24 attribute']],
  'operator.methodcaller': [
    [8, '16 name, 24 args, 32 kwargs'],
    [13, '16 name, 24 args, 32 kwargs, 48 keyword names'],
    [14, '16 name, 24 args, 32 kwargs, 40 positional arguments, 48 keyword names'],
  ],
  // contextvars and asyncio
  Context: [[8, '16 previous, 24 variables']],
  '_contextvars.Context': [[8, '16 previous, 24 variables']],
  ContextVar: [[8, '16 .name, 24 default, 32 ~cached value']],
  '_contextvars.ContextVar': [[8, '16 .name, 24 default, 32 ~cached value']],
  Token: [[8, '16 context, 24 .var, 32 .old_value']],
  '_contextvars.Token': [[8, '16 context, 24 .var, 32 .old_value']],
  hamt: [[8, '16 root']],
  hamt_array_node: [[8, '16 node*32']],
  hamt_bitmap_node: [[8, '32 entry+16']],
  hamt_collision_node: [[8, '32 entry+16']],
  keys: [[8, '16 hamt, 24 ~node*8']],
  items: [[8, '16 hamt, 24 ~node*8']],
  values: [[8, '16 hamt, 24 ~node*8']],
  '_asyncio.Future': [
    [8, '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 result, 64 source traceback'],
    [
      9,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 result, 64 source traceback, 72 cancel message, 112 cancelled exception type, 120 cancelled exception, 128 cancelled exception traceback',
    ],
    [
      10,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 exception traceback, 64 result, 72 source traceback, 80 cancel message, 120 cancelled exception type, 128 cancelled exception, 136 cancelled exception traceback',
    ],
    [
      11,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 exception traceback, 64 result, 72 source traceback, 80 cancel message, 120 cancelled exception',
    ],
    [
      13,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 exception traceback, 64 result, 72 source traceback, 80 cancel message, 88 cancelled exception',
    ],
    [
      14,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 exception traceback, 64 result, 72 source traceback, 80 cancel message, 88 cancelled exception, 96 awaited by',
    ],
  ],
  '_asyncio.Task': [
    [
      8,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 result, 64 source traceback, 104 waiter, 112 coroutine, 120 name, 128 context',
    ],
    [
      9,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 result, 64 source traceback, 72 cancel message, 112 cancelled exception type, 120 cancelled exception, 128 cancelled exception traceback, 144 waiter, 152 coroutine, 160 name, 168 context',
    ],
    [
      10,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 exception traceback, 64 result, 72 source traceback, 80 cancel message, 120 cancelled exception type, 128 cancelled exception, 136 cancelled exception traceback, 152 waiter, 160 coroutine, 168 name, 176 context',
    ],
    [
      11,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 exception traceback, 64 result, 72 source traceback, 80 cancel message, 120 cancelled exception, 128 waiter, 136 coroutine, 144 name, 152 context',
    ],
    [
      13,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 exception traceback, 64 result, 72 source traceback, 80 cancel message, 88 cancelled exception, 112 waiter, 120 coroutine, 128 name, 136 context',
    ],
    [
      14,
      '16 loop, 24 callback, 32 context of the callback, 40 callbacks, 48 exception, 56 exception traceback, 64 result, 72 source traceback, 80 cancel message, 88 cancelled exception, 96 awaited by, 120 waiter, 128 coroutine, 136 name, 144 context',
    ],
  ],
  '_asyncio.FutureIter': [[8, '16 future']],
  TaskStepMethWrapper: [[8, '16 task, 24 argument']],
  '_asyncio.TaskStepMethWrapper': [[8, '16 task, 24 argument']],
  _RunningLoopHolder: [[8, '16 loop']],
  TaskWakeupMethWrapper: [[8, '16 task']],
  _abc_data: [[8, '16 registry, 24 cache, 32 negative cache']],
  '_abc._abc_data': [[8, '16 registry, 24 cache, 32 negative cache']],
  // threads
  '_thread._local': [
    [8, '16 key, 24 arguments, 32 keyword arguments, 48 dummies, 56 weakref callback'],
    [13, '16 arguments, 24 keyword arguments, 40 dicts of threads, 48 watchdogs of threads'],
  ],
  '_thread._localdummy': [
    [8, '16 ~dict'],
    [13, ''],
  ],
  '_thread.lock': [[8, '']],
  '_thread.RLock': [[8, '']],
  '_thread._ThreadHandle': [[13, '']],
  '_queue.SimpleQueue': [
    [8, '32 items'],
    [13, '40 item[48]'],
  ],
  // array, struct, re, pickle, io
  'array.array': [[8, '']],
  'array.arrayiterator': [[8, '24 array']],
  arrayiterator: [[8, '24 array']],
  Struct: [[8, '40 .format']],
  '_struct.Struct': [[8, '40 .format']],
  unpack_iterator: [[8, '16 struct, 32 buffer']],
  '_struct.unpack_iterator': [[8, '16 struct, 32 buffer']],
  're.Pattern': [[8, '32 .groupindex, 40 group names, 48 .pattern']],
  're.Match': [[8, '24 .string, 32 .regs, 40 .re']],
  '_sre.SRE_Scanner': [[8, '16 .pattern, 56 string, 72 buffer']],
  '_pickle.Pickler': [
    [
      8,
      '24 .persistent_id, 32 ~self, 40 .dispatch_table, 48 reducer_override, 56 write, 64 output, 136 fast memo, 144 buffer callback',
    ],
    [
      13,
      '24 persistent_id, 32 .dispatch_table, 40 reducer_override, 48 write, 56 output, 128 fast memo, 136 buffer callback',
    ],
    [
      14,
      '24 persistent_id, 32 persistent_id attribute, 40 .dispatch_table, 48 reducer_override, 56 write, 64 output, 136 fast memo, 144 buffer callback',
      152,
    ],
  ],
  '_pickle.Unpickler': [
    [
      8,
      '16 stack, 24 memo[32], 48 .persistent_load, 56 ~self, 72 buffer, 184 read, 192 readinto, 200 readline, 208 peek, 216 buffers',
    ],
    [
      13,
      '16 stack, 24 memo[32], 48 persistent_load, 64 buffer, 176 read, 184 readinto, 192 readline, 200 peek, 208 buffers',
    ],
    [
      14,
      '16 stack, 24 memo[32], 48 persistent_load, 56 persistent_load attribute, 72 buffer, 200 read, 208 readinto, 216 readline, 224 peek, 232 buffers',
      296,
    ],
    [
      15,
      '16 stack, 24 memo[32], 48 memo dict, 56 persistent_load, 64 persistent_load attribute, 80 buffer, 208 read, 216 readinto, 224 readline, 232 peek, 240 buffers',
    ],
  ],
  '_pickle.Pdata': [[8, '24 item[16]']],
  '_pickle.PicklerMemoProxy': [[8, '16 pickler']],
  '_pickle.UnpicklerMemoProxy': [[8, '16 unpickler']],
  '_io.BytesIO': [[8, '16 buffer']],
  '_io._BytesIOBuffer': [[8, '16 source']],
  '_io.StringIO': [
    [8, '56 chunks, 64 small chunks, 80 decoder, 88 read newline, 96 write newline'],
    [12, '56 buffer, 120 decoder, 128 read newline, 136 write newline'],
    [14, '56 buffer[=1], 72 decoder, 80 read newline, 88 write newline'],
  ],
  '_io.FileIO': [[8, '']],
  '_io.BufferedReader': BUFFERED,
  '_io.BufferedWriter': BUFFERED,
  '_io.BufferedRandom': BUFFERED,
  '_io.BufferedRWPair': [[8, '16 reader, 24 writer']],
  '_io.TextIOWrapper': [
    [
      8,
      '32 .buffer, 40 .encoding, 48 encoder, 56 decoder, 64 read newline, 72 .errors, 120 decoded characters, 136 pending bytes, 152 snapshot, 168 raw',
    ],
  ],
  '_io.IncrementalNewlineDecoder': [[8, '16 decoder, 24 errors']],
  '_io._IOBase': [[8, '']],
  '_io._RawIOBase': [[8, '']],
  '_io._BufferedIOBase': [[8, '']],
  '_io._TextIOBase': [[8, '']],
  '_socket.socket': [[8, '']],
  'select.epoll': [[8, '']],
  'select.poll': [[8, '16 descriptors']],
  'mmap.mmap': [[8, '']],
  'posix.ScandirIterator': [
    [8, '72 path, 80 path made'],
    [13, '88 path, 96 path made'],
    [14, '96 path, 104 path made', 128],
  ],
  'posix.DirEntry': [[8, '16 .name, 24 .path, 32 stat, 40 lstat']],
  '_csv.reader': [[8, '16 input, 24 .dialect, 32 fields']],
  '_csv.writer': [
    [8, '16 write, 24 .dialect'],
    [10, '16 write, 24 .dialect, 64 error type'],
  ],
  '_csv.Dialect': [[8, '40 .lineterminator']],
  '_json.Scanner': [
    [8, '24 .object_hook, 32 .object_pairs_hook, 40 .parse_float, 48 .parse_int, 56 .parse_constant, 64 memo'],
    [13, '24 .object_hook, 32 .object_pairs_hook, 40 .parse_float, 48 .parse_int, 56 .parse_constant'],
    [15, '24 .object_hook, 32 .object_pairs_hook, 40 .array_hook, 48 .parse_float, 56 .parse_int, 64 .parse_constant'],
  ],
  '_json.Encoder': [[8, '16 .markers, 24 .default, 32 .encoder, 40 .indent, 48 .key_separator, 56 .item_separator']],
  // datetime, decimal, zlib and its kind
  'datetime.date': [[8, '']],
  'datetime.timedelta': [[8, '']],
  'datetime.tzinfo': [[8, '']],
  'datetime.timezone': [[8, '16 offset, 24 name']],
  'decimal.Decimal': [[8, '']],
  'decimal.Context': [[8, '64 .traps, 72 .flags']],
  'decimal.ContextManager': [[8, '16 local, 24 global']],
  'decimal.SignalDictMixin': [[8, '']],
  'zlib.Compress': [[8, '128 unused data, 136 unconsumed tail, 152 dictionary']],
  'zlib.Decompress': [[8, '128 .unused_data, 136 .unconsumed_tail, 152 dictionary']],
  'zlib._ZlibDecompressor': [[12, '128 dictionary, 144 .unused_data']],
  '_bz2.BZ2Compressor': [[8, '']],
  '_bz2.BZ2Decompressor': [[8, '104 .unused_data']],
  '_lzma.LZMACompressor': [[8, '']],
  '_lzma.LZMADecompressor': [[8, '184 .unused_data']],
  '_random.Random': [[8, '']],
  '_hashlib.HASH': [[8, '']],
  // sqlite3. The exception types in a Connection are borrowed to 3.11.
  'sqlite3.Connection': [
    [
      8,
      '48 .isolation_level, 80 statement cache, 88 statements, 96 cursors, 112 .row_factory, 120 .text_factory, 128 trace callback, 136 progress handler, 144 authorizer, 152 collations',
    ],
    [
      11,
      '64 statement cache, 72 cursors, 80 blobs, 96 .row_factory, 104 .text_factory, 112 trace callback[=2], 120 progress callback[=2], 128 authorizer callback[=2]',
    ],
    [
      12,
      '72 statement cache, 80 cursors, 88 blobs, 104 .row_factory, 112 .text_factory, 120 trace callback[=2], 128 progress callback[=2], 136 authorizer callback[=2]',
    ],
    [
      15,
      '72 statement cache, 80 blobs, 88 .row_factory, 96 .text_factory, 104 trace callback[=2], 112 progress callback[=2], 120 authorizer callback[=2]',
    ],
  ],
  'sqlite3.Cursor': [
    [
      8,
      '16 .connection, 24 .description, 32 row converters, 48 .lastrowid, 64 .row_factory, 72 statement, 96 next row',
    ],
    [11, '16 .connection, 24 .description, 32 row converters, 48 .lastrowid, 64 .row_factory, 72 statement'],
  ],
  'sqlite3.Statement': [
    [8, '32 sql'],
    [11, ''],
  ],
  'sqlite3.Row': [[8, '16 data, 24 description']],
  'sqlite3.Blob': [[11, '16 connection']],
  'sqlite3.PrepareProtocol': [[8, '']],
  'sqlite3.Node': SQLITE_NODE,
  sqlite3Node: SQLITE_NODE,
  'sqlite3.Cache': [[8, '24 mapping, 32 ~factory, 40 first, 48 ~last']],
  // ElementTree and expat (Element itself has a decoder)
  'xml.etree.ElementTree.TreeBuilder': [
    [
      8,
      '16 root, 24 this, 32 last, 40 last for tail, 48 data, 56 stack, 72 element factory, 80 comment factory, 88 pi factory, 96 append event, 104 start event, 112 end event, 120 start-ns event, 128 end-ns event, 136 comment event, 144 pi event',
    ],
  ],
  'xml.etree.ElementTree.XMLParser': [
    [
      8,
      '24 .target, 32 .entity, 40 names, 48 handle start-ns, 56 handle end-ns, 64 handle start, 72 handle data, 80 handle end, 88 handle comment, 96 handle pi, 104 handle doctype, 112 handle close',
    ],
    [
      13,
      '24 .target, 32 .entity, 40 names, 48 handle start-ns, 56 handle end-ns, 64 handle start, 72 handle data, 80 handle end, 88 handle comment, 96 handle pi, 104 handle doctype, 112 handle close, 128 ElementTree module',
    ],
  ],
  'pyexpat.xmlparser': [
    [8, '56 .intern, 64 handler[=22]'],
    [13, '64 .intern, 72 handler[=22]'],
    [14, '24 parent, 72 .intern, 80 handler[=22]', 88],
  ],
  // what came with 3.14 and 3.15
  'string.templatelib.Template': [[14, '16 .strings, 24 .interpolations']],
  'string.templatelib.Interpolation': [[14, '16 .value, 24 .expression, 32 .conversion, 40 .format_spec']],
  'string.templatelib.TemplateIter': [[14, '16 strings, 24 interpolations']],
  'compression.zstd.ZstdCompressor': [[14, '24 dictionary']],
  'compression.zstd.ZstdDecompressor': [[14, '24 dictionary, 64 .unused_data']],
  'compression.zstd.ZstdDict': [[14, '24 compiled dictionaries']],
  '_hmac.HMAC': [[14, '24 .name']],
  lazy_import: [[15, '16 builtins, 24 from, 32 attribute, 40 code']],
  sentinel: [[15, '16 .__name__, 24 .__module__, 32 text']],
  // ssl
  '_ssl._SSLContext': [
    [8, '40 .sni_callback, 64 message callback, 72 .keylog_filename'],
    [13, '40 .sni_callback, 64 message callback, 72 .keylog_filename, 96 psk client callback, 104 psk server callback'],
  ],
  '_ssl._SSLSocket': [
    [8, '16 socket, 32 .context, 48 .owner, 56 .server_hostname, 72 exception type, 80 exception, 88 traceback'],
    [12, '16 socket, 32 .context, 48 .owner, 56 .server_hostname, 72 exception'],
    [15, '16 socket, 32 .context, 48 .owner, 56 .server_hostname'],
  ],
  '_ssl.MemoryBIO': [[8, '']],
  '_ssl.SSLSession': [[8, '24 context']],
  '_ssl.Session': [[8, '24 context']],
  // ctypes
  StgDict: [[8, '96 proto, 128 argtypes, 136 converters, 144 restype, 152 checker']],
  '_ctypes.CField': [
    [8, '40 proto'],
    [14, '40 proto, 72 .name'],
  ],
  '_ctypes.CThunkObject': [[8, '80 converters, 88 callable, 96 restype']],
  CThunkObject: [[8, '80 converters, 88 callable, 96 restype']],
  '_ctypes._CData': CDATA,
  '_ctypes.Structure': CDATA,
  '_ctypes.Union': CDATA,
  '_ctypes.Array': CDATA,
  '_ctypes._Pointer': CDATA,
  '_ctypes._SimpleCData': CDATA,
  '_ctypes.PyCFuncPtr': [
    [
      8,
      '32 ._b_base_, 64 ._objects, 96 thunk, 104 .callable, 112 converters, 120 .argtypes, 128 .restype, 136 checker, 144 .errcheck, 152 paramflags',
    ],
  ],
  '_ctypes.CFuncPtr': [
    [
      8,
      '32 ._b_base_, 64 ._objects, 96 thunk, 104 .callable, 112 converters, 120 .argtypes, 128 .restype, 136 checker, 144 .errcheck, 152 paramflags',
    ],
  ],
  '_ctypes.CArgObject': [
    [8, '48 ._obj'],
    [14, '64 ._obj'],
  ],
  CArgObject: [
    [8, '48 ._obj'],
    [14, '64 ._obj'],
  ],
  '_ctypes.DictRemover': [[8, '16 key, 24 dict']],
};

/** How the references of a field are found. */
export interface FieldSpec {
  readonly offset: number;
  readonly name: string;
  readonly kind: 'attribute' | 'internal' | 'borrowed';
  /** Where the pointers are: in the object itself, or in an array that the field points to. */
  readonly isArray: boolean;
  /** How many pointers: `fixed`, the word or the int at an offset of the object, or as many as ob_size says. */
  readonly count:
    | { readonly fixed: number }
    | { readonly wordAt: number }
    | { readonly intAt: number }
    | { readonly obSize: true };
}

/** The fields of a type in one version ('3.11'), or undefined when the type is not in the table. `basicSize`: its tp_basicsize. */
export function fieldsOf(type: string, version: string, basicSize: number): readonly FieldSpec[] | undefined {
  const forms = Object.hasOwn(fieldForms, type) ? fieldForms[type] : undefined;
  if (forms === undefined) return undefined;
  const minor = Number(version.slice(2));
  const form =
    forms.find(([since, , size]) => since === minor + 1 && size === basicSize) ??
    forms.findLast(([since]) => since <= minor);
  if (form === undefined || form[1] === '') return [];
  return form[1].split(', ').map(parseField);
}

function parseField(text: string): FieldSpec {
  const match = /^(\d+) (~?)(\.?)(.+?)(\*@?\d+|\[=?\d+\]|\+16)?$/.exec(text);
  if (match === null) throw new Error(`the field table has no meaning for "${text}"`);
  const [, offset, borrowed, dot, name, many = ''] = match;
  const number = Number(/\d+/.exec(many)?.[0]);
  let count: FieldSpec['count'] = { fixed: 1 };
  if (many === '+16') count = { obSize: true };
  else if (many.startsWith('*@')) count = { intAt: number };
  else if (many.startsWith('*') || many.startsWith('[=')) count = { fixed: number };
  else if (many !== '') count = { wordAt: number };
  const kind = borrowed !== '' ? 'borrowed' : dot !== '' ? 'attribute' : 'internal';
  return { offset: Number(offset), name, kind, isArray: many.startsWith('['), count };
}
