// The loop over simulated weeks: it waits for labels of the new world, learns them, lets a candidate shadow, and promotes through the gate alone.
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { numberAt } from "../../src/core/table.ts";
import type { Reference } from "../../src/drift/reference.ts";
import { readSource } from "../../src/lifecycle/data/source.ts";
import { vectorsOf } from "../../src/lifecycle/data/vectors.ts";
import { promote } from "../../src/lifecycle/promote.ts";
import { type RetrainResult, retrain } from "../../src/lifecycle/retrain.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { parseDrift } from "../../src/lifecycle/simulate/drift.ts";
import { copyRow } from "../../src/ml/matrix.ts";
import { readJson } from "../../src/online/bundle.ts";
import { loadVersion, type Scorer } from "../../src/online/score.ts";
import { loadPipeline, type Pipeline } from "../../src/pipeline/pipeline.ts";
import { prediction, shadowed } from "./records.ts";
import { emptyPlace, type Place } from "./world.ts";

const HISTORY = 60;
const DRIFT = 63;
const DAYS = 82;
const START = Date.UTC(2018, 3, 1);
const WORLD = { customers: 150, terminals: 200, seed: 4, compromisedTerminals: 0.4, compromisedCustomers: 1 };

let place: Place;
let pipeline: Pipeline;
let champion: Scorer;
let whole: string;
/** Serves the days up to this one. */
let serve: (upTo: number) => Promise<void>;

beforeAll(async () => {
  place = await emptyPlace();
  pipeline = loadPipeline(place.dir, "card");
  await place.write("transactions.parquet", simulateDays({ ...WORLD, days: HISTORY }));
  place.clock.time = START + HISTORY * DAY_MS;
  const first = await round({ forced: "the first" });
  await promote(place.ports, {
    pipeline,
    to: first.trained!.version!.version,
    actor: "tester",
    forced: "a test",
    seed: 1,
  });
  champion = await loadVersion(await place.ports.registry(), { model: "card-fraud", version: "1" });
  const drift = [parseDrift(`night-shift@${DRIFT}`)];
  whole = await place.write("whole.parquet", simulateDays({ ...WORLD, days: DAYS, drift }));
  serve = await server({ scorer: champion, from: HISTORY });
});
afterAll(() => place.close());

/** Serves days from one on, as answered by a version. */
async function server({ scorer, from }: { readonly scorer: Scorer; readonly from: number }): Promise<typeof serve> {
  const { plan } = scorer;
  const { table } = await readSource(await place.ports.dataset(), pipeline, {
    path: whole,
    plans: [plan],
    labelled: true,
  });
  const { x } = vectorsOf(table, { plan, pipeline, report: place.ports.report });
  const value = (name: string, row: number): number => numberAt(table.columns.get(name)!, row);
  let next = 0;
  while (value("time", next) < START + from * DAY_MS) next++;
  return async (upTo) => {
    const log = await place.ports.log();
    for (; next < table.rows && value("time", next) < START + upTo * DAY_MS; next++) {
      const vector = new Float32Array(plan.width);
      copyRow(x, next, vector);
      const { score, decision } = scorer.score(vector);
      const time = value("time", next);
      const transactionId = String(value("transaction_id", next));
      const fields = {
        amount: value("amount", next),
        customer_id: value("customer_id", next),
        terminal_id: value("terminal_id", next),
      };
      const by = { version: scorer.version, bundle: scorer.bundle };
      log.appendPrediction(
        prediction({ ...by, transactionId, time, receivedAt: time, fields, vector, score, decision }),
      );
      if (value("is_fraud", next) === 1)
        log.appendLabel({ transactionId, fraud: true, knownAt: time + 7 * DAY_MS, source: "test", receivedAt: time });
      if (next % 2000 === 0) await log.flush();
    }
    await log.flush();
    place.clock.time = START + upTo * DAY_MS;
  };
}

function round(
  given: { readonly forced?: string; readonly autoPromote?: boolean; readonly continued?: boolean } = {},
): Promise<RetrainResult> {
  return retrain(place.ports, {
    pipeline,
    path: pipeline.source,
    monitorPath: null,
    workspace: place.dir,
    actor: "tester",
    packageVersion: "0",
    forced: given.forced ?? null,
    ...given,
  } as Parameters<typeof retrain>[1]);
}

const manifestOf = async (version: string) =>
  (await loadVersion(await place.ports.registry(), { model: "card-fraud", version })).manifest;

test("while nobody can know the new world's labels it waits, and says for what; its beginning is remembered", async () => {
  await serve(DRIFT + 4);
  const early = await round();
  expect(early.outcome, early.reason).toBe("waiting");
  expect(early.reason).toMatch(/new world began about 2018-0(5-31|6-0[1-4]) and labels are final up to 2018-05-30/);
  await serve(DRIFT + 8);
  const later = await round();
  expect(later.outcome, later.reason).toBe("waiting");
  // The window of a week has no day without drift any more: only those before it tell.
  expect(later.monitor!.since).toBe(early.monitor!.since);
});

test("then it learns the new world, and keeps the candidate while it shadows", async () => {
  await serve(DRIFT + 14);
  const result = await round();
  expect(result.outcome, result.reason).toBe("trained");
  const version = result.trained!.version!.version;
  // The days that it was judged on are learned too, and the card says so.
  const { learnedUpTo, trainedUpTo, refit } = await manifestOf(version);
  expect(learnedUpTo).toBeGreaterThan(START + (DRIFT + 4) * DAY_MS);
  expect(learnedUpTo).toBeGreaterThanOrEqual(trainedUpTo);
  expect(refit!.to).toBe(learnedUpTo);
  const registry = await place.ports.registry();
  const { tags } = await registry.version("card-fraud", version);
  expect(tags["sentinel.why"]).toMatch(
    /hour drifted.*; learned from all days, or the new world's alone where its own days ask for that$/,
  );
  const card = (await registry.load("card-fraud", version)).get("card.md");
  expect(new TextDecoder().decode(card)).toMatch(/fitted once more.* … 2018-06-(09|1\d)/);
  // Its reference for drift is the new world's own days, of which labels of seven days were final.
  const files = await registry.load("card-fraud", version);
  const { rows } = readJson(files, "reference.json") as Reference;
  const { table } = await readSource(await place.ports.dataset(), pipeline, {
    path: whole,
    plans: [champion.plan],
    labelled: true,
  });
  const between = (from: number, to: number): number =>
    Array.from({ length: table.rows }, (_, row) => numberAt(table.columns.get("time")!, row)).filter(
      (time) => time >= START + from * DAY_MS && time < START + to * DAY_MS,
    ).length;
  expect(rows).toBeLessThanOrEqual(between(DRIFT - 4, DRIFT + 8));
  expect(rows).toBeGreaterThanOrEqual(between(DRIFT + 1, DRIFT + 7));
  place.clock.time += 2 * DAY_MS;
  const again = await round();
  expect(again.outcome, again.reason).toBe("shadowing");
  const asked = await round({ autoPromote: true });
  expect(asked).toMatchObject({ outcome: "shadowing", promotion: { moved: false, verdict: { verdict: "HOLD" } } });
  expect(asked.reason).toMatch(/keeps its place for 21d: .*(coverage|matured)/);
});

test("trees are added to the champion on the days that it has not learned", async () => {
  const result = await round({ forced: "a test", continued: true });
  expect(result.trained!.verdicts.map(({ gate }) => gate)).toEqual(["data", "training", "refit", "logic"]);
  const fault = result.trained!.verdicts.flatMap(({ reasons }) => reasons).join("; ");
  expect(result.outcome, fault).toBe("trained");
  const { version } = result.trained!.version!;
  const { provenance, learnedUpTo } = await manifestOf(version);
  const { rounds } = result.trained!.fitted!;
  expect(provenance.recipe).toEqual({ continues: { bundle: champion.bundle, treesAdded: rounds } });
  expect(learnedUpTo).toBeGreaterThan(champion.manifest.learnedUpTo);
  const files = await (await place.ports.registry()).load("card-fraud", version);
  const card = new TextDecoder().decode(files.get("card.md"));
  expect(card).toContain(
    `Continues bundle \`${champion.bundle.slice(0, 12)}\`: ${rounds} trees were added to its own.`,
  );
});

test("only the gate's PROMOTE moves the champion, and the round says so", async () => {
  const { candidate } = await (await place.ports.registry()).aliases("card-fraud");
  await shadowed(place.ports, { champion: "1", candidate, skill: { champion: 0.75, candidate: 0.95 } });
  const result = await round({ autoPromote: true });
  expect(result.outcome, result.promotion?.verdict.reasons.join("; ")).toBe("promoted");
  expect(result.trained).toBeNull();
  expect(await (await place.ports.registry()).aliases("card-fraud")).toMatchObject({
    champion: candidate,
    previous: "1",
  });
});
