// The feature table: bit for bit what train learns from, whole or not at all, and it says what it was made of.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileSpec } from "../../src/features/plan.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { readSource } from "../../src/lifecycle/data/source.ts";
import { loadSpec } from "../../src/lifecycle/data/spec-file.ts";
import { vectorsOf } from "../../src/lifecycle/data/vectors.ts";
import { featurise } from "../../src/lifecycle/featurise.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { sentinel, sentinelJson } from "../cli/sentinel.ts";
import { metadataOf, query, shuffled } from "./feature-tables.ts";
import { emptyPlace, type Place } from "./world.ts";

const WORLD = { customers: 150, terminals: 40, days: 45, seed: 3 };
const quiet = { line: () => {}, progress: () => {} };

let place: Place;
let data: string;
let out: string;

beforeAll(async () => {
  place = await emptyPlace();
  data = await place.write("shuffled.parquet", shuffled([...simulateDays(WORLD)]));
  out = path.join(place.dir, "data", "features.parquet");
  await featurise(place.ports, { pipeline: place.pipeline, path: data, out, packageVersion: "1.2.3" });
});

afterAll(() => place.close());

/** What train makes of the same file. */
async function trained() {
  const plan = compileSpec(await loadSpec(place.pipeline));
  const source = await readSource(await place.ports.dataset(), place.pipeline, {
    path: data,
    plans: [plan],
    labelled: true,
  });
  const { x } = vectorsOf(source.table, { plan, pipeline: place.pipeline, report: quiet });
  return { plan, source, x };
}

describe("the feature table", () => {
  test("holds train's vectors bit for bit, with NaN as null, in time order", async () => {
    const { plan, source, x } = await trained();
    const rows = await query(`SELECT * FROM '${out}'`);
    expect(rows).toHaveLength(x.rows);
    expect(Object.keys(rows[0])).toEqual(["transaction_id", "time", "label", ...plan.names]);
    const id = source.table.columns.get("transaction_id")!;
    const time = source.table.columns.get("time")!;
    const label = source.table.columns.get("is_fraud")!;
    if (id.kind !== "text" || time.kind !== "time" || label.kind !== "number") throw new Error("other columns");
    const rowOf = new Map(Array.from(id.codes, (code, row) => [id.dictionary[code], row]));
    const missing = (value: number): number | null => (Number.isNaN(value) ? null : value);
    let before = 0;
    let unknown = 0;
    for (const one of rows) {
      const row = rowOf.get(String(one.transaction_id))!;
      expect((one.time as Date).getTime()).toBe(time.values[row]);
      expect(time.values[row]).toBeGreaterThanOrEqual(before);
      before = time.values[row];
      const known = missing(label.values[row]);
      expect(one.label).toEqual(known === null ? null : BigInt(known));
      if (known === null) unknown++;
      const held = plan.names.map((name) => one[name] as number | null);
      // toEqual tells 0 from −0.
      expect(held).toEqual(plan.names.map((_, c) => missing(x.values[c * x.rows + row])));
    }
    expect(unknown).toBeGreaterThan(100);
    expect(rows.some((one) => one.terminal_fraud_rate_7d_delayed !== 0)).toBe(true);
    expect(rows.some((one) => one.customer_transactions_7d === null)).toBe(true);
  });

  test("is of 32-bit floats and says what it was made of", async () => {
    const { plan, source } = await trained();
    const types = await query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '${out}')`);
    expect(types.map(({ column_type }) => column_type)).toEqual([
      "VARCHAR",
      "TIMESTAMP",
      "BIGINT",
      ...plan.names.map(() => "FLOAT"),
    ]);
    const metadata = await metadataOf(out);
    expect(metadata).toMatchObject({
      "sentinel.version": "1.2.3",
      "sentinel.pipeline": "card",
      "sentinel.features.hash": plan.hash,
      "sentinel.data.hash": source.hash,
      "sentinel.labels.delay_ms": String(7 * 86_400_000),
    });
    expect(source.hash).toBe(createHash("sha256").update(readFileSync(data)).digest("hex"));
    expect(compileSpec(checkSpec(JSON.parse(metadata["sentinel.features"]))).hash).toBe(plan.hash);
  });

  test("has the same bytes when it is made again, over the file of before", async () => {
    const bytes = readFileSync(out);
    await featurise(place.ports, { pipeline: place.pipeline, path: data, out, packageVersion: "1.2.3" });
    expect(readFileSync(out).equals(bytes)).toBe(true);
    expect(readdirSync(path.dirname(out)).sort()).toEqual([".gitkeep", "features.parquet", "shuffled.parquet"]);
  });

  test("keeps whole numbers as ids", async () => {
    const numbered = await place.write("numbered.parquet", simulateDays({ ...WORLD, days: 3 }));
    const file = path.join(place.dir, "data", "numbered-features.parquet");
    const ran = await sentinelJson(["featurise", "--data", numbered, "--out", file], { cwd: place.dir });
    expect(ran.code, ran.stderr).toBe(0);
    const [{ type, rows }] = await query(
      `SELECT any_value(typeof(transaction_id)) AS type, count(*)::INTEGER AS rows FROM '${file}'`,
    );
    expect(type).toBe("BIGINT");
    expect(ran.json).toMatchObject({ out: file, rows, features: 59 });
  });
});

test("a process killed on its way leaves the file of before, or none", async () => {
  const killed = path.join(place.dir, "data", "killed.parquet");
  const folder = path.dirname(killed);
  const temporary = (): boolean => readdirSync(folder).some((name) => name.startsWith(".sentinel-write-"));
  for (const before of [null, "what was there before"]) {
    if (before !== null) writeFileSync(killed, before);
    const ran = await sentinel(["featurise", "--data", data, "--out", killed], {
      cwd: place.dir,
      // Once it writes.
      started: async (child) => {
        while (!temporary() && child.exitCode === null) await sleep(2);
        child.kill("SIGKILL");
      },
    });
    expect(ran.signal).toBe("SIGKILL");
    if (before === null) expect(existsSync(killed)).toBe(false);
    else expect(readFileSync(killed, "utf8")).toBe(before);
    for (const name of readdirSync(folder).filter((one) => one.startsWith(".sentinel-write-"))) {
      // Nothing but parts: no name that a reader would take for the table.
      expect(readdirSync(path.join(folder, name)).filter((one) => one === "killed.parquet")).toEqual([]);
    }
  }
});

describe("bad input", () => {
  const run = async (...args: string[]) => {
    const ran = await sentinelJson(["featurise", ...args], { cwd: place.dir });
    expect(ran.code).toBe(2);
    return ran.json.error as { readonly code: string; readonly message: string; readonly hint: string };
  };

  test("no file to write, another format, the data itself", async () => {
    expect(await run("--data", data)).toMatchObject({ code: "cli.usage", message: "featurise needs --out FILE" });
    const csv = await run("--data", data, "--out", "f.csv");
    expect(csv).toMatchObject({ code: "cli.usage", message: "--out f.csv is no Parquet file" });
    const link = path.join(place.dir, "link.parquet");
    symlinkSync(data, link);
    const before = readFileSync(data);
    expect((await run("--data", data, "--out", link)).message).toMatch(/link\.parquet is the data file itself/);
    expect(readFileSync(data).equals(before)).toBe(true);
  });

  test("a folder that is not there, data without a label, an id that occurs twice", async () => {
    const nowhere = await run("--data", data, "--out", "nowhere/f.parquet");
    expect(nowhere).toMatchObject({ code: "dataset.unwritable" });
    const head = "transaction_id,tx_datetime,customer_id,terminal_id,tx_amount";
    const unlabelled = path.join(place.dir, "unlabelled.csv");
    writeFileSync(unlabelled, `${head}\n1,2026-01-01 00:00:00,1,1,5\n`);
    expect(await run("--data", unlabelled, "--out", "f.parquet")).toMatchObject({ code: "dataset.columns-missing" });
    const twice = path.join(place.dir, "twice.csv");
    writeFileSync(
      twice,
      `${head},tx_fraud\n7,2026-01-01 00:00:00,1,1,5,0\n8,2026-01-01 00:00:01,1,1,5,0\n7,2026-01-01 00:00:02,1,1,5,0\n`,
    );
    expect((await run("--data", twice, "--out", "f.parquet")).message).toMatch(/7 occurs twice, in data rows 1 and 3/);
    expect(existsSync(path.join(place.dir, "f.parquet"))).toBe(false);
  });

  test("features whose names cannot stand side by side in a table", async () => {
    const named = (...names: string[]): string => {
      const features = names.map((name) => ({ kind: "column", name, column: "amount" }));
      const file = path.join(place.dir, "features", "clash.json");
      writeFileSync(file, JSON.stringify({ name: "clash", version: 1, features }));
      const yaml = readFileSync(path.join(place.dir, "pipelines", "card.yaml"), "utf8");
      writeFileSync(
        path.join(place.dir, "pipelines", "clash.yaml"),
        yaml.replace(/^name: .*$/m, "name: clash").replace(/^features: .*$/m, "features: clash"),
      );
      return file;
    };
    named("amount", "Label");
    const clash = ["--pipeline", "clash", "--data", data, "--out", "f.parquet"];
    expect((await run(...clash)).message).toMatch(/columns label and Label side by side/);
    named("amount", "Amount");
    expect(await run(...clash)).toMatchObject({
      code: "features.spec-invalid",
      hint: expect.stringMatching(/more than case/),
    });
  });
});
