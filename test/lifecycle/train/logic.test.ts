// The logic gate: each of its checks says no to a small bundle that deserves it, in words for whoever decides, and by the pipeline's own limit.
import { expect, test } from "vitest";
import type { BundleFiles } from "../../../src/core/bundle.ts";
import { orderBy } from "../../../src/core/table.ts";
import type { Check, Verdict } from "../../../src/core/verdict.ts";
import { compileSpec } from "../../../src/features/plan.ts";
import { parityFault, vectorsOf } from "../../../src/lifecycle/data/vectors.ts";
import { type LogicEvidence, logicGate } from "../../../src/lifecycle/train/logic.ts";
import { type Calibration, calibrate } from "../../../src/ml/calibration/apply.ts";
import { decodeGbdt } from "../../../src/ml/gbdt/model.ts";
import { scoreRow } from "../../../src/ml/gbdt/score.ts";
import { decodeForest } from "../../../src/ml/iforest/model.ts";
import { exportOnnx } from "../../../src/ml/onnx/export.ts";
import { createGraph, DOUBLE, FLOAT, ONNX_INPUT, ONNX_OUTPUT } from "../../../src/ml/onnx/graph.ts";
import { type GoldenRow, goldenVector, jsonFile, readGolden, readManifest } from "../../../src/online/bundle.ts";
import { fieldFault } from "../../../src/online/fields.ts";
import { loadScorer } from "../../../src/online/score.ts";
import { historyTable, makeBundle, SCHEMA, SPEC_A } from "../../server/world.ts";
import { pipelineOf } from "../world.ts";

const plan = compileSpec(SPEC_A);
const pipeline = pipelineOf();
const table = historyTable();
const { x } = vectorsOf(table, { plan, pipeline, report: { line: () => {}, progress: () => {} } });
const order = orderBy((table.columns.get("time") as { readonly values: Float64Array }).values);
const SAMPLE_ROWS = 40;

const made = makeBundle(SPEC_A, 1);
const sound = withOnnx(made);
const limitsOf = (yaml: string) => pipelineOf(yaml === "" ? "" : `gates: { logic: { ${yaml} } }\n`).gates.logic;

/** Each question about the time makes it later by so much. */
const clockOf = (stepMs: number) => {
  let at = 0;
  return {
    now: () => 0,
    elapsed: () => {
      at += stepMs;
      return at;
    },
  };
};

/** What a training shows the gate: rows of the history, with the scores of a bundle. */
function evidenceOf(files: BundleFiles): LogicEvidence {
  const scorer = loadScorer(files, { model: "card-fraud", version: "1" });
  const sample = Array.from({ length: SAMPLE_ROWS }, (_, i) => {
    const vector = Float32Array.from(x.names, (_name, c) => x.values[c * x.rows + i * 30]);
    const { score, anomalyScore } = scorer.score(vector);
    return { vector, score, anomalyScore };
  });
  return { sample, fieldFault: null, parityFault: null, parityRows: 10 };
}

function gate(
  files: BundleFiles,
  given: { readonly evidence?: LogicEvidence; readonly yaml?: string; readonly stepMs?: number } = {},
): Verdict {
  const { evidence = evidenceOf(files), yaml = "", stepMs = 0.01 } = given;
  return logicGate(files, evidence, { clock: clockOf(stepMs), limits: limitsOf(yaml) }).verdict;
}

const failed = ({ checks }: Verdict): readonly string[] =>
  checks.filter(({ passed }) => !passed).map(({ name }) => name);
const checkOf = ({ checks }: Verdict, name: string): Check => checks.find((check) => check.name === name)!;

/** The bundle with `model.onnx`: its own export, or that of another's trees. */
function withOnnx(files: BundleFiles, of: BundleFiles = files): BundleFiles {
  const { calibration } = readManifest(files);
  const trees = decodeGbdt(of.get("trees.bin")!);
  const forest = decodeForest(of.get("forest.bin")!);
  const onnx = exportOnnx({ trees, forest, calibration, anomalyAsFeature: false, names: plan.names });
  return new Map([...files, ["model.onnx", onnx]]);
}

/** The bundle with other parts in its manifest, and golden rows that fit its new answers. */
function changed(files: BundleFiles, parts: object, scoreOf: (vector: Float32Array) => number): BundleFiles {
  const rows = readGolden(files).map((row): GoldenRow => {
    const score = Math.fround(scoreOf(goldenVector(row)));
    return { ...row, score, decision: score >= 0.7 ? "block" : score >= 0.3 ? "review" : "approve" };
  });
  const manifest = { ...readManifest(files), ...parts };
  return new Map([...files, ["bundle.json", jsonFile(manifest)], ["golden.json", jsonFile({ rows })]]);
}

test("a sound bundle passes all eight checks", () => {
  const verdict = gate(sound);
  expect(verdict).toMatchObject({ gate: "logic", verdict: "pass", reasons: ["all 8 checks passed"] });
});

test("golden rows: a bundle that no longer scores as registered is told, with the row", () => {
  const [first, ...rest] = readGolden(sound);
  const rows = [{ ...first, score: Math.fround(first.score + 1e-6) }, ...rest];
  const files = new Map([...sound, ["golden.json", jsonFile({ rows })]]);
  const { verdict, scorer } = logicGate(files, evidenceOf(sound), { clock: clockOf(0.01), limits: limitsOf("") });
  expect([verdict.verdict, scorer, failed(verdict)]).toEqual(["fail", null, ["golden rows"]]);
  expect(verdict.reasons[0]).toMatch(
    /^golden rows: the bundle, read back from its own files, does not score as it did when it was made: .*golden row 0 scores 0\.\d+ \(\w+\), registered as 0\.\d+/,
  );
});

test("one row = batch: a score in the last bit beside the batch's", () => {
  const evidence = evidenceOf(sound);
  const [first, ...rest] = evidence.sample;
  const bits = Float32Array.of(first.score);
  new Int32Array(bits.buffer)[0]++;
  const verdict = gate(sound, { evidence: { ...evidence, sample: [{ ...first, score: bits[0] }, ...rest] } });
  expect(failed(verdict)).toEqual(["one row = batch"]);
  expect(verdict.reasons).toEqual([
    `one row = batch: a transaction scored alone gets another score than in a batch, so no offline figure holds for what is served (a row scores ${first.score}, in the batch ${bits[0]}; required: equal bit for bit)`,
  ]);
});

test("extremes: a calibration that leaves [0, 1] where no training row lay", () => {
  const trees = decodeGbdt(made.get("trees.bin")!);
  const margins = readGolden(made).map((row) => scoreRow(trees, goldenVector(row)));
  const top = scoreRow(trees, new Float32Array(plan.width).fill(3.4e38));
  expect(top).toBeGreaterThan(Math.max(...margins));
  const knots = [Math.min(...margins), (Math.max(...margins) + top) / 2, top];
  const calibration: Calibration = { kind: "isotonic", x: knots, y: [0.01, 0.02, 1.5] };
  const files = withOnnx(changed(made, { calibration }, (vector) => calibrate(calibration, scoreRow(trees, vector))));
  const verdict = gate(files, { evidence: { ...evidenceOf(files), sample: [] } });
  expect(failed(verdict)).toContain("range on extreme and missing input");
  expect(verdict.reasons.join("\n")).toMatch(
    /range on extreme and missing input: on missing or extreme values the model answers what is no probability, and such values will come \(all .* → (NaN|1\.\d+), 0\.\d+.*; required: scores in \[0, 1\]\)/,
  );
});

test("determinism: a foreign graph that draws a random number, within the tolerance of golden rows", () => {
  const graph = createGraph();
  const first = graph.apply("Gather", [ONNX_INPUT, graph.indices([0])], { axis: { number: 1 } });
  const noise = graph.apply("RandomUniformLike", [first], { dtype: { number: DOUBLE } });
  const margin = graph.apply("Add", [graph.apply("Mul", [noise, graph.constant([1e-5])]), graph.constant([-3])]);
  const score = graph.apply("Cast", [graph.apply("Sigmoid", [margin])], { to: { number: FLOAT } });
  const onnx = graph.encode({ input: ONNX_INPUT, columns: plan.names, output: score, outputName: ONNX_OUTPUT });
  const engine = { kind: "onnx", margin } as const;
  const files = new Map([...changed(made, { engine }, () => 1 / (1 + Math.exp(3))), ["model.onnx", onnx] as const]);
  const verdict = gate(files);
  // Whether the first row scores as in the batch is chance; within the limit the file answers as it does.
  expect(failed(verdict).filter((name) => name !== "one row = batch")).toEqual(["determinism"]);
  expect(verdict.reasons).toContain(
    "determinism: the model's answer depends on what it was asked before, so no decision could be explained or recomputed (answers depend on the order; required: no memory)",
  );
});

test("ONNX equality: another model's export, by the limit that the pipeline gives; and none at all", () => {
  const files = withOnnx(made, makeBundle(SPEC_A, 2));
  const verdict = gate(files);
  expect(failed(verdict)).toEqual(["ONNX equality"]);
  expect(verdict.reasons[0]).toMatch(
    /^ONNX equality: the exported model\.onnx scores otherwise than the bundle, so whoever serves it elsewhere decides otherwise \(largest difference 0\.\d+ over 46 rows; required: model\.onnx within 0\.000001\)$/,
  );
  expect(failed(gate(files, { yaml: "onnx_difference_max: 1" }))).toEqual([]);
  const lost = gate(made, { yaml: "onnx_difference_max: 1" });
  expect([failed(lost), checkOf(lost, "ONNX equality").observed]).toEqual([
    ["ONNX equality"],
    "the bundle has no file model.onnx",
  ]);
});

test("feature parity: one value that a server computes otherwise, where the pipeline looks at its row", () => {
  const skewed = { ...x, values: x.values.slice() };
  skewed.values[2 * x.rows + order[700]] += 1;
  const evidence = (yaml: string): LogicEvidence => {
    const { fault, rows } = parityFault(table, skewed, { plan, pipeline, order, rowsMax: limitsOf(yaml).parityRows });
    return { ...evidenceOf(sound), parityFault: fault, parityRows: rows };
  };
  const verdict = gate(sound, { evidence: evidence("parity_rows: 1000") });
  expect(failed(verdict)).toEqual(["feature parity"]);
  expect(verdict.reasons[0]).toMatch(
    /^feature parity: a server computes other features than the training saw, so the model would judge what it never learned \(customer_count_1d of transaction h700: \d+ online, \d+ replayed; required: equal bit for bit\)$/,
  );
  const fewer = gate(sound, { evidence: evidence("parity_rows: 700") });
  expect([failed(fewer), checkOf(fewer, "feature parity").observed]).toEqual([
    [],
    "700 vectors equal, online and replayed",
  ]);
});

test("request fields: a column that the features read and no request can carry", () => {
  const { terminal_id: _, ...properties } = SCHEMA.properties;
  const evidence = (schema: object): LogicEvidence => ({
    ...evidenceOf(sound),
    fieldFault: fieldFault(plan, { pipeline, schema })?.message ?? null,
  });
  expect(failed(gate(sound, { evidence: evidence(SCHEMA) }))).toEqual([]);
  const verdict = gate(sound, { evidence: evidence({ ...SCHEMA, properties }) });
  expect(failed(verdict)).toEqual(["request fields"]);
  expect(verdict.reasons[0]).toMatch(
    /^request fields: requests cannot carry a column that the features read, so the model would always miss it \(.*terminal_frauds_7d reads terminal_id, which .*card\.schema\.json does not name; required: the request's schema names them all\)$/,
  );
});

test("latency p99: longer than the limit, and within one that allows it", () => {
  const verdict = gate(sound, { stepMs: 6 });
  expect(verdict.reasons).toEqual([
    "latency p99: scoring takes too long to answer a payment in time (6.000 ms; required: at most 5 ms)",
  ]);
  expect(failed(gate(sound, { stepMs: 6, yaml: "latency_ms_max: 6" }))).toEqual([]);
});

test("several at once: each failed check has its own reason, the passed ones none", () => {
  const evidence = { ...evidenceOf(sound), parityFault: "amount differs", fieldFault: "amount is not named" };
  const verdict = gate(withOnnx(made, makeBundle(SPEC_A, 2)), { evidence, stepMs: 6 });
  const names = ["ONNX equality", "feature parity", "request fields", "latency p99"];
  expect(failed(verdict)).toEqual(names);
  expect(verdict.reasons.map((reason) => reason.split(":")[0])).toEqual(names);
});
