// What a bundle answered and what became of it: every fraud that is known, and of the rest as many rows as asked, evenly over the time.
import type { MaturedWindow } from "../../../ports/log.ts";
import { LATEST_LABEL, type LogTables, single } from "./read.ts";
import { numberOf } from "./rows.ts";

/** Entries of the log that are read together. */
const PAGE_ENTRIES = 512;
/** Records may come so much out of the order of their times; entries beyond are looked for no further. */
const DISORDER_MS = 86_400_000;
const GENUINE = 0;
const FRAUD = 1;
const UNLABELLED = 2;

export interface MaturedOptions {
  readonly bundle: string;
  readonly from: number;
  readonly to: number;
  readonly until: number;
  readonly rows: number;
}

interface Found {
  readonly time: number;
  readonly score: number;
  readonly label: number;
  readonly weight: number;
}

/** As of the port. Entries lie in the order of arrival, so the pages are found by halving, and what is read does not grow with the log. */
export async function readMatured(tables: LogTables, options: MaturedOptions): Promise<MaturedWindow> {
  const { from, to, rows } = options;
  const ends = "SELECT coalesce(%(sequence), 0) FROM predictions";
  const first = await single(tables, ends.replace("%", "min"));
  const last = await single(tables, ends.replace("%", "max"));
  const low = last - first < rows ? first : await firstSince(tables, from - DISORDER_MS, { first, last });
  const high = last - first < rows ? last : await firstSince(tables, to + DISORDER_MS, { first, last });
  const pages = Math.max(1, Math.floor(rows / PAGE_ENTRIES));
  const stride = Math.max(PAGE_ENTRIES, (high - low + 1) / pages);
  const isWhole = stride === PAGE_ENTRIES;
  const found = await sampled(tables, options, { low, high, stride });
  if (!isWhole) found.push(...(await frauds(tables, options)));
  return {
    rows: found.length,
    time: Float64Array.from(found, ({ time }) => time),
    score: Float64Array.from(found, ({ score }) => score),
    label: Uint8Array.from(found, ({ label }) => label),
    weight: Float64Array.from(found, ({ weight }) => weight),
  };
}

/** Pages of entries at even distances; where there is space between them, without the frauds, each row standing for those around it. */
async function sampled(
  tables: LogTables,
  { bundle, from, to, until }: MaturedOptions,
  { low, high, stride }: { readonly low: number; readonly high: number; readonly stride: number },
): Promise<Found[]> {
  const query = `SELECT time, score, (SELECT m.fraud FROM labels m WHERE m.transaction_id = p.transaction_id AND m.known_at <= ?
      ORDER BY ${LATEST_LABEL} LIMIT 1)
    FROM predictions p WHERE sequence >= ? AND sequence < ? AND bundle = ? AND degraded = 0 AND time >= ? AND time <= ?
    ORDER BY sequence`;
  const isWhole = stride === PAGE_ENTRIES;
  const found: Found[] = [];
  for (let at = low; at <= high; at += stride) {
    const begin = Math.floor(at);
    const page = await tables.all(query, [until, begin, begin + PAGE_ENTRIES, bundle, from, to]);
    for (const [time, score, fraud] of page) {
      const label = fraud === null ? UNLABELLED : fraud === 1 ? FRAUD : GENUINE;
      if (isWhole || label !== FRAUD)
        found.push({ time: numberOf(time), score: numberOf(score), label, weight: stride / PAGE_ENTRIES });
    }
    await breathe();
  }
  return found;
}

/** The newest that are known, as many as rows are wanted at most, each standing for itself. */
async function frauds(tables: LogTables, { bundle, from, to, until, rows }: MaturedOptions): Promise<Found[]> {
  const query = `SELECT l.sequence, p.time, p.score, CASE WHEN p.bundle = ? AND p.degraded = 0 AND p.time >= ? AND p.time <= ?
      AND NOT EXISTS (SELECT 1 FROM labels m WHERE m.transaction_id = l.transaction_id AND m.known_at <= ?
        AND (m.known_at > l.known_at OR (m.known_at = l.known_at AND m.sequence > l.sequence))) THEN 1 ELSE 0 END
    FROM labels l JOIN predictions p ON p.transaction_id = l.transaction_id
    WHERE l.sequence < ? AND l.fraud = 1 AND l.known_at <= ? ORDER BY l.sequence DESC LIMIT ?`;
  const found: Found[] = [];
  for (let before = Number.MAX_SAFE_INTEGER; found.length < rows; ) {
    const page = await tables.all(query, [bundle, from, to, until, before, until, PAGE_ENTRIES]);
    if (page.length === 0) break;
    for (const [, time, score, counts] of page)
      if (counts === 1) found.push({ time: numberOf(time), score: numberOf(score), label: FRAUD, weight: 1 });
    before = Number(page[page.length - 1][0]);
    await breathe();
  }
  return found.slice(0, rows);
}

/** The first entry whose record is not before a time, by halving: as exact as the order of arrival is. */
async function firstSince(
  tables: LogTables,
  time: number,
  { first, last }: { readonly first: number; readonly last: number },
): Promise<number> {
  const query = "SELECT time FROM predictions WHERE sequence >= ? ORDER BY sequence LIMIT 1";
  let low = first;
  let high = last;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [row] = await tables.all(query, [middle]);
    if (row !== undefined && numberOf(row[0]) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
