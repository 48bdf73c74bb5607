// Inspect: a look at a stranger's table, and a first pipeline, features, suite and schema written from it.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { stringify } from "yaml";
import { DAY_MS } from "../core/duration.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { isRemote } from "../core/remote.ts";
import type { FeatureDef } from "../features/definition.ts";
import { checkSpec } from "../features/spec.ts";
import type { Ports } from "../ports/ports.ts";
import { instants } from "./data/instants.ts";
import { composed } from "./data/written.ts";
import { type Guesses, guessRoles, type Named, valuesOf } from "./inspect/guess.ts";
import { leaksOf } from "./inspect/leaks.ts";
import { type Profile, profileOf } from "./inspect/profile.ts";

export interface InspectInput extends Named {
  /** The table, as the dataset port reads it. */
  readonly path: string;
  readonly workspace: string;
  /** The pipeline's name, which its files have too. */
  readonly name: string;
}

export interface InspectResult {
  readonly rows: number;
  readonly profiles: readonly Profile[];
  readonly guesses: Guesses;
  /** Share of the labelled rows that are frauds. */
  readonly fraudRate: number;
  readonly features: number;
  readonly written: readonly string[];
}

/** Cells that are looked at at once; more would not fit beside the models of the same machine. */
const CELLS_MAX = 500_000_000;
/** A table of less time than this cannot wait a week for its labels. */
const LONG_MS = 60 * DAY_MS;

/**
 * Guesses roles, and writes pipelines/NAME.yaml, .schema.json, .suite.json and features/NAME.json. Errors: dataset.*; dataset.columns-missing
 * where no column can be the label or the time; dataset.too-large; workspace.not-empty where a file is there already.
 */
export async function inspect(ports: Ports, input: InspectInput): Promise<InspectResult> {
  const { workspace, name } = input;
  const files = ["pipelines/%.yaml", "pipelines/%.schema.json", "pipelines/%.suite.json", "features/%.json"];
  const [yaml, schema, suite, features] = files.map((file) => path.join(workspace, file.replace("%", name)));
  const there = [yaml, schema, suite, features, features.replace(/json$/, "ts")].find((file) => existsSync(file));
  if (there !== undefined) {
    throw new SentinelError("workspace.not-empty", `${there} is there already`, {
      hint: "give the pipeline another name with --name, or remove the file",
    });
  }
  const { rows, profiles } = await profilesOf(ports, input.path);
  const guessed = guessRoles(profiles, input);
  if ("lacking" in guessed) throw notFound(input, guessed.lacking, profiles);
  const guesses = withoutLeaks(guessed, profiles);
  const shape = { rows, profiles, guesses, ...figuresOf(profiles, guesses, input.path) };
  const spec = checkSpec({ name, version: 1, features: featuresOf(shape) });
  const content: readonly (readonly [string, string])[] = [
    [yaml, pipelineText(shape, input)],
    [schema, jsonText(schemaOf(shape, name))],
    [suite, jsonText(suiteOf(shape, name))],
    [features, jsonText(spec)],
  ];
  for (const [file, text] of content) write(file, text);
  return {
    rows,
    profiles,
    guesses,
    fraudRate: shape.fraudRate,
    features: spec.features.length,
    written: content.map(([file]) => path.relative(workspace, file)),
  };
}

interface Shape {
  readonly rows: number;
  readonly profiles: readonly Profile[];
  readonly guesses: Guesses;
  readonly fraudRate: number;
  readonly spanMs: number;
}

async function profilesOf(ports: Ports, file: string): Promise<Pick<Shape, "rows" | "profiles">> {
  const dataset = await ports.dataset();
  const { rows, columns } = await dataset.describe(file);
  if (rows * columns.length > CELLS_MAX) {
    throw new SentinelError("dataset.too-large", `${file} has ${rows} rows of ${columns.length} columns`, {
      hint: "inspect one file of the table, or a sample of its rows; `train` reads the whole table afterwards",
    });
  }
  const table = await dataset.read(file);
  return { rows, profiles: columns.map(({ name, type }) => profileOf(name, type, table.columns.get(name)!)) };
}

function figuresOf(
  profiles: readonly Profile[],
  { time, label }: Guesses,
  file: string,
): Pick<Shape, "fraudRate" | "spanMs"> {
  const of = (name: string): Profile => profiles.find((profile) => profile.name === name)!;
  const columns = time.columns.map((name) => of(name).column);
  const [first] = columns;
  const rows = first.kind === "text" ? first.codes.length : first.values.length;
  const place = {
    path: file,
    name: time.columns[0],
    native: time.columns.join(" with "),
    format: "",
    rowsBefore: 0,
    timeColumn: time.columns[0],
  };
  const { values } = instants(columns.length === 1 ? first : composed(columns, rows), {
    place,
    rule: time.rule,
    needed: false,
  });
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  let [frauds, known] = [0, 0];
  for (const value of labelsIn(of(label.columns[0]), label)) {
    if (value >= 0) known++;
    if (value === 1) frauds++;
  }
  return { fraudRate: known === 0 ? 0 : frauds / known, spanMs: Math.max(0, high - low) };
}

/** By row 1 for fraud, 0 for genuine, −1 where not known. */
function labelsIn({ column }: Profile, { role }: Guesses["label"]): Int8Array {
  const words = typeof role === "string" ? ["1"] : (role.fraud as readonly string[]);
  const unknown = typeof role === "string" ? [] : ((role.unknown ?? []) as readonly string[]);
  const rows = column.kind === "text" ? column.codes.length : column.values.length;
  return Int8Array.from({ length: rows }, (_, row) => {
    const text = column.kind === "text" ? (column.dictionary[column.codes[row]] ?? null) : column.values[row];
    if (text === null || Number.isNaN(text) || unknown.includes(String(text))) return -1;
    return words.includes(String(text)) ? 1 : 0;
  });
}

/** What tells the label by itself is known only afterwards: no feature reads it, and a doubt says so. */
function withoutLeaks(guesses: Guesses, profiles: readonly Profile[]): Guesses {
  const named = (name: string): Profile => profiles.find((profile) => profile.name === name)!;
  const read = [...guesses.numbers, ...guesses.categories];
  const leaks = leaksOf(read.map(named), labelsIn(named(guesses.label.columns[0]), guesses.label));
  if (leaks.length === 0) return guesses;
  const rest = (names: readonly string[]): readonly string[] => names.filter((name) => !leaks.includes(name));
  const doubt = `${leaks.join(", ")} ${leaks.length > 1 ? "tell" : "tells"} the label alone, as only what is known afterwards does: no feature reads it`;
  return {
    ...guesses,
    numbers: rest(guesses.numbers),
    categories: rest(guesses.categories),
    doubts: [...guesses.doubts, doubt],
  };
}

/** A table of coarse times is split at them; a short one does not wait for labels as long. */
function pipelineText({ guesses, fraudRate, spanMs }: Shape, { path: file, workspace, name }: InspectInput): string {
  const { id, time, amount, card, label } = guesses;
  const sources = file
    .split(",")
    .map((one) => one.trim())
    .map((one) => (isRemote(one) ? one : path.relative(workspace, path.resolve(one))));
  const wait = waitOf(spanMs);
  const unknown = typeof label.role !== "string" && label.role.unknown !== undefined;
  const rounded = (share: number): number => Number(share.toPrecision(2));
  const document = {
    name,
    model: `${name}-fraud`,
    source: sources.length === 1 ? sources[0] : sources,
    features: name,
    schema: `${name}.schema.json`,
    suite: `${name}.suite.json`,
    columns: {
      id: id.role,
      time: time.role,
      ...(amount === null ? {} : { amount: amount.role }),
      ...(card === null ? {} : { card }),
      label: label.role,
    },
    labels: { delay: wait, maturity: wait, ...(unknown ? { unreported: "unknown" } : {}) },
    split: time.coarse
      ? { history: 0, calibrate: 0.15, gap: "0s", evaluate: 0.2 }
      : { history: guesses.keys.length > 0 ? 0.1 : 0, calibrate: 0.15, gap: wait, evaluate: 0.2 },
    decisions: { review_share: Math.min(0.5, Math.max(0.01, rounded(fraudRate))) },
    gates: { data: { label_rate: [rounded(fraudRate / 5), Math.min(1, rounded(fraudRate * 5))] } },
  };
  const doubts = guesses.doubts.map((doubt) => `# ? ${doubt}\n`).join("");
  return `# ${name}: written by \`sentinel inspect\`; docs/configuration.md has every key.\n${doubts}${stringify(document)}`;
}

/** How long labels are waited for: a week, or a twentieth of a shorter table. */
function waitOf(spanMs: number): string {
  return spanMs >= LONG_MS ? "7d" : `${Math.floor(spanMs / 20 / 60_000)}m`;
}

function featuresOf({ profiles, guesses, spanMs }: Shape): readonly FeatureDef[] {
  const { amount, time, keys, card, categories, numbers } = guesses;
  const features: FeatureDef[] = [];
  const names = new Set<string>();
  const named = (text: string): string => {
    const stem = text
      .replace(/[^A-Za-z0-9_]+/g, "_")
      .replace(/^(?=\d)|^$/, "c")
      .slice(0, 80);
    let name = stem;
    for (let i = 2; names.has(name.toLowerCase()); i++) name = `${stem}_${i}`;
    names.add(name.toLowerCase());
    return name;
  };
  const money = amount === null ? null : amount.columns[0];
  const amountName = money === null ? null : named(money);
  if (money !== null) features.push({ kind: "column", name: amountName!, column: money });
  if (!time.coarse) features.push({ kind: "time", name: named("hour"), part: "hour" });
  if (!time.coarse && spanMs > 14 * DAY_MS)
    features.push({ kind: "time", name: named("day_of_week"), part: "dayOfWeek" });
  for (const column of numbers) features.push({ kind: "column", name: named(column), column });
  for (const column of categories) {
    const values = valuesOf(profiles.find(({ name }) => name === column)!);
    features.push({ kind: "category", name: named(column), column, values });
  }
  for (const column of keys) {
    const key = [column];
    for (const window of ["1d", "7d"])
      features.push({ kind: "window", name: named(`${column}_count_${window}`), key, over: "transactions", window });
    if (money !== null && amountName !== null) {
      const usual = named(`${column}_mean_before_30d`);
      features.push(
        { kind: "window", name: usual, key, over: money, aggregate: "mean", window: "30d", current: false },
        { kind: "ratio", name: named(`amount_to_${column}_mean`), numerator: amountName, denominator: usual },
      );
    }
    if (column !== card)
      features.push({
        kind: "window",
        name: named(`${column}_fraud_rate_30d`),
        key,
        over: "fraud-rate",
        window: "30d",
        delay: waitOf(spanMs),
        empty: 0,
      });
  }
  return features;
}

function schemaOf({ profiles, guesses }: Shape, name: string): object {
  const { id, time, amount, label, keys, categories, numbers } = guesses;
  const idName = typeof id.role === "string" ? id.role : "transaction_id";
  const text = { type: ["string", "integer", "boolean", "null"], maxLength: 128 };
  const number = { type: ["number", "null"] };
  const moneyText =
    amount !== null && typeof amount.role !== "string" ? { type: ["number", "string", "null"], maxLength: 64 } : number;
  const named = new Map(profiles.map((profile) => [profile.name, profile]));
  const entries: (readonly [string, object])[] = [
    [
      idName,
      {
        description: "Your own name for the transaction, unique for ever.",
        type: ["string", "integer"],
        minLength: 1,
        maxLength: 128,
      },
    ],
    ...time.columns.map((column) => {
      const type = named.get(column)!.type === "number" ? ["number", "string"] : ["string", "integer"];
      return [
        column,
        { description: "When it happened; without it the time of arrival counts.", type, maxLength: 64 },
      ] as const;
    }),
    ...(amount?.columns ?? []).map((column) => [column, moneyText] as const),
    ...numbers.map((column) => [column, number] as const),
    ...[...keys, ...categories].map((column) => [column, text] as const),
  ];
  const properties = Object.fromEntries(entries.filter(([column]) => !label.columns.includes(column)));
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: `Transaction of ${name}`,
    type: "object",
    required: [idName],
    properties,
    additionalProperties: true,
  };
}

function suiteOf({ guesses, profiles }: Shape, name: string): object {
  const { time, amount, label, keys, categories, numbers } = guesses;
  const columns = [...time.columns, ...(amount?.columns ?? []), ...label.columns, ...keys, ...categories, ...numbers];
  const whole = profiles.filter(({ name: one, missing }) => missing === 0 && (amount?.columns ?? []).includes(one));
  return {
    name,
    notes: "Written by `sentinel inspect` from what one table showed: correct what another may hold.",
    expectations: [
      {
        type: "expect_table_columns_to_match_set",
        kwargs: { column_set: columns, exact_match: false },
        notes: "What the pipeline and its features read.",
        severity: "critical",
      },
      {
        type: "expect_table_row_count_to_be_between",
        kwargs: { min_value: 100 },
        notes: "Fewer rows mean a broken export.",
        severity: "critical",
      },
      ...whole.map(({ name: column }) => ({
        type: "expect_column_values_to_not_be_null",
        kwargs: { column },
        notes: "No row lacked it.",
        severity: "warning",
      })),
    ],
  };
}

function notFound(
  { path: file }: InspectInput,
  lacking: "label" | "time",
  profiles: readonly Profile[],
): SentinelError {
  const names = profiles.slice(0, 60).map(({ name }) => name);
  const what =
    lacking === "label" ? "the label (two to five different values, such as 0 and 1 or Yes and No)" : "the time";
  return new SentinelError(
    "dataset.columns-missing",
    `${file} has no column that looks like ${what}; it has: ${names.join(", ")}`,
    {
      hint: `name it with --${lacking} COLUMN`,
    },
  );
}

function jsonText(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function write(file: string, text: string): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text, { flag: "wx" });
  } catch (error) {
    throw new SentinelError("workspace.unwritable", `cannot write ${file}: ${messageOf(error)}`, {
      hint: "name a workspace you may write to with --workspace",
      cause: error,
    });
  }
}
