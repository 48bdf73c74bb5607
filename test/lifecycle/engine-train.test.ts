// Training by an engine, which the test stands in for: the slices, the forest and the gates of a training in memory, a table that is kept, and what is refused.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleFile } from "../../src/core/bundle.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { numberAt } from "../../src/core/table.ts";
import { encodeAndLearn } from "../../src/features/encode.ts";
import { xgboostParameters } from "../../src/lifecycle/engine-train/xgboost.ts";
import { type EngineTrainInput, type EngineTrainResult, trainByEngine } from "../../src/lifecycle/engine-train.ts";
import { evaluateVersion } from "../../src/lifecycle/evaluate.ts";
import { mergeStates } from "../../src/lifecycle/partitioned.ts";
import { promote } from "../../src/lifecycle/promote.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import type { TrainResult } from "../../src/lifecycle/train/task.ts";
import { readManifest } from "../../src/online/bundle.ts";
import { loadVersion } from "../../src/online/score.ts";
import { loadState, type SavedState } from "../../src/online/states/saved.ts";
import { loadPipeline, type Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Boosted, Engine } from "../../src/ports/engine.ts";
import { sentinel } from "../cli/sentinel.ts";
import { standInEngine } from "./stand-in.ts";
import { emptyPlace, type Place } from "./world.ts";

const WORLD = { customers: 200, terminals: 300, days: 60, seed: 7 };
const VERSION = "0";

let place: Place;
let data: string;
let local: TrainResult;
/** What the engine boosted first: the same job has the same answer. */
let boosted: Boosted | null = null;

beforeAll(async () => {
  place = await emptyPlace();
  data = path.join(place.dir, "data");
  await place.write("transactions.parquet", simulateDays(WORLD));
  local = await place.train(1);
});
afterAll(() => place.close());

function byEngine(
  given: Partial<EngineTrainInput> & { readonly change?: (boosted: Boosted) => Boosted } = {},
): Promise<EngineTrainResult> {
  const { change = (one) => one, ...more } = given;
  const engine = standInEngine(place.ports, { packageVersion: VERSION, frameRows: 20_000 });
  const changed: Engine = {
    ...engine,
    async boost(job, said) {
      if (more.pipeline !== undefined) return engine.boost(job, said);
      boosted ??= await engine.boost(job, said);
      return change(boosted);
    },
  };
  return trainByEngine(place.ports, {
    pipeline: place.pipeline,
    path: place.pipeline.source,
    actor: "tester",
    packageVersion: VERSION,
    forced: null,
    by: { engine: changed, partitions: 2 },
    table: null,
    workspace: place.dir,
    memoryBytes: 2 ** 34,
    ...more,
  });
}

describe("a candidate that an engine boosted", () => {
  let result: EngineTrainResult;
  let localState: SavedState;
  const saved = async (): Promise<SavedState> =>
    (await loadState(place.ports, "train", { pipeline: "card", layout: await layoutOf(local) }))!;

  beforeAll(async () => {
    localState = await saved();
    result = await byEngine({ table: path.join(data, "features") });
  });

  test("passes the gates, on the very slices of a training in memory", async () => {
    expect(result.verdicts.map(({ gate, verdict }) => [gate, verdict])).toEqual(
      ["data", "training", "logic"].map((gate) => [gate, "pass"]),
    );
    const { rows, frauds } = local.metrics!;
    expect(result.metrics).toMatchObject({ rows, frauds });
    const registry = await place.ports.registry();
    const [own, theirs] = await Promise.all([
      registry.load("card-fraud", local.version!.version),
      registry.load("card-fraud", result.version!.version),
    ]);
    // Drawn from the same rows, of which this process has read no others.
    expect(Buffer.from(bundleFile(theirs, "forest.bin"))).toEqual(Buffer.from(bundleFile(own, "forest.bin")));
    expect(JSON.parse(textOf(theirs, "reference.json")).features).toEqual(
      JSON.parse(textOf(own, "reference.json")).features,
    );
    const slices = (card: string): string[] => card.match(/^\| (?:train|calibrate|evaluate) \|.*$/gm) ?? [];
    expect(slices(textOf(own, "card.md"))).toHaveLength(3);
    expect(slices(textOf(theirs, "card.md"))).toEqual(slices(textOf(own, "card.md")));
    const { provenance, learnedUpTo, trainedUpTo } = readManifest(theirs);
    expect({ learnedUpTo, trainedUpTo }).toEqual({
      learnedUpTo: readManifest(own).learnedUpTo,
      trainedUpTo: readManifest(own).trainedUpTo,
    });
    expect(provenance).toMatchObject({
      dataHash: readManifest(own).provenance.dataHash,
      dataRows: readManifest(own).provenance.dataRows,
      imported: { format: "xgboost", learned: { rows: result.run!.rows, frauds: result.run!.frauds } },
    });
    expect(textOf(theirs, "card.md")).not.toMatch(/what it was trained on is not known/);
  });

  test("leaves the feature state of a training in memory: servers give the same bits on the days that follow", async () => {
    const theirs = await saved();
    expect(theirs.origin).toEqual({ ...localState.origin, dataPath: expect.any(String) });
    const [own, merged] = [localState.state.stats(), theirs.state.stats()];
    expect([merged.watermark, merged.learned]).toEqual([own.watermark, own.learned]);
    const { plan } = await loadVersion(await place.ports.registry(), { model: "card-fraud", version: "1" });
    const later = [...simulateDays({ ...WORLD, days: WORLD.days + 12 })].slice(WORLD.days);
    const seen = new Set<string>();
    const odd: string[] = [];
    // Retries of the table's last day come first.
    for (const table of [[...simulateDays(WORLD)][WORLD.days - 1], ...later]) {
      for (let row = 0; row < table.rows; row++) {
        const at = (name: string): number => numberAt(table.columns.get(name)!, row);
        const fields = { amount: at("tx_amount"), customer_id: at("customer_id"), terminal_id: at("terminal_id") };
        const transaction = { id: String(at("transaction_id")), time: at("tx_datetime"), fields };
        const label = { transaction, fraud: at("tx_fraud") === 1, knownAt: transaction.time + 7 * DAY_MS };
        const [a, b] = [localState, theirs].map(({ state }) => {
          const { vector, learned } = encodeAndLearn(state, plan, transaction);
          state.learnLabel(label);
          return `${learned} ${Buffer.from(Float32Array.from(vector).buffer).toString("base64")}`;
        });
        if (a !== b) odd.push(transaction.id);
        seen.add(a);
      }
    }
    expect(odd).toEqual([]);
    expect(seen.size).toBeGreaterThan(1000);
    expect([...seen].some((text) => text.startsWith("duplicate"))).toBe(true);
  });

  test("leaves a state of which no file may be damaged or missing", async () => {
    const { plan } = await loadVersion(await place.ports.registry(), { model: "card-fraud", version: "1" });
    const folder = path.join(data, "features.state");
    const { rows } = result.lineage!.source;
    const watermark = localState.state.watermark;
    const merge = () => mergeStates(folder, { plan, rows, watermark, newest: { ids: [], times: new Float64Array(0) } });
    expect(merge()).toMatchObject({ files: 4 });
    const [first] = readdirSync(folder);
    const file = path.join(folder, first);
    const bytes = readFileSync(file);
    const refused = expect.objectContaining({ code: "state.corrupt" }) as Error;
    writeFileSync(file, Buffer.concat([bytes, Buffer.of(0)]));
    expect(merge).toThrow(refused);
    rmSync(file);
    expect(merge).toThrow(refused);
    expect(merge).toThrow(/hold \d+ rows of \d+/);
    writeFileSync(file, bytes);
    expect(merge()).toMatchObject({ files: 4 });
  });

  test("is compared with the champion, and says what was run", async () => {
    expect(result.run).toMatchObject({
      engine: "stand-in",
      workers: 1,
      reused: false,
      differenceMax: expect.any(Number),
    });
    expect(result.run!.differenceMax).toBeLessThan(1e-6);
    const { bytes, seconds } = result.run!.oneMachine!;
    expect(bytes).toBeGreaterThan(WORLD.days * WORLD.customers * 59 * 4);
    expect(seconds).toBeGreaterThan(0);
    expect(Object.keys(result.seconds)).toEqual(expect.arrayContaining(["validate", "features", "boost", "fit"]));
    expect(result.lineage).toMatchObject({ verb: "train" });
    expect(existsSync(path.join(data, "features"))).toBe(true);
  });

  test("comes again, to the byte, from the table that is there; other features or other data are refused", async () => {
    const again = await byEngine({ table: path.join(data, "features"), memoryBytes: 2 ** 20 });
    expect(again.run).toMatchObject({ reused: true, oneMachine: null });
    expect(again.version!.bundle).toBe(result.version!.bundle);
    const other = await place.write("other.parquet", simulateDays({ ...WORLD, seed: 8 }));
    await expect(byEngine({ table: path.join(data, "features"), path: other })).rejects.toMatchObject({
      code: "cli.usage",
      message: expect.stringMatching(/sentinel\.data\.hash/) as string,
    });
  });

  test("is judged beside a champion of other features, whose vectors the engine makes too", async () => {
    const { ports } = place;
    await promote(ports, {
      pipeline: place.pipeline,
      actor: "tester",
      to: local.version!.version,
      seed: 1,
      forced: "a test needs a champion",
    });
    const other = otherFeatures();
    const beside = await byEngine({ pipeline: other, forced: "a test of other features" });
    const own = await evaluateVersion(ports, {
      pipeline: place.pipeline,
      path: place.pipeline.source,
      to: local.version!.version,
      trained: null,
    });
    expect(beside.champion?.metrics).toEqual(own.metrics);
    expect(readdirSync(data).filter((name) => name.startsWith("engine-"))).toEqual([]);
  });
});

/** The pipeline with the features of the Handbook alone. */
function otherFeatures(): Pipeline {
  const file = path.join(place.dir, "pipelines", "card.yaml");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(/^features: .*$/m, "features: handbook"));
  const pipeline = loadPipeline(place.dir, "card");
  writeFileSync(file, text);
  return pipeline;
}

async function layoutOf(trained: TrainResult): Promise<string> {
  const registry = await place.ports.registry();
  const { plan } = await loadVersion(registry, { model: "card-fraud", version: trained.version!.version });
  return plan.layoutHash;
}

function textOf(files: ReadonlyMap<string, Uint8Array>, name: string): string {
  return new TextDecoder().decode(bundleFile(files, name));
}

describe("what is refused", () => {
  test("a library that answers otherwise than its trees, and an engine that learned from other rows", async () => {
    const table = path.join(data, "features");
    const moved = (one: Boosted): Boosted => ({ ...one, scores: one.scores.map((score) => score + 2e-6) });
    await expect(byEngine({ table, change: moved })).rejects.toMatchObject({ code: "ml.model-invalid" });
    const fewer = (one: Boosted): Boosted => ({ ...one, rows: one.rows - 1 });
    await expect(byEngine({ table, change: fewer })).rejects.toMatchObject({ code: "engine.failed" });
  });

  test("sampling by gradients, before anything is read", async () => {
    const { modelParameters, file } = place.pipeline;
    const goss = {
      ...place.pipeline,
      modelParameters: { ...modelParameters, rowSample: 1, gossTop: 0.2, gossRest: 0.1 },
    };
    await expect(byEngine({ pipeline: goss })).rejects.toMatchObject({
      code: "pipeline.invalid",
      message: expect.stringContaining(file) as string,
    });
  });

  test("options that belong to one machine, or to an engine alone", async () => {
    const run = async (...args: string[]): Promise<string> => {
      const { code, stderr } = await sentinel(["train", ...args], { cwd: place.dir });
      expect(code).toBe(2);
      return stderr;
    };
    expect(await run("--table", "x")).toMatch(/--table is about an engine/);
    expect(await run("--engine", "spark", "--master", "local[1]", "--tune", "3")).toMatch(
      /--tune trains on one machine/,
    );
    expect(await run("--engine", "spark", "--master", "local[1]", "--refit")).toMatch(/--refit trains on one machine/);
  });
});

test("a data gate's no ends it before the engine is asked", async () => {
  const { pipeline } = place;
  const strict = {
    ...pipeline,
    gates: { ...pipeline.gates, data: { ...pipeline.gates.data, labelRate: [0.5, 1] } },
  } as Pipeline;
  const silent: Engine = {
    run: () => Promise.reject(new Error("nobody asks")),
    boost: () => Promise.reject(new Error("nobody asks")),
    close: async () => {},
  };
  const result = await byEngine({ pipeline: strict, by: { engine: silent } });
  expect(result).toMatchObject({ version: null, run: null, metrics: null });
  expect(result.verdicts).toMatchObject([{ gate: "data", verdict: "fail" }]);
});

test("parameters become XGBoost's: leaves, directions, categories, the observed share of frauds", () => {
  const { pipeline } = place;
  const asked = xgboostParameters(
    {
      file: "p.yaml",
      modelParameters: {
        ...pipeline.modelParameters,
        leavesMax: 31,
        startRate: "observed",
        scalePositive: 3,
        earlyStoppingRounds: 0,
      },
    },
    { kinds: ["number", "increasing", "category", "decreasing"], seed: 9, learned: { count: 100, frauds: 10 } },
  );
  expect(asked.parameters).toMatchObject({
    grow_policy: "lossguide",
    max_leaves: 31,
    monotone_constraints: "(0,1,0,-1)",
    feature_types: ["q", "q", "c", "q"],
    base_score: 30 / 120,
    scale_pos_weight: 3,
    random_state: 9,
  });
  expect(asked.parameters).not.toHaveProperty("early_stopping_rounds");
  expect(asked.notes).toHaveLength(1);
});
