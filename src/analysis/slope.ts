/** A straight line through measurements: how fast something grows, and how sure that is. */

export interface Slope {
  /** Units a second. */
  readonly perSecond: number;
  /** Standard error of perSecond; null with fewer than three measurements. */
  readonly standardError: number | null;
}

/** Least squares of `values` over `seconds`; 0 when all are of one moment. */
export function slopeOf(seconds: readonly number[], values: ArrayLike<number>): Slope {
  const n = seconds.length;
  let meanX = 0;
  let meanY = 0;
  for (let i = 0; i < n; i++) {
    meanX += seconds[i]! / n;
    meanY += values[i]! / n;
  }
  let xx = 0;
  let xy = 0;
  for (let i = 0; i < n; i++) {
    xx += (seconds[i]! - meanX) ** 2;
    xy += (seconds[i]! - meanX) * (values[i]! - meanY);
  }
  if (xx === 0) return { perSecond: 0, standardError: null };
  const perSecond = xy / xx;
  if (n < 3) return { perSecond, standardError: null };
  let residual = 0;
  for (let i = 0; i < n; i++) residual += (values[i]! - meanY - perSecond * (seconds[i]! - meanX)) ** 2;
  return { perSecond, standardError: Math.sqrt(residual / (n - 2) / xx) };
}
