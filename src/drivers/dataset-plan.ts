// How a file is read: what each column becomes, and the SQL that yields doubles and texts only.
import type { ColumnType } from "../ports.ts";
import { type Connection, identifier } from "./dataset-connection.ts";
import { columnsMissing } from "./dataset-faults.ts";
import type { DatasetFormat } from "./dataset-format.ts";
import { type Layout, layoutOf, type NativeColumn } from "./dataset-layout.ts";

export interface PlannedColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** DuckDB's name of the type the file has. */
  readonly nativeType: string;
  /** SQL that yields the column as DOUBLE (numbers, times as epoch ms, booleans as 0 or 1) or as VARCHAR. */
  readonly expression: string;
}

export interface Plan {
  readonly columns: readonly PlannedColumn[];
  readonly rows: number;
  /** SQL of the table to select the expressions from. */
  readonly source: string;
}

/** What a look at the values says about a column beyond its type. */
type Finding = "integers-unsafe" | "times";

interface Suspect {
  readonly name: string;
  readonly finding: Finding;
  /** SQL aggregate that is true when the finding holds. */
  readonly test: string;
}

/** From here on, doubles no longer tell neighbouring integers apart. */
const INTEGER_UNSAFE = 2 ** 53;
const WIDE_INTEGER = /^(U?BIGINT|U?HUGEINT|BIGNUM|DECIMAL\((1[6-9]|[23]\d),0\))$/;
const NUMBER = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|BIGNUM|FLOAT|DOUBLE|DECIMAL\(.*\))$/;
const TIME = /^(DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE)$/;
const NESTED = /^(STRUCT|MAP|UNION)\(|\]$/;
const TEXT = /^(VARCHAR|UUID$|ENUM\()/;
const ISO_TIME = "^\\d{4}-\\d\\d-\\d\\d([T ]\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[-+]\\d\\d(:\\d\\d)?)?)?$";

/** Plans the named columns (all when absent), in file order. */
export async function planColumns(
  connection: Connection,
  from: { readonly file: string; readonly format: DatasetFormat; readonly columns?: readonly string[] },
): Promise<Plan> {
  const layout = await layoutOf(connection, from);
  requireColumns(from.file, layout.columns, from.columns ?? []);
  const wanted = from.columns === undefined ? null : new Set(from.columns);
  const chosen = layout.columns.filter((column) => wanted === null || wanted.has(column.name));
  const { rows, findings } = await survey(connection, layout, { chosen, format: from.format });
  const columns = chosen.map((column) => planColumn(column, findings.get(column.name), from.format));
  return { rows, columns, source: layout.source(textsIn(chosen, findings, from.format)) };
}

function requireColumns(file: string, found: readonly NativeColumn[], wanted: readonly string[]): void {
  const names = new Set(found.map((column) => column.name));
  const missing = wanted.filter((name) => !names.has(name));
  if (missing.length > 0) throw columnsMissing(file, missing, [...names]);
}

/** Counts rows and finds columns whose integers a double would falsify, and columns of JSON texts that are times. */
async function survey(
  connection: Connection,
  layout: Layout,
  { chosen, format }: { readonly chosen: readonly NativeColumn[]; readonly format: DatasetFormat },
): Promise<{ readonly rows: number; readonly findings: ReadonlyMap<string, Finding> }> {
  // In text formats, integers too long for any integer type are taken for DOUBLE, so these are looked at as texts.
  const asText = chosen.filter(
    ({ nativeType }) =>
      format !== "parquet" && (nativeType === "DOUBLE" || (format === "ndjson" && TIME.test(nativeType))),
  );
  const texts = new Set(asText.map(({ name }) => name));
  const suspects = chosen.flatMap((column) => suspectsOf(column, texts.has(column.name), format));
  const reader = await connection.runAndReadAll(
    `SELECT ${["count(*)", ...suspects.map(({ test }) => test)].join(", ")} FROM ${layout.source(texts)}`,
  );
  const [rows, ...flags] = reader.getRowsJson()[0];
  const found = suspects.filter((_, i) => flags[i] === true);
  return { rows: Number(rows), findings: new Map(found.map(({ name, finding }) => [name, finding])) };
}

function suspectsOf({ name, nativeType }: NativeColumn, asText: boolean, format: DatasetFormat): Suspect[] {
  const column = identifier(name);
  const greatest = (value: string): string => `coalesce(max(${value}), 0) >= ${INTEGER_UNSAFE}`;
  if (WIDE_INTEGER.test(nativeType)) {
    return [{ name, finding: "integers-unsafe", test: greatest(`abs(${column}::DOUBLE)`) }];
  }
  if (nativeType === "DOUBLE" && asText) {
    const long = `CASE WHEN regexp_matches(${column}, '^[-+]?[0-9]{16,}$') THEN abs(${column}::DOUBLE) END`;
    return [{ name, finding: "integers-unsafe", test: greatest(long) }];
  }
  if (format !== "ndjson" || !(nativeType === "VARCHAR" || TIME.test(nativeType))) return [];
  const iso = `regexp_matches(${column}, '${ISO_TIME}') AND try_cast(${column} AS TIMESTAMPTZ) IS NOT NULL`;
  return [{ name, finding: "times", test: `bool_and(${iso})` }];
}

/** Columns to read in the file's own spelling: long integers, and all that JSON writes as a text. */
function textsIn(
  chosen: readonly NativeColumn[],
  findings: ReadonlyMap<string, Finding>,
  format: DatasetFormat,
): ReadonlySet<string> {
  const texts = chosen.filter(
    ({ name, nativeType }) =>
      findings.get(name) === "integers-unsafe" || (format === "ndjson" && TIME.test(nativeType)),
  );
  return new Set(texts.map(({ name }) => name));
}

function planColumn(
  { name, nativeType }: NativeColumn,
  finding: Finding | undefined,
  format: DatasetFormat,
): PlannedColumn {
  const column = identifier(name);
  const text: PlannedColumn = { name, nativeType, type: "text", expression: `${column}::VARCHAR` };
  if (finding === "integers-unsafe") return text;
  if (finding === "times") return { ...text, type: "time", expression: `epoch_ms(${column}::TIMESTAMPTZ)::DOUBLE` };
  if (NUMBER.test(nativeType)) return { ...text, type: "number", expression: `${column}::DOUBLE` };
  if (nativeType === "BOOLEAN") return { ...text, type: "boolean", expression: `${column}::INTEGER::DOUBLE` };
  if (TIME.test(nativeType)) {
    // JSON texts that only look like times somewhere else than in ISO 8601 stay texts: 01/02 has two readings.
    if (format === "ndjson") return text;
    return { ...text, type: "time", expression: `CASE WHEN isfinite(${column}) THEN epoch_ms(${column})::DOUBLE END` };
  }
  // A field of several JSON types; its texts come without their quotes.
  if (nativeType === "JSON") return { ...text, expression: `${column} ->> '$'` };
  if (NESTED.test(nativeType)) return { ...text, type: "other", expression: `to_json(${column})::VARCHAR` };
  return TEXT.test(nativeType) ? text : { ...text, type: "other" };
}
