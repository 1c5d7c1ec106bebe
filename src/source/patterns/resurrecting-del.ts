/** `__del__` that stores self somewhere: the object comes back from the dead and stays for as long as that place keeps it. */
import { typeOf } from '../project.ts';
import { argumentsOf, bare, child, descendants, dotted, textOf } from '../syntax.ts';
import { advice, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

export const resurrectingDel: Rule = {
  id: 'resurrecting-del',
  category: 'finalizer-cycle',
  title: '__del__ stores self and brings it back',
  find: project =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      for (const scope of file.scopes) {
        if (scope.kind !== 'function' || scope.name !== '__del__' || scope.parent?.kind !== 'class') continue;
        const self = scope.parameters[0]?.name ?? 'self';
        for (const node of descendants(scope.body, 'call', 'assignment')) {
          let place: string | null = null;
          if (node.kind === 'call') {
            const callee = child(node, 'function');
            const { positional } = argumentsOf(node);
            const object = callee?.kind === 'attribute' ? child(callee, 'object') : null;
            const gives = positional.some(
              a =>
                textOf(bare(a)) === self ||
                (['tuple', 'list'].includes(bare(a).kind) &&
                  descendants(a, 'identifier').some(i => textOf(i) === self && i.parent === bare(a))),
            );
            if (
              gives &&
              object !== null &&
              /^(append|add|put|put_nowait|appendleft|insert|setdefault|push|release|give_back|recycle|checkin)$/.test(
                textOf(child(callee!, 'attribute')!),
              ) &&
              dotted(object)?.[0] !== undefined
            )
              place = textOf(object);
            else if (gives && object !== null && object.kind === 'call') place = textOf(object);
            else if (gives && object !== null && typeOf(project, object) !== null) place = textOf(object);
          } else if (child(node, 'left')?.kind !== 'identifier' && textOf(bare(child(node, 'right') ?? node)) === self)
            place = textOf(child(node, 'left')!);
          if (place === null) continue;
          const owner = scope.parent.name;
          found.push(
            matchAt(project, resurrectingDel, node, {
              sentence: `${owner}.__del__() puts the dying object into ${place.split('.setdefault')[0]}, which brings it back: it stays until something takes it out again, and __del__ will not run a second time`,
              fix: advice(
                `do not store self in ${owner}.__del__() at line ${node.line}: release in close() or a with block, or hand over only the plain values that are needed`,
              ),
              subjects: [owner, ...(place.match(/\w+/g) ?? [])],
              types: [owner],
            }),
          );
        }
      }
      return found;
    }),
};
