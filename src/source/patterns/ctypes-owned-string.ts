/** `restype = c_char_p` on a function that returns memory the caller must free: ctypes copies the bytes and drops the pointer. */
import { functionScope, importedPath } from '../project.ts';
import { child, descendants, textOf } from '../syntax.ts';
import { advice, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

const owning =
  /(dup|alloc|create|make|new|copy|join|render|format|encode|to_string|getline|readline|realpath|asprintf|export|serialize|dump|build|generate|get_\w+|describe|version_string)/i;

export const ctypesOwnedString: Rule = {
  id: 'ctypes-owned-string',
  category: 'native-malloc',
  title: 'a C string that ctypes copies and nobody frees',
  find: project =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const node of descendants(file.root, 'assignment')) {
        const left = child(node, 'left');
        const right = child(node, 'right');
        if (left?.kind !== 'attribute' || right === null || textOf(child(left, 'attribute')!) !== 'restype') continue;
        const path = importedPath(project, right) ?? textOf(right);
        if (!/c_w?char_p$/.test(path)) continue;
        const object = textOf(child(left, 'object')!);
        // `_dup = libc.strdup` names the C function elsewhere.
        const alias = descendants(file.root, 'assignment').find(a => textOf(child(a, 'left') ?? a) === object);
        const symbol = alias === undefined ? object : textOf(child(alias, 'right') ?? alias);
        const borrowed =
          /(getenv|strerror|dlerror|setlocale|inet_ntoa|ctime|asctime|ttyname|getlogin|gettext|nl_langinfo|hstrerror|version|name)$/.test(
            symbol,
          ) && !/(dup|alloc)/.test(symbol);
        if (borrowed || !owning.test(symbol)) continue;
        const calls = (project.calls.get(object.split('.').at(-1)!) ?? []).filter(
          c => textOf(child(c.node, 'function')!) === object,
        );
        const first = calls[0]?.node;
        found.push(
          matchAt(project, ctypesOwnedString, node, {
            sentence: `${symbol} returns memory that its caller must free, but restype=${textOf(right)} makes ctypes copy the text and forget the pointer${first === undefined ? '' : ` (called in ${functionScope(project, first).qualname}() at line ${first.line})`}`,
            fix: advice(
              `set restype=ctypes.c_void_p at line ${node.line}, copy with ctypes.string_at(pointer), then free the pointer`,
            ),
            subjects: [object, symbol.split('.').at(-1)!],
          }),
        );
      }
      for (const call of descendants(file.root, 'call')) {
        const callee = child(call, 'function')!;
        const name = callee.kind === 'attribute' ? textOf(child(callee, 'attribute')!) : '';
        const scope = functionScope(project, call);
        if (
          !['malloc', 'calloc', 'strdup', 'PyMem_Malloc', 'PyMem_RawMalloc', 'mmap', 'fopen'].includes(name) ||
          scope.kind === 'module'
        )
          continue;
        if (
          !/lib|dll|ctypes|pythonapi|ffi|\bC\b/i.test(textOf(child(callee, 'object')!)) ||
          project.calls.has('free') ||
          project.calls.has('munmap') ||
          project.calls.has('PyMem_Free')
        )
          continue;
        found.push(
          matchAt(project, ctypesOwnedString, call, {
            sentence: `${scope.qualname}() allocates with ${textOf(callee)}() and nothing in the program frees it`,
            fix: advice(`free what ${textOf(callee)}() returns in ${scope.qualname}() at line ${call.line}`),
            subjects: [name],
          }),
        );
      }
      return found;
    }),
};

/** `Py_IncRef` through ctypes without its opposite. */
export const ctypesIncref: Rule = {
  id: 'ctypes-incref',
  category: 'c-extension-refcount',
  title: 'a reference count raised through ctypes and never lowered',
  find: project =>
    inEachFile(project, file =>
      descendants(file.root, 'call')
        .filter(
          c =>
            /(^|\.)(Py_IncRef|Py_XIncRef|Py_NewRef)$/.test(textOf(child(c, 'function')!)) &&
            !project.calls.has('Py_DecRef') &&
            functionScope(project, c).kind === 'function',
        )
        .map(c =>
          matchAt(project, ctypesIncref, c, {
            sentence: `${functionScope(project, c).qualname}() raises a reference count with ${textOf(child(c, 'function')!)}() and nothing calls Py_DecRef`,
            fix: advice(`call Py_DecRef for the same object when it is done, or drop the call at line ${c.line}`),
            subjects: [functionScope(project, c).name],
          }),
        ),
    ),
};
