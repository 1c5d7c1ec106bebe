/** `gc.disable()` or `gc.freeze()` without its opposite, and the debug flags that keep every collected object. */
import { indentOf, patchOf, replaceLines } from '../diff.ts';
import { isCallTo } from '../project.ts';
import { argumentsOf, child, descendants, enclosing, parts, statementOf, textOf } from '../syntax.ts';
import { advice, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

/** New container objects that few programs have at a time: about a gigabyte of the smallest. */
const NEVER_REACHED = 10_000_000;

export const collectorOff: Rule = {
  id: 'collector-off',
  category: 'circular-reference',
  title: 'the cyclic garbage collector is switched off',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        const off = isCallTo(project, call, 'gc.disable');
        const limit = isCallTo(project, call, 'gc.set_threshold')
          ? Number(textOf(argumentsOf(call).positional[0] ?? call).replaceAll('_', '') || Number.NaN)
          : Number.NaN;
        const high = limit >= NEVER_REACHED;
        const threshold = limit === 0 || high;
        const freeze = isCallTo(project, call, 'gc.freeze') && enclosing(call, 'function_definition') !== null;
        if (!off && !threshold && !freeze) continue;
        const opposite = freeze ? 'unfreeze' : 'enable';
        if (
          project.calls.has(opposite) ||
          ((off || high) && project.calls.has('collect') && collectsLater(project, call))
        )
          continue;
        const statement = statementOf(call);
        const alone = textOf(statement) === textOf(call) && statement.line === statement.endLine;
        const siblings = statement.parent === null ? [] : parts(statement.parent);
        const edit = replaceLines(
          file,
          statement.line,
          statement.line,
          siblings.length > 1 ? [] : [`${indentOf(file, statement.line)}pass`],
        );
        found.push(
          matchAt(project, collectorOff, call, {
            sentence: high
              ? `${textOf(call)} lets the cyclic collector wait for so many new objects that it hardly ever runs, so reference cycles pile up`
              : `${textOf(call)} switches the cyclic collector off and nothing switches it on again, so no reference cycle is ever freed`,
            fix:
              off || threshold
                ? {
                    summary: `remove ${textOf(call)} at line ${call.line}, or call gc.collect() on a schedule, or break the cycles with weakref`,
                    patch: alone ? patchOf(file, [edit], root) : null,
                  }
                : advice(`call gc.freeze() once before forking, not at line ${call.line}`),
            subjects: ['gc'],
          }),
        );
      }
      return found;
    }),
};

/** Whether gc.collect() is called from another function than the one that switches collection off. */
function collectsLater(project: Parameters<typeof isCallTo>[0], call: Parameters<typeof isCallTo>[1]): boolean {
  const own = enclosing(call, 'function_definition');
  return (project.calls.get('collect') ?? []).some(
    c =>
      isCallTo(project, c.node, 'gc.collect') &&
      enclosing(c.node, 'function_definition') !== own &&
      enclosing(c.node, 'function_definition') !== null,
  );
}

export const collectorDebug: Rule = {
  id: 'collector-debug',
  category: 'finalizer-cycle',
  title: 'gc debug flags keep every collected object in gc.garbage',
  find: (project, root) =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const call of descendants(file.root, 'call')) {
        if (
          !isCallTo(project, call, 'gc.set_debug') ||
          !/DEBUG_(SAVEALL|LEAK)/.test(textOf(child(call, 'arguments') ?? call))
        )
          continue;
        const reset = (project.calls.get('set_debug') ?? []).some(c =>
          /^\(\s*0\s*\)$/.test(textOf(child(c.node, 'arguments')!)),
        );
        const cleared =
          (project.calls.get('clear') ?? []).some(c => /garbage\.clear/.test(textOf(c.node))) ||
          project.files.some(f => /del gc\.garbage\[/.test(f.text));
        if (cleared) continue;
        const argument = argumentsOf(call).positional[0]!;
        found.push(
          matchAt(project, collectorDebug, call, {
            sentence: `${textOf(call)} makes the collector keep every cycle it finds in gc.garbage instead of freeing it${reset ? '' : ', and nothing resets the flags'}; nothing clears gc.garbage`,
            fix: {
              summary: `gc.set_debug(0) at line ${call.line}, and gc.garbage.clear() once the diagnosis is over`,
              patch: patchOf(file, [{ start: argument.start, end: argument.end, text: '0' }], root),
            },
            subjects: ['garbage', 'gc'],
          }),
        );
      }
      return found;
    }),
};
