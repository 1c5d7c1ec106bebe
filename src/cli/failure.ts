/** What a person sees when a command fails, and the exit code that programs see. */

import { VERSION } from '../diagnosis/index.ts';
import { ExitCode, LeakscopeError } from '../process/index.ts';
import { printable } from '../report/index.ts';

export interface Failure {
  readonly text: string;
  readonly exitCode: number;
}

export function failureOf(error: unknown, debug: boolean): Failure {
  if (error instanceof LeakscopeError) {
    const remedy = error.remedy === '' ? '' : `${error.remedy}\n`;
    const stack = debug ? `${error.stack}\n` : '';
    return { text: `${printable(`leakscope: ${error.message}`)}\n${remedy}${stack}`, exitCode: error.exitCode };
  }
  const message = error instanceof Error ? error.message.split('\n')[0] : String(error);
  const report = debug
    ? `${error instanceof Error ? error.stack : error}\n`
    : 'Please report it, with the output of the same command under LEAKSCOPE_DEBUG=1.\n';
  return {
    text: `${printable(`leakscope: ${VERSION} made a mistake of its own: ${message}`)}\n${report}`,
    exitCode: ExitCode.unsupportedTarget,
  };
}
