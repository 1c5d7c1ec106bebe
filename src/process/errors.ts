/** The errors a person sees: one sentence of what happened, one of what to do, and the exit code of CLI.md. */

export const ExitCode = {
  done: 0,
  leakFound: 1,
  usage: 2,
  notPermitted: 3,
  unsupportedTarget: 4,
  targetEnded: 5,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** An error with a message for people. Everything thrown on purpose in this project is one of these. */
export class LeakscopeError extends Error {
  readonly exitCode: ExitCode;
  /** What the user can do about it; one sentence, may be ''. */
  readonly remedy: string;
  constructor(message: string, exitCode: ExitCode, remedy = '') {
    super(message);
    this.name = 'LeakscopeError';
    this.exitCode = exitCode;
    this.remedy = remedy;
  }
}
