/** What the place of a growth is, in the words of the source: a module's variable, an attribute, a closure's variable. */

import { elementsOf, type PathElement } from '../analysis/index.ts';
import { LabelKind, labelKind, type NodeIndex } from '../cpython/index.ts';
import type { HeapGraph } from '../heap/index.ts';
import type { HolderName } from '../source/index.ts';
import type { Candidate } from './candidate.ts';
import { filesOf, ownerOf } from './project-files.ts';

export interface Place {
  /** Elements of the path, from the root on. */
  readonly elements: readonly PathElement[];
  /** What the source calls the holder, the nearest place in the program's own code; undefined when there is none. */
  readonly name: HolderName | undefined;
  /** The growing container lies below the named place: in an entry of it, or in a library's object. */
  readonly inner: boolean;
  /** All identifiers on the way: modules, attributes, classes of the objects passed. */
  readonly words: ReadonlySet<string>;
  /** Built-in layouts and type names passed on the way, the holder included. */
  readonly passes: ReadonlySet<string>;
  /** The type of the object that has the growth: 'dict', 'weakref.WeakKeyDictionary', … */
  readonly holderType: string;
  /** The holder is reached through a variable of a running frame. */
  readonly inFrame: boolean;
  /** The holder is reached through a cell of a closure. */
  readonly inClosure: boolean;
  /** The path begins in something only the interpreter knows (atexit, codecs, thread state). */
  readonly root: string;
}

/** Describes where a candidate's growth hangs. */
export function placeOf(graph: HeapGraph, candidate: Candidate): Place {
  const elements = elementsOf(graph, candidate.steps);
  const words = new Set<string>();
  const passes = new Set<string>();
  for (const element of elements) {
    for (const word of element.text.match(/[A-Za-z_]\w*/g) ?? []) words.add(word);
    const type = graph.typeName(element.node);
    passes.add(type);
    for (const word of type.match(/[A-Za-z_]\w*/g) ?? []) words.add(word);
  }
  for (const step of candidate.steps) passes.add(graph.typeName(step.node));
  const { edgeLabel } = graph.columns;
  const kinds = candidate.steps.map(step => labelKind(edgeLabel[step.edge]));
  return {
    elements,
    ...sourceName(graph, elements),
    words,
    passes,
    holderType: candidate.growth.kind === 'object' ? graph.typeName(candidate.growth.node) : '',
    inFrame: kinds.includes(LabelKind.local),
    inClosure: kinds.includes(LabelKind.cell),
    root: elements[0]?.text ?? '',
  };
}

/**
 * The innermost place on the path that the program's own source names. An attribute of a library's object (the `data`
 * of a WeakKeyDictionary) is passed over for the variable that holds the object.
 */
function sourceName(
  graph: HeapGraph,
  elements: readonly PathElement[],
): { name: HolderName | undefined; inner: boolean } {
  const program = programClasses(graph);
  const said = (name: HolderName, at: number) => ({ name, inner: at < elements.length - 1 });
  for (let i = elements.length - 1; i >= 0; i--) {
    const { text } = elements[i];
    const cell = /^\.__closure__\[(\w+)\]$/.exec(text) ?? /^<closure cell (\w+)>$/.exec(text);
    if (cell !== null) {
      const owner = functionBefore(graph, elements, i);
      if (owner !== undefined) return said({ function: owner, variable: cell[1] }, i);
    }
    const local = /^local (\w+)$/.exec(text);
    if (local !== null) {
      const frame = elements.slice(0, i).findLast(e => e.text.startsWith('frame '));
      if (frame !== undefined) return said({ function: frame.text.slice(6), variable: local[1] }, i);
    }
    const attribute = /^\.(\w+)$/.exec(text);
    if (attribute === null || i === 0) continue;
    const before = elements[i - 1];
    const module = /^(?:interpreter \d+, )?module (.+)$/.exec(before.text);
    if (module !== null) {
      // A name in a library's module says nothing about the program.
      return isLibraryModule(graph, module[1])
        ? { name: undefined, inner: false }
        : said({ module: module[1], name: attribute[1] }, i);
    }
    const owner = before.node;
    // An attribute of a function: a cache kept with it, mostly.
    if (graph.layout(owner) === 'function') {
      const holder = /^\.(\w+)$/.exec(before.text);
      if (holder !== null) return said({ name: holder[1], attribute: attribute[1] }, i);
    }
    const ownerIsClass = graph.layout(owner) === 'type';
    const className = ownerIsClass ? graph.nameOf(owner) : graph.typeName(owner);
    const typeNode = ownerIsClass ? owner : graph.columns.types[graph.columns.type[owner]].node;
    if (!program(typeNode)) continue;
    const global = elements.find(
      (e, k) => k > 0 && k < i && elements[k - 1].text.startsWith('module ') && e.text.startsWith('.'),
    );
    const name = className.slice(className.lastIndexOf('.') + 1);
    return said(
      global === undefined || i <= 1
        ? { className: name, attribute: attribute[1] }
        : { className: name, attribute: attribute[1], viaGlobal: global.text.slice(1) },
      i,
    );
  }
  return { name: undefined, inner: false };
}

function functionBefore(graph: HeapGraph, elements: readonly PathElement[], at: number): string | undefined {
  for (let i = at; i >= 0; i--) {
    const node = elements[i].node;
    if (graph.layout(node) === 'function') return graph.nameOf(node);
  }
  return undefined;
}

/** Is a module of the standard library or of an installed package, by the file that its code comes from? */
function isLibraryModule(graph: HeapGraph, module: string): boolean {
  if (module === '__main__') return false;
  const tail = `/${module.replaceAll('.', '/')}`;
  for (const file of filesOf(graph)) {
    if (file === `<frozen ${module}>`) return true;
    if (file.endsWith(`${tail}.py`) || file.endsWith(`${tail}/__init__.py`)) return ownerOf(file) !== 'program';
  }
  // No code in Python: one of the interpreter's own, or a module of data.
  return BUILTIN_MODULE.test(module);
}

const BUILTIN_MODULE =
  /^(_\w+|gc|sys|builtins|itertools|time|marshal|posix|errno|signal|atexit|faulthandler|math|zlib|array|binascii|select|pwd|grp|fcntl|resource|unicodedata|termios|mmap)$/;

/** Tells whether a class is of the program itself: the code of its methods lies in a file that is. */
export function programClasses(graph: HeapGraph): (type: NodeIndex) => boolean {
  const known = new Map<NodeIndex, boolean>();
  return type => {
    let own = known.get(type);
    if (own === undefined) {
      const file = type === 0 ? undefined : fileOfClass(graph, type);
      own = file !== undefined && ownerOf(file) === 'program';
      known.set(type, own);
    }
    return own;
  };
}

/** The file that a class's methods are defined in; undefined when it has none in Python. */
export function fileOfClass(graph: HeapGraph, type: NodeIndex): string | undefined {
  const { edgeStart, edgeTarget } = graph.columns;
  const referents = (node: NodeIndex): NodeIndex[] => [...edgeTarget.subarray(edgeStart[node], edgeStart[node + 1])];
  for (const dict of referents(type)) {
    if (graph.layout(dict) !== 'dict') continue;
    for (const value of referents(dict)) {
      if (graph.layout(value) !== 'function') continue;
      const code = referents(value).find(node => graph.layout(node) === 'code');
      const match = code === undefined ? null : / ([^ ].*):-?\d+$/.exec(graph.nameOf(code));
      if (match !== null) return match[1];
    }
  }
  return undefined;
}
