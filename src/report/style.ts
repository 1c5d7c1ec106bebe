/** How text may look where it goes: colour, characters beyond ASCII, width. */

export interface Style {
  readonly color: boolean;
  /** Whether characters beyond ASCII can be shown. */
  readonly unicode: boolean;
  /** Columns; Infinity for a file or a pipe, where nothing is cut off. */
  readonly width: number;
}

const CODES = {
  bold: '1',
  dim: '2',
  red: '1;31',
  green: '1;32',
  yellow: '1;33',
  cyan: '36',
} as const;
export type Colour = keyof typeof CODES;

/** The style for a stream: colour and width only for a terminal (NO_COLOR and `--no-color` are heard), Unicode by locale. */
export function styleFor(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  environment: Readonly<Record<string, string | undefined>>,
  wantColor: boolean,
): Style {
  const terminal = stream.isTTY === true;
  const locale = environment.LC_ALL || environment.LC_CTYPE || environment.LANG || '';
  const color = terminal && wantColor && !environment.NO_COLOR && environment.TERM !== 'dumb';
  return {
    color,
    unicode: /utf-?8/i.test(locale),
    width: terminal && stream.columns ? Math.max(40, stream.columns) : Number.POSITIVE_INFINITY,
  };
}

export function paint(text: string, colour: Colour, style: Style): string {
  return style.color && text !== '' ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: our own colour codes are control sequences
const COLOUR_CODE = /\x1b\[[0-9;]*m/g;

/** How many columns a text takes: colours take none. */
export function columnsOf(text: string): number {
  return [...text.replace(COLOUR_CODE, '')].length;
}

/**
 * A copy of a document whose strings hold no control characters. Names and file names come from the target and must not
 * be able to move the cursor of the person who reads them.
 */
export function printable<T>(document: T): T {
  if (typeof document === 'string') {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    return document.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, escaped) as T;
  }
  if (Array.isArray(document)) return document.map(printable) as T;
  if (document !== null && typeof document === 'object') {
    return Object.fromEntries(Object.entries(document).map(([key, value]) => [key, printable(value)])) as T;
  }
  return document;
}

function escaped(character: string): string {
  if (character === '\t') return '    ';
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

const ASCII: Readonly<Record<string, string>> = {
  '…': '...',
  '├': '|',
  '└': '`',
  '│': '|',
  '─': '-',
  '·': '.',
  '×': 'x',
  '±': '+-',
};

/** The text as the terminal can show it: one newline at the end, no trailing blanks, ASCII where it must be. */
export function finish(lines: readonly string[], style: Style): string {
  const text = `${lines.map(line => line.trimEnd()).join('\n')}\n`;
  if (style.unicode) return text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: everything beyond ASCII is replaced
  return text.replace(/[^\x00-\x7f]/gu, character => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return ASCII[character] ?? (code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`);
  });
}

/** A number and its unit, which stay on one line. */
const QUANTITY = /(\d) (?=(?:[KMGT]iB|B|ms|s|min)\b)/g;

/** Words in lines of at most `width` columns; words longer than that stay whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.replace(QUANTITY, '$1\u00a0').split(/[ \n\t]+/)) {
    if (line !== '' && columnsOf(line) + 1 + columnsOf(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map(shown => shown.replaceAll('\u00a0', ' '));
}
