/** Which expressions make a container. */
import { importedPath, type Project } from './project.ts';
import { bare, child, type SyntaxNode } from './syntax.ts';

const literals = new Set([
  'dictionary',
  'list',
  'set',
  'dictionary_comprehension',
  'list_comprehension',
  'set_comprehension',
]);
const constructors = new Set([
  'dict',
  'list',
  'set',
  'bytearray',
  'collections.defaultdict',
  'collections.OrderedDict',
  'collections.deque',
  'collections.Counter',
  'queue.Queue',
  'queue.SimpleQueue',
  'weakref.WeakKeyDictionary',
  'weakref.WeakValueDictionary',
  'weakref.WeakSet',
  'asyncio.Queue',
]);

/** Whether an expression makes a container. */
export function makesContainer(project: Project, value: SyntaxNode): boolean {
  const n = bare(value);
  if (literals.has(n.kind)) return true;
  if (n.kind === 'boolean_operator') return n.children.some(c => c.named && makesContainer(project, c));
  if (n.kind !== 'call') return false;
  const path = importedPath(project, child(n, 'function') ?? n);
  return path !== null && constructors.has(path);
}
