// Pipeline files: defaults, durations, aliases, and faults that name their line.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { Document } from "yaml";
import { DAY_MS, formatDuration, HOUR_MS, parseDuration } from "../../src/core/duration.ts";
import { loadPipeline, parsePipeline, pipelineNames } from "../../src/pipeline/pipeline.ts";
import { pipelineOf } from "../lifecycle/world.ts";

test("the fewest keys get every default, and paths beside the file or in the workspace", () => {
  const pipeline = pipelineOf();
  expect(pipeline).toMatchObject({
    source: "/w/data/t.parquet",
    featuresFile: "/w/features/card.ts",
    featuresName: "card",
    schemaFile: "/w/pipelines/card.schema.json",
    suiteFile: "/w/pipelines/card.suite.json",
    labels: { delayMs: 7 * DAY_MS, maturityMs: 7 * DAY_MS, unreportedIsGenuine: true },
    split: { gapMs: 7 * DAY_MS },
    serve: { pollMs: 1000 },
    decisions: { failOpen: "review" },
  });
  const { written, ...rest } = pipeline;
  expect(written).toEqual({ rowIds: false, timeParts: null, money: null, labelWords: null });
  expect(JSON.stringify(rest)).not.toMatch(/null|NaN/);
});

test("what is written replaces the default, and the rest of its group stays", () => {
  const pipeline = pipelineOf(
    "labels: { delay: 36h }\nsplit: { gap: 90m }\nmodel_parameters: { trees: 7 }\nfeatures_: 1\n".replace(
      "features_: 1\n",
      "",
    ),
  );
  expect(pipeline.labels).toEqual({ delayMs: 36 * HOUR_MS, maturityMs: 7 * DAY_MS, unreportedIsGenuine: true });
  expect(pipeline.split).toMatchObject({ gapMs: 5_400_000, history: pipelineOf().split.history });
  expect(pipeline.modelParameters).toEqual({ ...pipelineOf().modelParameters, trees: 7 });
});

test("one-side sampling takes the place of sampling rows evenly", () => {
  expect(pipelineOf().modelParameters).toMatchObject({ rowSample: 0.8 });
  const { modelParameters } = pipelineOf("model_parameters: { goss_top: 0.2, goss_rest: 0.1 }\n");
  expect(modelParameters).toMatchObject({ rowSample: 1, gossTop: 0.2, gossRest: 0.1 });
});

test("the hash is of the content: comments and order change nothing, values do", () => {
  const hash = pipelineOf("labels: { delay: 1d, maturity: 2d }\n").hash;
  expect(pipelineOf("# a comment\nlabels: { maturity: 2d, delay: 1d }\n").hash).toBe(hash);
  expect(pipelineOf("labels: { delay: 1d, maturity: 3d }\n").hash).not.toBe(hash);
});

test("aliases lead to one canonical name; one name for two columns is refused", () => {
  const { canonical } = pipelineOf("aliases: { transaction_id: [id], amount: [tx_amount, amount] }\n");
  expect([...canonical.entries()].filter(([name, own]) => name !== own)).toEqual([
    ["id", "transaction_id"],
    ["tx_amount", "amount"],
  ]);
  expect(() => pipelineOf("aliases: { transaction_id: [id], amount: [id] }\n")).toThrow(
    /id stands for both transaction_id and amount/,
  );
  expect(() => pipelineOf("aliases: { transaction_id: [amount] }\n")).toThrow(/amount stands for both/);
});

test.each([
  ["labels: { delay: 7 days }\n", /line 8: labels\.delay: "7 days" is no duration/],
  ["labels: { delay: -1d }\n", /line 8: labels\.delay/],
  ["\nmodel_parameters:\n  trees: 0\n", /line 10: model_parameters\.trees must be >= 1/],
  ["decisions: { fail_open: panic }\n", /line 8: decisions\.fail_open .*approve, review, block/],
  ["colour: red\n", /line 8: .*colour/],
  ["model_parameters: { goss_top: 0.2 }\n", /goss_top is given without goss_rest/],
  ["model_parameters: { goss_rest: 0.2 }\n", /goss_rest is given without goss_top/],
  ["model_parameters: { goss_top: 0.7, goss_rest: 0.5 }\n", /more than all rows/],
  ["model_parameters: { goss_top: 0.2, goss_rest: 0.1, row_sample: 0.8 }\n", /row_sample 0.8 is given beside/],
  ["model_parameters: { monotone: { a: up } }\n", /monotone\.a must be .*\(increasing, decreasing\)/],
  ["log: { durability: maybe }\n", /log\.durability .*sync, interval/],
  ["log: { flush: 0ms }\n", /line 8: log\.flush: 0ms is /],
  ["log: { flush: 100ms, lag_max: 150ms }\n", /line 8: log: lag_max is below twice flush/],
  ["log: { retention: { rows: 5 } }\n", /log\.retention\.rows must be >= 1000/],
  ["log: { redact: { fields: [amount], how: drop } }\n", /line 8: log\.redact: amount is the amount of a transaction/],
  ["labels: [\n", /line \d+, column \d+/],
  ["labels: { delay: 1d }\nlabels: { delay: 2d }\n", /line 9/],
  ["a: 1\nb: 2\na: 3\n", /line 10, column 1: the key a stands twice/],
  ["? [a, b]\n: 1\n", /line 8, column 3: a key must be a plain word/],
  ["serve: { poll: 30d }\n", /line 8: serve\.poll: 30d is over 1d/],
  ["aliases:\n  amount:\n    - x\n    - time\n", /line 11: aliases: time stands for both time and amount/],
  ["split:\n  evaluate: 0.7\n", /line 9: split: history, calibrate and evaluate leave under 20 %/],
  [
    "decisions: { adapt: budget, review_policy: expected-cost }\n",
    /one threshold that follows .* `review_policy: expected-cost`/,
  ],
  ["decisions: { adapt: budget, segments: { by: channel } }\n", /one threshold that follows .* beside `segments`/],
  ["decisions: { segments: { bands: [5] } }\n", /line 8: .*there are bands of nothing/],
  ["decisions: { segments: { by: amount, bands: [5, 5] } }\n", /line 8: .*5 comes after 5/],
  ["model_parameters: { start_rate: 0 }\n", /line 8: model_parameters\.start_rate must be >= 0\.000001/],
  [
    "model_parameters: { start_rate: guessed }\n",
    /line 8: model_parameters\.start_rate must be number, .* or `observed`/,
  ],
  ["a: &a [1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n", /alias/i],
])("%j is refused by its line", (more, says) => {
  expect(() => pipelineOf(more)).toThrow(says);
});

/** Each takes the YAML library minutes, or ends the process, when it gets all of it. */
test.each([
  ["8 MB of comments", "# a comment\n".repeat(700_000), /has 8\d{6} bytes; a pipeline file may have 131072/],
  ["brackets", "[".repeat(100_000), /nested more than 100 deep/],
  ["lists on one line", "- ".repeat(50_000), /nested more than 100 deep/],
  ["keys of keys", `${"? ".repeat(40)}a\n`, /line 1, column 3: a key must be a plain word/],
  ["20,000 keys", Array.from({ length: 20_000 }, (_, i) => `${i}:\n`).join(""), /must have required property/],
])("%s are refused before they cost time", (_, text, says) => {
  expect(() => parsePipeline(text, { file: "p.yaml", workspace: "/w" })).toThrow(says);
});

test("of thousands of faults only a few are looked for in the file", () => {
  const looks = vi.spyOn(Document.prototype, "getIn");
  try {
    expect(() => pipelineOf(Array.from({ length: 10_000 }, (_, i) => `k${i}: 1\n`).join(""))).toThrow(/\(k4\)$/);
    expect(looks.mock.calls.length).toBeGreaterThan(0);
    expect(looks.mock.calls.length).toBeLessThan(1_000);
  } finally {
    looks.mockRestore();
  }
});

test("a file that is too long is refused before it is read", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-pipeline-"));
  try {
    mkdirSync(path.join(dir, "pipelines"));
    // Sparse: reading it whole would need a string longer than there can be.
    const file = path.join(dir, "pipelines", "big.yaml");
    writeFileSync(file, "");
    truncateSync(file, 2 ** 31);
    expect(() => loadPipeline(dir, "big")).toThrow(/has 2147483648 bytes; a pipeline file may have 131072/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a file that says the name of another is refused: two of one name would mix what they learn; else it is called like its file", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-pipeline-"));
  try {
    mkdirSync(path.join(dir, "pipelines"));
    const text = readFileSync(new URL("../../pipelines/card.yaml", import.meta.url), "utf8");
    for (const name of ["card", "copy"]) writeFileSync(path.join(dir, "pipelines", `${name}.yaml`), text);
    writeFileSync(path.join(dir, "pipelines", "card.rules.yaml"), "");
    expect(pipelineNames(dir)).toEqual(["card", "copy"]);
    expect(loadPipeline(dir, "card").name).toBe("card");
    expect(() => loadPipeline(dir, "copy")).toThrow(
      /copy\.yaml: it says name: card, and a pipeline is called like its file/,
    );
    rmSync(path.join(dir, "pipelines", "card.yaml"));
    expect(loadPipeline(dir, "copy").name).toBe("copy");
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("durations survive their own spelling", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e12 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms);
    }),
  );
});
