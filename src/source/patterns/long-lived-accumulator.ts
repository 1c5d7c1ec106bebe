/** One object that lives as long as its connection or service and remembers everything that went through it. */

import { instanceLivesLong } from '../candidates.ts';
import { indentOf, insertLines, patchOf } from '../diff.ts';
import { endLine } from '../fix-bound.ts';
import { functionScope, importedPath, methodClass, type Project, placeOf } from '../project.ts';
import { argumentsOf, bare, child, descendants, enclosing, type SyntaxNode, statementOf, textOf } from '../syntax.ts';
import { inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

interface Accumulator {
  readonly makers: readonly string[];
  /** Methods that add to what it remembers. */
  readonly feeds: readonly string[];
  /** Methods or attributes whose use anywhere shows that it is emptied. */
  readonly clears: RegExp;
  readonly remembers: string;
  readonly remedy: (object: string) => string | null;
  readonly advice: string;
  readonly subjects: readonly string[];
}

const accumulators: readonly Accumulator[] = [
  {
    makers: [
      'pickle.Pickler',
      '_pickle.Pickler',
      'cPickle.Pickler',
      'dill.Pickler',
      'cloudpickle.CloudPickler',
      'pickle._Pickler',
    ],
    feeds: ['dump'],
    clears: /\.clear_memo\(|\.memo\.clear\(|\.fast\s*=\s*True/,
    remembers: 'its memo keeps every object it has ever dumped',
    remedy: object => `${object}.clear_memo()`,
    advice: 'call clear_memo() after each dump, or use a new Pickler for each message',
    subjects: ['memo', 'Pickler'],
  },
  {
    makers: ['pickle.Unpickler', '_pickle.Unpickler', 'pickle._Unpickler'],
    feeds: ['load'],
    clears: /\.memo\s*=|\.memo\.clear\(/,
    remembers: 'its memo keeps every object it has ever loaded',
    remedy: () => null,
    advice: 'use a new Unpickler for each message',
    subjects: ['memo', 'Unpickler'],
  },
  {
    makers: ['io.StringIO', 'io.BytesIO'],
    feeds: ['write', 'writelines'],
    clears: /\.truncate\(|\.close\(/,
    remembers: 'its buffer keeps everything written to it',
    remedy: () => null,
    advice: 'truncate it (seek(0), truncate()) after its content was used, or make a new one each time',
    subjects: ['StringIO', 'BytesIO'],
  },
  {
    makers: ['contextlib.ExitStack', 'contextlib.AsyncExitStack'],
    feeds: ['enter_context', 'callback', 'push', 'enter_async_context', 'push_async_callback'],
    clears: /\.pop_all\(|\.close\(|\.aclose\(/,
    remembers: 'it keeps every context it has entered until it is closed',
    remedy: () => null,
    advice: 'enter the context in a with block of the function that uses it, or close the stack for each unit of work',
    subjects: ['_exit_callbacks', 'ExitStack'],
  },
  {
    makers: ['unittest.mock.Mock', 'unittest.mock.MagicMock', 'unittest.mock.AsyncMock'],
    feeds: [],
    clears: /\.reset_mock\(/,
    remembers: 'it records every call with its arguments in mock_calls',
    remedy: () => null,
    advice: 'use a plain stub object outside tests, or call reset_mock() regularly',
    subjects: ['mock_calls', 'method_calls'],
  },
  {
    makers: [
      'html.parser.HTMLParser',
      'xml.sax.make_parser',
      'xml.sax.expatreader.create_parser',
      'difflib.SequenceMatcher',
      'tracemalloc.Snapshot',
      'json.JSONDecoder',
      'cProfile.Profile',
      'trace.Trace',
      'logging.handlers.MemoryHandler',
      'sched.scheduler',
    ],
    feeds: ['feed', 'enter', 'enterabs', 'enable'],
    clears: /\.reset\(|\.close\(|\.cancel\(|\.flush\(|\.run\(|\.disable\(/,
    remembers: 'it keeps what it was fed until it is reset',
    remedy: () => null,
    advice: 'reset or close it after each unit of work',
    subjects: ['rawdata', '_queue'],
  },
];

export const longLivedAccumulator: Rule = {
  id: 'long-lived-accumulator',
  category: 'long-lived-object',
  title: 'one long-lived object remembers everything that goes through it',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const made of descendants(file.root, 'assignment')) {
        const right = child(made, 'right');
        const left = child(made, 'left');
        if (right === null || left === null || bare(right).kind !== 'call') continue;
        const path = importedPath(project, child(bare(right), 'function')!);
        const kind = path === null ? undefined : accumulators.find(a => a.makers.includes(path));
        if (kind === undefined || !livesOn(project, made, left)) continue;
        const owner = left.kind === 'attribute' ? methodClass(functionScope(project, made))?.owner.name : undefined;
        const sure = owner === undefined || instanceLivesLong(project, owner);
        if (!sure && !kind.subjects.includes('memo')) continue;
        const place = placeOf(project, left);
        if (place === null) continue;
        const clear = project.files.some(f =>
          descendants(f.root, 'call', 'assignment').some(
            n => kind.clears.test(textOf(n)) && textOf(n).length < 200 && mentions(project, n, place),
          ),
        );
        if (clear) continue;
        const feed = feedsOf(project, kind, place)[0];
        if (feed === undefined) continue;
        const object = textOf(child(child(feed, 'function')!, 'object')!);
        const home = project.fileOf.get(rootOf(feed))!;
        const statement = statementOf(feed);
        const remedy = kind.remedy(object);
        const simple =
          statement.kind === 'expression_statement' &&
          home.lines[statement.line - 1]!.slice(0, statement.column).trim() === '';
        found.push(
          matchAt(project, longLivedAccumulator, feed, {
            sentence: `${textOf(left)}, made once at line ${made.line}, is used for the whole life of the program, and ${kind.remembers}`,
            fix: {
              summary: `${kind.advice} (line ${feed.line})`,
              patch:
                remedy === null || !simple
                  ? null
                  : patchOf(
                      home,
                      [insertLines(home, endLine(statement) + 1, [indentOf(home, statement.line) + remedy])],
                      root,
                    ),
            },
            subjects: [...kind.subjects, ...(textOf(left).match(/\w+/g) ?? [])],
            certainty: sure ? 'sure' : 'maybe',
          }),
        );
      }
      return found;
    }),
};

/** Made at module level or kept on an instance, rather than a local variable. */
function livesOn(project: Project, node: SyntaxNode, left: SyntaxNode): boolean {
  if (left.kind === 'attribute') return true;
  return (
    left.kind === 'identifier' &&
    (enclosing(node, 'function_definition') === null || functionScope(project, node).globals.has(textOf(left)))
  );
}

function mentions(project: Project, node: SyntaxNode, place: string): boolean {
  return descendants(node, 'identifier', 'attribute').some(n => placeOf(project, n) === place);
}

function feedsOf(project: Project, kind: Accumulator, place: string): SyntaxNode[] {
  return kind.feeds
    .flatMap(f => project.calls.get(f) ?? [])
    .map(c => c.node)
    .filter(c => {
      const callee = child(c, 'function')!;
      const object = callee.kind === 'attribute' ? child(callee, 'object') : null;
      return object !== null && placeOf(project, object) === place && functionScope(project, c).kind === 'function';
    });
}

function rootOf(node: SyntaxNode): SyntaxNode {
  let n = node;
  while (n.parent !== null) n = n.parent;
  return n;
}

/** iterparse, XMLPullParser and incremental tree builders: `elem.clear()` empties the element but leaves it in its parent. */
export const unclearedXmlTree: Rule = {
  id: 'uncleared-xml-tree',
  category: 'long-lived-object',
  title: 'an XML stream whose finished elements stay in the root',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        const path = importedPath(project, child(call, 'function')!);
        if (path === null || !/(^|\.)(iterparse|XMLPullParser|XMLParser)$/.test(path)) continue;
        // Something takes elements out of their parent: remove(), root.clear(), del root[…].
        const text = file.text;
        if (
          /\bdel\s+[\w.]*(root|parent|stream)\w*\[|(root|parent|stream)\w*\.(clear|remove)\(|getprevious\(\)|\.remove\(elem/.test(
            text,
          )
        )
          continue;
        if (path.endsWith('XMLParser') && argumentsOf(call).keywords.has('target')) continue;
        const clears = descendants(file.root, 'call').find(c => {
          const callee = child(c, 'function')!;
          return (
            callee.kind === 'attribute' &&
            textOf(child(callee, 'attribute')!) === 'clear' &&
            /elem|node|el|item|element|stanza|entry|record/i.test(textOf(child(callee, 'object')!))
          );
        });
        const kept = descendants(file.root, 'assignment').find(
          a =>
            /\broot\b|\bstream\b/.test(textOf(child(a, 'left') ?? a)) &&
            child(a, 'left')?.kind === 'attribute' &&
            child(a, 'right')?.kind === 'identifier',
        );
        const feed = (project.calls.get('feed') ?? []).find(
          c => functionScope(project, c.node).kind === 'function' && functionScope(project, c.node).name !== '__init__',
        )?.node;
        const at = clears ?? feed ?? call;
        const rootName = kept === undefined ? null : textOf(child(kept, 'left')!);
        const line = clears === undefined ? null : statementOf(clears);
        const patch =
          line === null || rootName === null
            ? null
            : patchOf(
                file,
                [insertLines(file, endLine(line) + 1, [`${indentOf(file, line.line)}${rootName}.clear()`])],
                root,
              );
        found.push(
          matchAt(project, unclearedXmlTree, kept ?? feed ?? at, {
            sentence: `the parser made at line ${call.line} adds every finished element to the root of the tree${clears === undefined ? '' : `; ${textOf(clears)} at line ${clears.line} empties the element but leaves it in its parent`}`,
            fix: {
              summary: `clear the root or remove each finished element from its parent${clears === undefined ? '' : ` after line ${clears.line}`}${rootName === null ? '' : ` (${rootName}.clear())`}`,
              patch,
            },
            subjects: ['root', 'Element', ...(rootName?.match(/\w+/g) ?? [])],
            types: ['Element'],
          }),
        );
      }
      return found;
    }),
};
