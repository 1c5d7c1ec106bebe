/** From a holder as the heap names it (`app.cache.STORE._slots`, `send.__closure__[seen]`) to the name the source knows it by. */
import type { HolderName } from './container-use.ts';
import type { SourceFile } from './file.ts';
import { attributeValues, openProject, type Project, typeOf } from './project.ts';
import { assignedValue } from './scopes.ts';

/** Null when the expression names nothing in the files. Subscripts and what follows them are left out. */
export function holderFromExpression(files: readonly SourceFile[], expression: string): HolderName | null {
  const project = openProject(files);
  const cell =
    /^(?:module\s+)?([\w.<>]+?)\.?(?:__closure__\[['"]?(\w+)['"]?\]|<closure cell (\w+)>|closure\[['"]?(\w+)['"]?\])/.exec(
      expression,
    );
  if (cell !== null)
    return { function: cell[1]!.replace(/^__main__\./, ''), variable: (cell[2] ?? cell[3] ?? cell[4])! };
  const clean = expression.replace(/\.__dict__\[['"](\w+)['"]\]/g, '.$1').split(/[[( ]/)[0]!;
  const names = clean.split('.').filter(n => n !== '');
  for (let cut = names.length - 1; cut >= 0; cut--) {
    const module = names.slice(0, cut).join('.');
    const name = names[cut]!;
    const file = files.find(
      f =>
        (cut === 0 || f.module === module || f.module.endsWith(`.${module}`) || module === '__main__') &&
        f.moduleScope.bindings.has(name),
    );
    if (file === undefined) continue;
    const rest = names.slice(cut + 1);
    const base = { module: cut === 0 ? file.module : module, name };
    if (rest.length === 0) return base;
    let type = project.classes.has(name) ? name : globalType(project, file, name);
    for (const attribute of rest.slice(0, -1)) {
      if (type === null) break;
      type =
        attributeValues(project, type, attribute)
          .map(v => typeOf(project, v))
          .find(t => t !== null) ?? null;
    }
    const last = rest.at(-1)!;
    if (type !== null)
      return {
        className: type,
        attribute: last,
        viaGlobal: rest.length === 1 ? name : [name, ...rest.slice(0, -1)].join('.'),
      };
    return { ...base, attribute: rest[0]! };
  }
  // `TtlStore._slots`: a class of some file.
  const owner = names.at(-2);
  if (owner !== undefined && project.classes.has(owner)) return { className: owner, attribute: names.at(-1)! };
  return names.length < 2 ? null : { module: names.slice(0, -1).join('.'), name: names.at(-1)! };
}

function globalType(project: Project, file: SourceFile, name: string): string | null {
  for (const b of file.moduleScope.bindings.get(name) ?? []) {
    const value = assignedValue(b);
    const type = value === null ? null : typeOf(project, value);
    if (type !== null) return type;
  }
  return null;
}
