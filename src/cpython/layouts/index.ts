/** Which decoder each built-in layout has, by the name of the type that is made in C. */

import type { HeapBuilder } from '../builder.ts';
import { TypeFlag, type TypePlan } from '../types.ts';
import {
  decodeBuiltin,
  decodeCell,
  decodeCode,
  decodeDescriptor,
  decodeException,
  decodeFunction,
  decodeMethod,
  decodeMethodWrapper,
  decodeModule,
  decodeProperty,
  decodeSlice,
  decodeTraceback,
  decodeType,
  decodeWeakref,
  decodeWrapper,
} from './code.ts';
import { decodeDeque, decodeDict, decodeList, decodeSet, decodeTuple } from './containers.ts';
import type { Decoder } from './decoder.ts';
import { decodeUnknown, fieldDecoder, scanUnknown } from './fields.ts';
import { decodeFrameObject, decodeGenerator } from './frames.ts';
import { decodeArray } from './numpy.ts';
import { decodeByteArray, decodeBytes, decodeInt, decodeNothing, decodeText } from './scalars.ts';
import { sizeDecoder } from './sizes.ts';
import {
  decodeDateTime,
  decodeElement,
  decodeElementIterator,
  decodeLruLinks,
  decodeOrderedDict,
  decodePicklerMemo,
  decodeStgInfo,
  decodeStructSequence,
  decodeTime,
  decodeZoneInfo,
} from './stdlib.ts';

const decoders = new Map<string, Decoder>([
  ['', decodeNothing],
  ['dict', decodeDict],
  ['frozendict', decodeDict],
  ['collections.defaultdict', decodeDict],
  ['collections.OrderedDict', decodeOrderedDict],
  ['StgDict', decodeDict],
  ['functools._lru_cache_wrapper', decodeLruLinks],
  ['_pickle.Pickler', decodePicklerMemo],
  ['xml.etree.ElementTree.Element', decodeElement],
  ['_elementtree._element_iterator', decodeElementIterator],
  ['datetime.datetime', decodeDateTime],
  ['datetime.time', decodeTime],
  ['zoneinfo.ZoneInfo', decodeZoneInfo],
  ['numpy.ndarray', decodeArray],
  ['list', decodeList],
  ['tuple', decodeTuple],
  ['set', decodeSet],
  ['frozenset', decodeSet],
  ['collections.deque', decodeDeque],
  ['str', decodeText],
  ['bytes', decodeBytes],
  ['bytearray', decodeByteArray],
  ['int', decodeInt],
  ['bool', decodeInt],
  ['float', decodeNothing],
  ['complex', decodeNothing],
  ['NoneType', decodeNothing],
  ['ellipsis', decodeNothing],
  ['NotImplementedType', decodeNothing],
  ['type', decodeType],
  ['function', decodeFunction],
  ['method', decodeMethod],
  ['builtin_function_or_method', decodeBuiltin],
  ['builtin_method', decodeBuiltin],
  ['method_descriptor', decodeDescriptor],
  ['classmethod_descriptor', decodeDescriptor],
  ['wrapper_descriptor', decodeDescriptor],
  ['member_descriptor', decodeDescriptor],
  ['getset_descriptor', decodeDescriptor],
  ['method-wrapper', decodeMethodWrapper],
  ['cell', decodeCell],
  ['module', decodeModule],
  ['property', decodeProperty],
  ['staticmethod', decodeWrapper],
  ['classmethod', decodeWrapper],
  ['weakref', decodeWeakref],
  ['weakref.ReferenceType', decodeWeakref],
  ['weakproxy', decodeWeakref],
  ['weakref.ProxyType', decodeWeakref],
  ['weakcallableproxy', decodeWeakref],
  ['weakref.CallableProxyType', decodeWeakref],
  ['slice', decodeSlice],
  ['BaseException', decodeException],
  ['traceback', decodeTraceback],
  ['frame', decodeFrameObject],
  ['code', decodeCode],
  ['generator', decodeGenerator],
  ['coroutine', decodeGenerator],
  ['async_generator', decodeGenerator],
]);

/** Types that have both: a built-in's layout, or linked structures, and fields of their own behind it. */
const alsoFields = new Set(['collections.defaultdict', 'functools._lru_cache_wrapper', '_pickle.Pickler', 'StgDict']);

/** What C metaclasses keep behind the type object. */
const typeExtras = new Map<string, Decoder>([['_ctypes.CType_Type', decodeStgInfo]]);

/** Decoders by what a type's flags say it derives from, for types made in C that no table knows. */
const byFlag: readonly (readonly [number, string])[] = [
  [TypeFlag.dictSubclass, 'dict'],
  [TypeFlag.listSubclass, 'list'],
  [TypeFlag.tupleSubclass, 'tuple'],
  [TypeFlag.strSubclass, 'str'],
  [TypeFlag.bytesSubclass, 'bytes'],
  [TypeFlag.intSubclass, 'int'],
];

/** The decoder of a type's C layout: its own, its nearest known base's and a scan of what comes behind that, or a scan for pointers. */
export function decoderOf(heap: HeapBuilder, plan: TypePlan): Decoder {
  const { version } = heap.layout;
  const known = (name: string, basicSize: number): Decoder | undefined => {
    const special = decoders.get(name);
    const fields = special === undefined || alsoFields.has(name) ? fieldDecoder(name, version, basicSize) : undefined;
    const size = sizeDecoder(name, version, basicSize);
    // A size alone says nothing of references.
    return special === undefined && fields === undefined
      ? size && inTurn([decodeUnknown, size])
      : inTurn([special, fields, size]);
  };
  if (plan.base === '') return decodeNothing;
  if (plan.base === 'type' || plan.base === 'BaseException') {
    // What these have besides, by the name of the C type that adds it: OSError.filename, ctypes' StgInfo.
    const more = plan.cBases
      .map(base => typeExtras.get(base.name) ?? fieldDecoder(base.name, version, base.basicSize))
      .find(d => d !== undefined);
    return inTurn([decoders.get(plan.base), more]) ?? decodeNothing;
  }
  const own = known(plan.base, plan.cBases[0]?.basicSize ?? plan.basicSize);
  if (own !== undefined) return own;
  if ((plan.flags & TypeFlag.tupleSubclass) !== 0 && plan.itemSize > 0) return decodeStructSequence;
  for (const base of plan.cBases) {
    const decoder = known(base.name, base.basicSize);
    if (decoder === undefined || plan.itemSize > 0) continue;
    return (h, a, node, p) => {
      decoder(h, a, node, p);
      scanUnknown(h, a, base.basicSize, p);
    };
  }
  for (const [flag, name] of byFlag) if ((plan.flags & flag) !== 0) return decoders.get(name) ?? decodeUnknown;
  return decodeUnknown;
}

function inTurn(parts: readonly (Decoder | undefined)[]): Decoder | undefined {
  const present = parts.filter(p => p !== undefined);
  if (present.length < 2) return present[0];
  return (heap, a, node, plan) => {
    for (const part of present) part(heap, a, node, plan);
  };
}
