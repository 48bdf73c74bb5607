// Trained inputs: what the columns that a plan reads looked like in training, and whether what is served looks the same.
import { SentinelError } from "../core/errors.ts";
import { type Column, type Table, textAt } from "../core/table.ts";
import type { Transaction } from "../core/transaction.ts";
import { DistinctSet, identityOf } from "./distinct.ts";
import { featuresReading, inputsOf } from "./inputs.ts";
import { type FeaturePlan, keyId } from "./plan.ts";
import { joinKey, keyText } from "./state.ts";

/** One key of the plan: who was there, and how much of the traffic comes from those who were. */
export interface TrainedKey {
  readonly key: readonly string[];
  /** Identities (distinct.ts) of the table's keys, ascending; null when there were more than are kept. */
  readonly identities: Float64Array | null;
  /** Of the table's last rows, the share whose key the rows before them had; null when too few rows say so. */
  readonly returning: number | null;
  /** A few keys as they are spelled. */
  readonly examples: readonly string[];
}

export interface TrainedInputs {
  readonly dataHash: string;
  /** By column, the share of rows in which it is missing. */
  readonly missing: Readonly<Record<string, number>>;
  readonly keys: readonly TrainedKey[];
}

/** Keys kept of one series: 64 MB; beyond it nothing is said about them. */
const KEYS_MAX = 8_000_000;
/** Share of the rows, the last in time, that tells how many keys come back. */
const LAST_SHARE = 0.1;
const LAST_ROWS_MIN = 20;
const EXAMPLES = 3;
const EXAMPLE_LENGTH_MAX = 60;

/** Looks at a table whose rows come in time order as `order` says. */
export function trainedInputs(
  table: Table,
  given: { readonly plan: FeaturePlan; readonly order: Int32Array; readonly dataHash: string },
): TrainedInputs {
  const { plan, dataHash } = given;
  const missing = Object.fromEntries(inputsOf(plan).all.map((name) => [name, missingShare(table, name)]));
  return { dataHash, missing, keys: plan.series.map(({ key }) => trainedKey(table, { key, order: given.order })) };
}

function missingShare(table: Table, name: string): number {
  const column = table.columns.get(name);
  if (column === undefined || table.rows === 0) return 1;
  let count = 0;
  if (column.kind === "text") for (const code of column.codes) count += code < 0 ? 1 : 0;
  else for (const value of column.values) count += Number.isNaN(value) ? 1 : 0;
  return count / table.rows;
}

function trainedKey(
  table: Table,
  { key, order }: { readonly key: readonly string[]; readonly order: Int32Array },
): TrainedKey {
  const columns = key.map((name) => table.columns.get(name));
  if (columns.includes(undefined)) return { key, identities: null, returning: null, examples: [] };
  const identityAt = identities(columns as Column[]);
  const seen = new Set<number>();
  const examples: string[] = [];
  const lastFrom = Math.floor(order.length * (1 - LAST_SHARE));
  let last = 0;
  let returned = 0;
  const later: number[] = [];
  for (let i = 0; i < order.length; i++) {
    const identity = identityAt(order[i]);
    if (Number.isNaN(identity)) continue;
    if (i >= lastFrom) {
      last++;
      if (seen.has(identity)) returned++;
      else later.push(identity);
      continue;
    }
    if (seen.has(identity)) continue;
    if (seen.size >= KEYS_MAX) return { key, identities: null, returning: null, examples };
    seen.add(identity);
    if (examples.length < EXAMPLES) examples.push(keyAt(columns as Column[], order[i])!.slice(0, EXAMPLE_LENGTH_MAX));
  }
  for (const identity of later) seen.add(identity);
  const returning = last < LAST_ROWS_MIN ? null : returned / last;
  return { key, identities: Float64Array.from(seen).sort(), returning, examples };
}

function keyAt(columns: readonly Column[], row: number): string | null {
  return joinKey(columns.map((column) => textAt(column, row)));
}

/** The identity of a row's key; of a text column each text is hashed once. */
function identities(columns: readonly Column[]): (row: number) => number {
  const [first] = columns;
  if (columns.length > 1 || first.kind !== "text") return (row) => identityOf(keyAt(columns, row));
  const ofCode = Float64Array.from(first.dictionary, (text) => identityOf(text));
  return (row) => (first.codes[row] < 0 ? Number.NaN : ofCode[first.codes[row]]);
}

// ------------------------------------------------------------------------------------------------------ as bytes

const FORMAT = "sentinel-inputs/1";

/** Length of the head (4 bytes, little-endian), head as JSON, then the identities of each key. */
export function packInputs({ keys, ...rest }: TrainedInputs): Uint8Array {
  const heads = keys.map(({ identities: own, ...head }) => ({ ...head, count: own === null ? -1 : own.length }));
  const json = new TextEncoder().encode(JSON.stringify({ format: FORMAT, ...rest, keys: heads }));
  const parts = keys.map(({ identities: own }) => new Uint8Array((own ?? new Float64Array()).slice().buffer));
  const bytes = new Uint8Array(4 + json.length + parts.reduce((sum, part) => sum + part.length, 0));
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, 4);
  let at = 4 + json.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Throws `state.corrupt`. */
export function unpackInputs(bytes: Uint8Array): TrainedInputs {
  try {
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
    if (head.format !== FORMAT) throw new Error(`the format is ${JSON.stringify(head.format)}`);
    let at = 4 + length;
    const keys = (head.keys as (Omit<TrainedKey, "identities"> & { count: number })[]).map(({ count, ...key }) => {
      const identities = count < 0 ? null : new Float64Array(bytes.slice(at, at + 8 * count).buffer);
      at += 8 * Math.max(0, count);
      return { ...key, identities };
    });
    return { dataHash: head.dataHash, missing: head.missing, keys };
  } catch (cause) {
    throw new SentinelError("state.corrupt", "what training kept of its keys cannot be read", {
      hint: "train again; until then served keys are not compared with the table's",
      cause,
    });
  }
}

// ---------------------------------------------------------------------------------------------- against what is served

/** How often a field did not arrive as the features need it. */
export interface FieldReport {
  readonly field: string;
  /** Not sent at all, or null. */
  readonly lacking: number;
  /** A text where a number is read. */
  readonly text: number;
  /** The share of the training's rows without it; null when nobody knows. */
  readonly trained: number | null;
}

export interface KeyReport {
  readonly key: readonly string[];
  /** Transactions served with this key, and how many of them had one that training knew. */
  readonly rows: number;
  readonly known: number;
  /** The share that training's own last rows had; null when nobody knows. */
  readonly trained: number | null;
}

export interface InputReport {
  readonly rows: number;
  readonly fields: readonly FieldReport[];
  readonly keys: readonly KeyReport[];
  /** What should not be so, in words. */
  readonly warnings: readonly string[];
}

/** Fewer rows say nothing. */
const ROWS_MIN = 20;
/** Standard errors beyond which a share is another one. */
const NOISE_WIDTHS = 4;
/** A key of which so few come back in training is new by nature: a device, a session. */
const RETURNING_MIN = 0.2;
/** Warned of is a share of known keys below this part of training's. */
const KNOWN_PART_MIN = 0.5;
/** Warned of is a share of lacking fields so far above training's. */
const LACKING_MORE_MIN = 0.2;

/** Counts how served transactions feed a plan. */
export class InputTally {
  readonly plan: FeaturePlan;
  rows = 0;
  private readonly trained: TrainedInputs | null;
  private readonly names: readonly string[];
  private readonly numeric: ReadonlySet<string>;
  private readonly lacking: number[];
  private readonly texts: number[];
  private readonly keys: {
    readonly trained: TrainedKey;
    readonly among: DistinctSet;
    rows: number;
    known: number;
    strange: string[];
  }[];

  constructor(plan: FeaturePlan, trained: TrainedInputs | null) {
    this.plan = plan;
    this.trained = trained;
    const inputs = inputsOf(plan);
    this.names = inputs.all;
    this.numeric = new Set(inputs.numbers);
    this.lacking = inputs.all.map(() => 0);
    this.texts = inputs.all.map(() => 0);
    const own = new Set(plan.series.map(({ key }) => keyId(key)));
    this.keys = (trained?.keys ?? [])
      .filter(({ key, identities: kept }) => kept !== null && own.has(keyId(key)))
      .map((key) => ({ trained: key, among: setOf(key), rows: 0, known: 0, strange: [] }));
  }

  /** Counts one transaction; `onLack` receives each field that did not come as the plan needs it. */
  add(tx: Transaction, onLack?: (field: string, how: "absent" | "null" | "text") => void): void {
    this.rows++;
    for (let i = 0; i < this.names.length; i++) {
      const value = tx.fields[this.names[i]];
      if (value === undefined || value === null) {
        this.lacking[i]++;
        onLack?.(this.names[i], value === undefined ? "absent" : "null");
      } else if (typeof value === "string" && this.numeric.has(this.names[i])) {
        this.texts[i]++;
        onLack?.(this.names[i], "text");
      }
    }
    for (const one of this.keys) {
      const text = keyText(one.trained.key, tx);
      if (text === null) continue;
      one.rows++;
      if (one.among.has(identityOf(text))) one.known++;
      else if (one.strange.length < EXAMPLES) one.strange.push(text.slice(0, EXAMPLE_LENGTH_MAX));
    }
  }

  /** `examples`: keys as they are spelled may be shown. */
  report({ examples }: { readonly examples: boolean }): InputReport {
    const fields = this.names.map((field, i) => ({
      field,
      lacking: this.lacking[i],
      text: this.texts[i],
      trained: this.trained?.missing[field] ?? null,
    }));
    const keys = this.keys.map(({ trained, rows, known }) => ({
      key: trained.key,
      rows,
      known,
      trained: trained.returning,
    }));
    const warnings = [
      ...fields.map((field) => this.fieldWarning(field)),
      ...this.keys.map((key) => keyWarning(key, examples)),
    ].filter((warning) => warning !== null);
    return { rows: this.rows, fields, keys, warnings };
  }

  private fieldWarning({ field, lacking, text, trained }: FieldReport): string | null {
    const { rows } = this;
    const wrong = lacking + text;
    const usual = trained ?? 0;
    const noise = NOISE_WIDTHS * Math.sqrt(rows * Math.max(usual * (1 - usual), 0.01));
    if (rows < ROWS_MIN || wrong / rows < usual + LACKING_MORE_MIN || wrong - usual * rows < noise) return null;
    const how = text > lacking ? "is a text, not a number," : "is lacking";
    const before = trained === null ? "" : `, in training in ${percent(trained)} of the rows`;
    const readers = featuresReading(this.plan, field).slice(0, 5).join(", ");
    return `${field} ${how} in ${wrong} of ${rows} requests${before}: ${readers} see nothing`;
  }
}

function keyWarning(
  { trained, rows, known, strange }: { trained: TrainedKey; rows: number; known: number; strange: readonly string[] },
  examples: boolean,
): string | null {
  const { returning } = trained;
  if (rows < ROWS_MIN || returning === null || returning < RETURNING_MIN) return null;
  const noise = NOISE_WIDTHS * Math.sqrt(rows * Math.max(returning * (1 - returning), 0.01));
  if (known / rows >= returning * KNOWN_PART_MIN || returning * rows - known < noise) return null;
  const name = trained.key.join(" + ");
  const spelled = examples
    ? `; served are such as ${list(strange)}, the table has such as ${list(trained.examples)}`
    : "";
  return `${name}: ${percent(known / rows)} of ${rows} served keys are in the training table, ${percent(returning)} of its own last rows were: is the key spelled otherwise, or padded, or of another source?${spelled}`;
}

function list(texts: readonly string[]): string {
  return texts.map((text) => JSON.stringify(text)).join(", ");
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}

/** Sets of trained keys, as long as these are in use: a look-up in one touches two lines of memory, a search in the sorted list a dozen. */
const sets = new WeakMap<TrainedKey, DistinctSet>();

function setOf(key: TrainedKey): DistinctSet {
  let set = sets.get(key);
  if (set === undefined) {
    const identities = key.identities ?? new Float64Array(0);
    set = new DistinctSet();
    set.addRun(identities, 0, identities.length);
    sets.set(key, set);
  }
  return set;
}
