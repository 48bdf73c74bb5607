// One simulated life of `bench -- loop`: the real engine answers day by day, labels come late, each evening `retrain --auto-promote` looks and acts.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { loadConfig } from "../src/config.ts";
import { DAY_MS } from "../src/core/duration.ts";
import { SentinelError } from "../src/core/errors.ts";
import { numberAt, type Table } from "../src/core/table.ts";
import { loadSchema } from "../src/lifecycle/data/schema-file.ts";
import { init } from "../src/lifecycle/init.ts";
import { promote } from "../src/lifecycle/promote.ts";
import { type RetrainResult, retrain } from "../src/lifecycle/retrain.ts";
import type { DriftName } from "../src/lifecycle/simulate/drift.ts";
import { train } from "../src/lifecycle/train.ts";
import { averagePrecision } from "../src/metrics/metrics.ts";
import { answer } from "../src/online/answer.ts";
import { openEngine } from "../src/online/engine.ts";
import { takeLabel } from "../src/online/label.ts";
import { loadVersion } from "../src/online/score.ts";
import { loadPipeline } from "../src/pipeline/pipeline.ts";
import { openPorts } from "../src/wiring.ts";
import { worldDays } from "./loop-world.ts";
import { ROOT, temporaryFolder } from "./workspace.ts";

const CUSTOMERS = 500;
/** Known before the life begins; what the first champion learns from. */
const HISTORY_DAYS = 70;
/** A window must be full of the life's own transactions before its verdict counts. */
const WARM_DAYS = 7;
const TREES = 100;
const LAG_MAX = "60s";
const FLUSH_ROWS = 500;
/** Why the newest candidate is held is told again after so many days. */
const HELD_DAYS = 7;
/** Told once while they last. */
const LASTING: readonly LifeEvent["kind"][] = ["waiting", "hold", "broken-feed"];

export interface Scenario {
  readonly drift: DriftName;
  /** Day of the life. */
  readonly day: number;
  readonly ramp: number;
}

export interface Life {
  /** Alarms that began before the drift, or in a life without one. */
  readonly falseAlarms: number;
  readonly daysWatched: number;
  /** Days from the drift to its first alarm; null: not found. */
  readonly detectionDays: number | null;
  /** Days from the drift to the first candidate that the gate promoted; null: none was. */
  readonly promotionDays: number | null;
  readonly apBefore: number | null;
  readonly apDuring: number | null;
  readonly apAfterRetrain: number | null;
  /** Of the life's last two weeks. */
  readonly apAtEnd: number | null;
  /** The first champion on the rows of `apAfterRetrain`. */
  readonly apFrozen: number | null;
  /** The time-line. */
  readonly events: readonly LifeEvent[];
  /** By day, frauds and the average precision of the newest week: who answered, and the first champion. */
  readonly byDay: readonly { readonly day: number; readonly answered: number | null; readonly frozen: number | null }[];
  /** Seconds of each training, by its number of learned rows. */
  readonly trainings: readonly { readonly seconds: number; readonly rows: number }[];
}

export interface LifeEvent {
  readonly day: number;
  readonly kind: "alarm" | "waiting" | "candidate" | "refused" | "hold" | "promotion" | "broken-feed";
  readonly text: string;
}

interface Scored {
  readonly day: number;
  readonly score: number;
  readonly frozen: number;
  readonly fraud: boolean;
}

export interface LifeInput {
  readonly seed: number;
  readonly days: number;
  readonly scenario: Scenario | null;
}

export async function live({ seed, days, scenario }: LifeInput): Promise<Life> {
  const dir = temporaryFolder();
  init({ dir, packageRoot: ROOT });
  const file = path.join(dir, "pipelines", "card.yaml");
  // A life may share its cores with others: its log lags then, and its days wait for it.
  const text = readFileSync(file, "utf8").replace("trees: 300", `trees: ${TREES}`);
  writeFileSync(file, `${text}\nlog: { lag_max: ${LAG_MAX} }\n`);
  const pipeline = loadPipeline(dir, "card");
  const clock = { time: 0, now: () => clock.time, elapsed: () => performance.now() };
  const report = { line: () => {}, progress: () => {} };
  const config = loadConfig({ workspace: dir, environment: {} });
  const { ports, close } = openPorts(config, { report, pipeline: "card", settings: () => pipeline, clock });
  const drift =
    scenario === null ? [] : [{ name: scenario.drift, day: HISTORY_DAYS + scenario.day, ramp: scenario.ramp }];
  const world = worldDays({ customers: CUSTOMERS, days: HISTORY_DAYS + days, seed, drift });
  const history: Table[] = [];
  for (let day = 0; day < HISTORY_DAYS; day++) history.push(world.next().value as Table);
  const start = Date.UTC(2026, 0, 1 + HISTORY_DAYS);
  clock.time = start;
  await (await ports.dataset()).write(pipeline.source, history);
  const maker = { pipeline, actor: "bench", packageVersion: "0", forced: null };
  const first = await train(ports, { ...maker, path: pipeline.source, seed, forced: "the first", verb: "train" });
  if (first.version === null) throw new Error("the first training gave no version");
  await promote(ports, { pipeline, to: first.version.version, actor: "bench", forced: "the first", seed });
  const registry = await ports.registry();
  const frozen = await loadVersion(registry, { model: pipeline.model, version: first.version.version });
  const engine = await openEngine({ ports, pipeline, schema: loadSchema(pipeline), options: {} });
  await engine.start();

  const rows: Scored[] = [];
  const waiting: { readonly id: string; readonly at: number }[] = [];
  const events: LifeEvent[] = [];
  const trainings: Life["trainings"][number][] = [];
  const state = { alarmed: false, falseAlarms: 0, detected: null as number | null, acted: null as number | null };
  let labelled = 0;
  let day = 0;
  for (const table of world) {
    for (let row = 0; row < table.rows; row++) {
      const at = (name: string): number => numberAt(table.columns.get(name)!, row);
      clock.time = at("tx_datetime");
      while (labelled < waiting.length && waiting[labelled].at <= clock.time) {
        const { id, at: knownAt } = waiting[labelled++];
        const road = { clock, log: engine.log, states: engine.states, delayMs: pipeline.labels.delayMs };
        const label = { transactionId: id, fraud: true, source: "chargeback", knownAt };
        await takeLabel({ ...road, knownMax: clock.time + DAY_MS }, label);
      }
      const customer = at("customer_id");
      const body = {
        transaction_id: String(at("transaction_id")),
        tx_datetime: clock.time,
        customer_id: Number.isNaN(customer) ? null : String(customer),
        terminal_id: String(at("terminal_id")),
        tx_amount: at("tx_amount"),
      };
      let old = Number.NaN;
      const judged = (vector: Float32Array): void => {
        old = frozen.score(vector).score;
      };
      const reply = await answer(engine, engine.parser.parse(body, clock.time), { judged });
      const fraud = at("tx_fraud") === 1;
      rows.push({ day, score: reply.score ?? Number.NaN, frozen: old, fraud });
      if (fraud) waiting.push({ id: body.transaction_id, at: clock.time + pipeline.labels.delayMs });
      if (row % FLUSH_ROWS === FLUSH_ROWS - 1) await settled();
    }
    await settled();
    day++;
    if (day >= WARM_DAYS) await evening(day - 1);
  }
  await engine.stop(1000);
  await close();

  /** A day takes a second here: the candidates' threads get the time that they have in life. */
  async function settled(): Promise<void> {
    while (engine.shadows.status().some(({ queued }) => queued > 0))
      await new Promise((resolve) => setTimeout(resolve, 1));
    engine.shadows.flush();
    await engine.log.flush();
  }

  /** What an operator's timer does at the end of a day. */
  async function evening(today: number): Promise<void> {
    clock.time = start + (today + 1) * DAY_MS;
    const result = await round();
    if (result === null) return;
    const tell = (kind: LifeEvent["kind"], text: string): void => {
      // One line while it stays so.
      if (events.findLast((event) => event.kind !== "alarm")?.kind !== kind || !LASTING.includes(kind))
        events.push({ day: today, kind, text });
    };
    const { outcome, monitor, trained, reason, promotion } = result;
    if (monitor !== null) {
      const { alarm } = monitor;
      if (alarm && !state.alarmed) events.push({ day: today, kind: "alarm", text: monitor.reasons[0] });
      if (alarm && !state.alarmed && (scenario === null || today < scenario.day)) state.falseAlarms++;
      if (alarm && scenario !== null && today >= scenario.day) state.detected ??= today - scenario.day;
      state.alarmed = alarm;
    }
    if (outcome === "waiting" || outcome === "broken-feed") tell(outcome, reason);
    if (outcome === "shadowing") tell("hold", reason);
    const reasons = promotion?.verdict.verdict === "HOLD" ? promotion.verdict.reasons.join("; ") : null;
    if (reasons !== null && today % HELD_DAYS === 0) events.push({ day: today, kind: "hold", text: reasons });
    if (outcome === "refused") tell("refused", (trained?.verdicts ?? []).flatMap(({ reasons }) => reasons).join("; "));
    if (outcome === "trained") {
      const learned = trained?.refit ?? null;
      const facts =
        learned === null ? "" : `, ${learned.frauds} frauds of ${learned.lately?.learned ?? "all days, unasked"}`;
      tell("candidate", `version ${trained?.version?.version} as ${result.as}${facts}: ${reason}`);
    }
    if (trained !== null) trainings.push({ seconds: trained.seconds.fit ?? 0, rows: trained.metrics?.rows ?? 0 });
    if (outcome === "promoted") {
      tell("promotion", `version ${promotion?.to}`);
      if (scenario !== null && today >= scenario.day) state.acted ??= today + 1;
    }
    await engine.live.poll();
  }

  /** Null where a new champion has no traffic of its own yet, or too few frauds are labelled. */
  async function round(): Promise<RetrainResult | null> {
    try {
      const input = { ...maker, path: pipeline.source, monitorPath: null, workspace: dir, autoPromote: true };
      return await retrain(ports, input);
    } catch (error) {
      if (error instanceof SentinelError && error.code === "lifecycle.not-enough-data") return null;
      throw error;
    }
  }

  const driftDay = scenario?.day ?? days;
  const acted = state.acted ?? days;
  const frozenRows = rows.map((row) => ({ ...row, score: row.frozen }));
  return {
    falseAlarms: state.falseAlarms,
    daysWatched: Math.min(days, driftDay) - WARM_DAYS + 1,
    detectionDays: state.detected,
    promotionDays: state.acted === null || scenario === null ? null : state.acted - 1 - scenario.day,
    apBefore: precisionOf(rows, { from: 0, to: driftDay }),
    apDuring: precisionOf(rows, { from: driftDay, to: acted }),
    apAfterRetrain: precisionOf(rows, { from: acted, to: days }),
    apAtEnd: precisionOf(rows, { from: Math.max(driftDay, days - 14), to: days }),
    apFrozen: precisionOf(frozenRows, { from: acted, to: days }),
    events,
    byDay: Array.from({ length: days }, (_, at) => {
      const week = { from: Math.max(0, at - 6), to: at + 1 };
      return { day: at, answered: precisionOf(rows, week), frozen: precisionOf(frozenRows, week) };
    }),
    trainings,
  };
}

/** Null without frauds. */
function precisionOf(
  all: readonly Scored[],
  { from, to }: { readonly from: number; readonly to: number },
): number | null {
  const rows = all.filter(({ day, score }) => day >= from && day < to && !Number.isNaN(score));
  if (!rows.some(({ fraud }) => fraud)) return null;
  const scores = Float32Array.from(rows, ({ score }) => score);
  return averagePrecision(
    scores,
    Uint8Array.from(rows, ({ fraud }) => (fraud ? 1 : 0)),
  );
}
