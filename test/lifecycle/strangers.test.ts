// A stranger's table through the verbs: blank labels, columns read two ways, columns that lack, rows of the future, a schema that changed.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { compare } from "../../src/lifecycle/compare.ts";
import { readHistory } from "../../src/lifecycle/data/history.ts";
import { loadSchema } from "../../src/lifecycle/data/schema-file.ts";
import { evaluateVersion } from "../../src/lifecycle/evaluate.ts";
import { monitor } from "../../src/lifecycle/monitor.ts";
import { promote, rollback } from "../../src/lifecycle/promote.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { train } from "../../src/lifecycle/train.ts";
import { type Pipeline, parsePipeline } from "../../src/pipeline/pipeline.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { createServer } from "../../src/server/server.ts";
import { emptyPlace, type Place, START } from "./world.ts";

const DAYS = 80;
const DAY_MS = 86_400_000;
const NOW = START + DAYS * DAY_MS;
const SHOPS = ["1.10", "1.1", "5.0", "5"];

interface Row {
  readonly id: string;
  readonly time: number;
  readonly amount: number;
  readonly shop: string;
  readonly label: string;
}

/** Frauds are of shop 1.10 mostly, hardly any of shop 1.1. */
function rowsOf(count: number): Row[] {
  const random = new Random(3);
  return Array.from({ length: count }, (_, i) => {
    const shop = SHOPS[random.integer(SHOPS.length)];
    const fraud = random.next() < (shop === "1.10" ? 0.6 : 0.05);
    const time = START + Math.floor((i * DAYS * DAY_MS) / count);
    return { id: `p${i}`, time, amount: random.integer(500), shop, label: fraud ? "1" : "0" };
  });
}

function spec(features: string): string {
  return JSON.stringify({ name: "mine", version: 1, features: JSON.parse(features) });
}
const AMOUNT = `{"kind":"column","name":"amount","column":"amount"}`;
const AS_NUMBER = spec(`[${AMOUNT},{"kind":"column","name":"shop_number","column":"shop"}]`);
const AS_TEXT = spec(`[${AMOUNT},{"kind":"category","name":"shop","column":"shop","values":${JSON.stringify(SHOPS)}}]`);

let place: Place;
let lines: string[] = [];
let ports: Ports;
beforeAll(async () => {
  place = await emptyPlace();
  place.clock.time = NOW;
  ports = { ...place.ports, report: { line: (text) => lines.push(text), progress: () => {} } };
  const schema = JSON.parse(readFileSync(place.pipeline.schemaFile, "utf8"));
  schema.properties.shop = { type: ["string", "number", "null"] };
  schema.properties.balance = { type: ["number", "null"] };
  writeFileSync(place.pipeline.schemaFile, JSON.stringify(schema));
  writeFileSync(
    path.join(place.dir, "pipelines", "card.suite.json"),
    JSON.stringify({ name: "none", expectations: [] }),
  );
});
afterAll(() => place.close());

function pipelineWith(features: string, more = ""): Pipeline {
  writeFileSync(path.join(place.dir, "features", "mine.json"), features);
  const text = `name: card
model: strangers
source: data/t.csv
features: mine
schema: card.schema.json
suite: card.suite.json
columns: { id: transaction_id, time: time, amount: amount, label: is_fraud }
split: { history: 0.05, calibrate: 0.2, gap: 1d, evaluate: 0.25 }
model_parameters: { trees: 5, anomaly_trees: 2 }
gates: { data: { label_rate: [0, 1] } }
${more}`;
  const pipeline = parsePipeline(text, {
    file: path.join(place.dir, "pipelines", "card.yaml"),
    workspace: place.dir,
  });
  return pipeline;
}

function put(name: string, rows: readonly Row[]): string {
  const file = path.join(place.dir, "data", name);
  const cells = rows.map((row) =>
    [row.id, new Date(row.time).toISOString(), row.amount, row.shop, row.label].join(","),
  );
  writeFileSync(file, ["transaction_id,time,amount,shop,is_fraud", ...cells].join("\n"));
  return file;
}

const trained = (pipeline: Pipeline, file: string, verb: "train" | "retrain" = "train") =>
  train(ports, { pipeline, path: file, actor: "tester", packageVersion: "0", forced: "a test", verb });
const forced = (pipeline: Pipeline, to: string) =>
  promote(ports, { pipeline, to, actor: "tester", forced: "a test", seed: 1 });

describe("rows without a label", () => {
  const unknown = "labels: { delay: 1d, maturity: 1d, unreported: unknown }";
  const genuine = "labels: { delay: 1d, maturity: 1d, unreported: genuine }";
  const rows = rowsOf(1600);
  const known = rows.filter((_, i) => i % 2 === 0 || i === rows.length - 1);
  const blank = rows.map((row) => (known.includes(row) ? row : { ...row, label: "" }));

  test("are as if they were not there in train, evaluate, compare and monitor, where the pipeline says unknown", async () => {
    const pipeline = pipelineWith(AS_TEXT, unknown);
    const [fewer, blanks] = [put("known.csv", known), put("blank.csv", blank)];
    lines = [];
    const with_ = await trained(pipeline, blanks);
    expect(lines.join("\n")).toMatch(/799 of 1,600 transactions have no label and are left out/);
    const without = await trained(pipeline, fewer);
    expect(with_.metrics).toEqual(without.metrics);
    const asGenuine = await trained(pipelineWith(AS_TEXT, genuine), blanks);
    expect(asGenuine.metrics!.rows).toBeGreaterThan(with_.metrics!.rows);
    expect(asGenuine.metrics!.average_precision).toBeLessThan(with_.metrics!.average_precision);

    const [champion, candidate] = [without.version!.version, with_.version!.version];
    await forced(pipeline, champion);
    const judged = async (file: string, by: Pipeline) => {
      const evaluated = await evaluateVersion(ports, { pipeline: by, path: file, to: candidate, trained: null });
      const { data } = await compare(ports, { pipeline: by, path: file, to: candidate, seed: 1 });
      // The model has seen all that the table has, so that a month later every row of it is news.
      const { performance } = await monitor(ports, { pipeline: by, path: put("later.csv", later(file)), until: null });
      return { evaluated: evaluated.metrics, compared: data!.metrics, rows: [evaluated.rows, data!.rows], performance };
    };
    const later = (file: string): Row[] =>
      (file === blanks ? blank : known).map((row) => ({
        ...row,
        id: `l${row.id}`,
        time: row.time + (DAYS + 1) * DAY_MS,
      }));
    const out = await judged(blanks, pipeline);
    expect(out).toEqual(await judged(fewer, pipeline));
    expect(out.performance).not.toBeNull();
    const taken = await judged(blanks, pipelineWith(AS_TEXT, genuine));
    expect(taken.rows[0]).toBeGreaterThan(1.8 * out.rows[0]);
    expect(taken.rows[1]).toBeGreaterThan(1.8 * out.rows[1]);
    expect(taken.performance!.rows).toBeGreaterThan(1.8 * out.performance!.rows);
  });
});

describe("a champion that reads a column as a number, a candidate that reads it by its spelling", () => {
  test("each gets its own: training, comparison and serving see 1.10 and 1.1 apart", async () => {
    const file = put("shops.csv", rowsOf(1600));
    const labels = "labels: { delay: 1d, maturity: 1d, unreported: genuine }";
    const numbers = pipelineWith(AS_NUMBER, `model: two-readers\n${labels}`.replace("model: two-readers\n", ""));
    const champion = await trained(numbers, file);
    await forced(numbers, champion.version!.version);
    const texts = pipelineWith(AS_TEXT, labels);
    const alone = await evaluateFresh(texts, file);
    const candidate = await trained(texts, file);
    expect(candidate.metrics).toEqual(alone);
    const own = await evaluateVersion(ports, {
      pipeline: numbers,
      path: file,
      to: champion.version!.version,
      trained: null,
    });
    expect(candidate.champion!.metrics.average_precision).toBeCloseTo(own.metrics.average_precision, 1);
    // 1.10 tells nearly all, and as numbers 1.10 and 1.1 are one.
    expect(candidate.metrics!.average_precision).toBeGreaterThan(own.metrics.average_precision + 0.05);
    const { data } = await compare(ports, { pipeline: texts, path: file, to: candidate.version!.version, seed: 1 });
    // As the candidate reads the table alone, to the last bit.
    const rows = await evaluateVersion(ports, {
      pipeline: texts,
      path: file,
      to: candidate.version!.version,
      trained: null,
    });
    expect(data!.metrics!.averagePrecision.observedB).toBe(rows.metrics.average_precision);

    await forced(texts, candidate.version!.version);
    const server = await createServer({
      ports,
      pipeline: texts,
      schema: loadSchema(texts),
      options: { logger: pino({ level: "silent" }) },
    });
    for (const [i, shop] of SHOPS.entries()) {
      const body = JSON.stringify({ transaction_id: `s${i}`, time: NOW, amount: 5, shop });
      const headers = { "content-type": "application/json" };
      expect((await server.app.request("/predict", { method: "POST", headers, body })).status).toBe(200);
    }
    await server.stop();
    const served: number[] = [];
    for await (const entry of (await ports.log()).scan(0))
      if (entry.kind === "prediction") served.push(entry.record.vector[1]);
    expect(served).toEqual([0, 1, 2, 3]);
    const report = await replay(ports, {
      pipeline: texts,
      history: (origin, of) => readHistory(ports, texts, { origin, plan: of }),
    });
    expect(report).toMatchObject({ verdict: "pass", mismatches: [], compared: SHOPS.length });
  });

  /** What the same training gives where no champion is. */
  async function evaluateFresh(pipeline: Pipeline, file: string) {
    return (await trained({ ...pipeline, model: "fresh" }, file)).metrics;
  }
});

describe("a table that lacks or exceeds", () => {
  const labels = "labels: { delay: 1d, maturity: 1d, unreported: genuine }";
  const BALANCE = spec(`[${AMOUNT},{"kind":"column","name":"balance","column":"balance"}]`);

  test("a column that a feature reads and the table has not is told by name", async () => {
    lines = [];
    await trained({ ...pipelineWith(BALANCE, labels), model: "lacking" }, put("lacking.csv", rowsOf(1000)));
    expect(lines.filter((line) => line.includes("lacks columns"))).toEqual([
      expect.stringMatching(/lacking\.csv lacks columns that features read, which are missing in every row: balance$/),
    ]);
  });

  test("a few rows of the future are refused by row; a table of made-up dates is told about", async () => {
    const rows = rowsOf(1000);
    const stray = rows.map((row, i) => (i === 700 ? { ...row, time: NOW + 23 * 3_600_000 } : row));
    const pipeline = { ...pipelineWith(AS_TEXT, labels), model: "ahead" };
    await expect(trained(pipeline, put("stray.csv", stray))).rejects.toMatchObject({
      code: "dataset.type-wrong",
      message: expect.stringMatching(
        /1 of 1,000 transactions are later than now: column time in data row 701 \(p700\) is 2026-03-22T23:00:00.000Z, 23h ahead/,
      ),
      hint: expect.stringMatching(/zone/),
    });
    lines = [];
    const future = rows.map((row) => ({ ...row, time: row.time + 40 * DAY_MS }));
    await trained(pipeline, put("future.csv", future));
    expect(lines.join("\n")).toMatch(/\? 499 of 1,000 transactions are later than now, by up to 40d/);
  });

  test("a version whose columns the schema no longer names is not promoted and not rolled back to", async () => {
    const pipeline = { ...pipelineWith(AS_TEXT, labels), model: "narrowed" };
    const file = put("narrow.csv", rowsOf(1000));
    const [first, second, third] = [
      await trained(pipeline, file),
      await trained(pipeline, file),
      await trained(pipeline, file),
    ];
    for (const { version } of [first, second]) expect((await forced(pipeline, version!.version)).moved).toBe(true);
    const schema = JSON.parse(readFileSync(pipeline.schemaFile, "utf8"));
    const { shop, ...properties } = schema.properties;
    writeFileSync(pipeline.schemaFile, JSON.stringify({ ...schema, properties }));
    try {
      const refused = await forced(pipeline, third.version!.version);
      expect(refused).toMatchObject({ moved: false, overridable: false });
      expect(refused.verdict.reasons.join("\n")).toMatch(/feature shop reads shop, which .* does not name/);
      const back = rollback(ports, { pipeline, to: null, actor: "tester", reason: "worse" });
      await expect(back).rejects.toMatchObject({ code: "pipeline.invalid" });
    } finally {
      writeFileSync(pipeline.schemaFile, JSON.stringify({ ...schema, properties: { ...properties, shop } }));
    }
  });
});
