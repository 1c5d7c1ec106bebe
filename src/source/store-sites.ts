/** Where the source says that things are stored and made, for when no watchpoint could show it. */
import { containerUse, type HolderName } from './container-use.ts';
import type { SourceFile } from './file.ts';
import { functionName, openProject } from './project.ts';

export interface StaticSite {
  readonly file: string;
  readonly line: number;
  readonly function: string;
  readonly evidence: 'static';
}

export interface SiteGuess {
  readonly storeSites: readonly StaticSite[];
  readonly creationSites: readonly StaticSite[];
}

/** Store sites of a holder and the calls that make instances of the named classes, those in functions first. */
export function storeSiteGuess(
  files: readonly SourceFile[],
  about: { readonly holder?: HolderName; readonly types?: readonly string[] },
): SiteGuess {
  const project = openProject(files);
  const storeSites: StaticSite[] = [];
  if (about.holder !== undefined)
    for (const s of containerUse(files, about.holder).stores)
      storeSites.push({ file: s.file, line: s.line, function: s.function, evidence: 'static' });
  const creationSites: StaticSite[] = [];
  for (const type of about.types ?? [])
    for (const call of project.calls.get(type.split('.').at(-1)!) ?? [])
      creationSites.push({
        file: call.file.file,
        line: call.node.line,
        function: functionName(project, call.node),
        evidence: 'static',
      });
  const lateFirst = (a: StaticSite, b: StaticSite): number =>
    Number(a.function === '<module>') - Number(b.function === '<module>');
  return { storeSites: unique(storeSites).sort(lateFirst), creationSites: unique(creationSites).sort(lateFirst) };
}

function unique(sites: readonly StaticSite[]): StaticSite[] {
  return sites.filter((s, i) => sites.findIndex(o => o.file === s.file && o.line === s.line) === i);
}
