// Refit: the judged model decides, the refitted one serves; nothing that it has seen counts as evidence about it.
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import type { Table } from "../../../src/core/table.ts";
import { compare } from "../../../src/lifecycle/compare.ts";
import { evaluateVersion } from "../../../src/lifecycle/evaluate.ts";
import { promote, reportOf } from "../../../src/lifecycle/promote.ts";
import { simulateDays } from "../../../src/lifecycle/simulate/days.ts";
import type { TrainInput, TrainResult } from "../../../src/lifecycle/train/task.ts";
import { train } from "../../../src/lifecycle/train.ts";
import { decodeGbdt } from "../../../src/ml/gbdt/model.ts";
import { goldenVector, PARTS, readGolden, readJson, TWIN } from "../../../src/online/bundle.ts";
import { explainVector } from "../../../src/online/explain.ts";
import { loadScorer, loadVersion, twinOf } from "../../../src/online/score.ts";
import type { Pipeline } from "../../../src/pipeline/pipeline.ts";
import { ROOT } from "../../cli/sentinel.ts";
import { shadowed } from "../records.ts";
import { makePlace, type Place, START } from "../world.ts";

const WORLD = { customers: 200, terminals: 150, days: 80, start: "2026-01-01", seed: 5 } as const;
const DAYS = 80;

let place: Place;
/** Of few trees: their figures do not matter here. */
let pipeline: Pipeline;
let plain: TrainResult;
let refitted: TrainResult;

beforeAll(async () => {
  place = await makePlace(WORLD);
  const { modelParameters } = place.pipeline;
  pipeline = { ...place.pipeline, modelParameters: { ...modelParameters, trees: 40, anomalyTrees: 20 } };
  plain = await trained({});
  refitted = await trained({ refit: true });
}, 120_000);
afterAll(() => place.close());

const trained = (given: {
  readonly refit?: boolean;
  readonly pipeline?: Pipeline;
  readonly path?: string;
  readonly threads?: number;
  readonly grownFrom?: TrainInput["grownFrom"];
}): Promise<TrainResult> =>
  train(place.ports, {
    pipeline,
    path: pipeline.source,
    actor: "tester",
    packageVersion: "0",
    seed: 3,
    forced: "a test needs a model",
    verb: "train",
    ...given,
  });
const filesOf = async ({ version }: TrainResult) =>
  (await place.ports.registry()).load(place.pipeline.model, version!.version);
const scorerOf = async ({ version }: TrainResult) =>
  loadVersion(await place.ports.registry(), { model: place.pipeline.model, version: version!.version });

describe("the two models", () => {
  test("the twin is what a training without a refit makes, byte for byte, and decides the same gates", async () => {
    const [own, theirs] = [await filesOf(refitted), await filesOf(plain)];
    for (const name of ["bundle.json", "trees.bin", "forest.bin", "golden.json"])
      expect(Buffer.from(own.get(TWIN + name)!).equals(theirs.get(name)!), name).toBe(true);
    expect(refitted.metrics).toEqual(plain.metrics);
    expect(refitted.importance).toEqual(plain.importance);
    expect(refitted.verdicts.map(({ gate }) => gate)).toEqual(["data", "training", "refit", "logic"]);
    expect(refitted.verdicts.filter(({ gate }) => gate !== "refit" && gate !== "logic")).toEqual(
      plain.verdicts.filter(({ gate }) => gate !== "logic"),
    );
    expect([...theirs.keys()].some((name) => name.startsWith(TWIN))).toBe(false);
  });

  test("what serves has as many trees, from all matured days, and golden rows of its own", async () => {
    const files = await filesOf(refitted);
    const scorer = await scorerOf(refitted);
    const twin = twinOf(scorer)!;
    const [trees, judged] = [decodeGbdt(files.get("trees.bin")!), decodeGbdt(files.get(`${TWIN}trees.bin`)!)];
    expect(trees.roots.length).toBe(judged.roots.length);
    expect(Buffer.from(files.get("trees.bin")!).equals(files.get(`${TWIN}trees.bin`)!)).toBe(false);
    const { refit, learnedUpTo, thresholds } = scorer.manifest;
    expect(refit).toEqual(refitted.refit);
    expect(learnedUpTo).toBe(refit!.to);
    // Seven days before the end are not matured.
    expect(scorer.manifest.trainedUpTo + 1 - learnedUpTo).toBeGreaterThanOrEqual(7 * DAY_MS);
    expect(refit!.judgedUpTo).toBe(twin.manifest.learnedUpTo);
    expect(learnedUpTo).toBeGreaterThan(twin.manifest.learnedUpTo + 7 * DAY_MS);
    expect(thresholds).toEqual(twin.manifest.thresholds);
    // Explained is what serves.
    const row = goldenVector(readGolden(files)[0]);
    const score = scorer.score(row).score;
    expect(explainVector(scorer, row).score).toBe(score);
    expect(readGolden(files)[0].score).toBe(score);
  });

  test("its list of parts names every other file, and is that of no other version", async () => {
    const files = await filesOf(refitted);
    const { files: parts } = readJson(files, PARTS) as { readonly files: Readonly<Record<string, string>> };
    expect(Object.keys(parts).sort()).toEqual([...files.keys()].filter((name) => name !== PARTS).sort());
    const other = new Map(files).set("model.onnx", (await filesOf(plain)).get("model.onnx")!);
    expect(() => loadScorer(other, { model: "card-fraud", version: "1" })).toThrow(/model\.onnx is not the file/);
  });

  test("the report and the card say which figure belongs to which", async () => {
    const files = await filesOf(refitted);
    const text = (name: string) => new TextDecoder().decode(files.get(name));
    expect(text("card.md")).toMatch(/\*\*no figure of this card is its own\*\*/);
    expect(text("card.md")).toMatch(/## The judged twin on the evaluation slice/);
    expect(text("report.html")).toMatch(/Everything below belongs to the judged twin/);
    expect(JSON.parse(text("metrics.json"))).toMatchObject({ evaluate: { rows: plain.metrics!.rows }, refit: {} });
  });

  test("the report has each of its pictures, with axes, ticks and what they are measured against, and the docs name them", async () => {
    const html = new TextDecoder().decode((await filesOf(plain)).get("report.html"));
    const docs = readFileSync(path.join(ROOT, "docs", "bundle.md"), "utf8");
    const figures = new Map(
      html.split('<figure class="chart">').flatMap((figure) => {
        const caption = /^<figcaption>([^<]+)</.exec(figure);
        return caption === null ? [] : [[caption[1], figure.split("</figure>")[0]] as const];
      }),
    );
    for (const [title, words] of PICTURES) {
      const figure = figures.get(title) ?? "";
      expect.soft(figure, title).toMatch(/<svg viewBox/);
      for (const word of words) expect.soft(figure, title).toContain(word);
      if (/class="axis"/.test(figure)) expect.soft(figure.match(/class="middle"/g)?.length, title).toBeGreaterThan(2);
      else expect.soft(figure.match(/<rect /g)?.length, title).toBeGreaterThan(1);
      expect.soft(docs, title).toContain(title);
    }
  });
});

/** Titles of the training report's pictures, with the words of their axes, limits and lines. */
const PICTURES: readonly (readonly [title: string, words: readonly string[]])[] = [
  ["Precision and recall by alerts a day", ["alerts per day", "budget ", "precision: of the alerts, frauds"]],
  ["Scores by label", ["calibrated probability of fraud", "review from ", "block from ", ">genuine<", ">fraud<"]],
  ["Is a score the probability it says?", ["mean score of a bin", "frauds in the bin", "as promised"]],
  ["What alerts and missed frauds cost together", ["cost per day", "budget ", "lowest at "]],
  ["Learning curve", [">trees<", "log-loss", " kept<", "later days"]],
  ["Week by week, at the review threshold", ["week (UTC)", ">precision<", ">recall<", "of the traffic, week by week"]],
  ["Frauds caught, by amount", ["recall at the review threshold", "below ", " and more"]],
  ["What the trees look at", ["share of what all splits gained", " %<"]],
];

test("the same training gives the same bytes, on any number of threads, asked by option or by the pipeline", async () => {
  const again = await trained({ pipeline: { ...pipeline, training: { refit: true } }, threads: 2 });
  expect(again.version!.bundle).toBe(refitted.version!.bundle);
}, 120_000);

test("labels of days that are not matured teach it nothing", async () => {
  const turned = await place.write("turned.parquet", turnedLabels(simulateDays(WORLD), refitted.refit!.to));
  const result = await trained({ refit: true, path: turned });
  expect(result.refit).toMatchObject({ rows: refitted.refit!.rows, frauds: refitted.refit!.frauds });
  const [own, theirs] = [await filesOf(result), await filesOf(refitted)];
  for (const name of ["trees.bin", "forest.bin", `${TWIN}trees.bin`])
    expect(Buffer.from(own.get(name)!).equals(theirs.get(name)!), name).toBe(true);
}, 120_000);

/** With every label from a time on turned over. */
function* turnedLabels(days: Iterable<Table>, from: number): Iterable<Table> {
  for (const day of days) {
    const [time, label] = ["tx_datetime", "tx_fraud"].map((name) => day.columns.get(name)!);
    if (time.kind === "text" || label.kind === "text") throw new Error("times and labels are numbers");
    const values = label.values.map((value, row) => (time.values[row] >= from ? 1 - value : value));
    yield { ...day, columns: new Map([...day.columns, ["tx_fraud", { ...label, values }]]) };
  }
}

test("a table that a retraining has grown ends with final labels: only the rows that no model may see are left out", async () => {
  const grownFrom = { path: "before", hash: "before", logged: 1 };
  const result = await trained({ refit: true, grownFrom });
  expect(result.refit!.unseenRows).toBe(1000);
  expect(result.refit!.to).toBeGreaterThan(refitted.refit!.to);
  expect(result.refit!.rows).toBeGreaterThan(refitted.refit!.rows);
}, 120_000);

test("a table too short for it is refused, with what to do", async () => {
  const labels = { ...pipeline.labels, maturityMs: 40 * DAY_MS };
  await expect(trained({ refit: true, pipeline: { ...pipeline, labels } })).rejects.toMatchObject({
    code: "lifecycle.not-enough-data",
    hint: expect.stringMatching(/without --refit/),
  });
});

describe("no model is judged on what it has learned from", () => {
  const evaluate = (path: string, { version }: TrainResult) =>
    evaluateVersion(place.ports, { pipeline: place.pipeline, path, to: version!.version, trained: null });

  test("evaluate: the twin on the training's own table, the model that serves on later days", async () => {
    const own = await evaluate(place.pipeline.source, refitted);
    expect(own).toMatchObject({ model: "twin", metrics: plain.metrics! });
    const later = await place.write("later.parquet", simulateDays({ ...WORLD, days: DAYS + 20 }));
    const served = await evaluate(later, refitted);
    expect(served.model).toBe("served");
    expect(served.from).toBe(refitted.refit!.to + pipeline.labels.delayMs);
    // The other one would have been asked about more days.
    expect((await evaluate(later, plain)).rows).toBeGreaterThan(served.rows);
  }, 120_000);

  test("compare and the next training ask a refitted champion's twin about days that it has seen", async () => {
    const input = { pipeline: place.pipeline, actor: "tester", seed: 1 };
    await promote(place.ports, { ...input, to: refitted.version!.version, forced: "a test needs a champion" });
    const { data } = await compare(place.ports, {
      pipeline: place.pipeline,
      path: place.pipeline.source,
      to: plain.version!.version,
      seed: 1,
    });
    expect(data!.models).toEqual({ champion: "twin", candidate: "served" });
    expect(data!.rows).toBe(plain.metrics!.rows);
    // The twin is the plain model: there is no difference to be found.
    expect(data!.metrics!.averagePrecision).toMatchObject({ difference: 0, low: 0, high: 0 });
    const next = await trained({});
    expect(next.champion).toMatchObject({ version: refitted.version!.version, model: "twin", metrics: plain.metrics! });
  }, 120_000);

  test("shadow pairs of those days are counted as learned, not as evidence", async () => {
    const [champion, candidate] = [refitted.version!.version, plain.version!.version];
    // Thirty days of pairs, all of them within the training days.
    await shadowed(place.ports, { champion, candidate, skill: { champion: 0.8, candidate: 0.95 } });
    expect(START + 30 * DAY_MS).toBeLessThan(refitted.refit!.to);
    const report = await reportOf(place.ports, place.pipeline, {
      version: candidate,
      championVersion: champion,
      seed: 1,
      now: null,
    });
    expect(report).toMatchObject({ pairs: 0, learned: 4000 });
    const { verdict } = await promote(place.ports, {
      pipeline: place.pipeline,
      to: candidate,
      actor: "tester",
      forced: null,
      seed: 1,
    });
    expect(verdict.verdict).toBe("HOLD");
    expect(verdict.reasons.join("\n")).toMatch(/4000 transactions do not count, because one of the two models/);
  });
});
