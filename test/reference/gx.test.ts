// The real Great Expectations, asked live in one process: the stored answers are its answers, and Sentinel's are the same.
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { numberAt } from "../../src/core/table.ts";
import { datasetDuckdb } from "../../src/drivers/dataset/duckdb/driver.ts";
import { evaluateSuite } from "../../src/quality/evaluate.ts";
import { type Answer, differences, MEANT, ours, suiteFor } from "../quality/parity/compare.ts";
import { PARITY_SUITE } from "../quality/parity/suite.ts";
import { type Columns, PARITY_TABLES, type Payment, parityTablesOf } from "../quality/parity/tables.ts";
import { tableFrom } from "../quality/tables.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const VENV = path.join(ROOT, ".cache", "venv-gx");
const STORED = path.join(ROOT, "test", "quality", "reference", "parity.answers.json.gz");
const isThere = existsSync(path.join(VENV, "sentinel-stamp"));
if (!isThere)
  console.warn("SKIPPED Great Expectations itself: there is no .cache/venv-gx; scripts/setup-python installs it");

/** All of them take a minute of processor time: SENTINEL_GX_TABLES=45 asks about all, and SENTINEL_GX_STORE=yes stores what it says. */
const COUNT = Number(process.env.SENTINEL_GX_TABLES ?? 2);
const STORE = process.env.SENTINEL_GX_STORE === "yes";
/** A file of the Fraud Detection Handbook's columns: then its payments are the table, and nothing is compared with stored answers. */
const DATA = process.env.SENTINEL_GX_DATA;
/** Of its rows so many, spread evenly. */
const DATA_ROWS = Number(process.env.SENTINEL_GX_ROWS ?? 2400);

interface Answers {
  readonly versions: Readonly<Record<string, string>>;
  readonly answers: Readonly<Record<string, readonly Answer[]>>;
}

/** Rows of a file from the first to the last. */
async function paymentsOf(file: string): Promise<readonly Payment[]> {
  const { rows, columns } = await datasetDuckdb().read(file);
  const at = (name: string, row: number): number => numberAt(columns.get(name)!, row);
  return Array.from({ length: Math.min(DATA_ROWS, rows) }, (_, i) => {
    const row = Math.floor((i * rows) / Math.min(DATA_ROWS, rows));
    return {
      time: at("tx_datetime", row),
      amount: at("tx_amount", row),
      customer: at("customer_id", row),
      terminal: at("terminal_id", row),
      fraud: at("tx_fraud", row) === 1,
    };
  });
}

function ask(tables: Readonly<Record<string, Columns>>): Promise<Answers> {
  const script = path.join(ROOT, "scripts", "reference", "gx_parity.py");
  return new Promise((resolve, reject) => {
    const child = execFile(path.join(VENV, "bin", "python"), [script], { maxBuffer: 1 << 28 }, (error, stdout) =>
      error === null ? resolve(JSON.parse(stdout) as Answers) : reject(error),
    );
    child.stdin!.end(JSON.stringify({ tables, suite: PARITY_SUITE }));
  });
}

test.runIf(process.env.CI === "true")("Great Expectations is installed", () => {
  expect(isThere, "CI needs .cache/venv-gx: scripts/setup-python").toBe(true);
});

describe.runIf(isThere)("Great Expectations itself", () => {
  test("answers as it is stored, and as Sentinel does", { timeout: 3_600_000 }, async () => {
    const all = DATA === undefined ? PARITY_TABLES : parityTablesOf(await paymentsOf(DATA));
    const names = Object.keys(all).slice(0, COUNT);
    const asked = await ask(Object.fromEntries(names.map((name) => [name, all[name]])));
    if (STORE) writeFileSync(STORED, gzipSync(JSON.stringify(asked), { level: 9 }));
    const stored = JSON.parse(gunzipSync(readFileSync(STORED)).toString("utf8")) as Answers;
    const suite = suiteFor(PARITY_SUITE);
    const faults: string[] = [];
    for (const name of names) {
      const mine = evaluateSuite(tableFrom(all[name]), suite, { now: null }).results;
      for (const [i, { type }] of PARITY_SUITE.entries()) {
        const live = asked.answers[name][i];
        const told = (differing: readonly string[]): string[] =>
          differing.map((one) => `${name}: ${i} ${type}: ${one}`);
        if (DATA === undefined) faults.push(...told(differences(live, stored.answers[name][i])));
        if (MEANT.some(({ question, table }) => question === i && table === name)) continue;
        faults.push(...told(differences(ours(mine[i]), live)));
      }
    }
    console.log(
      `${names.length * PARITY_SUITE.length} answers of ${JSON.stringify(asked.versions)}, ${faults.length} differ`,
    );
    expect(faults).toEqual([]);
  });
});
