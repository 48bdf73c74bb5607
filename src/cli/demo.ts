// `sentinel demo`: the whole life of a fraud model on simulated payments, told chapter by chapter, then a live server.

import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import pc from "picocolors";
import { embeddedEnvironment, loadConfig } from "../config.ts";
import { DAY_MS } from "../core/duration.ts";
import { SentinelError } from "../core/errors.ts";
import { movesOf } from "../core/journal.ts";
import type { Table } from "../core/table.ts";
import { isYes, type Verdict } from "../core/verdict.ts";
import { coverageWords } from "../evidence/coverage.ts";
import { compare } from "../lifecycle/compare.ts";
import { readHistory } from "../lifecycle/data/history.ts";
import { init } from "../lifecycle/init.ts";
import { promote } from "../lifecycle/promote.ts";
import { replay } from "../lifecycle/replay.ts";
import { type RetrainResult, retrain } from "../lifecycle/retrain.ts";
import { INTEGER_COLUMNS, parseDrift, simulateDays } from "../lifecycle/simulate.ts";
import { type TrainResult, train } from "../lifecycle/train.ts";
import { validate } from "../lifecycle/validate.ts";
import { loadPipeline, type Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { openPorts } from "../wiring.ts";
import { showShadow } from "./compare.ts";
import { addRules, keepSending } from "./demo/desk.ts";
import { type DemoServer, startServer } from "./demo/server.ts";
import { type PendingLabels, sendTraffic, type Traffic } from "./demo/traffic.ts";
import { showMonitor } from "./monitor.ts";
import { integerOption, textOption } from "./options.ts";
import { packageRoot } from "./package-root.ts";
import { postJson } from "./post.ts";
import { showTraining } from "./train.ts";
import type { Verb, VerbContext } from "./verb.ts";

/**
 * The simulated world. Days of history; then live days until the drift, under it until the alarm has labels to learn from, with the new
 * candidate in shadow, and with it as champion.
 */
const HISTORY_DAYS = 60;
const DRIFT_DAY = HISTORY_DAYS + 16;
const ALARM_DAYS = 14;
const SHADOW_DAYS = 12;
const RECOVERED_DAYS = 5;
const WORLD = {
  customers: 2000,
  terminals: 4000,
  days: DRIFT_DAY + ALARM_DAYS + SHADOW_DAYS + RECOVERED_DAYS,
  seed: 7,
} as const;
const DRIFT = [`night-shift@${DRIFT_DAY}`, `fraud-pattern@${DRIFT_DAY}`];
const PORT = 8000;
const MARKER = ".sentinel-demo";

export const verb: Verb = {
  options: [
    ["--once", "end after the tour instead of leaving the server running"],
    ["--port <n>", `port of the server (default ${PORT}; with --once a free one)`],
    ["--dir <dir>", "folder of the demo's workspace, made anew (default .cache/demo)"],
    ["--date <day>", "the day on which the simulated ones end, YYYY-MM-DD (default today, UTC)"],
  ],
  async run(context, { options }) {
    const once = options.once === true;
    const port = integerOption(options, "port", { low: 0, high: 65_535, fallback: once ? 0 : PORT });
    const workspace = path.resolve(textOption(options, "dir") ?? path.join(context.config.workspace, ".cache", "demo"));
    const tour = openTour(context, { workspace, day: textOption(options, "date") });
    let server: DemoServer | undefined;
    try {
      const live = await beginnings(tour);
      server = await startServer({ workspace, port, main: process.argv[1] });
      await candidateInShadow(tour, { server, live });
      await promotion(tour);
      const before = await drifting(tour, { server, live });
      await recovering(tour, { server, live, before });
      await lookingBack(tour);
      tour.say("");
      tour.say(pc.bold(`done in ${tour.seconds().toFixed(0)} s`));
      if (!once) await stay(tour, server);
      return { yes: true, json: { workspace, url: server.url, seconds: tour.seconds(), chapters: tour.chapters } };
    } finally {
      await server?.stop();
      await tour.close();
    }
  },
};

/** What every chapter needs. */
interface Tour {
  readonly context: VerbContext;
  readonly ports: Ports;
  readonly workspace: string;
  readonly pipeline: Pipeline;
  /** Midnight UTC after the last simulated day, which is the first of today: a visitor's own payment comes after all of them. */
  readonly end: number;
  readonly chapters: { readonly title: string; readonly atSeconds: number }[];
  chapter(title: string, why: string): void;
  say(text: string): void;
  seconds(): number;
  close(): Promise<void>;
}

/** The days after the history, one table per day, and labels on their way. */
interface LiveWorld {
  readonly days: Iterator<Table>;
  readonly pending: PendingLabels;
}

/** Midnight of the day, or of today. Errors: cli.usage. */
function endOf(day: string | undefined, now: number): number {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  if (day === undefined) return today;
  const end = /^\d{4}-\d\d-\d\d$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
  if (!Number.isNaN(end) && dayOf(end) === day && end <= today) return end;
  throw new SentinelError("cli.usage", `--date: ${day} is no day up to today`, {
    hint: `give a day as YYYY-MM-DD, ${dayOf(today)} at the latest: the server refuses transactions that are ahead of its clock`,
  });
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

function openTour(
  context: VerbContext,
  { workspace, day }: { readonly workspace: string; readonly day: string | undefined },
): Tour {
  const { output } = context;
  const opened = openPorts(loadConfig({ workspace, environment: embeddedEnvironment() }), {
    report: output,
    pipeline: "card",
  });
  const { clock } = opened.ports;
  const end = endOf(day, clock.now());
  clearFor(workspace);
  init({ dir: workspace, packageRoot: packageRoot() });
  writeFileSync(
    path.join(workspace, MARKER),
    "made by `sentinel demo`, which removes this folder when it runs again\n",
  );
  const started = clock.elapsed();
  const seconds = (): number => Math.round((clock.elapsed() - started) / 100) / 10;
  const chapters: Tour["chapters"] = [];
  return {
    context,
    ports: opened.ports,
    workspace,
    end,
    pipeline: loadPipeline(workspace, "card"),
    chapters,
    seconds,
    say: output.line,
    chapter: (title, why) => {
      chapters.push({ title, atSeconds: seconds() });
      output.line(
        `\n${pc.cyan(`${String(chapters.length).padStart(2)} ─ ${title}`)} ${pc.dim(`(${seconds().toFixed(0)} s)`)}`,
      );
      output.line(pc.dim(`     ${why}`));
    },
    close: opened.close,
  };
}

/** Removes what an earlier demo made, never a folder that holds anything else. */
function clearFor(workspace: string): void {
  if (!existsSync(workspace)) return;
  if (!existsSync(path.join(workspace, MARKER)) && readdirSync(workspace).length > 0) {
    throw new SentinelError("workspace.not-empty", `${workspace} holds files that no demo made`, {
      hint: "name an empty or new folder with --dir",
    });
  }
  rmSync(workspace, { recursive: true, force: true });
}

/** Data, its gate, and a first champion of the Handbook's fifteen features. */
async function beginnings(tour: Tour): Promise<LiveWorld> {
  const { pipeline, ports } = tour;
  tour.chapter(
    "simulate",
    `${WORLD.days} days of card payments with three kinds of fraud; the first ${HISTORY_DAYS} are history, the rest will come in live`,
  );
  const start = dayOf(tour.end - WORLD.days * DAY_MS);
  const days = simulateDays({ ...WORLD, start, drift: DRIFT.map(parseDrift) })[Symbol.iterator]();
  const { rows } = await (await ports.dataset()).write(pipeline.source, take(days, HISTORY_DAYS), {
    integers: INTEGER_COLUMNS,
  });
  tour.say(`  ${rows.toLocaleString("en")} transactions → ${path.relative(tour.workspace, pipeline.source)}`);

  tour.chapter(
    "validate",
    "the data gate: a Great Expectations suite and the pipeline's own demands, before anything is learned",
  );
  const { verdict } = await validate(ports, { pipeline, path: pipeline.source });
  tour.context.output.verdict(short(verdict));

  tour.chapter(
    "train",
    "a first model from the Handbook's 15 features: forest, trees, calibration, thresholds, three gates",
  );
  const first = await trainWith(tour, {
    ...pipeline,
    featuresFile: path.join(tour.workspace, "features", "handbook.ts"),
    featuresName: "handbook",
  });
  showVerdicts(tour, first);

  tour.chapter("promote", "nobody answers yet, so the gates it passed are enough");
  await promoteCandidate(tour);
  return { days, pending: { waiting: [] } };
}

/** A better candidate shadows the champion on live traffic. */
async function candidateInShadow(
  tour: Tour,
  given: { readonly server: DemoServer; readonly live: LiveWorld },
): Promise<void> {
  const { server } = given;
  tour.chapter("serve", "the champion answers over HTTP, in a process of its own");
  tour.say(`  ${server.url}`);
  await onePayment(tour, server);
  tour.chapter("train a candidate", "the same days, but all the features of features/card.ts");
  const second = await trainWith(tour, tour.pipeline);
  showVerdicts(tour, second);
  showTraining(tour.context.output, second);
  await untilServing(tour, server, second.version?.version ?? "");

  tour.chapter(
    "live traffic",
    "the next days are sent one batch after the other; frauds are reported seven days later",
  );
  const traffic = await send(tour, given, DRIFT_DAY - HISTORY_DAYS);
  tell(tour, traffic);
  if (traffic.blocked !== null) await tellWhy(tour, server, traffic.blocked);

  tour.chapter("shadow report", "both judged the same transactions; the candidate's answers went nowhere but the log");
  await (await tour.ports.log()).flush();
  const compared = await compare(tour.ports, {
    pipeline: tour.pipeline,
    path: null,
    to: null,
    seed: tour.pipeline.modelParameters.seed,
  });
  if (compared.shadow !== null) showShadow(tour.context.output, compared.shadow);
  if (compared.coverage !== null) tour.say(`  coverage: ${coverageWords(compared.coverage)}`);
}

/** The evidence is weighed, and every logged number recomputed. */
async function promotion(tour: Tour): Promise<void> {
  tour.chapter(
    "promotion verdict",
    "paired bootstrap over cards on matured labels, with guard rails; HOLD or REJECT would keep the champion",
  );
  await promoteCandidate(tour);
  tour.chapter("replay", "training-serving skew: every logged vector and score recomputed from raw history");
  const report = await replay(tour.ports, {
    pipeline: tour.pipeline,
    history: (origin, plan) => readHistory(tour.ports, tour.pipeline, { origin, plan }),
  });
  for (const reason of report.reasons)
    tour.say(`  ${report.verdict === "pass" ? pc.green("✔") : pc.red("✘")} ${reason}`);
}

/** The world moves; the alarm goes off; a candidate is trained. Gives the average precision of the answers under the drift. */
async function drifting(tour: Tour, given: { readonly server: DemoServer; readonly live: LiveWorld }): Promise<number> {
  tour.chapter(
    "the world moves",
    `from day ${DRIFT_DAY} on payments move into the night, and thieves test cards with small amounts`,
  );
  await untilServing(tour, given.server, "", "champion");
  const traffic = await send(tour, given, ALARM_DAYS);
  tell(tour, traffic);
  tour.chapter(
    "monitor and retrain",
    "drift against the champion's own reference; an alarm trains a candidate, never a champion",
  );
  const result = await loop(tour);
  tour.say(`  retrain: ${result.outcome}: ${result.reason}`);
  if (result.trained !== null) showVerdicts(tour, result.trained);
  return traffic.averagePrecision;
}

/** The candidate shadows, the gate says PROMOTE, and the answers are good again. */
async function recovering(
  tour: Tour,
  given: { readonly server: DemoServer; readonly live: LiveWorld; readonly before: number },
): Promise<void> {
  tour.chapter(
    "the loop goes on",
    "the new candidate shadows for some days; then `retrain --auto-promote` asks the promotion gate about it",
  );
  await untilServing(tour, given.server, "");
  const shadowed = await send(tour, given, SHADOW_DAYS);
  tell(tour, shadowed);
  await (await tour.ports.log()).flush();
  const result = await loop(tour);
  if (result.promotion !== null) tour.context.output.verdict(short(result.promotion.verdict));
  tour.say(`  retrain --auto-promote: ${result.outcome}`);
  if (result.outcome !== "promoted") return;
  await untilServing(tour, given.server, "", "champion");
  const after = await send(tour, given, RECOVERED_DAYS);
  tell(tour, after);
  const shown = (value: number): string => value.toFixed(3);
  tour.say(
    `  average precision of the answers: ${shown(given.before)} after the world had moved, ${shown(shadowed.averagePrecision)} while the candidate shadowed, ${shown(after.averagePrecision)} with it as champion`,
  );
}

/** One round of the loop, as a timer runs it. */
function loop(tour: Tour): Promise<RetrainResult> {
  const { config, packageVersion, output } = tour.context;
  return retrain(tour.ports, {
    pipeline: tour.pipeline,
    path: tour.pipeline.source,
    monitorPath: null,
    workspace: tour.workspace,
    actor: config.actor,
    packageVersion,
    threads: config.threads,
    forced: null,
    autoPromote: true,
    onMonitor: (seen) => showMonitor(output, seen),
  });
}

/** Who was champion, when and why. */
async function lookingBack(tour: Tour): Promise<void> {
  tour.chapter("history", "every change of an alias is in a hash-chained journal");
  const journal = await (await tour.ports.registry()).journal(tour.pipeline.model);
  tour.context.output.table([
    ["alias", "from → to", "verb", "verdict", "why"],
    ...journal.flatMap((entry) =>
      movesOf(entry).map(({ alias, from, to }, place) => [
        alias,
        `${from ?? "–"} → ${to ?? "–"}`,
        ...(place > 0 ? ["", "", "in the same step"] : [entry.verb, entry.verdict, entry.reason.slice(0, 70)]),
      ]),
    ),
  ]);
}

async function stay(tour: Tour, server: DemoServer): Promise<void> {
  const stop = new AbortController();
  const ended = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  }).finally(() => stop.abort());
  const { sending } = await openDesk(tour, server, stop.signal);
  tour.say(`\nthe server stays: ${pc.bold(server.url)}  (the dashboard; API ${server.url}/docs; Ctrl-C ends)`);
  tour.say(`  curl -s ${server.url}/predict -H 'content-type: application/json' -d '{"id": 1, "amount": 150000.0}'`);
  await ended;
  await sending;
}

/** Rules, a candidate, and payments of now: what a team would have on its desk. Gives the sending, which ends with `stop`. */
async function openDesk(
  tour: Tour,
  server: DemoServer,
  stop: AbortSignal,
): Promise<{ readonly sending: Promise<void> }> {
  tour.chapter("the desk", "what analysts and engineers keep open all day, with payments that go on");
  const rules = await addRules(server.url);
  tour.say(`  ${rules} rules added: two decide, one is in shadow`);
  const { pipeline } = tour;
  const seed = pipeline.modelParameters.seed + 1;
  const next = await trainWith(tour, { ...pipeline, modelParameters: { ...pipeline.modelParameters, seed } });
  if (next.version !== null) {
    tour.say(`  version ${next.version.version} is in shadow: page Models shows its evidence as it comes`);
    await untilServing(tour, server, next.version.version);
  }
  const start = dayOf(tour.ports.clock.now());
  const [day] = simulateDays({ ...WORLD, days: 1, start, drift: [] });
  return { sending: keepSending(server.url, { day, now: () => tour.ports.clock.now(), stop }) };
}

async function trainWith(tour: Tour, pipeline: Pipeline): Promise<TrainResult> {
  const result = await train(tour.ports, {
    pipeline,
    path: pipeline.source,
    actor: tour.context.config.actor,
    packageVersion: tour.context.packageVersion,
    threads: tour.context.config.threads,
    forced: null,
    verb: "train",
  });
  return result;
}

function showVerdicts(tour: Tour, result: TrainResult): void {
  for (const verdict of result.verdicts) tour.context.output.verdict(short(verdict));
  if (result.version === null) return;
  const ap = result.metrics?.average_precision.toFixed(3);
  tour.say(`  version ${result.version.version} registered as candidate: average precision ${ap} on days it never saw`);
}

async function promoteCandidate(tour: Tour): Promise<void> {
  const result = await promote(tour.ports, {
    pipeline: tour.pipeline,
    to: null,
    actor: tour.context.config.actor,
    forced: null,
    seed: tour.pipeline.modelParameters.seed,
  });
  tour.context.output.verdict(result.verdict);
  if (result.moved) tour.say(`  version ${result.to} is champion`);
}

async function onePayment(tour: Tour, server: DemoServer): Promise<void> {
  const body = {
    id: "demo-1",
    amount: 950,
    user_id: 7,
    merchant_id: 42,
    time: tour.end - (WORLD.days - HISTORY_DAYS) * DAY_MS,
  };
  const response = await fetch(`${server.url}/predict`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  tour.say(`  POST /predict ${JSON.stringify(body)}`);
  tour.say(`  → ${response.status} ${await response.text()}`);
}

/** Waits until the server has picked up a version under an alias; `""` waits for whatever the registry says. */
async function untilServing(tour: Tour, server: DemoServer, version: string, alias = "candidate"): Promise<void> {
  const wanted = version === "" ? (await (await tour.ports.registry()).aliases(tour.pipeline.model))[alias] : version;
  const started = tour.ports.clock.elapsed();
  while (tour.ports.clock.elapsed() - started < PICK_UP_MS_MAX) {
    const model = (await (await fetch(`${server.url}/model`)).json()) as ModelAnswer;
    const seen = alias === "champion" ? [model.champion] : model.shadows;
    if (seen.some((one) => one?.version === wanted)) {
      tour.say(
        `  the server picked up version ${wanted} as ${alias} in ${((tour.ports.clock.elapsed() - started) / 1000).toFixed(1)} s`,
      );
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  tour.say(`  the server has not picked up version ${wanted} yet`);
}

const PICK_UP_MS_MAX = 15_000;

interface ModelAnswer {
  readonly champion: { readonly version: string } | null;
  readonly shadows: readonly { readonly version: string }[];
}

async function send(
  tour: Tour,
  given: { readonly server: DemoServer; readonly live: LiveWorld },
  days: number,
): Promise<Traffic> {
  return sendTraffic(given.server.url, take(given.live.days, days), {
    pending: given.live.pending,
    labelDelayMs: tour.pipeline.labels.delayMs,
    elapsed: () => tour.ports.clock.elapsed(),
    onDay: (day) => tour.ports.report.progress("traffic", day + 1, days),
  });
}

function tell(tour: Tour, traffic: Traffic): void {
  const { sent, decisions, labels, seconds } = traffic;
  tour.say(
    `  ${sent.toLocaleString("en")} transactions in ${seconds.toFixed(1)} s (${Math.round(sent / seconds).toLocaleString("en")}/s): ${decisions.approve.toLocaleString("en")} approved, ${decisions.review} for review, ${decisions.block} blocked; ${labels} frauds reported`,
  );
}

/** Why one transaction was blocked, in an analyst's words. */
async function tellWhy(tour: Tour, server: DemoServer, transactionId: string): Promise<void> {
  const body = { transaction_id: transactionId };
  const explained = await postJson(`${server.url}/explain`, body, { refused: "server.not-ready" });
  const { score, reasons } = explained as { readonly score: number; readonly reasons: readonly { text: string }[] };
  const why = reasons.slice(0, REASONS_TOLD).map(({ text }) => text);
  tour.say(`  ${transactionId} was blocked at ${score.toFixed(2)}, because ${why.join("; ")}`);
}

const REASONS_TOLD = 2;

/** A verdict without its single checks. */
function short(verdict: Verdict): Verdict {
  return isYes(verdict) ? { ...verdict, checks: [] } : verdict;
}

function* take(days: Iterator<Table>, count: number): Generator<Table> {
  for (let i = 0; i < count; i++) {
    const next = days.next();
    if (next.done === true) return;
    yield next.value;
  }
}
