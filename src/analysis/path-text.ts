/**
 * A path as a person would write it. `module app.cache`, its `__dict__`, the key `SESSIONS` are one thing to a
 * programmer: `app.cache.SESSIONS`.
 */
import { createHash } from 'node:crypto';
import { type EdgeIndex, LabelKind, labelKind, labelPayload, makeLabel, type NodeIndex } from '../cpython/index.ts';
import { type HeapGraph, labelText } from '../heap/index.ts';

/** One reference of a path: the edge, and the node it leads to. The first one is the root's. */
export interface PathStep {
  readonly edge: EdgeIndex;
  readonly node: NodeIndex;
}

/** One element as printed, standing for one or more steps. */
export interface PathElement {
  /** For the JSON's `path`: `module app.cache`, `.SESSIONS`, `['…']`, `thread worker-3`, `frame poll`, `local pending`. */
  readonly text: string;
  /** What it adds to an expression; where it differs from `text`. */
  readonly code: string;
  /** As `text`, without what differs from run to run: positions, keys of mappings, numbers of threads. */
  readonly normal: string;
  /** Where it leads. */
  readonly node: NodeIndex;
}

/** The elements of a path from the root. A module on the way begins it anew, however it was reached. */
export function elementsOf(graph: HeapGraph, steps: readonly PathStep[]): PathElement[] {
  const { edgeLabel, strings } = graph.columns;
  let elements: PathElement[] = [];
  const wordOf = (i: number): string => {
    const label = edgeLabel[steps[i]!.edge]!;
    const kind = labelKind(label);
    return kind <= LabelKind.key || kind === LabelKind.local || kind === LabelKind.cell || kind >= LabelKind.borrowed
      ? (strings[labelPayload(label)] ?? '')
      : '';
  };
  const kindAt = (i: number): LabelKind | -1 => (i < steps.length ? labelKind(edgeLabel[steps[i]!.edge]!) : -1);
  const put = (text: string, code: string, normal: string, node: NodeIndex): void => {
    elements.push({ text, code, normal, node });
  };
  for (let i = 0; i < steps.length; i++) {
    const { edge, node } = steps[i]!;
    const word = wordOf(i);
    const source = i === 0 ? 0 : steps[i - 1]!.node;
    switch (kindAt(i)) {
      case LabelKind.root:
        put(word, word.startsWith('module ') ? word.slice(7) : word, word.replaceAll(/\d+/g, '#'), node);
        break;
      case LabelKind.attribute:
      case LabelKind.internal:
        // (Keys that instances share, to 3.10 and in materialised dicts, are labelled as attributes already.)
        if (
          word === '__dict__' &&
          (kindAt(i + 1) === LabelKind.key || kindAt(i + 1) === LabelKind.attribute) &&
          graph.layout(node) === 'dict'
        ) {
          i++;
          const name = `.${wordOf(i)}`;
          put(name, name, name, steps[i]!.node);
        } else if (word === '__closure__' && kindAt(i + 1) === LabelKind.index) {
          i++;
          const cell = steps[i]!.node;
          let name = graph.nameOf(cell);
          if (kindAt(i + 1) === LabelKind.cell) {
            i++;
            name = wordOf(i) || name;
          }
          const text = `.__closure__[${name || labelPayload(edgeLabel[steps[i]!.edge]!)}]`;
          put(text, text, text, steps[i]!.node);
        } else if (kindAt(i) === LabelKind.attribute) {
          put(`.${word}`, `.${word}`, `.${word}`, node);
        } else if (word.startsWith('frame ')) {
          put(word, `, ${word}`, word, node);
        } else if (source !== 0 && elements.length === 1 && elements[0]!.text.endsWith('interpreter state')) {
          // What the interpreter itself keeps is known by its own name.
          elements = [{ text: word, code: word, normal: word, node }];
        } else {
          put(`<${word}>`, ` <${word}>`, `<${word}>`, node);
        }
        break;
      case LabelKind.key:
        put(`['${word}']`, `['${word}']`, "['…']", node);
        break;
      case LabelKind.keyNode:
        put("['…']", "['…']", "['…']", node);
        break;
      case LabelKind.index:
        put(labelText(graph, edge), labelText(graph, edge), '[…]', node);
        break;
      case LabelKind.local: {
        const inThread = elements.at(-1)?.text.startsWith('frame ') ?? false;
        const generator = /generator|coroutine/.test(graph.typeName(source)) ? '.gi_frame' : '';
        put(`local ${word}`, inThread ? `, local ${word}` : `${generator}.f_locals['${word}']`, `local ${word}`, node);
        break;
      }
      case LabelKind.cell:
        // The variable that a frame shares with a closure: the local was named already.
        if (elements.at(-1)?.text !== `local ${word}`)
          put(labelText(graph, edge), ` ${labelText(graph, edge)}`, labelText(graph, edge), node);
        else elements[elements.length - 1] = { ...elements.at(-1)!, node };
        break;
      case LabelKind.keyObject: {
        const text = graph.layout(source) === 'dict' ? '<key>' : '{…}';
        put(text, text === '<key>' ? ' <key>' : '{…}', text, node);
        break;
      }
      default:
        put(labelText(graph, edge), ` ${labelText(graph, edge)}`, '<scan>', node);
    }
    const at = steps[i]!.node;
    if (i > 0 && graph.layout(at) === 'module' && graph.nameOf(at) !== '') {
      const name = graph.nameOf(at);
      elements = [{ text: `module ${name}`, code: name, normal: `module ${name}`, node: at }];
    }
  }
  return elements;
}

/** As one would type it: `app.cache.SESSIONS`, `STORE._slots` in the main program, `thread worker-3, frame poll, local pending`. */
export function expressionOf(graph: HeapGraph, steps: readonly PathStep[]): string {
  return expressionOfElements(elementsOf(graph, readable(graph, steps)));
}

export function expressionOfElements(elements: readonly PathElement[]): string {
  const [first, ...rest] = elements;
  if (first === undefined) return '';
  const tail = rest.map(element => element.code).join('');
  if (first.text === 'module __main__' && tail.startsWith('.')) return tail.slice(1);
  return first.code + tail;
}

/** The JSON's `path`: `["module app.cache", ".SESSIONS", "['…']"]`. */
export function pathElements(graph: HeapGraph, steps: readonly PathStep[]): string[] {
  return elementsOf(graph, readable(graph, steps)).map(element => element.text);
}

/** Paths longer than this are printed with what repeats in them once. */
const LONGEST_READABLE = 24;

function readable(graph: HeapGraph, steps: readonly PathStep[]): readonly PathStep[] {
  return steps.length > LONGEST_READABLE ? foldRepeats(graph, steps) : steps;
}

/** Longest run of steps that may repeat, as in a chain of `.next`, or of `.__context__`, `.__traceback__`, `.tb_frame`. */
export const LONGEST_REPEAT = 6;

/**
 * A step without what differs from run to run: a number that is the same for any position and for any key of a mapping.
 * The keys of a namespace (what follows `.__dict__`) are names, and stay.
 */
export function normalLabel(graph: HeapGraph, edge: EdgeIndex, before: EdgeIndex | -1): number {
  const label = graph.columns.edgeLabel[edge]!;
  switch (labelKind(label)) {
    case LabelKind.key:
      return before >= 0 && graph.labelString(before) === '__dict__' ? label : makeLabel(LabelKind.keyNode, 0);
    case LabelKind.keyNode:
    case LabelKind.index:
    case LabelKind.inferred:
      return makeLabel(labelKind(label), 0);
    default:
      return label;
  }
}

/** A path in which what repeats stands once, so that a chain is short however long it is. */
export function foldRepeats(graph: HeapGraph, steps: readonly PathStep[]): PathStep[] {
  const { type } = graph.columns;
  const folded: { step: PathStep; key: string }[] = [];
  let before = -1;
  for (const step of steps) {
    const key = `${normalLabel(graph, step.edge, before)}:${type[step.node]}`;
    before = step.edge;
    let at = folded.length - 1;
    const last = Math.max(1, folded.length - LONGEST_REPEAT);
    while (at >= last && folded[at]!.key !== key) at--;
    if (at >= last) folded.length = at + 1;
    else folded.push({ step, key });
  }
  return folded.map(item => item.step);
}

/**
 * The same for the same place in every run of the program and in every snapshot: of the elements without addresses,
 * positions and keys, and the types along them. 40 hexadecimal digits (SHA-1).
 */
export function fingerprintOf(graph: HeapGraph, steps: readonly PathStep[], ...more: readonly string[]): string {
  const parts = elementsOf(graph, foldRepeats(graph, steps)).map(
    element => `${element.normal}\u0001${graph.typeName(element.node)}`,
  );
  return createHash('sha1')
    .update([...parts, ...more].join('\u0000'))
    .digest('hex');
}
