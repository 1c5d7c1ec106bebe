/** The verdict as people read it: what leaks, who holds it, which line, why, and what to do. */
import type { MemoryKind, Site, SourceExcerpt, Suspect, Verdict } from '../diagnosis/index.ts';
import { columnsOf, finish, paint, printable, type Style, wrap } from './style.ts';
import { bytesRate, bytesText, countRate, countText, durationText, plural, sharedUnit } from './units.ts';

const INDENT = 13;
/** Lines longer than this are hard to read, however wide the terminal. */
const WIDEST = 110;
const HEADLINE = 80;

/**
 * The text of a verdict. `excerpts` are the lines around its sites, where the files could be read; `directory` is the
 * target's working directory, which file names are shown relative to.
 */
export function verdictText(
  verdict: Verdict,
  style: Style,
  excerpts: readonly SourceExcerpt[] = [],
  directory = '',
): string {
  const clean = printable(verdict);
  const context: Context = {
    style,
    width: Math.min(style.width, WIDEST),
    excerpts: printable(excerpts),
    directory: directory === '' || directory.endsWith('/') ? directory : `${directory}/`,
  };
  const lines = [...opening(clean, context)];
  for (const suspect of clean.suspects) lines.push(...suspectLines(suspect, clean, context));
  lines.push(...closing(clean, context));
  return finish(lines, style);
}

interface Context {
  readonly style: Style;
  readonly width: number;
  readonly excerpts: readonly SourceExcerpt[];
  readonly directory: string;
}

/** A verdict of leak opens with its suspects; the others with a sentence. */
function opening(verdict: Verdict, context: Context): string[] {
  const { style, width } = context;
  if (verdict.verdict === 'leak' && verdict.suspects.length > 0) return [];
  const [word, colour] =
    verdict.verdict === 'leak'
      ? (['LEAK', 'red'] as const)
      : verdict.verdict === 'no-leak'
        ? (['NO LEAK', 'green'] as const)
        : (['NOT SURE', 'yellow'] as const);
  const lines = hanging(word, 10, verdict.summary, width);
  lines[0] = paint(word, colour, style) + (lines[0] ?? '').slice(word.length);
  if (verdict.verdict === 'inconclusive') {
    const longer = longerWatch(verdict.observation.seconds);
    lines.push(...row('next', `watch it longer: leakscope attach ${verdict.target.pid} --for ${longer}`, width));
  }
  return lines;
}

/** Five times what was watched, as one would type it. */
function longerWatch(seconds: number): string {
  const minutes = Math.max(2, Math.ceil((seconds * 5) / 60));
  return `${minutes}m`;
}

function suspectLines(suspect: Suspect, verdict: Verdict, context: Context): string[] {
  const { style, width } = context;
  const lines = headline(suspect, verdict, context);
  const others = suspect.types.slice(1, 4);
  if (others.length > 0) {
    const named = others.map(
      type => `${shortName(type.name)} ${countRate(type.count_per_second, '').replace(' /', '/')}`,
    );
    lines.push(...row('and', named.join(', '), width));
  }
  if (suspect.holder !== null) {
    const { expression, type, entries } = suspect.holder;
    const facts = [
      type,
      entries > 0 ? plural(entries, 'entry', 'entries') : '',
      suspect.retained_bytes > 0 ? `${bytesText(suspect.retained_bytes)} retained` : '',
    ].filter(fact => fact !== '');
    const place = expression === '' ? '' : `${paint(expression, 'bold', style)}   `;
    lines.push(...row('held by', place + facts.join(', '), width));
  } else if (suspect.retained_bytes > 0) {
    lines.push(...row('holds', bytesText(suspect.retained_bytes), width));
  }
  if (suspect.path.length > 0) lines.push(...row('path', pathText(suspect.path, suspect.types[0]?.name ?? ''), width));
  lines.push(...siteLines('stored at', 'watched inserts', suspect.store_sites, context));
  lines.push(...siteLines('created at', 'watched creations', suspect.creation_sites, context));
  if (suspect.explanation !== '') lines.push(...row('why', suspect.explanation, width));
  if (suspect.fix.summary !== '') {
    const patch = suspect.fix.patch === null ? '' : `leakscope fix ${suspect.rank} shows the patch`;
    const together = `${suspect.fix.summary}   ${patch}`;
    if (patch === '' || columnsOf(together) <= width - INDENT) lines.push(...row('fix', together.trimEnd(), width));
    else lines.push(...row('fix', suspect.fix.summary, width), ...row('', patch, width));
  }
  return lines;
}

function headline(suspect: Suspect, verdict: Verdict, { style, width }: Context): string[] {
  const [word, colour] =
    suspect.category === 'fragmentation' || verdict.verdict === 'no-leak'
      ? (['NOTE', 'yellow'] as const)
      : verdict.verdict === 'leak'
        ? (['LEAK', 'red'] as const)
        : (['SUSPECT', 'yellow'] as const);
  const first = suspect.types[0];
  const parts = [first === undefined ? subject(suspect) : shortName(first.name)];
  if (first !== undefined && first.count_per_second !== 0) parts.push(countRate(first.count_per_second));
  // What it costs is what all of its types cost: the Session itself is small, the dicts and lists in it are not.
  const ofTypes = suspect.types.reduce((sum, type) => sum + type.bytes_per_second, 0);
  const alone = verdict.suspects.length === 1 ? verdict.memory.growth_bytes_per_second : 0;
  const bytesPerSecond = suspect.types.length > 0 ? ofTypes : alone;
  if (bytesPerSecond !== 0) parts.push(bytesRate(bytesPerSecond));
  const left = `${paint(word, colour, style)}${' '.repeat(Math.max(2, 7 - word.length))}${parts.join('  ')}`;
  const right = `confidence ${suspect.confidence.toFixed(2)}`;
  const gap = Math.min(HEADLINE, width) - columnsOf(left) - right.length;
  return gap >= 2 ? [`${left}${' '.repeat(gap)}${right}`] : [left, `  ${right}`];
}

/** What to call growth that has no Python type. */
function subject(suspect: Suspect): string {
  switch (suspect.category) {
    case 'native-malloc':
      return 'native memory';
    case 'fragmentation':
      return 'free memory that the allocators keep';
    case 'file-or-socket-handle':
      return 'open files or sockets';
    default:
      return suspect.holder?.type ?? 'memory';
  }
}

function shortName(name: string): string {
  const local = name.lastIndexOf('<locals>.');
  if (local >= 0) return name.slice(local + '<locals>.'.length);
  return name.startsWith('<') ? name : name.slice(name.lastIndexOf('.') + 1);
}

/** `module app.cache > SESSIONS['…'] > Session`: attributes are steps, subscripts stay with what they index. */
function pathText(path: readonly string[], type: string): string {
  let text = '';
  for (const label of path) {
    if (text === '') text = label;
    else if (label.startsWith('[')) text += label;
    else text += ` > ${label.startsWith('.') ? label.slice(1) : label}`;
  }
  const last = shortName(type);
  return last === '' || text.endsWith(` > ${last}`) ? text : `${text} > ${last}`;
}

function siteLines(title: string, what: string, sites: readonly Site[], context: Context): string[] {
  const lines: string[] = [];
  const watched = sites.filter(site => site.evidence === 'watchpoint').reduce((sum, site) => sum + site.hits, 0);
  for (const [index, site] of sites.slice(0, 3).entries()) {
    const place = `${relativeTo(site.file, context.directory)}:${site.line}`;
    const where = site.function === '' ? place : `${place} in ${call(site.function)}`;
    lines.push(...row(index === 0 ? title : '', `${where}    ${evidenceText(site, watched, what)}`, context.width));
    if (index === 0) lines.push(...excerptLines(site, context));
  }
  if (sites.length > 3) lines.push(...row('', `and ${sites.length - 3} more places`, context.width));
  return lines;
}

function evidenceText(site: Site, watched: number, what: string): string {
  switch (site.evidence) {
    case 'watchpoint':
      return `${countText(site.hits)} of ${countText(watched)} ${what}`;
    case 'tracemalloc':
      return `${plural(site.hits, 'allocation')} traced`;
    case 'static':
      return 'read in the source, not seen running';
    case 'inferred':
      return 'inferred';
  }
}

function call(name: string): string {
  return name.startsWith('<') || name.endsWith(')') ? name : `${name}()`;
}

function excerptLines(site: Site, { excerpts, style, width }: Context): string[] {
  const excerpt = excerpts.find(candidate => candidate.file === site.file && candidate.line === site.line);
  if (excerpt === undefined) return [];
  const digits = Math.max(...excerpt.lines.map(line => String(line.number).length));
  const common = Math.min(
    ...excerpt.lines.filter(line => line.text.trim() !== '').map(line => /^ */.exec(line.text)?.[0].length ?? 0),
  );
  return excerpt.lines.map(({ number, text }) => {
    const marked = number === site.line;
    const shown = `${' '.repeat(INDENT)}${marked ? '>' : ' '} ${String(number).padStart(digits)}   ${text.slice(common)}`;
    const fitting = columnsOf(shown) > width ? `${[...shown].slice(0, width - 1).join('')}…` : shown;
    return paint(fitting, marked ? 'bold' : 'dim', style);
  });
}

function relativeTo(file: string, directory: string): string {
  return directory !== '' && file.startsWith(directory) ? file.slice(directory.length) : file;
}

const MEMORY_WORDS: readonly { readonly kinds: readonly MemoryKind[]; readonly words: string }[] = [
  { kinds: ['python-objects'], words: 'Python objects' },
  { kinds: ['native-blocks'], words: 'native blocks' },
  { kinds: ['free-pymalloc', 'free-malloc'], words: 'free inside allocators' },
  { kinds: ['files'], words: 'code and files' },
  { kinds: ['stacks'], words: 'stacks' },
  { kinds: ['other'], words: 'other' },
];

function closing(verdict: Verdict, context: Context): string[] {
  const { memory, observation } = verdict;
  const lines: string[] = [];
  if (memory.resident > 0) {
    const sums = MEMORY_WORDS.map(({ kinds }) =>
      memory.parts.filter(part => kinds.includes(part.kind)).reduce((sum, part) => sum + part.bytes, 0),
    );
    const { sum, parts } = sharedUnit(memory.resident, sums);
    const shown = MEMORY_WORDS.flatMap(({ words }, at) =>
      parts[at]! > 0 ? [`${countText(parts[at]!)} ${words}`] : [],
    );
    lines.push(...footer('MEMORY', `${sum} resident${shown.length > 0 ? ` = ${shown.join(' + ')}` : ''}`, context));
    if (Math.abs(memory.growth_bytes_per_second * 60) >= 1024) {
      const growing = MEMORY_WORDS.flatMap(({ kinds, words }) => {
        const rate = memory.growth_parts
          .filter(part => kinds.includes(part.kind))
          .reduce((total, part) => total + part.bytes_per_second, 0);
        // A twentieth of the whole explains nothing, and would be one more figure to read.
        const telling = Math.max(1024 / 60, Math.abs(memory.growth_bytes_per_second) / 20);
        return Math.abs(rate) >= telling ? [`${words} ${bytesRate(rate)}`] : [];
      });
      const by = growing.length > 0 ? `: ${growing.join(', ')}` : '';
      lines.push(...footer('GROWTH', `${bytesRate(memory.growth_bytes_per_second)} resident${by}`, context));
    }
  }
  const watched = `watched for ${durationText(observation.seconds)}`;
  const stops = observation.stops > 0 ? `; ${plural(observation.stops, 'stop')} at a watchpoint` : '';
  const bytes = observation.bytes_allocated_in_target;
  const allocated = `${bytes === 0 ? '0 bytes' : bytesText(bytes)} allocated in the target`;
  lines.push(...footer('COST', `${pausesText(observation.pauses_ms)}${stops}; ${allocated}; ${watched}`, context));
  return lines;
}

/** `1 pause of 14 ms`, `3 pauses of 14, 15 and 16 ms`, `7 pauses of 12 to 16 ms`. */
function pausesText(pauses: readonly number[]): string {
  if (pauses.length === 0) return 'no pause';
  const ms = pauses.map(pause => (pause < 9.95 ? pause.toFixed(1) : pause.toFixed(0)));
  if (ms.length === 1) return `1 pause of ${ms[0]} ms`;
  if (ms.length <= 3) return `${ms.length} pauses of ${ms.slice(0, -1).join(', ')} and ${ms.at(-1)} ms`;
  const sorted = [...pauses].sort((a, b) => a - b);
  const ends = [sorted[0]!, sorted.at(-1)!].map(pause => (pause < 9.95 ? pause.toFixed(1) : pause.toFixed(0)));
  return `${countText(ms.length)} pauses of ${ends[0]} to ${ends[1]} ms`;
}

function footer(word: string, text: string, { style, width }: Context): string[] {
  const lines = hanging(word, 7, text, width);
  lines[0] = paint(word, 'dim', style) + (lines[0] ?? '').slice(word.length);
  return lines;
}

function row(title: string, text: string, width: number): string[] {
  return hanging(`  ${title}`, INDENT, text, width);
}

/** A title and its text; further lines begin where the text begins. Runs of blanks in a text that fits are kept. */
function hanging(title: string, indent: number, text: string, width: number): string[] {
  const start = title.padEnd(indent - 1);
  const room = Math.max(20, width - indent);
  const lines = columnsOf(text) <= room ? [text] : wrap(text, room);
  return lines.map((line, at) => `${at === 0 ? `${start} ` : ' '.repeat(indent)}${line}`);
}
