// A recorded stream judged again: by the same bundle and rules nothing differs, by others exactly what they would have decided.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFileSnapshots } from "../../src/drivers/files/snapshots.ts";
import { createSqliteLog } from "../../src/drivers/log/sqlite/driver.ts";
import { createNdjsonStreams } from "../../src/drivers/stream/ndjson/driver.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { replayTopic, type TopicReplay, type TopicReplayInput } from "../../src/stream/replay.ts";
import { makeBundle, makeWorld, SCHEMA, SPEC_A, type World } from "../server/world.ts";
import { judgeAll, prepare, recordOf, STREAM_SECTION, stream } from "./world.ts";

const PAYMENTS = stream(150);
let world: World;
let folder: string;
let other: string;
beforeEach(async () => {
  world = makeWorld({ pipeline: STREAM_SECTION });
  await prepare(world);
  other = await world.register(makeBundle(SPEC_A, 9));
  folder = path.join(world.dir, "stream");
  await createNdjsonStreams({ folder }).create("payments", 1);
  appendFileSync(path.join(folder, "payments.ndjson"), PAYMENTS.map((one) => `${recordOf(one).value}\n`).join(""));
  await judgeAll(world, () => createNdjsonStreams({ folder }));
});
afterEach(() => world.remove());

interface Decided {
  readonly transaction_id: string;
  readonly decision: string;
  readonly score: number;
}
const decided = (): Decided[] =>
  readFileSync(path.join(folder, "payments-decisions.ndjson"), "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Decided);

/** With a log and snapshots of its own; `champion` in the place of the workspace's. */
async function again(options: Partial<TopicReplayInput> & { readonly champion?: string } = {}): Promise<TopicReplay> {
  const { champion, ...rest } = options;
  const scratch = path.join(world.dir, `scratch-${Math.random()}`);
  const { ports, close } = world.open();
  const log = createSqliteLog({ file: path.join(scratch, "log.db") });
  const own = createFileSnapshots({ dir: path.join(scratch, "snapshots") });
  const theirs = await ports.snapshots();
  const registry = await ports.registry();
  const beside: Ports = {
    ...ports,
    log: async () => log,
    snapshots: async () => ({
      load: async (name) => (await own.load(name)) ?? (name.includes("state-train") ? theirs.load(name) : null),
      save: (name, bytes) => own.save(name, bytes),
    }),
    registry: async () =>
      champion === undefined
        ? registry
        : Object.assign(Object.create(registry) as typeof registry, { aliases: async () => ({ champion }) }),
  };
  const open = (file: string) => createNdjsonStreams({ folder: scratch, input: path.join(folder, file) });
  const report = await replayTopic({
    pipeline: { ports: beside, pipeline: world.pipeline, schema: SCHEMA },
    input: open("payments.ndjson"),
    recorded: open("payments-decisions.ndjson"),
    schemas: null,
    ...rest,
  });
  await log.close();
  await close();
  return report;
}

test("the same bundle decides the same of every record, and leaves no trace", async () => {
  const before = [decided(), existsSync(path.join(folder, ".judges-payments.payments.positions.json"))];
  expect(await again()).toMatchObject({ decided: 150, compared: 150, changed: 0, rescored: 0, deadLetters: 0 });
  expect([decided(), existsSync(path.join(folder, ".judges-payments.payments.positions.json"))]).toEqual(before);
});

test("another bundle: every decision and score that it would have changed", async () => {
  const report = await again({ champion: other });
  // The same by hand: a world in which the other bundle was champion all along.
  const recorded = new Map(decided().map((one) => [one.transaction_id, one]));
  const twin = makeWorld({ pipeline: STREAM_SECTION });
  await twin.saveState(SPEC_A);
  await twin.alias("champion", await twin.register(makeBundle(SPEC_A, 9)));
  folder = path.join(twin.dir, "stream");
  await createNdjsonStreams({ folder }).create("payments", 1);
  writeFileSync(path.join(folder, "payments.ndjson"), PAYMENTS.map((one) => `${recordOf(one).value}\n`).join(""));
  await judgeAll(twin, () => createNdjsonStreams({ folder }));
  const changed = decided().filter(({ transaction_id: id, decision }) => recorded.get(id)!.decision !== decision);
  const rescored = decided().filter(
    ({ transaction_id: id, decision, score }) =>
      recorded.get(id)!.decision === decision && recorded.get(id)!.score !== score,
  );
  expect(changed.length).toBeGreaterThan(0);
  expect(report).toMatchObject({ decided: 150, compared: 150, changed: changed.length, rescored: rescored.length });
  expect(report.examples.map(({ transactionId }) => transactionId)).toEqual(
    changed.slice(0, 20).map(({ transaction_id: id }) => id),
  );
  const total = Object.values(report.changes).reduce((sum, count) => sum + count, 0);
  expect(total).toBe(changed.length);
  await twin.remove();
});

test("only the offsets that are asked for are judged again", async () => {
  const until = PAYMENTS.slice(0, 40)
    .map((one) => `${recordOf(one).value}\n`)
    .join("").length;
  expect(await again({ until })).toMatchObject({ decided: 40, compared: 40, changed: 0, rescored: 0 });
  const from = new Map([[0, until]]);
  expect(await again({ from })).toMatchObject({ decided: 110, compared: 110 });
});
