// A table of 1,000 merchants and 40 numeric columns: its spec is learned in training, and served rows have the bits of the replayed table.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import type { Column, Table } from "../../src/core/table.ts";
import { takeRows } from "../../src/core/table.ts";
import type { CategoryFeature } from "../../src/features/definition.ts";
import { compileSpec } from "../../src/features/plan.ts";
import { readHistory } from "../../src/lifecycle/data/history.ts";
import { readSource } from "../../src/lifecycle/data/source.ts";
import { loadOpenSpec, loadSpec } from "../../src/lifecycle/data/spec-file.ts";
import { vectorsOf } from "../../src/lifecycle/data/vectors.ts";
import { featurise } from "../../src/lifecycle/featurise.ts";
import { monitor } from "../../src/lifecycle/monitor.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { retrain } from "../../src/lifecycle/retrain.ts";
import { learnedSpec, train } from "../../src/lifecycle/train.ts";
import { validate } from "../../src/lifecycle/validate.ts";
import { answer } from "../../src/online/answer.ts";
import { openEngine } from "../../src/online/engine.ts";
import { loadVersion, type Scorer } from "../../src/online/score.ts";
import { parsePipeline } from "../../src/pipeline/pipeline.ts";
import { openPorts } from "../../src/wiring.ts";

const BEGIN = Date.UTC(2026, 0, 1);
const MERCHANTS = 1000;
const NUMBERS = 40;
/** Rows learned from, and rows served afterwards. */
const ROWS = 4000;
const SERVED = 120;
const STEP_MS = (40 * DAY_MS) / ROWS;

const FEATURES = `
import { declareColumns } from "sentinel-fraud";
const f = declareColumns({ amount: "number", card: "key", merchant: "text", step: "number" });
export const wide = f.spec({ name: "wide", version: 1, features: [
  f.category("merchant", { values: "learned", max: 50, rowsMin: 5 }),
  f.columns({ all: "numeric", except: ["step"] }),
  f.window("card_sum_7d", { key: "card", over: "amount", aggregate: "sum", window: "7d" }),
] });
`;
const SCHEMA = {
  type: "object",
  required: ["id", "amount", "card"],
  properties: {
    id: { type: "string" },
    time: { type: "integer" },
    amount: { type: "number" },
    card: { type: ["string", "integer", "null"] },
    merchant: { type: ["string", "null"] },
    step: { type: "number" },
  },
  patternProperties: { "^V[0-9]+$": { type: ["number", "null"] } },
};
const YAML = `
name: wide
model: wide-fraud
source: data/t.csv
features: wide
schema: wide.schema.json
suite: wide.suite.json
columns: { id: id, time: time, amount: amount, card: card, label: fraud }
labels: { delay: 1d, maturity: 1h }
model_parameters: { trees: 10, depth_max: 3, anomaly_trees: 10 }
`;

const dir = mkdtempSync(path.join(tmpdir(), "sentinel-learned-"));
const pipeline = parsePipeline(YAML, { file: path.join(dir, "pipelines", "wide.yaml"), workspace: dir });
const clock = { now: () => BEGIN + 45 * DAY_MS, elapsed: () => performance.now() };
const lines: string[] = [];
const { ports, close } = openPorts(loadConfig({ workspace: dir, environment: {} }), {
  report: { line: (text) => void lines.push(text), progress: () => {} },
  pipeline: "wide",
  clock,
});
const whole = tableOf(ROWS + SERVED);
const training = firstRows(ROWS);
const wholeFile = path.join(dir, "data", "whole.csv");
let scorer: Scorer;

/** Merchant m0 is the most frequent; the late ones come only where nothing is learned any more. */
function tableOf(rows: number): Table {
  const random = new Random(5);
  const dictionary = [...Array.from({ length: MERCHANTS }, (_, m) => `m${m}`), "late"];
  const codes = new Int32Array(rows);
  const columns = new Map<string, Column>();
  const ids = Array.from({ length: rows }, (_, row) => `p${row}`);
  const number = (of: (row: number) => number): Column => ({
    kind: "number",
    values: Float64Array.from({ length: rows }, (_, row) => of(row)),
  });
  for (let row = 0; row < rows; row++) {
    // The last third of the training table, of which most is evaluated, knows a merchant that the training slice does not.
    const late = row > 0.85 * ROWS && random.next() < 0.2;
    codes[row] = late ? MERCHANTS : random.next() < 0.03 ? -1 : Math.floor(MERCHANTS * random.next() ** 3);
  }
  columns.set("id", { kind: "text", codes: Int32Array.from(ids, (_, row) => row), dictionary: ids });
  columns.set("time", { kind: "time", values: Float64Array.from(ids, (_, row) => BEGIN + Math.floor(row * STEP_MS)) });
  columns.set("merchant", { kind: "text", codes, dictionary });
  columns.set(
    "card",
    number(() => random.integer(60)),
  );
  columns.set(
    "amount",
    number(() => Math.round(random.uniform(1, 300) * 100) / 100),
  );
  columns.set(
    "step",
    number((row) => row),
  );
  for (let v = 1; v <= NUMBERS; v++) {
    columns.set(
      `V${v}`,
      number(() => (random.next() < 0.05 ? Number.NaN : random.normal())),
    );
  }
  const risk = (columns.get("V7") as { readonly values: Float64Array }).values;
  columns.set(
    "fraud",
    number((row) => (random.next() < (risk[row] > 1.5 ? 0.7 : 0.01) ? 1 : 0)),
  );
  return { rows, columns };
}

/** The merchants of the training slice with the most rows, by the split's own definition. */
function frequentMerchants(): string[] {
  const { history, calibrate, evaluate, gapMs } = pipeline.split;
  const { values: times } = training.columns.get("time") as { readonly values: Float64Array };
  const span = times[ROWS - 1] + 1 - BEGIN;
  const to = BEGIN + span - evaluate * span - gapMs - calibrate * span;
  const { codes, dictionary } = training.columns.get("merchant") as Extract<Column, { kind: "text" }>;
  const counts = new Map<string, number>();
  times.forEach((time, row) => {
    if (time < BEGIN + history * span || time >= to || codes[row] < 0) return;
    counts.set(dictionary[codes[row]], (counts.get(dictionary[codes[row]]) ?? 0) + 1);
  });
  const ranked = [...counts].filter(([, count]) => count >= 5);
  ranked.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return ranked.slice(0, 50).map(([merchant]) => merchant);
}

function firstRows(rows: number): Table {
  return takeRows(
    whole,
    Int32Array.from({ length: rows }, (_, row) => row),
  );
}

function put(name: string, text: string): void {
  mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
  writeFileSync(path.join(dir, name), text);
}

const trained = () =>
  train(ports, { pipeline, path: pipeline.source, actor: "t", packageVersion: "0", forced: "a test", verb: "train" });

beforeAll(async () => {
  put("features/wide.ts", FEATURES);
  put("pipelines/wide.schema.json", JSON.stringify(SCHEMA));
  put("pipelines/wide.suite.json", JSON.stringify({ name: "wide", expectations: [] }));
  const dataset = await ports.dataset();
  mkdirSync(path.join(dir, "data"));
  await dataset.write(pipeline.source, [training]);
  await dataset.write(wholeFile, [whole]);
  const { version, verdicts } = await trained();
  expect(version, JSON.stringify(verdicts)).not.toBeNull();
  const registry = await ports.registry();
  const entry = { at: 0, actor: "t", verb: "promote", verdict: "PROMOTE", evidence: "", reason: "t" } as const;
  await registry.moveAlias({ model: pipeline.model, alias: "champion", from: null, to: version!.version, entry });
  scorer = await loadVersion(registry, { model: pipeline.model, version: version!.version });
}, 240_000);
afterAll(async () => {
  await close();
  rmSync(dir, { recursive: true, force: true });
});

test("the bundle's spec leaves nothing open: columns by name, values by the rows of the training slice", () => {
  const [merchant, ...rest] = scorer.plan.spec.features;
  const { values } = merchant as CategoryFeature;
  expect(values).toEqual(frequentMerchants());
  expect(values).not.toContain("late");
  const names = ["amount", ...Array.from({ length: NUMBERS }, (_, v) => `V${v + 1}`)].sort();
  expect(rest.map(({ name }) => name)).toEqual([...names, "card_sum_7d"]);
  expect(lines.join("\n")).toContain("41 numeric columns of");
  expect(lines.join("\n")).toContain("merchant: 50 values of merchant learned from");
});

test("the same table teaches the same spec and the same bundle; other values leave the state's layout as it is", async () => {
  const again = await trained();
  const second = await loadVersion(await ports.registry(), { model: pipeline.model, version: again.version!.version });
  expect(second.bundle).toBe(scorer.bundle);
  const half = path.join(dir, "data", "half.csv");
  await (await ports.dataset()).write(half, [firstRows(ROWS / 2)]);
  const other = await learnedSpec(ports, pipeline, half);
  expect(other).not.toEqual(scorer.plan.spec);
  expect(compileSpec(other).layoutHash).toBe(scorer.plan.layoutHash);
  expect((await loadOpenSpec(pipeline)).features).toHaveLength(3);
  await expect(loadSpec(pipeline)).rejects.toThrow(/leaves values or columns/);
}, 240_000);

test("served rows have the bits of the replayed table, replay is clean, and monitor says what share is on no list", async () => {
  const options = { aheadMaxMs: 60 * DAY_MS };
  const engine = await openEngine({ ports, pipeline, schema: SCHEMA, options });
  await engine.start();
  const names = ["merchant", "card", "amount", "step", ...Array.from({ length: NUMBERS }, (_, v) => `V${v + 1}`)];
  for (let row = ROWS; row < ROWS + SERVED; row++) {
    const time = (whole.columns.get("time") as { readonly values: Float64Array }).values[row];
    const body: Record<string, unknown> = { id: `p${row}`, time };
    for (const name of names) body[name] = cell(name, row);
    await answer(engine, engine.parser.parse(body, clock.now()));
  }
  const records = await engine.log.recent(SERVED);
  await engine.stop(1000);
  expect(records).toHaveLength(SERVED);
  const plan = scorer.plan;
  const source = await readSource(await ports.dataset(), pipeline, { path: wholeFile, plans: [plan], labelled: true });
  const { x } = vectorsOf(source.table, { plan, pipeline, report: ports.report });
  let others = 0;
  for (const { transactionId, vector } of records) {
    const row = Number(transactionId.slice(1));
    expect([...vector]).toEqual(plan.names.map((_, c) => x.values[c * x.rows + row]));
    if (vector[0] === 50) others++;
  }
  expect(others).toBeGreaterThan(10);
  const report = await replay(ports, {
    pipeline,
    history: (origin, by) => readHistory(ports, pipeline, { origin, plan: by }),
  });
  expect(report).toMatchObject({ verdict: "pass", compared: SERVED, mismatchCount: 0 });
  const { unlisted } = await monitor(ports, { pipeline, path: null, until: null });
  const present = records.filter(({ vector }) => !Number.isNaN(vector[0])).length;
  expect(unlisted).toMatchObject([{ name: "merchant", share: others / present }]);
  expect(unlisted[0].atTraining).toBeGreaterThan(0.1);
}, 240_000);

test("featurise writes the very spec beside its table; validate reads what it names; a retrained file may name it", async () => {
  const out = path.join(dir, "data", "f.parquet");
  const made = await featurise(ports, { pipeline, path: pipeline.source, out, packageVersion: "0" });
  expect(made.featureHash).toBe(scorer.plan.hash);
  expect(JSON.parse(readFileSync(made.specFile!, "utf8"))).toEqual(scorer.plan.spec);
  put("features/pinned.json", readFileSync(made.specFile!, "utf8"));
  const pinned = { ...pipeline, featuresFile: path.join(dir, "features", "pinned.ts") };
  expect(await learnedSpec(ports, pinned, wholeFile)).toEqual(scorer.plan.spec);
  put(
    "features/alone.json",
    JSON.stringify({ name: "alone", version: 1, features: [{ kind: "columns", all: "numeric" }] }),
  );
  const alone = { ...pipeline, featuresFile: path.join(dir, "features", "alone.ts") };
  expect((await learnedSpec(ports, alone, wholeFile)).features).toHaveLength(NUMBERS + 2);
  expect(await validate(ports, { pipeline, path: wholeFile })).toMatchObject({ source: { rows: ROWS + SERVED } });
});

test("a retraining learns the values anew, from the table with the log's rows below it", async () => {
  const done = await retrain(ports, {
    pipeline,
    path: pipeline.source,
    monitorPath: null,
    workspace: dir,
    actor: "t",
    packageVersion: "0",
    forced: "a test",
  });
  expect(done.data).not.toBe(pipeline.source);
  const grown = compileSpec(await learnedSpec(ports, pipeline, done.data!));
  expect(done.trained?.lineage?.featureHash).toBe(grown.hash);
  expect(grown.hash).not.toBe(scorer.plan.hash);
  expect(grown.layoutHash).toBe(scorer.plan.layoutHash);
}, 240_000);

test("a schema that does not let the columns through is refused before training, in a few words", async () => {
  const { patternProperties: _, ...blind } = SCHEMA;
  put("pipelines/blind.schema.json", JSON.stringify(blind));
  const schemaFile = path.join(dir, "pipelines", "blind.schema.json");
  const refused = expect(learnedSpec(ports, { ...pipeline, schemaFile }, pipeline.source)).rejects;
  await refused.toMatchObject({
    code: "pipeline.invalid",
    message: expect.stringMatching(/reads V1, .* and 35 more/s),
  });
});

test("a workspace without a request schema takes no requests, and makes its features all the same", async () => {
  const schemaFile = path.join(dir, "pipelines", "nobody.schema.json");
  const spec = await learnedSpec(ports, { ...pipeline, schemaFile }, pipeline.source);
  expect(compileSpec(spec).layoutHash).toBe(scorer.plan.layoutHash);
});

function cell(name: string, row: number): string | number | null {
  const column = whole.columns.get(name)!;
  if (column.kind === "text") return column.codes[row] < 0 ? null : column.dictionary[column.codes[row]];
  return Number.isNaN(column.values[row]) ? null : column.values[row];
}
