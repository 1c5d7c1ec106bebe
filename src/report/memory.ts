/** Where every resident byte is. */
import type { MemoryDocument } from './documents.ts';
import { finish, printable, type Style } from './style.ts';
import { table } from './table.ts';
import { bytesText, percentText } from './units.ts';

const WORDS: Readonly<Record<string, string>> = {
  'python-objects': 'Python objects',
  'native-blocks': 'native blocks',
  'free-pymalloc': "free in Python's allocator",
  'free-malloc': "free in the C library's allocator",
  stacks: 'stacks of threads',
  files: 'code and mapped files',
  other: 'other',
};

export function memoryText(document: MemoryDocument, style: Style): string {
  const { resident, parts } = printable(document);
  const lines = [
    `${bytesText(resident)} resident`,
    '',
    ...table(
      [
        { title: '', align: 'right' },
        { title: '', align: 'right' },
        { title: '', align: 'left' },
        { title: '', align: 'left', cut: 'end' },
      ],
      parts.map(part => [
        bytesText(part.bytes),
        resident > 0 ? percentText(part.bytes / resident) : '',
        WORDS[part.kind] ?? part.kind,
        part.detail,
      ]),
      style,
    ),
  ];
  return finish(lines, style);
}
