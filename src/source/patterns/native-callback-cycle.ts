/** An object of an extension type that is kept on self and given a bound method of self: a cycle the collector sees only when the C type takes part in it. */

import { indentOf, insertLines, patchOf } from '../diff.ts';
import { callable } from '../judge.ts';
import { functionScope, importedPath, lastName, methodClass, moduleFile, typeOf } from '../project.ts';
import { argumentsOf, bare, child, descendants, parts, textOf } from '../syntax.ts';
import { inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

const ownModules =
  /^(threading|functools|weakref|asyncio|concurrent|collections|queue|tkinter|unittest|logging|sched|signal|multiprocessing|types|typing|contextlib|dataclasses|itertools|partial|property)\b/;

export const nativeCallbackCycle: Rule = {
  id: 'native-callback-cycle',
  category: 'circular-reference',
  title: 'an extension object owns a callback that leads back to its owner',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const node of descendants(file.root, 'assignment')) {
        const left = child(node, 'left');
        const right = child(node, 'right');
        const method = methodClass(functionScope(project, node));
        if (left?.kind !== 'attribute' || right?.kind !== 'call' || method === null) continue;
        const self = method.method.parameters[0]?.name;
        if (textOf(child(left, 'object')!) !== self) continue;
        const callee = child(right, 'function')!;
        const name = lastName(callee);
        const path = importedPath(project, callee);
        // Plain Python classes and the standard library take part in the collection.
        if (
          callee.kind !== 'attribute' ||
          name === null ||
          !/^[A-Z]/.test(name) ||
          typeOf(project, right) !== null ||
          project.classes.has(name)
        )
          continue;
        if (path !== null && (ownModules.test(path) || moduleFile(project, path.split('.')[0]!) !== null)) continue;
        const { positional, keywords } = argumentsOf(right);
        const callback = [...positional, ...keywords.values()].find(
          a => bare(a).kind === 'attribute' && textOf(child(bare(a), 'object')!) === self && callable(project, a),
        );
        if (callback === undefined) continue;
        const close = method.owner.children.find(
          m => m.kind === 'function' && /^(close|dispose|destroy|shutdown|stop)$/.test(m.name),
        );
        const first = close === undefined ? undefined : parts(close.body)[0];
        const owner = method.owner.name;
        found.push(
          matchAt(project, nativeCallbackCycle, node, {
            sentence: `${textOf(left)} is a ${textOf(callee)} that is given ${textOf(callback)}, which refers back to the ${owner}: if that extension type does not take part in cyclic collection, neither is ever freed`,
            fix: {
              summary: `give ${textOf(callee)} Py_TPFLAGS_HAVE_GC with tp_traverse and tp_clear, or pass a weak callback (weakref.WeakMethod(${textOf(callback)})) at line ${node.line}, or drop ${textOf(left)} in close()`,
              patch:
                first === undefined
                  ? null
                  : patchOf(
                      file,
                      [insertLines(file, first.line, [`${indentOf(file, first.line)}${textOf(left)} = None`])],
                      root,
                    ),
            },
            subjects: [owner, name, textOf(child(left, 'attribute')!), textOf(callback).split('.').at(-1)!],
            types: [owner, name],
            certainty: 'maybe',
          }),
        );
      }
      return found;
    }),
};
