// Durations as people write them ("90s", "15m", "6h", "7d"), kept as milliseconds.

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;

/** Milliseconds of a duration such as "7d"; NaN when it is not one, so that the caller can name the place. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  return match ? Number(match[1]) * UNIT_MS[match[2]] : Number.NaN;
}

/** The shortest exact spelling of a duration: 604800000 → "7d". */
export function formatDuration(ms: number): string {
  for (const unit of ["d", "h", "m", "s"]) {
    if (ms >= UNIT_MS[unit] && ms % UNIT_MS[unit] === 0) return `${ms / UNIT_MS[unit]}${unit}`;
  }
  return `${ms}ms`;
}
