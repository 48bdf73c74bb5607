// Monitor on a trained champion: steady where nothing changed, an alarm for each way the world or its data changes.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { type MonitorResult, monitor, monitorReport, prometheusText } from "../../src/lifecycle/monitor.ts";
import { promote } from "../../src/lifecycle/promote.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { parseDrift } from "../../src/lifecycle/simulate/drift.ts";
import { sentinel } from "../cli/sentinel.ts";
import { prediction } from "./records.ts";
import { makePlace, type Place } from "./world.ts";

const DAYS = 90;
const WORLD = { customers: 500, terminals: 1000, seed: 3 };
const START = Date.UTC(2018, 3, 1);

let place: Place;
/** Two more weeks of the same world. */
let calm: string;

beforeAll(async () => {
  place = await makePlace({ ...WORLD, days: DAYS });
  const { version } = await place.train(1);
  const input = { pipeline: place.pipeline, to: version!.version, actor: "tester", forced: "a test", seed: 1 };
  expect((await promote(place.ports, input)).moved).toBe(true);
  calm = await later([]);
});

afterAll(() => place.close());

const look = (path: string | null, untilDay?: number): Promise<MonitorResult> =>
  monitor(place.ports, {
    pipeline: place.pipeline,
    path,
    until: untilDay === undefined ? null : START + untilDay * DAY_MS,
  });

/** Two weeks after the training, drifting from their first day. */
const later = (drift: readonly string[]): Promise<string> =>
  place.write(
    `later${drift.join("")}.parquet`.replaceAll("@", "-"),
    simulateDays({ ...WORLD, days: DAYS + 15, drift: drift.map(parseDrift) }),
  );

test("nothing has changed: steady, week after week, before and after the end of the training", async () => {
  for (let day = 72; day <= DAYS + 15; day += 8) {
    const result = await look(calm, day);
    expect(result, `day ${day}: ${result.reasons.join("; ")}`).toMatchObject({
      alarm: false,
      drift: { verdict: "steady" },
    });
    expect(result.to - result.from).toBe(place.pipeline.drift.windowMs);
    expect(result.drift.rows).toBeGreaterThan(3000);
  }
});

test.each([
  ["amount-inflation", "drifted", /alert rate|customer_spend|amount/],
  ["night-shift", "drifted", /^hour|night/m],
  ["fraud-pattern", "drifted", /known_fraud|average precision/],
  ["broken-field", "broken feed", /^broken feed: customer_\w+ is missing in \d/m],
])("%s raises an alarm: %s", async (name, verdict, says) => {
  const result = await look(await later([`${name}@${DAYS}`]));
  expect(result).toMatchObject({ alarm: true, drift: { verdict } });
  expect(result.reasons.join("\n")).toMatch(says);
  expect(result.reasons.join("\n")).not.toMatch(/NaN|undefined/);
  const page = monitorReport(result);
  expect(page).toContain(`Alarm: ${verdict}`);
  expect(page).not.toMatch(/NaN|undefined|<script|src=/);
  expect(page.match(/<td/g)!.length).toBeGreaterThanOrEqual(7 * 10);
  expect(prometheusText(result, "card")).toMatch(/^sentinel_monitor_alarm\{pipeline="card"\} 1$/m);
});

test("what moved has a first day, an example that is there, and a direction on the score", async () => {
  const { drift, effects } = await look(await later([`night-shift@${DAYS + 8}`]));
  const [shift] = drift.shifts;
  const moved = drift.features.find(({ name }) => name === shift.feature)!;
  expect(moved.since).toBeGreaterThanOrEqual(START + (DAYS + 7) * DAY_MS);
  expect(Number(shift.example!.id)).toBeGreaterThan(0);
  expect(effects.map(({ feature }) => feature)).toEqual(drift.shifts.map(({ feature }) => feature));
  expect(effects.some(({ logOdds }) => logOdds !== 0)).toBe(true);
});

test("the command tells a webhook, tries again, keeps what is refused, and writes report and figures", async () => {
  const bodies: string[] = [];
  const answers = [503, 204, 401];
  const receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      bodies.push(`${request.headers["content-type"]} ${body}`);
      response.writeHead(answers.shift()!).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const { port } = receiver.address() as AddressInfo;
  const file = (name: string): string => path.join(place.dir, name);
  const table = await later([`night-shift@${DAYS}`]);
  const args = ["monitor", "--workspace", place.dir, "--data", table, "--webhook", `http://127.0.0.1:${port}/a`];
  const sent = await sentinel([...args, "--report", file("out/r.html"), "--prometheus", file("out/m.prom")]);
  expect(sent, sent.stderr).toMatchObject({ code: 1 });
  expect(bodies).toHaveLength(2);
  expect(bodies[0]).toMatch(/^application\/cloudevents\+json; charset=utf-8 \{"specversion":"1.0"/);
  expect(readFileSync(file("out/r.html"), "utf8")).toContain("Alarm: drifted");
  expect(readFileSync(file("out/m.prom"), "utf8")).toContain('sentinel_monitor_alarm{pipeline="card"} 1');
  const refused = await sentinel([...args, "--watch", "--rounds", "2", "--interval", "1ms"]);
  await new Promise((resolve) => receiver.close(resolve));
  expect(refused).toMatchObject({ code: 1 });
  // One alarm that goes on is sent once.
  expect(bodies).toHaveLength(3);
  const dead = readFileSync(file("models/state/card-alarms.dead.ndjson"), "utf8").trim().split("\n");
  expect(dead.map((line) => (JSON.parse(line) as { reason: string }).reason)).toEqual(["the receiver answered 401"]);
});

test("performance counts only what is matured and later than the training", async () => {
  expect((await look(calm, DAYS)).performance).toBeNull();
  const { performance, drift } = await look(calm, DAYS + 15);
  expect(performance).toMatchObject({ alarm: false });
  const days = (performance!.rows / drift.rows) * 7;
  expect(days).toBeGreaterThan(7);
  expect(days).toBeLessThan(9);
});

test("from the log: only what this champion answered itself, and a few rows are no judgement of distributions", async () => {
  await expect(look(null)).rejects.toMatchObject({ code: "lifecycle.not-enough-data" });
  const log = await place.ports.log();
  const registry = await place.ports.registry();
  const { champion } = await registry.aliases("card-fraud");
  const { bundle } = await registry.version("card-fraud", champion);
  const width = (await look(calm)).drift.features.length;
  const vector = new Float32Array(width).fill(1);
  const own = { vector, bundle, version: champion, time: START + 91 * DAY_MS };
  log.appendPrediction(prediction({ ...own, transactionId: "own" }));
  log.appendPrediction(prediction({ ...own, transactionId: "degraded", degraded: true }));
  log.appendPrediction(prediction({ ...own, transactionId: "other", bundle: "another" }));
  await log.flush();
  const { drift } = await look(null);
  expect(drift.rows).toBe(1);
  expect(drift.reasons.join("\n")).toMatch(/too few rows: 1 of/);
});
