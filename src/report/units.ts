/** Numbers as people read them: IEC units for bytes, thousands separated, rates per minute. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `123 B`, `3.1 MiB`, `412 MiB`: three digits, IEC. */
export function bytesText(bytes: number): string {
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1);
  return `${bytes < 0 ? '-' : ''}${digits} ${UNITS[unit]}`;
}

/** `48,120`. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** With its sign: `+1,204`, `-3`, `0`. */
export function signedCount(count: number): string {
  return count > 0 ? `+${countText(count)}` : countText(count);
}

export function signedBytes(bytes: number): string {
  return bytes > 0 ? `+${bytesText(bytes)}` : bytesText(bytes);
}

/** A rate per second, as `+1,204 objects/min`; below one a minute as objects an hour. */
export function countRate(perSecond: number, noun = 'objects'): string {
  const perMinute = perSecond * 60;
  if (Math.abs(perMinute) >= 10) return `${signedCount(perMinute)} ${noun}/min`;
  if (Math.abs(perMinute) >= 1) return `${perMinute > 0 ? '+' : ''}${perMinute.toFixed(1)} ${noun}/min`;
  return `${signedCount(perSecond * 3600)} ${noun}/h`;
}

export function bytesRate(perSecond: number): string {
  return `${signedBytes(perSecond * 60)}/min`;
}

/** `0.4 ms`, `14 ms`, `1.2 s`, `12 s`, `3 min 20 s`. */
export function durationText(seconds: number): string {
  if (seconds < 0.0095) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${seconds.toFixed(0)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  const rest = Math.round(seconds) - minutes * 60;
  if (minutes >= 120) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
}

/** `1 object`, `2 objects`. */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${countText(count)} ${Math.round(count) === 1 ? noun : nouns}`;
}

/** `0.98` as `98 %`; a small part is not rounded to nothing. */
export function percentText(part: number): string {
  const percent = part * 100;
  if (percent > 0 && percent < 0.1) return '<0.1 %';
  return percent >= 9.95 || percent === 0 ? `${percent.toFixed(0)} %` : `${percent.toFixed(1)} %`;
}

/**
 * A sum and its parts in one unit, rounded so that the parts shown add up to the sum shown (largest remainder).
 * Returns the sum as text with its unit, and each part as a number in that unit.
 */
export function sharedUnit(sum: number, parts: readonly number[]): { sum: string; parts: number[] } {
  let unit = 0;
  let divisor = 1;
  while (sum / divisor >= 10_000 && unit < UNITS.length - 1) {
    divisor *= 1024;
    unit++;
  }
  const whole = Math.round(sum / divisor);
  const shown = parts.map(part => Math.floor(part / divisor));
  const accounted = Math.min(whole, Math.round(parts.reduce((total, part) => total + part, 0) / divisor));
  let missing = accounted - shown.reduce((total, part) => total + part, 0);
  const byRemainder = parts
    .map((part, index) => ({ index, remainder: part / divisor - Math.floor(part / divisor) }))
    .sort((a, b) => b.remainder - a.remainder);
  for (const { index } of byRemainder) {
    if (missing <= 0) break;
    shown[index] = shown[index]! + 1;
    missing--;
  }
  return { sum: `${countText(whole)} ${UNITS[unit]}`, parts: shown };
}
