/** Classes made inside functions: each is a cycle of its own, stays in its base's subclass list, and in every registry its metaclass keeps. */
import { functionScope, importedPath, lastName, typeOf } from '../project.ts';
import { argumentsOf, bare, child, descendants, enclosing, type SyntaxNode, textOf } from '../syntax.ts';
import { conditionsWithin } from './guards.ts';
import { advice, inEachFile, matchAt, type PatternMatch, type Rule } from './match.ts';

const makers = new Set([
  'dataclasses.make_dataclass',
  'collections.namedtuple',
  'typing.NamedTuple',
  'typing.TypedDict',
  'enum.Enum',
  'types.new_class',
  'abc.ABCMeta',
  'ctypes.CFUNCTYPE',
  'pydantic.create_model',
]);

export const classPerCall: Rule = {
  id: 'class-per-call',
  category: 'class-or-code-growth',
  title: 'a class is made on every call',
  find: project =>
    inEachFile(project, file => {
      const found: PatternMatch[] = [];
      const report = (node: SyntaxNode, what: string, name: string): void => {
        const scope = functionScope(project, node);
        if (scope.kind !== 'function' || scope.name === '__new__' || scope.name === '__init_subclass__') return;
        if (
          scope.decorators.some(d => /cache/.test(textOf(d))) ||
          conditionsWithin(node).some(c => /\bnot in\b|is None|^not /.test(c))
        )
          return;
        found.push(
          matchAt(project, classPerCall, node, {
            sentence: `${scope.qualname}() makes a new class with ${what} every time it runs; a class lives on in its bases' subclass lists, caches and registries long after its last instance`,
            fix: advice(
              `make the class once at module level, or keep one per distinct shape in a bounded cache, instead of in ${scope.qualname}() at line ${node.line}`,
            ),
            subjects: [name, scope.name],
            types: ['type'],
            certainty: 'maybe',
          }),
        );
      };
      for (const call of descendants(file.root, 'call')) {
        const callee = child(call, 'function')!;
        const path = importedPath(project, callee);
        const { positional } = argumentsOf(call);
        const label = positional[0] === undefined ? '' : textOf(positional[0]).replace(/^['"]|['"]$/g, '');
        if (path !== null && makers.has(path) && (path !== 'enum.Enum' || positional.length > 1))
          report(call, `${textOf(callee)}()`, label);
        else if (path === 'type' && positional.length === 3) report(call, 'type(…)', label);
        else if (
          bare(callee).kind === 'call' &&
          lastName(child(bare(callee), 'function')!) === 'type' &&
          positional.length === 3
        )
          report(call, `${textOf(callee)}(…)`, label);
        else if (positional.length === 3 && bare(callee).kind === 'identifier' && isMetaclass(textOf(callee)))
          report(call, `${textOf(callee)}(…)`, label);
      }
      for (const scope of file.scopes)
        if (
          scope.kind === 'class' &&
          scope.parent?.kind === 'function' &&
          enclosing(scope.node, 'function_definition') !== null &&
          returnsIt(scope.node, scope.name)
        )
          report(scope.node, `class ${scope.name}`, scope.name);
      return found;

      function isMetaclass(name: string): boolean {
        return (project.classes.get(name) ?? []).some(c => c.bases.some(b => b === 'type' || /Meta$/.test(b)));
      }
      function returnsIt(node: SyntaxNode, name: string): boolean {
        const owner = enclosing(node, 'function_definition')!;
        return (
          descendants(owner, 'call', 'return_statement').some(c =>
            c.kind === 'call' ? textOf(child(c, 'function')!) === name : textOf(c) === `return ${name}`,
          ) && typeOf(project, owner) === null
        );
      }
    }),
};
