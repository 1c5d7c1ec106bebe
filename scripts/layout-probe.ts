/**
 * Evaluates layout facts: by compiling a small C program against an interpreter's internal headers, or by asking gdb
 * for the debug information of its library. Both answer the same questions, so one can stand in for the other.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Layout } from '../src/cpython/layout.ts';
import type { Fact, Facts } from './layout-facts.ts';

/** A fact and where in the table it stands, as `gc.generations.0`. */
export interface PlacedFact {
  readonly path: string;
  readonly fact: Fact;
}

/** All facts of a table, in its order. */
export function placedFacts(facts: Facts): PlacedFact[] {
  const found: PlacedFact[] = [];
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('fact' in value) found.push({ path, fact: value as Fact });
    else for (const [key, inner] of Object.entries(value)) visit(inner, path === '' ? key : `${path}.${key}`);
  };
  visit(facts, '');
  return found;
}

/** The table that the facts and their answers make. */
export function fill(facts: Facts, answers: ReadonlyMap<string, number>): Layout {
  const visit = (value: unknown, path: string): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if ('fact' in value) return answers.get(path);
    const at = (key: string) => (path === '' ? key : `${path}.${key}`);
    if (Array.isArray(value)) return value.map((inner, i) => visit(inner, at(String(i))));
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner, at(key))]));
  };
  return visit(facts, '') as Layout;
}

/**
 * Answers facts by gdb from the debug information in an executable or shared library. Bit-fields are left out.
 * Throws with gdb's words when a fact has no answer.
 */
export function answersFromDebugInfo(library: string, facts: readonly PlacedFact[]): Map<string, number> {
  const asked = facts.filter(f => f.fact.fact !== 'shift' && f.fact.fact !== 'mask');
  const lines = ['set max-value-size unlimited', 'set width 0', 'set confirm off'];
  for (const f of asked) lines.push(`print/d ${gdbExpression(f.fact)}`);
  return withFile('facts.gdb', lines.join('\n'), file => {
    // gdb stops a script at its first error: one -ex a question instead, so that all errors are seen at once.
    const args = ['-batch', '-nx', ...lines.slice(0, 3).flatMap(l => ['-ex', l])];
    for (const line of lines.slice(3)) args.push('-ex', 'echo @\\n', '-ex', line);
    void file;
    const output = execFileSync('gdb', [...args, library], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 1 << 26,
    });
    const answers = new Map<string, number>();
    const parts = output.split('@\n').slice(1);
    const missing: string[] = [];
    asked.forEach((f, i) => {
      const answer = /^\$\d+ = (-?\d+)/.exec(parts[i] ?? '')?.[1];
      if (answer === undefined) missing.push(`${f.path}: ${gdbExpression(f.fact)}`);
      else answers.set(f.path, Number(answer));
    });
    if (missing.length > 0)
      throw new Error(`${library}: the debug information does not tell\n  ${missing.join('\n  ')}`);
    return answers;
  });
}

function gdbExpression(fact: Fact): string {
  if (fact.fact === 'offset') {
    const at = (field: string) => `(long)&((${fact.type} *)0)->${field}`;
    return fact.minus === undefined ? at(fact.field) : `${at(fact.field)} - ${at(fact.minus)}`;
  }
  if (fact.fact === 'size') return `sizeof(${fact.type})`;
  if (fact.fact === 'fieldSize') return `sizeof(((${fact.type} *)0)->${fact.field}) / sizeof(${fact.per})`;
  if (fact.fact === 'value') return `(long)(${fact.expression})`;
  throw new Error('gdb cannot tell the place of a bit-field');
}

/**
 * Answers facts by compiling and running a C program with `Py_BUILD_CORE` against internal headers.
 *
 * @param includes directory of Python.h (its `internal` folder is added), and further include directories.
 * @param run prefix of the command that runs the compiled program and gcc, such as `['chroot', dir]`; normally empty.
 * @throws when gcc is not there, or with its messages when the program does not compile.
 */
export function answersFromHeaders(
  includes: readonly string[],
  facts: readonly PlacedFact[],
  defines: readonly string[] = [],
): Map<string, number> {
  const body = facts.map(f => `    printf("%s %lld\\n", "${f.path}", (long long)(${cExpression(f.fact)}));`).join('\n');
  const privateHeader = join(import.meta.dirname, 'layout-private.h');
  const program = `#include "${privateHeader}"\nint main(void) {\n${body}\n    return 0;\n}\n`;
  return withFile('facts.c', program, file => {
    const binary = `${file}.out`;
    // Debian's pyconfig.h includes <x86_64-linux-gnu/python3.14/pyconfig.h>, from the directory above.
    const flags = includes
      .flatMap(dir => [dir, dirname(dir), join(dir, 'internal'), join(dir, 'internal', 'mimalloc')])
      .map(dir => `-I${dir}`);
    execFileSync('gcc', ['-std=gnu11', '-w', '-DPy_BUILD_CORE', ...defines, ...flags, '-o', binary, file], {
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
    });
    const output = execFileSync(binary, { encoding: 'utf8' });
    return new Map(
      output
        .trim()
        .split('\n')
        .map(line => [line.split(' ')[0], Number(line.split(' ')[1])]),
    );
  });
}

function cExpression(fact: Fact): string {
  if (fact.fact === 'offset') {
    const at = (field: string) => `OFFSET(${fact.type}, ${field})`;
    return fact.minus === undefined ? at(fact.field) : `${at(fact.field)} - ${at(fact.minus)}`;
  }
  if (fact.fact === 'size') return `sizeof(${fact.type})`;
  if (fact.fact === 'fieldSize') return `sizeof(((${fact.type} *)0)->${fact.field}) / sizeof(${fact.per})`;
  if (fact.fact === 'value') return fact.expression;
  const word = `BITS(${fact.type}, ${fact.word}, ${fact.field})`;
  return fact.fact === 'shift' ? `__builtin_ctz(${word})` : `${word} >> __builtin_ctz(${word})`;
}

/** Calls `use` with the path of a file with this text in a directory of its own, which is removed afterwards. */
function withFile<T>(name: string, text: string, use: (file: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'leakscope-layouts-'));
  try {
    const file = join(directory, name);
    writeFileSync(file, text);
    return use(file);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
