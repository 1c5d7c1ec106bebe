/** What people write on a command line, read strictly: a wrong value is wrong usage, never a guess. */
import { InvalidArgumentError } from 'commander';

const SECONDS = { '': 1, s: 1, m: 60, h: 3600 } as const;

/** `45s`, `2m`, `1.5h`, or a bare number of seconds, as milliseconds. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(s|m|h|)$/.exec(text);
  const seconds = match === null ? Number.NaN : Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS];
  if (!(seconds > 0)) throw new InvalidArgumentError('Write a duration as 45s, 2m, 1h or a number of seconds.');
  if (seconds > 7 * 24 * 3600) throw new InvalidArgumentError('A week is the longest that can be watched.');
  return seconds * 1000;
}

/** A process id. */
export function pid(text: string): number {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value < 1 || value > 2 ** 31 - 1) {
    throw new InvalidArgumentError('A pid is a number, as ps shows it.');
  }
  return value;
}

/** A number of rows; 0 means all of them. */
export function limit(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Write a whole number; 0 means no limit.');
  return Number(text) === 0 ? Number.POSITIVE_INFINITY : Number(text);
}

/** A whole number of at least one. */
export function positive(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1) throw new InvalidArgumentError('Write a whole number from 1 on.');
  return Number(text);
}

/** `0x7f3a2c001000`, or the same digits without the `0x` when there is a letter among them. */
export function address(text: string): number {
  const value = parseAddress(text);
  if (value === undefined) throw new InvalidArgumentError('Write an address as 0x7f3a2c001000.');
  return value;
}

export function parseAddress(text: string): number | undefined {
  if (!/^0x[0-9a-f]{1,16}$/i.test(text)) return undefined;
  const value = Number.parseInt(text.slice(2), 16);
  return Number.isSafeInteger(value) ? value : undefined;
}

export function hexadecimal(value: number): string {
  return `0x${value.toString(16)}`;
}
