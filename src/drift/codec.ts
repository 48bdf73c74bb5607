// Tallies as bytes and back: most bins of most hours are empty, so only the others are written, then deflated.
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { SentinelError } from "../core/errors.ts";
import type { Grids } from "./grid.ts";
import { emptyTally, SAMPLES_MAX, type Sample, type Tally } from "./tally.ts";

/** Inflated bytes of one tally, at most: a corrupt file must not fill the memory. */
const BYTES_MAX = 64 * 1024 * 1024;

interface Written {
  readonly rows: number;
  readonly alerts: number;
  readonly late: number;
  readonly duplicates: number;
  readonly length: number;
  /** Gap since the last filled bin, count; in turn. */
  readonly counts: readonly number[];
  /** Infinite numbers are texts. */
  readonly least: readonly (number | string)[];
  readonly greatest: readonly (number | string)[];
  readonly samples: readonly (Omit<Sample, "vector"> & { readonly vector: readonly (number | string)[] })[];
}

export function encodeTally(tally: Tally): Uint8Array {
  const counts: number[] = [];
  let last = -1;
  for (let i = 0; i < tally.counts.length; i++) {
    if (tally.counts[i] === 0) continue;
    counts.push(i - last, tally.counts[i]);
    last = i;
  }
  const { rows, alerts, late, duplicates } = tally;
  const written: Written = {
    rows,
    alerts,
    late,
    duplicates,
    length: tally.counts.length,
    counts,
    least: Array.from(tally.least, spelled),
    greatest: Array.from(tally.greatest, spelled),
    samples: tally.samples.map((sample) => ({ ...sample, vector: sample.vector.map(spelled) })),
  };
  return deflateRawSync(JSON.stringify(written), { level: 1 });
}

/** Throws `state.corrupt` for bytes that are no tally of these grids. */
export function decodeTally(bytes: Uint8Array, grids: Grids): Tally {
  const tally = emptyTally(grids);
  let written: Written;
  try {
    written = JSON.parse(inflateRawSync(bytes, { maxOutputLength: BYTES_MAX }).toString()) as Written;
  } catch (cause) {
    throw corrupt("cannot be read", cause);
  }
  if (written.length !== tally.counts.length) throw corrupt(`has ${written.length} bins, not ${tally.counts.length}`);
  const { rows, alerts, late, duplicates } = written;
  Object.assign(tally, { rows, alerts, late, duplicates });
  let at = -1;
  for (let i = 0; i + 1 < written.counts.length; i += 2) {
    at += written.counts[i];
    tally.counts[at] = written.counts[i + 1];
  }
  tally.least.set(written.least.map(Number));
  tally.greatest.set(written.greatest.map(Number));
  for (const sample of written.samples.slice(0, SAMPLES_MAX))
    tally.samples.push({ ...sample, vector: sample.vector.map(Number) });
  return tally;
}

/** JSON has no NaN and no infinity. */
function spelled(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

function corrupt(what: string, cause?: unknown): SentinelError {
  return new SentinelError("state.corrupt", `an hourly summary ${what}`, {
    hint: "summaries are made again from the log",
    ...(cause === undefined ? {} : { cause }),
  });
}
