// Decisions on days of known truth: sure frauds are blocked, the review budget is spent on the others, and what is not reached is said.
import { expect, test } from "vitest";
import { decide, NEVER } from "../../../src/core/decision.ts";
import { policyJudge } from "../../../src/core/policy.ts";
import { Random } from "../../../src/core/random.ts";
import { type DecidingRows, fitDecisions, unkeptText } from "../../../src/lifecycle/train/decisions.ts";
import { policyFeatures } from "../../../src/lifecycle/train/policy.ts";
import { calibrate } from "../../../src/ml/calibration/apply.ts";
import { DECISIONS } from "../../../src/pipeline/decisions.ts";
import { MODEL_PARAMETERS } from "../../../src/pipeline/model-parameters.ts";
import type { Pipeline } from "../../../src/pipeline/pipeline.ts";
import { defaultsOf } from "../../../src/pipeline/section.ts";

type Rows = DecidingRows & { readonly margins: Float64Array };

/** Rows with a share of sure frauds, a share that nobody can tell, and the rest. */
function days(seed: number, { rows = 20_000, sure = 0.02, doubtful = 0.02, odds = 0.3 } = {}): Rows {
  const random = new Random(seed);
  const margins = new Float64Array(rows);
  const segment = new Float32Array(rows);
  const y = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    const kind = random.next();
    const isSure = kind < sure;
    const isDoubtful = !isSure && kind < sure + doubtful;
    y[row] = isSure || (isDoubtful && random.next() < odds) ? 1 : 0;
    margins[row] = (isSure ? 6 : isDoubtful ? -1 : -7) + random.normal() * 0.3;
  }
  const amounts = Float64Array.from({ length: rows }, () => 10 + 90 * random.next());
  for (let row = 0; row < rows; row++) segment[row] = row % 10 === 0 ? 1 : row % 100 === 1 ? 2 : 0;
  return {
    margins,
    y,
    amounts,
    cards: Int32Array.from({ length: rows }, (_, row) => Math.floor(row / 4)),
    features: { amount: "amount", segment: null },
    inputs: { amount: Float32Array.from(amounts), segment },
  };
}

function pipelineWith(keys: Partial<Pipeline["decisions"]>): Pipeline {
  const decisions = { ...defaultsOf(DECISIONS), ...keys };
  return { decisions, modelParameters: defaultsOf(MODEL_PARAMETERS) } as Pipeline;
}

function judged(keys: Partial<Pipeline["decisions"]>, shape: Parameters<typeof days>[1] = {}) {
  const pipeline = pipelineWith(keys);
  const decided = fitDecisions(days(1, shape).margins, { ...days(1, shape), pipeline });
  const later = days(2, shape);
  const decisions = Array.from(later.margins, (margin) =>
    decide(calibrate(decided.calibration, margin), decided.thresholds),
  );
  const share = (of: string): number => decisions.filter((decision) => decision === of).length / decisions.length;
  const rows = decisions.map((decision, row) => ({ decision, fraud: later.y[row], amount: later.amounts[row] }));
  return { decided, pipeline, share, rows };
}

test("with more sure frauds than the budget, they are blocked and the whole budget reviews others", () => {
  const { decided, share, rows, pipeline } = judged({ reviewShare: 0.01 });
  expect(decided.block).toMatchObject({ reached: true });
  expect(unkeptText(decided, pipeline.decisions)).toEqual([]);
  expect(share("block")).toBeGreaterThan(0.015);
  // A tenth of the promise, on other days.
  expect(Math.abs(share("review") - 0.01)).toBeLessThan(0.001);
  const blocked = rows.filter(({ decision }) => decision === "block");
  expect(blocked.filter(({ fraud }) => fraud === 1).length / blocked.length).toBeGreaterThanOrEqual(0.9);
  const reviewed = rows.filter(({ decision }) => decision === "review");
  expect(reviewed.some(({ fraud }) => fraud === 1)).toBe(true);
});

test("where no score is precise enough nothing is blocked, and it is said with the nearest there is", () => {
  const { decided, share, pipeline } = judged({ reviewShare: 0.02 }, { sure: 0, doubtful: 0.03, odds: 0.7 });
  expect(decided.thresholds.block).toBe(NEVER);
  expect(decided.block.reached).toBe(false);
  expect(share("block")).toBe(0);
  const [text] = unkeptText(decided, pipeline.decisions);
  expect(text).toContain("nothing is blocked: no score reaches a precision of 90 % with 90 % certainty");
  expect(text).toMatch(/the nearest score has \d+(\.\d+)? % of \d+ rows/);
  expect(Math.abs(share("review") - 0.02)).toBeLessThan(0.002);
});

test("a fraud rate holds on later days with no more reviews than it takes, and one beyond the budget is said not to be reached", () => {
  const rateOf = ({ rows }: Pick<ReturnType<typeof judged>, "rows">): number => {
    const approved = rows.filter(({ decision }) => decision === "approve");
    const sum = (of: typeof approved): number => of.reduce((money, { amount }) => money + amount, 0);
    return sum(approved.filter(({ fraud }) => fraud === 1)) / sum(approved);
  };
  const strict = judged({ reviewPolicy: "fraud-rate", fraudRateMax: 0.002, reviewShare: 0.1 });
  const loose = judged({ reviewPolicy: "fraud-rate", fraudRateMax: 0.005, reviewShare: 0.1 });
  expect(strict.decided.pass).toMatchObject({ reached: true });
  expect(rateOf(strict)).toBeLessThanOrEqual(0.002);
  expect(rateOf(loose)).toBeLessThanOrEqual(0.005);
  expect(rateOf(loose)).toBeGreaterThan(0.003);
  expect(loose.share("review")).toBeLessThan(strict.share("review"));
  const poor = judged({ reviewPolicy: "fraud-rate", fraudRateMax: 0.002, reviewShare: 0.002 });
  expect(poor.decided.pass).toMatchObject({ reached: false });
  expect(poor.share("review")).toBeLessThan(0.0025);
  expect(unkeptText(poor.decided, poor.pipeline.decisions).join()).toContain(
    "a fraud rate of 0.2 % is not reached with 90 % certainty within the review budget",
  );
});

test("every other choice is told with what it is, or as not reached", () => {
  const { decided } = judged({});
  const names = decided.choices.map(({ name }) => name);
  expect(names).toEqual([
    "review 0.5 % of the traffic",
    "review 2 % of the traffic",
    "highest F1",
    "lowest cost",
    "fraud rate of 0.13 %",
    "fraud rate of 0.06 %",
    "fraud rate of 0.01 %",
    "block at 80 % precision",
    "block at 95 % precision",
    "block at 99 % precision",
    "lowest expected cost, by amount",
  ]);
  for (const { thresholds } of decided.choices) expect(thresholds.review).toBeLessThanOrEqual(thresholds.block);
  const [half, double] = decided.choices;
  expect(half.thresholds.review).toBeGreaterThan(decided.thresholds.review);
  expect(double.thresholds.review).toBeLessThan(decided.thresholds.review);
  const shy = judged({}, { sure: 0, doubtful: 0.03, odds: 0.6 }).decided.choices;
  expect(shy.find(({ name }) => name.startsWith("block at 99"))).toMatchObject({ reached: false });
});

test("expected cost reviews those that save most, no more than the budget, and saves more than one threshold for all", () => {
  const keys = { reviewPolicy: "expected-cost", reviewShare: 0.004, reviewCost: 2, falseBlockCost: 5 } as const;
  const rows = days(1);
  // Large amounts among the doubtful: the same score is worth a look there, and not below.
  const { decided, later, decisions } = byPolicy(keys, rows);
  const { cost } = decided.policy!;
  expect(cost!.price).toBeGreaterThan(0);
  expect(cost!.typical).toBeGreaterThan(40);
  const reviewed = decisions.flatMap((decision, row) => (decision === "review" ? [row] : []));
  expect(reviewed.length / decisions.length).toBeLessThanOrEqual(0.0048);
  expect(reviewed.length / decisions.length).toBeGreaterThan(0.003);
  const doubtful = [...later.margins.keys()].filter((row) => later.margins[row] > -2 && later.margins[row] < 0);
  const mean = (of: readonly number[]): number => of.reduce((sum, row) => sum + later.amounts[row], 0) / of.length;
  expect(mean(reviewed)).toBeGreaterThan(mean(doubtful) + 10);
  const free = byPolicy({ ...keys, reviewShare: 1 }, rows).decided.policy!.cost!;
  expect(free.price).toBe(0);
});

test("a segment's policy rests on its own frauds as far as it has them, is told with them, and the budget holds for all together", () => {
  const rows = segmented(1);
  const keys = {
    reviewShare: 0.01,
    blockScoreMin: 0.1,
    segments: { by: "channel", bands: [], shrinkage: 20 },
  } as const;
  const { decided, decisions, later } = byPolicy(keys, rows, segmented(2));
  const { segments } = decided.policy!.segments!;
  expect(segments.map(({ name }) => name)).toEqual(["shop", "online", "phone"]);
  for (const { frauds, weight } of segments) expect(weight).toBeCloseTo(frauds / (frauds + 20), 12);
  const [shop, online, phone] = segments;
  expect(phone.rows).toBe(200);
  // Online, where a score means more frauds than elsewhere, less is needed to block; the phone has too few to say much.
  expect(online.thresholds.block).toBeLessThan(shop.thresholds.block);
  expect(phone.weight).toBeLessThan(0.5);
  const share = decisions.filter((decision) => decision === "review").length / later.y.length;
  expect(share).toBeLessThanOrEqual(0.012);
  const trusting = byPolicy({ ...keys, segments: { ...keys.segments, shrinkage: 1e6 } }, rows).decided;
  for (const { thresholds } of trusting.policy!.segments!.segments) {
    expect(thresholds.block).toBeCloseTo(trusting.thresholds.block, 3);
  }
  expect(trusting.choices.at(-1)).toMatchObject({ name: "one policy for all, without segments by channel" });
});

test("with costs a segment says what a score means there, and reviews go where they save most within one budget", () => {
  const rows = segmented(1);
  const segments = { by: "channel", bands: [], shrinkage: 20 };
  const keys = {
    reviewPolicy: "expected-cost",
    reviewShare: 0.004,
    reviewCost: 2,
    falseBlockCost: 5,
    segments,
  } as const;
  const { decided, decisions } = byPolicy(keys, rows, segmented(2));
  const [shop, online, phone] = decided.policy!.segments!.segments;
  // Online has more frauds than its scores say, the shop fewer.
  expect(online.odds).toBeGreaterThan(1.2);
  expect(shop.odds).toBeLessThan(1);
  expect(online.thresholds.block).toBeLessThan(shop.thresholds.block);
  expect(Math.abs(Math.log(phone.odds!))).toBeLessThan(0.2);
  expect(phone.weight).toBeLessThan(0.5);
  const share = decisions.filter((decision) => decision === "review").length / decisions.length;
  expect(share).toBeLessThanOrEqual(0.0048);
  expect(decided.choices.at(-1)).toMatchObject({ name: "one policy for all, without segments by channel" });
});

test("what a policy needs of the features is refused by name", () => {
  const spec = { name: "s", version: 1, features: [{ kind: "time", name: "hour", part: "hour" }] } as const;
  const at = (decisions: Partial<Pipeline["decisions"]>): (() => unknown) => {
    const of = { ...pipelineWith(decisions), columns: { amount: "amount" }, file: "card.yaml" } as unknown as Pipeline;
    return () => policyFeatures(spec, of);
  };
  expect(at({ reviewPolicy: "expected-cost" })).toThrow(/expected-cost needs the amount among the features/);
  expect(at({ segments: { by: "hourr", bands: [], shrinkage: 1 } })).toThrow(/has no feature "hourr"/);
  expect(at({ segments: { by: "hour", bands: [], shrinkage: 1 } })).toThrow(/hour is a number/);
  expect(at({ segments: { by: "hour", bands: [6], shrinkage: 1 } })()).toEqual({
    amount: null,
    segment: { by: "hour", values: null },
  });
});

/** Three channels whose scores mean different odds of fraud. */
function segmented(seed: number): Rows {
  const rows = days(seed, { rows: 20_000, sure: 0.02, doubtful: 0.02, odds: 0.3 });
  const random = new Random(seed + 100);
  const channel = rows.inputs.segment!;
  for (let row = 0; row < channel.length; row++) {
    if (rows.margins[row] > -2 && rows.margins[row] < 0 && channel[row] === 1)
      rows.y[row] = random.next() < 0.97 ? 1 : 0;
  }
  return { ...rows, features: { amount: "amount", segment: { by: "channel", values: ["shop", "online", "phone"] } } };
}

function byPolicy(keys: Partial<Pipeline["decisions"]>, rows: Rows, later: Rows = days(2)) {
  const decided = fitDecisions(rows.margins, { ...rows, pipeline: pipelineWith(keys) });
  const judge = policyJudge(decided.policy!, { thresholds: decided.thresholds, names: ["amount", "channel"] });
  const decisions = Array.from(later.margins, (margin, row) => {
    const vector = Float32Array.of(later.inputs.amount![row], later.inputs.segment![row]);
    return judge(Math.fround(calibrate(decided.calibration, margin)), vector).decision;
  });
  return { decided, later, decisions };
}
