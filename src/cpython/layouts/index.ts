/** Which decoder each built-in layout has, by the name of the type that is made in C. */
import { decodeBuiltin, decodeCell, decodeCode, decodeDescriptor, decodeException, decodeFunction, decodeMethod, decodeMethodWrapper, decodeModule, decodeProperty, decodeSlice, decodeTraceback, decodeType, decodeWeakref, decodeWrapper, scanForReferences } from './code.ts';
import { decodeDeque, decodeDict, decodeList, decodeSet, decodeTuple } from './containers.ts';
import type { Decoder } from './decoder.ts';
import { decodeFrameObject, decodeGenerator } from './frames.ts';
import { decodeByteArray, decodeBytes, decodeInt, decodeNothing, decodeText } from './scalars.ts';

const decoders = new Map<string, Decoder>([
  ['', decodeNothing],
  ['dict', decodeDict],
  ['collections.defaultdict', decodeDict],
  ['collections.OrderedDict', decodeDict],
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

/** Objects of a layout that is not known: every pointer in them that leads to an object, marked as inferred. */
const decodeUnknown: Decoder = (heap, a, _node, plan) => {
  const header = heap.layout.object.size;
  const items = plan.itemSize > 0 ? Math.min(1 << 20, Math.abs(heap.memory.signed(a + heap.layout.var.count)) * plan.itemSize) : 0;
  scanForReferences(heap, a + header, plan.basicSize - header + items, header);
};

/** The decoder of a built-in layout; a scan for pointers when it is not known. */
export function decoderOf(base: string): Decoder {
  return decoders.get(base) ?? decodeUnknown;
}
