// Retention: each kind by its own days, counted by a dry run and removed by a run; one that says nothing keeps what it shares.
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { partOf } from "../../src/cli/serve/rooms.ts";
import { loadConfig } from "../../src/config.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { archiveNow } from "../../src/lifecycle/archive/write.ts";
import { storeKept } from "../../src/lifecycle/retention.ts";
import { silentLog } from "../../src/online/counters.ts";
import { madeText } from "../../src/pipeline/made.ts";
import { MADE_FOLDER } from "../../src/pipeline/pipeline.ts";
import { openWorkspacePorts } from "../../src/wiring.ts";
import { sentinelJson } from "../cli/sentinel.ts";
import { BY, fields, newAlert } from "../contracts/store.ts";
import { prediction } from "../drivers/records.ts";
import { type ArchivePlace, archivePlace } from "./archive/place.ts";

let place: ArchivePlace;
beforeEach(() => {
  place = archivePlace("to: data/archive, row_group: 2048");
  const file = path.join(place.dir, "pipelines", "card.yaml");
  const retention = "retention: { log: 10, archive: 20, reports: 30, alerts: 40, audit: 50, ledger: 60 }\n";
  writeFileSync(file, readFileSync(file, "utf8") + retention);
});
afterEach(() => place.dispose());

test("what is older than its days goes, and what is younger stays; a dry run only counts", async () => {
  const now = Date.now();
  const ago = (days: number): number => now - days * DAY_MS;
  const { ports, close } = place.open();
  const log = await ports.log();
  log.appendPrediction(prediction("old", { time: ago(21), receivedAt: ago(11) }));
  log.appendPrediction(prediction("new", { time: ago(5), receivedAt: ago(9) }));
  await log.flush();
  await archiveNow(ports, place.input);
  const store = await ports.store!();
  for (const days of [51, 49, 1])
    await store.audit.append({
      ...{ at: ago(days), actor: BY.actor, action: "x", subject: "y", subjectId: "", pipeline: null },
      ...{ reason: "", before: null, after: null },
    });
  const { id } = await store.pipelines.create(fields("card"), BY);
  const alert = { time: ago(41), alertedAt: ago(41) };
  await store.alerts.append([newAlert(id, "a", alert), newAlert(id, "b", { ...alert, alertedAt: ago(39) })]);
  const entry = { transaction: "{}", answer: "{}", by: "brain", brain: null, receivedAt: 1 } as const;
  await store.ledger.append([
    { ...entry, id: "old", answeredAt: ago(61) },
    { ...entry, id: "waits", by: "policy", answeredAt: ago(61) },
    { ...entry, id: "new", answeredAt: ago(59) },
  ]);
  await close();
  const reports = path.join(place.dir, "models", "reports");
  mkdirSync(reports, { recursive: true });
  for (const days of [31, 29]) {
    const file = path.join(reports, `${days}.html`);
    writeFileSync(file, "x");
    utimesSync(file, ago(days) / 1000, ago(days) / 1000);
  }
  const run = async (...args: string[]) => {
    const ran = await sentinelJson(["retention", ...args], { cwd: place.dir });
    expect(ran.code).toBe(0);
    return Object.fromEntries(
      ran.json.retained.map((one: { kind: string; days: number; records: number }) => [
        one.kind,
        [one.days, one.records],
      ]),
    );
  };
  const due = { log: [10, 1], archive: [20, 1], reports: [30, 1], alerts: [40, 1], audit: [50, 1], ledger: [60, 1] };
  expect(await run("--dry-run")).toEqual(due);
  expect(await run()).toEqual(due);
  expect(Object.values(await run()).map((pair) => (pair as number[])[1])).toEqual([0, 0, 0, 0, 0, 0]);
  expect(readdirSync(reports)).toEqual(["29.html"]);
  const again = place.open();
  const left = await again.ports.store!();
  expect((await (await again.ports.log()).counts()).predictions).toBe(1);
  expect((await left.alerts.page({}, { limit: 10 })).items.map(({ transactionId }) => transactionId)).toEqual(["b"]);
  expect([await left.ledger.find("old"), await left.ledger.find("waits")]).toEqual([null, expect.anything()]);
  await again.close();
});

test("of several pipelines the longest counts, one that says nothing keeps, and the environment may be shorter", () => {
  const of = (...days: readonly (number | undefined)[]) => days.map((alerts) => ({ retention: { alerts } }));
  const environment = { alertsMs: 730 * DAY_MS, auditMs: null };
  const days = (kept: ReturnType<typeof storeKept>) => (kept.alertsMs === null ? null : kept.alertsMs / DAY_MS);
  expect(days(storeKept(environment, of(30, 90)))).toBe(90);
  expect(days(storeKept(environment, of(30, undefined)))).toBe(730);
  expect(days(storeKept({ ...environment, alertsMs: null }, of(30, undefined)))).toBeNull();
  expect(days(storeKept({ ...environment, alertsMs: 7 * DAY_MS }, of(30)))).toBe(7);
  expect(storeKept(environment, []).ledgerMs).toBeNull();
  const audit = (auditMs: number | null, days: number) =>
    storeKept({ alertsMs: null, auditMs }, [{ retention: { audit: days } }]).auditBy;
  expect([audit(null, 30), audit(90 * DAY_MS, 30), audit(7 * DAY_MS, 30)]).toEqual([
    ...["retention.audit", "retention.audit", "SENTINEL_AUDIT_KEEP"],
  ]);
});

test("a server asks all pipelines that have rows in the store at each look: one that a program made keeps its own for ever", async () => {
  const config = loadConfig({ workspace: place.dir, environment: {} });
  const ports = openWorkspacePorts(config, { report: { line: () => {}, progress: () => {} } });
  try {
    const of = { ports, logger: silentLog, named: [], main: null, notices: null };
    const { platform } = await partOf(config, of);
    expect(platform!.keep!()).toMatchObject({ alertsMs: 40 * DAY_MS, auditMs: 50 * DAY_MS, ledgerMs: 60 * DAY_MS });
    const folder = path.join(place.dir, MADE_FOLDER);
    mkdirSync(folder, { recursive: true });
    const roles = { id: "id", time: "at", amount: null, key: null };
    writeFileSync(path.join(folder, "wallet.yaml"), madeText({ slug: "wallet", fourEyes: false, fields: [], roles }));
    expect(platform!.keep!()).toMatchObject({ ...config.keep, ledgerMs: null });
  } finally {
    await ports.close();
  }
});
