// Tables drawn at random: the same ids, keys, times and labels come back from CSV, NDJSON, Parquet and requests.
// The files are written here, by no writer of the product; `SENTINEL_FUZZ_TABLES=10000` makes the test long.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SentinelError } from "../../../src/core/errors.ts";
import { type Table, textAt } from "../../../src/core/table.ts";
import { withDuckDb } from "../../../src/drivers/dataset/duckdb/connection.ts";
import { datasetDuckdb } from "../../../src/drivers/dataset/duckdb/driver.ts";
import { compileSpec } from "../../../src/features/plan.ts";
import { checkSpec } from "../../../src/features/spec.ts";
import { keyText } from "../../../src/features/state.ts";
import { readSource } from "../../../src/lifecycle/data/source.ts";
import { transactionAt } from "../../../src/lifecycle/data/vectors.ts";
import { createParser } from "../../../src/online/parse.ts";
import { pipelineOf } from "../world.ts";

/** How many tables are drawn; CI takes a share of what one looks at by hand. */
const TABLES = Number(process.env.SENTINEL_FUZZ_TABLES ?? 60);
/** Far more than a table takes on a machine that others use too. */
const TABLE_MS_MAX = 20_000;
/** Tables between two lines of progress, where there are so many. */
const TOLD_EVERY = 500;
const NOW = Date.UTC(2099, 0, 1);

const pipeline = pipelineOf("aliases: { customer_id: [card_id], time: [at] }\n");
const plan = compileSpec(
  checkSpec({
    name: "t",
    version: 1,
    features: [
      { kind: "column", name: "amount", column: "amount" },
      { kind: "window", name: "n", key: ["customer_id"], over: "transactions", window: "1d" },
      { kind: "category", name: "kind", column: "channel", values: ["web", "1", "true", "007"] },
    ],
  }),
);
const field = { type: ["string", "integer", "number", "boolean", "null"] };
const schema = {
  type: "object",
  properties: {
    transaction_id: { type: ["string", "integer"] },
    time: { type: ["string", "integer"] },
    amount: { type: ["number", "null"] },
    customer_id: field,
    channel: field,
  },
};

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-formats-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** One cell's content: what JSON holds, the text that CSV holds for the same, and missing. */
type Content = string | number | boolean | null;

interface Row {
  readonly id: string | number;
  readonly time: number;
  readonly amount: number | null;
  readonly customer: Content;
  readonly channel: Content;
  readonly label: 0 | 1 | null;
}

/** Spellings that a reader of tables likes to take for something else. */
const tricky = fc.constantFrom(
  ...[
    "+5",
    "5",
    "05",
    "007",
    "0x10",
    "0b101",
    "1e3",
    "12e3",
    "1.10",
    "1.1",
    "-0",
    " 5",
    "5 ",
    "1_000",
    "true",
    "TRUE",
    "false",
  ],
  ...[
    "t",
    "no",
    "NA",
    "NULL",
    "null",
    "nan",
    "inf",
    "Infinity",
    "2024-03-01",
    "2024-03-01 10:00:00",
    "12:30:00",
    "{}",
    "[1]",
  ],
  ...[
    "'",
    '"',
    'a"b',
    "a,b",
    "a;b",
    "a\tb",
    "a\nb",
    "Zoë",
    "日本",
    "\\N",
    "#1",
    "=1+1",
    "9007199254740993",
    "00000000-0000-0000-0000-000000000001",
  ],
);
const text = fc.oneof(
  tricky,
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }).filter((one) => !/[\0\r\ud800-\udfff]/.test(one)),
);
const whole = fc.integer({ min: -1_000_000, max: 1_000_000_000 });
/** A column is of one type, as Parquet has it. */
const columnOf = (rows: number): fc.Arbitrary<readonly Content[]> =>
  fc.oneof(
    ...[text, whole, fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 })].map(
      (cell) => fc.array(fc.option(cell as fc.Arbitrary<Content>, { freq: 6 }), { minLength: rows, maxLength: rows }),
    ),
  );
const table = fc.integer({ min: 1, max: 6 }).chain((rows) => {
  const list = <T>(cell: fc.Arbitrary<T>) => fc.array(cell, { minLength: rows, maxLength: rows });
  return fc
    .record({
      ids: fc.oneof(
        fc.uniqueArray(text, { minLength: rows, maxLength: rows }),
        fc.uniqueArray(whole, { minLength: rows, maxLength: rows }),
      ) as fc.Arbitrary<readonly (string | number)[]>,
      times: list(fc.integer({ min: Date.UTC(1990, 0, 1), max: Date.UTC(2098, 0, 1) })),
      amounts: list(fc.option(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }))),
      customers: columnOf(rows),
      channels: columnOf(rows),
      labels: list(fc.constantFrom(0 as const, 1 as const, null)),
      epoch: fc.boolean(),
      order: fc.shuffledSubarray(["transaction_id", "at", "amount", "card_id", "channel", "is_fraud"], {
        minLength: 6,
      }),
    })
    .map(({ ids, times, amounts, customers, channels, labels, epoch, order }) => ({
      epoch,
      order,
      rows: ids.map(
        (id, i): Row => ({
          id,
          time: times[i],
          amount: amounts[i],
          customer: customers[i],
          channel: channels[i],
          label: labels[i],
        }),
      ),
    }));
});
type Drawn = typeof table extends fc.Arbitrary<infer T> ? T : never;

/** The cells of a row by the names that the files give their columns. */
function cellsOf(row: Row, epoch: boolean): Record<string, Content> {
  return {
    transaction_id: row.id,
    at: epoch ? row.time : new Date(row.time).toISOString(),
    amount: row.amount,
    card_id: row.customer,
    channel: row.channel,
    is_fraud: row.label,
  };
}

function csvOf({ rows, order, epoch }: Drawn): string {
  const cell = (value: Content): string => {
    if (value === null) return "";
    const written = String(value);
    return /^\s|\s$|[",;|\t\r\n]/.test(written) ? `"${written.replaceAll('"', '""')}"` : written;
  };
  return [order.join(","), ...rows.map((row) => order.map((name) => cell(cellsOf(row, epoch)[name])).join(","))].join(
    "\n",
  );
}

function ndjsonOf({ rows, order, epoch }: Drawn): string {
  const line = (row: Row): string =>
    JSON.stringify(Object.fromEntries(order.map((name) => [name, cellsOf(row, epoch)[name]])));
  return rows.map(line).join("\n");
}

/** The type of a column's cells, as a writer of Parquet would choose it. */
function typeOf(values: readonly Content[]): string {
  const first = values.find((value) => value !== null) ?? null;
  if (typeof first === "string" || first === null) return "VARCHAR";
  if (typeof first === "boolean") return "BOOLEAN";
  return values.every((value) => value === null || Number.isInteger(value)) ? "BIGINT" : "DOUBLE";
}

async function parquetOf(
  drawn: Drawn,
  { file, run }: { readonly file: string; readonly run: (sql: string) => Promise<unknown> },
): Promise<void> {
  const { rows, order, epoch } = drawn;
  // As text, which the cast below reads exactly; a literal of SQL would be a decimal first.
  const literal = (value: Content): string => {
    if (value === null) return "NULL";
    return `'${(Object.is(value, -0) ? "-0.0" : String(value)).replaceAll("'", "''")}'`;
  };
  const cells = rows.map((row) => cellsOf(row, epoch));
  const typeIn = (name: string): string => {
    if (name === "at") return epoch ? "BIGINT" : "TIMESTAMP";
    if (name === "amount") return "DOUBLE";
    return name === "is_fraud" ? "TINYINT" : typeOf(cells.map((row) => row[name]));
  };
  const shown = (name: string, value: Content): Content =>
    name === "at" && !epoch ? String(value).replace("Z", "") : value;
  const list = order.map((name) => `CAST(c."${name}" AS ${typeIn(name)}) AS "${name}"`).join(", ");
  const values = cells.map((row) => `(${order.map((name) => literal(shown(name, row[name]))).join(", ")})`).join(", ");
  await run(
    `COPY (SELECT ${list} FROM (VALUES ${values}) AS c(${order.map((name) => `"${name}"`).join(", ")})) TO '${file}' (FORMAT parquet)`,
  );
}

/** What of a row counts: id, time, amount, keys as the state would ask for them, label. */
function seen(source: Table, row: number) {
  const { id, time, fields } = transactionAt(source, row, pipeline);
  const [customer, channel] = ["customer_id", "channel"].map((name) => keyText([name], { id, time, fields }));
  return { id, time, amount: fields.amount ?? null, customer, channel };
}

test(`${TABLES} tables say the same as CSV, NDJSON, Parquet and requests`, {
  timeout: TABLES * TABLE_MS_MAX,
}, async () => {
  await withDuckDb({ memoryLimit: "200MB", threads: 1 }, (connection) => compareAll((sql) => connection.run(sql)));
});

async function compareAll(run: (sql: string) => Promise<unknown>): Promise<void> {
  const dataset = datasetDuckdb({ threads: 1, memoryLimit: "200MB" });
  const parser = createParser({ pipeline, schema, aheadMaxMs: 0 });
  let number = 0;
  await fc.assert(
    fc.asyncProperty(table, async (drawn) => {
      const stem = path.join(dir, `t${number++}`);
      if (number % TOLD_EVERY === 0) console.log(`${number} of ${TABLES} tables`);
      writeFileSync(`${stem}.csv`, csvOf(drawn));
      writeFileSync(`${stem}.ndjson`, ndjsonOf(drawn));
      await parquetOf(drawn, { file: `${stem}.parquet`, run });
      const wanted = drawn.rows.map((row) => {
        const request = Object.fromEntries(
          Object.entries(cellsOf(row, drawn.epoch)).filter(([name]) => name !== "is_fraud"),
        );
        const { id, time, fields } = parser.parse(JSON.parse(JSON.stringify(request)), NOW).transaction;
        const [customer, channel] = ["customer_id", "channel"].map((name) => keyText([name], { id, time, fields }));
        return { id, time, amount: fields.amount ?? null, customer, channel };
      });
      for (const ending of ["csv", "ndjson", "parquet"]) {
        const file = `${stem}.${ending}`;
        const source = await readSource(dataset, pipeline, { path: file, plans: [plan], labelled: true });
        const found = drawn.rows.map((_, row) => seen(source.table, row));
        expect(found, ending).toEqual(wanted);
        const labels = drawn.rows.map((_, row) => textAt(source.table.columns.get("is_fraud")!, row));
        expect(labels, ending).toEqual(drawn.rows.map(({ label }) => (label === null ? null : String(label))));
        rmSync(file);
      }
    }),
    { numRuns: TABLES },
  );
}

test("a whole number that a double does not hold is refused as a key, and kept as a text", () => {
  const parser = createParser({
    pipeline,
    schema: { ...schema, properties: { ...schema.properties, customer_id: { type: ["string", "integer"] } } },
    aheadMaxMs: 0,
  });
  const request = (customer: unknown) => ({
    transaction_id: "t",
    time: "2024-01-01",
    amount: 1,
    customer_id: customer,
  });
  expect(() => parser.parse(request(2 ** 53), NOW)).toThrow(SentinelError);
  expect(parser.parse(request("9007199254740993"), NOW).transaction.fields.customer_id).toBe("9007199254740993");
});
