// Inspect: of every public table it finds the roles; what it writes trains and promotes with no file edited by hand.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { textAt } from "../../src/core/table.ts";
import { datasetDuckdb } from "../../src/drivers/dataset/duckdb/driver.ts";
import { compileSpec } from "../../src/features/plan.ts";
import { readSource, timesOf } from "../../src/lifecycle/data/source.ts";
import { loadSpec } from "../../src/lifecycle/data/spec-file.ts";
import { inspect } from "../../src/lifecycle/inspect.ts";
import { promote } from "../../src/lifecycle/promote.ts";
import { train } from "../../src/lifecycle/train.ts";
import { loadPipeline } from "../../src/pipeline/pipeline.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { openPorts } from "../../src/wiring.ts";
import { csvOf, makePublicTable, PUBLIC_TABLES } from "./public-tables.ts";

const quiet = { line: () => {}, progress: () => {} };
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-inspect-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const ports = { dataset: async () => datasetDuckdb() } as unknown as Ports;
function put(name: string, csv: string): string {
  const file = path.join(dir, name);
  writeFileSync(file, csv);
  return file;
}

test.each([
  ["creditcard", { id: "transaction_id", time: "Time", amount: "Amount", card: null, label: "Class" }],
  ["paysim", { id: "transaction_id", time: "step", amount: "amount", card: "nameOrig", label: "isFraud" }],
  ["sparkov", { id: "trans_num", time: "trans_date_trans_time", amount: "amt", card: "cc_num", label: "is_fraud" }],
  [
    "tabformer",
    { id: "transaction_id", time: "Year Month Day Time", amount: "Amount", card: "User", label: "Is Fraud?" },
  ],
  ["banksim", { id: "transaction_id", time: "step", amount: "amount", card: "customer", label: "fraud" }],
  ["baf", { id: "transaction_id", time: "month", amount: "intended_balcon_amount", card: null, label: "fraud_bool" }],
  [
    "ieee-cis",
    { id: "TransactionID", time: "TransactionDT", amount: "TransactionAmt", card: "card1", label: "isFraud" },
  ],
  ["elliptic", { id: "txId", time: "Time step", amount: null, card: null, label: "class" }],
])("the roles of %s are found, and what is written loads", async (name, columns) => {
  const { header, rows } = makePublicTable(name, 5);
  const file = put("t.csv", csvOf(header, rows));
  const { guesses, fraudRate } = await inspect(ports, { path: file, workspace: dir, name: "mine" });
  const pipeline = loadPipeline(dir, "mine");
  expect(pipeline.columns).toEqual(columns);
  expect((await loadSpec(pipeline)).features.length).toBeGreaterThan(5);
  expect(fraudRate).toBeGreaterThan(0.05);
  expect(guesses.doubts.length).toBeGreaterThan(0);
  expect(readFileSync(pipeline.file, "utf8")).toContain(`# ? ${guesses.doubts[0]}`);
});

test.each(PUBLIC_TABLES)(
  "from %s to a champion with no file edited and no gate overridden",
  { timeout: 120_000 },
  async (name) => {
    const { header, rows, until } = makePublicTable(name, 5, { rows: 1400, fraudShare: 0.12 });
    const file = put("t.csv", csvOf(header, rows));
    const clock = { now: () => Math.max(until, Date.UTC(2026, 0, 1)), elapsed: () => performance.now() };
    const opened = openPorts(loadConfig({ workspace: dir, environment: {} }), {
      report: quiet,
      pipeline: "mine",
      clock,
    });
    try {
      await inspect(opened.ports, { path: file, workspace: dir, name: "mine" });
      const pipeline = loadPipeline(dir, "mine");
      const by = { pipeline, actor: "tester", forced: null } as const;
      const { version, verdicts } = await train(opened.ports, {
        ...by,
        path: pipeline.source,
        packageVersion: "0",
        verb: "train",
      });
      expect(verdicts.filter(({ verdict }) => verdict !== "pass")).toEqual([]);
      expect(version).not.toBeNull();
      expect(await promote(opened.ports, { ...by, to: null, seed: 1 })).toMatchObject({ moved: true });
    } finally {
      await opened.close();
    }
  },
);

test("a column that tells the label alone is read by no feature, and a doubt names it", async () => {
  const { header, rows } = makePublicTable("creditcard", 5);
  const label = header.indexOf("Class");
  const leaking = rows.map((cells, i) => {
    const fraud = cells[label] === '"1"';
    const honest = fraud ? 1 + (i % 3) : i % 2;
    return [...cells, fraud ? String(1 + (i % 3)) : "0", fraud ? `2013-09-0${1 + (i % 9)}` : "", String(honest)];
  });
  const file = put("t.csv", csvOf([...header, "scenario", "charged_back_on", "attempts"], leaking));
  const { guesses } = await inspect(ports, { path: file, workspace: dir, name: "mine" });
  const read = JSON.stringify(await loadSpec(loadPipeline(dir, "mine")));
  expect(read).not.toContain("scenario");
  expect(read).not.toContain("charged_back_on");
  expect(read).toContain("attempts");
  expect(guesses.doubts.join("\n")).toMatch(/scenario.* the label alone/);
});

/** Rows of one way of writing, of which every fifth is fraud. */
function strange(header: readonly string[], cells: (i: number, at: Date) => readonly (string | number)[]): string {
  const rows = Array.from({ length: 60 }, (_, i) => cells(i, new Date(Date.UTC(2024, 0, 1 + (i % 25), i % 24, i, i))));
  return [header, ...rows].map((row) => row.join(",")).join("\n");
}
const fraudOf = (i: number): number => (i % 5 === 0 ? 1 : 0);
const two = (value: number): string => String(value).padStart(2, "0");

test.each([
  ["epoch seconds", (at: Date) => at.getTime() / 1000, { column: "event_ts", unit: "s" }],
  ["epoch microseconds", (at: Date) => at.getTime() * 1000, { column: "event_ts", unit: "us" }],
  [
    "digits",
    (at: Date) => at.toISOString().replace(/\D/g, "").slice(0, 14),
    { column: "event_ts", format: "%Y%m%d%H%M%S" },
  ],
  [
    "a twelve-hour clock",
    (at: Date) =>
      `${two(at.getUTCMonth() + 1)}/${two(at.getUTCDate())}/2024 ${two(at.getUTCHours() % 12 || 12)}:${two(at.getUTCMinutes())} ${at.getUTCHours() < 12 ? "AM" : "PM"}`,
    { column: "event_ts", format: "%m/%d/%Y %I:%M %p" },
  ],
] as const)("times as %s are recognised, and what is written reads them", async (_, written, role) => {
  const csv = strange(["t_id", "event_ts", "acct_no", "amt", "fraud"], (i, at) => [
    `0x${i}`,
    written(at),
    `0${i % 12}`,
    10 + i / 4,
    fraudOf(i),
  ]);
  const file = put("t.csv", csv);
  const { guesses } = await inspect(ports, { path: file, workspace: dir, name: "mine" });
  expect(guesses.time.role).toEqual(role);
  expect([guesses.id.role, guesses.card]).toEqual(["t_id", "acct_no"]);
  const pipeline = loadPipeline(dir, "mine");
  const plans = [compileSpec(await loadSpec(pipeline))];
  const { table } = await readSource(datasetDuckdb(), pipeline, { path: file, plans, labelled: true });
  const minutes = role.column === "event_ts" && "format" in role && role.format.endsWith("%p");
  const wanted = Array.from({ length: 60 }, (_row, i) => Date.UTC(2024, 0, 1 + (i % 25), i % 24, i, minutes ? 0 : i));
  expect([...timesOf(table, pipeline)]).toEqual(wanted);
  expect(textAt(table.columns.get("acct_no")!, 1)).toBe("01");
});

test("an index that was written along is no feature, and days beside times of day are told about", async () => {
  const csv = strange(["", "txn_ref", "date", "time", "amount", "is_fraud"], (i, at) => {
    const [day, clock] = at.toISOString().split(/[T.]/);
    return [i, i * 7, day, clock, 10 + i / 4, fraudOf(i)];
  });
  const { guesses } = await inspect(ports, { path: put("t.csv", csv), workspace: dir, name: "mine" });
  expect(guesses).toMatchObject({ id: { role: "txn_ref" }, numbers: [], time: { role: "date", coarse: true } });
  expect(guesses.doubts.join("\n")).toMatch(/column0 counts the rows/);
  expect(guesses.doubts.join("\n")).toMatch(/date holds days and time times of day.*columns: \[date, time\]/);
});

test.each([
  ["ja", "nein"],
  ["confirmed_fraud", "legit"],
  ["fraud", "no_fraud"],
  ["oui", "non"],
])("labels of the words %s and %s are recognised once their column is named", async (fraud, genuine) => {
  const csv = strange(["id", "time", "amount", "status"], (i, at) => [
    i,
    at.toISOString(),
    10 + i / 4,
    fraudOf(i) === 1 ? fraud : genuine,
  ]);
  const asked = { path: put("t.csv", csv), workspace: dir, name: "mine", label: "status" };
  await expect(inspect(ports, asked)).resolves.toMatchObject({ fraudRate: 0.2 });
});

test("what cannot be guessed is asked for, and nothing is overwritten", async () => {
  const file = put("t.csv", "a,when,outcome\n1,2024-01-01,bad\n2,2024-01-02,good\n");
  const asked = { path: file, workspace: dir, name: "mine" };
  await expect(inspect(ports, asked)).rejects.toThrow(/no column that looks like the label/);
  await expect(inspect(ports, { ...asked, label: "outcome" })).resolves.toMatchObject({ fraudRate: 0.5 });
  expect(loadPipeline(dir, "mine").written.labelWords).toMatchObject({ fraud: ["bad"], genuine: ["good"] });
  await expect(inspect(ports, { ...asked, label: "outcome" })).rejects.toThrow(/is there already/);
});
