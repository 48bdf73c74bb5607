// Servers on one PostgreSQL: a change reaches each of them by its poll; with the database away the last known rules decide, and that is told.
import { writeFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import type { Rule } from "../../src/core/rule.ts";
import { createFileLock } from "../../src/drivers/files/lock.ts";
import { createPostgresLocks } from "../../src/drivers/lock/postgres.ts";
import { openPostgresLog } from "../../src/drivers/log/postgres/driver.ts";
import { migratePostgres, openPostgresStore } from "../../src/drivers/store/postgres/driver.ts";
import type { PostgresAddress } from "../../src/drivers/store/postgres/pool.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { addRule, changeList, stageRule } from "../../src/lifecycle/rules.ts";
import { makeWorkspace, removeWorkspace, sentinel } from "../cli/sentinel.ts";
import { borrowPostgres, type PostgresServer, postgresPrograms } from "../drivers/postgres-server.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  NOW,
  type Payment,
  payments,
  post,
  SCHEMA,
  SPEC_A,
  serve,
  until,
  type World,
} from "./world.ts";

/** What routes say of the rules. */
interface Told {
  readonly status: string;
  readonly rules: { readonly revision: number; readonly store: { readonly reachable: boolean } };
}

const clock = { elapsed: () => performance.now() };
const worlds: World[] = [];
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  for (const world of worlds.splice(0)) await world.remove();
});

if (postgresPrograms === null) {
  console.warn("SKIPPED servers on PostgreSQL: it is not here; scripts/setup-postgres installs it");
  test.runIf(process.env.CI === "true")("PostgreSQL is here", () => {
    expect.fail("CI must run scripts/setup-postgres first");
  });
} else {
  const postgres: PostgresServer = await borrowPostgres();

  const serverOn = async (address: PostgresAddress, changes: Parameters<typeof makeWorld>[0] = {}) => {
    const world = makeWorld({ openStore: () => openPostgresStore({ address, clock }), ...changes });
    worlds.push(world);
    writeFileSync(world.pipeline.schemaFile, JSON.stringify(SCHEMA));
    await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
    await world.saveState(SPEC_A);
    const started = await serve(world);
    stops.push(started.stop);
    const { server, ports } = started;
    const json = async (route: string) => (await server.app.request(route)).json() as Promise<Told>;
    let next = 0;
    const events = payments(60, { seed: 3, from: HISTORY.at(-1)!.time, prefix: "e" }).filter(({ time }) => time < NOW);
    const ask = async () => (await post(server, "/predict", bodyOf(events[next++] as Payment))).json();
    return {
      world,
      ports,
      events,
      post: (route: string, body: unknown) => post(server, route, body),
      json,
      ask,
      text: async () => (await server.app.request("/metrics")).text(),
    };
  };

  const all: Rule = {
    id: "all",
    when: "amount >= 0",
    action: "block",
    severity: "critical",
    description: "",
    stage: "live",
    share: 0.1,
    owner: "",
  };

  test("two servers see a change of rules and of a list; away and back, with what was known meanwhile", async () => {
    const address = postgres.address();
    await migratePostgres(address);
    const [one, other] = [await serverOn(address), await serverOn(address)];
    const by = { pipeline: one.world.pipeline, actor: "ana" };
    expect(await one.json("/model")).toMatchObject({ rules: { revision: 0, live: null, store: { reachable: true } } });
    await addRule(one.ports, { ...by, rule: all });
    for (const server of [one, other]) {
      await until(async () => (await server.json("/model")).rules.revision === 1);
      expect(await server.ask()).toMatchObject({ decision: "block", decided_by: "rule" });
    }
    await postgres.kill();
    for (const server of [one, other]) {
      await until(async () => !(await server.json("/model")).rules.store.reachable);
      expect(await server.ask()).toMatchObject({ decision: "block", decided_by: "rule" });
      const { rules } = await server.json("/model");
      expect(rules).toMatchObject({ revision: 1, store: { fault: expect.stringContaining("does not answer") } });
      const ready = await server.json("/readyz");
      expect(ready).toMatchObject({ status: "ready", store: { reachable: false, checked_at: expect.any(String) } });
      expect(await server.text()).toMatch(/sentinel_rules_age_seconds\{[^}]*\} \d/);
      expect(await server.text()).toMatch(/sentinel_rule_failures_total\{[^}]*code="store.unreachable"[^}]*\} [1-9]/);
    }
    await expect(stageRule(other.ports, { ...by, id: "all", stage: "off" })).rejects.toMatchObject({
      code: "store.unreachable",
    });
    await postgres.restart();
    for (const server of [one, other]) await until(async () => (await server.json("/model")).rules.store.reachable);
    await changeList(other.ports, { ...by, list: "mules", values: ["c1"] });
    await stageRule(other.ports, { ...by, id: "all", stage: "off" });
    for (const server of [one, other]) {
      await until(async () => (await server.json("/model")).rules.revision === 3);
      expect(await server.ask()).not.toMatchObject({ decided_by: "rule" });
    }
  });

  test.each(["interval", "sync"] as const)(
    "a server whose log is there too (%s): replayed bit for bit; away it answers what it may and loses nothing",
    async (durability) => {
      const address = postgres.address();
      await migratePostgres(address);
      const one = await serverOn(address, {
        pipeline: `log: { durability: ${durability}, lag_max: 500ms }\n`,
        openLog: (options) => openPostgresLog({ address, name: "card", options }),
      });
      const answered: string[] = [];
      const send = async (event: Payment): Promise<number> => {
        const { status } = await one.post("/predict", bodyOf(event));
        if (status === 200) answered.push(event.transaction_id);
        return status;
      };
      for (const event of one.events.slice(0, 30)) expect(await send(event)).toBe(200);
      const [first] = one.events;
      const labelled = await one.post("/feedback", { transaction_id: first.transaction_id, fraud: true });
      expect(labelled.status).toBe(200);
      const log = await one.ports.log();
      await log.flush();
      await postgres.kill();
      // `interval` answers until the oldest record waits for longer than lag_max; `sync` refuses at once.
      expect(await send(one.events[30])).toBe(durability === "sync" ? 503 : 200);
      await until(async () => log.refusal() !== null);
      expect(await send(one.events[31])).toBe(503);
      expect(await one.json("/readyz")).toMatchObject({ status: "not ready" });
      await postgres.restart();
      await until(async () => log.health().unwritten === 0 && log.refusal() === null);
      expect(await send(one.events[32])).toBe(200);
      await until(async () => (await one.json("/readyz")).status === "ready");
      for (const id of answered) expect(await log.find(id)).not.toBeNull();
      const checked = await replay(one.ports, { pipeline: one.world.pipeline, history: async () => historyTable() });
      expect(checked).toMatchObject({ verdict: "pass", mismatches: [] });
      expect(checked.compared).toBeGreaterThanOrEqual(31);
    },
  );

  test("one server at a time has a pipeline's log to itself, whichever machine it is on", async () => {
    const address = postgres.address();
    await migratePostgres(address);
    const told: string[] = [];
    const locksOf = (dir: string) =>
      createPostgresLocks({
        nameOf: (name) => name,
        address,
        local: createFileLock({ dir }),
        onLost: (message) => told.push(message),
      });
    const [here, there] = [locksOf(makeWorkspace()), locksOf(makeWorkspace())];
    const held = await here.acquire("serve-card", { everywhere: true });
    await expect(there.acquire("serve-card", { everywhere: true })).rejects.toMatchObject({
      code: "lifecycle.locked",
      message: expect.stringContaining(String(process.pid)),
      hint: expect.stringContaining("SENTINEL_REDIS_URL"),
    });
    // About files of one workspace: another workspace has its own.
    const own = [await here.acquire("retrain-card"), await there.acquire("retrain-card")];
    for (const lock of own) await lock.release();
    await held.release();
    const other = await there.acquire("serve-card", { everywhere: true });
    // A session that broke takes its lock again.
    await postgres.kill();
    await expect(here.acquire("serve-card", { everywhere: true })).rejects.toMatchObject({ code: "store.unreachable" });
    await postgres.restart();
    await until(async () => {
      const free = await here.acquire("serve-card", { everywhere: true }).catch(() => null);
      await free?.release();
      return free === null;
    });
    await other.release();
    await (await here.acquire("serve-card", { everywhere: true })).release();
    expect(told).toEqual([]);
    await here.close();
    await there.close();
  });

  test("the command line works on PostgreSQL as on a file, and migrates it only when it is told to", async () => {
    const address = postgres.address();
    const dir = makeWorkspace();
    const env = { SENTINEL_DATABASE_URL: postgres.url(address).replace("sentinel@", "sentinel:s3cret-word@") };
    const run = (...args: string[]) => sentinel([...args, "--workspace", dir], { env });
    expect(await run("db", "status")).toMatchObject({ code: 1, stdout: expect.stringContaining("001-rules") });
    const early = await run("rules", "list");
    expect(early).toMatchObject({ code: 2, stderr: expect.stringContaining("sentinel db migrate") });
    expect(await run("doctor")).toMatchObject({ code: 1, stdout: expect.stringContaining("sentinel db migrate") });
    expect(await run("db", "migrate")).toMatchObject({ code: 0, stdout: expect.stringContaining("applied 001-rules") });
    expect(await run("db", "migrate")).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing to do") });
    expect(await run("db", "status")).toMatchObject({ code: 0 });
    expect(await run("db", "drop")).toMatchObject({ code: 2 });
    writeFileSync(
      `${dir}/pipelines/card.rules.yaml`,
      "rules:\n  - { id: big, when: amount > 900, stage: live }\nlists: { mules: [c1, c2] }\n",
    );
    expect(await run("rules", "apply")).toMatchObject({ code: 0 });
    expect(await run("lists", "end", "mules", "c1", "--reason", "cleared")).toMatchObject({ code: 0 });
    expect(JSON.parse((await run("lists", "show", "mules", "--json")).stdout)).toMatchObject([{ value: "c2" }]);
    const add = ["rules", "add", "listed", "--when", "customer_id IN (SELECT value FROM mules)", "--action", "block"];
    expect(await run(...add)).toMatchObject({ code: 0 });
    const history = await run("rules", "history", "--json");
    expect(JSON.parse(history.stdout).map(({ verb }: { verb: string }) => verb)).toEqual(["apply", "list end", "add"]);
    const looked = await run("doctor");
    expect(looked.stdout).toContain(`store: postgres://127.0.0.1:${address.port}/postgres (schema ${address.schema})`);
    await postgres.kill();
    const away = await run("rules", "list");
    expect(away).toMatchObject({ code: 3, stderr: expect.stringContaining("does not answer") });
    const ran = [early, looked, away, await run("doctor")];
    expect(ran.map(({ stdout, stderr }) => stdout + stderr).join("\n")).not.toContain("s3cret");
    await postgres.restart();
    removeWorkspace(dir);
  });
}
