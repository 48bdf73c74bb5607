// Several pipelines in one process: one with a broken schema leaves the others alone; the store's status pauses, resumes and stops each.
import { appendFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createNdjsonStreams } from "../../src/drivers/stream/ndjson/driver.ts";
import { setStatus } from "../../src/lifecycle/platform.ts";
import type { PipelineSource } from "../../src/online/pipelines.ts";
import { type StreamProcess, startStreaming } from "../../src/stream/stream.ts";
import { makeWorld, SCHEMA, silent, type World } from "../server/world.ts";
import { prepare, recordOf, stream, streamSection, until } from "./world.ts";

const PIPELINES = 10;
const BROKEN = 3;
const PAYMENTS = stream(20);

let template: string;
const worlds: World[] = [];
beforeAll(async () => {
  template = mkdtempSync(path.join(tmpdir(), "sentinel-several-"));
  const first = makeWorld({ dir: template });
  await prepare(first);
  await first.open().close();
});
afterAll(() => rmSync(template, { recursive: true, force: true }));
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.remove();
});

function worldOf(topic: string): World {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-several-"));
  cpSync(template, dir, { recursive: true });
  const world = makeWorld({ dir, pipeline: streamSection(topic) });
  worlds.push(world);
  return world;
}

function linesOf(folder: string, topic: string): string[] {
  const file = path.join(folder, `${topic}-decisions.ndjson`);
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
}

const put = (folder: string, topic: string, payments = PAYMENTS): void =>
  appendFileSync(path.join(folder, `${topic}.ndjson`), payments.map((one) => `${recordOf(one).value}\n`).join(""));

test("ten pipelines in one process, one with a broken schema: nine go on, and the tenth comes once it is repaired", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "sentinel-several-"));
  let isBroken = true;
  const sources = Array.from({ length: PIPELINES }, (_, at): PipelineSource => {
    const topic = `t${at}`;
    const world = worldOf(topic);
    put(folder, topic);
    return {
      name: `p${at}`,
      from: "file",
      async open() {
        const { ports, close } = world.open();
        const schema =
          at === BROKEN && isBroken ? { type: "object", properties: { amount: { type: "money" } } } : SCHEMA;
        return { ports, pipeline: { ...world.pipeline, name: `p${at}` }, schema, close };
      },
    };
  });
  const clock = { now: Date.now, elapsed: () => performance.now() };
  const running = await startStreaming({
    sources,
    streamsOf: async () => createNdjsonStreams({ folder }),
    clock,
    options: { logger: silent },
    at: { host: "127.0.0.1", port: 0 },
  });
  const done = (at: number): boolean => linesOf(folder, `t${at}`).length === PAYMENTS.length;
  const all = Array.from({ length: PIPELINES }, (_, at) => at);
  await until(() => all.every((at) => at === BROKEN || done(at)));
  const ready = await fetch(`http://127.0.0.1:${running.probes!.port}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({
    faults: [{ pipeline: `p${BROKEN}`, fault: expect.stringContaining("schema") }],
  });
  expect(linesOf(folder, `t${BROKEN}`)).toEqual([]);
  isBroken = false;
  await until(() => done(BROKEN));
  // What is decided in one pipeline is what is decided in every other.
  const plain = (at: number): string[] => linesOf(folder, `t${at}`).map((line) => line.replace(`"p${at}"`, '"p"'));
  for (const at of all) expect(plain(at)).toEqual(plain(0));
  await running.stop();
  rmSync(folder, { recursive: true });
});

test("the status of the API pauses, resumes and stops a running stream; nothing is lost, and nothing comes twice", async () => {
  const world = worldOf("payments");
  const folder = path.join(world.dir, "stream");
  await createNdjsonStreams({ folder }).create("payments", 1);
  const { ports, close } = world.open();
  const source: PipelineSource = {
    name: "card",
    from: "file",
    open: async () => ({ ports, pipeline: world.pipeline, schema: SCHEMA, close }),
  };
  const running: StreamProcess = await startStreaming({
    sources: [source],
    streamsOf: async () => createNdjsonStreams({ folder }),
    clock: ports.clock,
    platform: { store: () => ports.store!(), workspace: world.dir, sourceOf: () => source },
    options: { logger: silent },
    at: null,
  });
  const { runner, live } = running.pipelines.get("card")!.engine!;
  const store = await ports.store!();
  const set = async (status: "active" | "paused" | "stopped"): Promise<void> => {
    const [record] = await store.pipelines.list();
    await setStatus(store, record, { status, actor: "analyst", at: ports.clock.now() });
    await until(() => live.status === status);
  };
  put(folder, "payments", PAYMENTS.slice(0, 5));
  await until(() => runner.totals.committed === 5);
  for (const [at, status] of (["paused", "stopped"] as const).entries()) {
    await set(status);
    put(folder, "payments", PAYMENTS.slice(5 + 5 * at, 10 + 5 * at));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([runner.totals.committed, runner.status()]).toMatchObject([5 + 5 * at, { ready: false, fault: null }]);
    await set("active");
    await until(() => runner.totals.committed === 10 + 5 * at);
  }
  expect(runner.status().ready).toBe(true);
  await running.stop();
  const ids = linesOf(folder, "payments").map(
    (line) => (JSON.parse(line) as { transaction_id: string }).transaction_id,
  );
  expect(ids).toEqual(PAYMENTS.slice(0, 15).map(({ transaction_id: id }) => id));
});
