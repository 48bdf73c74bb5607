// Streams on a real Kafka: the driver's contract, and exactly once: a process killed anywhere, a broker killed, repeats and rubbish change no decision.
import { type ChildProcess, fork } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { createRegistrySchemas } from "../../src/drivers/schemas/registry/driver.ts";
import { createRedisState } from "../../src/drivers/state/redis/driver.ts";
import { createKafkaStreams } from "../../src/drivers/stream/kafka/driver.ts";
import { checkEvolution } from "../../src/lifecycle/evolution.ts";
import { avroLayout } from "../../src/lifecycle/produce/avro.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { subjectOf } from "../../src/ports/schemas.ts";
import type { SharedStore } from "../../src/ports/shared-store.ts";
import type { OutRecord, Streams } from "../../src/ports/stream.ts";
import type { Runner } from "../../src/stream/runner.ts";
import { sentinelJson } from "../cli/sentinel.ts";
import { streamsContract } from "../contracts/streams.ts";
import { type Broker, kafkaInstalled, startKafka } from "../drivers/kafka-broker.ts";
import { prediction } from "../drivers/records.ts";
import { redisInstalled, startRedis } from "../drivers/redis-server.ts";
import { startRegistry } from "../drivers/schema-registry.ts";
import { archivePlace } from "../lifecycle/archive/place.ts";
import { bodyOf, historyTable, makeWorld, type Payment, SCHEMA, type World } from "../server/world.ts";
import type { ChildTask } from "../stream/stream-child.ts";
import { byId, judgeAll, judging, prepare, recordOf, stream, streamSection, until } from "../stream/world.ts";

if (!kafkaInstalled) {
  console.warn("SKIPPED streams on Kafka: no broker in .cache/kafka; scripts/setup-kafka fetches it");
  test.runIf(process.env.CI === "true")("Kafka is installed", () => {
    expect(kafkaInstalled, "CI must run scripts/setup-kafka first").toBe(true);
  });
}

const CHILD = fileURLToPath(new URL("../../dist/test/stream/stream-child.js", import.meta.url));
const OUTPUTS = ["decisions", "alerts", "dead-letters"] as const;
const PARTITIONS = 3;
const PAYMENTS = stream(400);
/** Kills: the named steps once; `npm run kills` asks for fifty, at steps and at moments by chance. */
const KILLS = Number(process.env.SENTINEL_STREAM_KILLS ?? 0);
/** More than one transaction's. */
const RECORDS_OF_KILL = 60;
const STEP_MS_MAX = 15_000;
const STEPS = ["before-produce", "in-transaction", "while-committing", "after-commit", "in-snapshot", "by-chance"];

const SEED = Number(process.env.SENTINEL_STREAM_SEED ?? 1);

/** A line of the table that `npm run kills` prints; the comparison before it found nothing twice, lost or other. */
function tell(what: string, kills: number, decisions: number): void {
  console.log(
    `${what.padEnd(72)} ${String(kills).padStart(4)} kills, ${decisions} decisions, 0 twice, 0 lost, 0 other bits`,
  );
}

/** Records between what is judged and the ends that were heard of last. */
function lagOf(runner: Runner): number {
  return [...runner.status().lag.values()].reduce((sum, records) => sum + records, 0);
}

function spread(seconds: readonly number[]): string {
  return `${Math.min(...seconds).toFixed(1)} to ${Math.max(...seconds).toFixed(1)} s`;
}

describe.runIf(kafkaInstalled)("Kafka", () => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await startKafka();
  });
  afterAll(() => broker?.dispose());

  const streams = (): Streams => createKafkaStreams(broker.address);

  async function append(topic: string, records: readonly OutRecord[]): Promise<void> {
    const own = streams();
    const writer = await own.writer({ id: null, group: "test", topic });
    await writer.takeOver([]);
    await writer.commit({ outputs: new Map([[topic, records]]), positions: new Map() });
    await own.close();
  }

  /** Committed records of a topic, partition by partition. */
  async function read(topic: string): Promise<string[]> {
    const own = streams();
    const group = `reader-${Math.random()}`;
    const source = await own.subscribe({ topic, group, sessionMs: 6000, recordBytesMax: 1e6, whole: true });
    while (source.assignment() === null) await source.arrived(50);
    const spans = await source.spans();
    const lines: string[] = [];
    for (const [partition, { begin }] of spans) source.start(partition, begin);
    for (const [partition, { end }] of spans) {
      for (;;) {
        lines.push(...source.take(partition).map(({ value }) => Buffer.from(value!).toString()));
        if (source.readTo(partition) >= end) break;
        await source.arrived(50);
      }
    }
    await own.close();
    return lines;
  }

  let names = 0;
  streamsContract("Kafka", async () => ({ open: streams, append, read, name: () => `contract-${names++}` }));

  test("how long topics keep a record by its own time: by their settings, and not where they count from its writing", async () => {
    const [short, written, compacted, plain] = Array.from({ length: 4 }, () => `kept-${names++}`);
    const retention = { "retention.ms": "60000" };
    await broker.create(short, 1, retention);
    await broker.create(written, 1, { ...retention, "message.timestamp.type": "LogAppendTime" });
    await broker.create(compacted, 1, { ...retention, "cleanup.policy": "compact" });
    // The broker of these tests keeps what it is given.
    await broker.create(plain, 1);
    const own = streams();
    expect(await own.keeps([short, written, compacted, plain])).toEqual(new Map([[short, 60_000]]));
    expect(await own.keeps([])).toEqual(new Map());
    await own.close();
  });

  test("who forgets a person hears of every topic that a pipeline names, with how long it keeps what it has: there nothing is erased", async () => {
    const [CARD, own] = ["C-4929-forgotten", `forgotten-${names++}`];
    await broker.create(own, 1, { "retention.ms": "60000" });
    await broker.create(`${own}-decisions`, 1, { "cleanup.policy": "compact" });
    await broker.create(`${own}-alerts`, 1);
    await append(own, [
      { key: CARD, value: JSON.stringify({ transaction_id: "t1", customer_id: CARD }), timestamp: 1 },
    ]);
    const place = archivePlace();
    const file = path.join(place.dir, "pipelines", "card.yaml");
    writeFileSync(file, `${readFileSync(file, "utf8")}stream: { topic: ${own} }\n`);
    const { ports, close } = place.open();
    const log = await ports.log();
    log.appendPrediction(prediction("t1", { fields: { customer_id: CARD } }));
    await close();
    const env = { SENTINEL_KAFKA_BROKERS: broker.address.brokers.join(), SENTINEL_FORGET_KEY: "k".repeat(32) };
    const ran = await sentinelJson(["forget", "--card", CARD], { cwd: place.dir, env });
    expect([ran.code, ran.stderr]).toEqual([0, expect.anything()]);
    const left = (ran.json.left as readonly Record<"where" | "why" | "todo", string>[]).filter(({ where }) =>
      where.includes("topic"),
    );
    const said = Object.fromEntries(left.map(({ where, why, todo }) => [/topic (\S+)$/.exec(where)?.[1], why + todo]));
    expect(said).toEqual({
      [own]: expect.stringContaining("for 1m"),
      [`${own}-decisions`]: expect.stringContaining("a record without a value"),
      [`${own}-alerts`]: expect.stringContaining("for ever"),
    });
    expect(JSON.parse(readFileSync(ran.json.file as string, "utf8")).left).toEqual(ran.json.left);
    expect((await read(own)).join()).toContain(CARD);
    const checked = await sentinelJson(["forget", "--verify", ran.json.id, "--value", CARD], { cwd: place.dir, env });
    expect(checked).toMatchObject({ code: 0, json: { found: 0, files: [] } });
    place.dispose();
  });

  describe("exactly once", () => {
    let wanted: ReadonlyMap<string, string>;
    let template: string;
    let world: World;
    let topic: string;

    /** New topics, so that nothing of an earlier test is in them. */
    async function fresh(records: readonly OutRecord[], consumers: "one" | "several" = "one"): Promise<void> {
      topic = `payments-${names++}`;
      const own = streams();
      const outputs = OUTPUTS.map((output) => `${topic}-${output}`);
      await Promise.all([topic, ...outputs].map((name) => own.create(name, PARTITIONS)));
      await own.close();
      world = worldOf(consumers);
      await append(topic, records);
    }
    /**
     * At least so many committed records. A broker answers a commit before it has marked the partitions, and until then nobody sees the last
     * transaction.
     */
    async function written(output: (typeof OUTPUTS)[number], count: number): Promise<string[]> {
      for (;;) {
        const lines = await read(`${topic}-${output}`);
        if (lines.length >= count) return lines;
        await sleep(100);
      }
    }

    /** Decisions of an undisturbed run, in a world of its own. */
    async function judgedOf(records: readonly OutRecord[]): Promise<ReadonlyMap<string, string>> {
      await fresh(records);
      await judgeAll(world, streams);
      const undisturbed = byId(await written("decisions", records.length));
      await world.remove();
      return undisturbed;
    }

    beforeAll(async () => {
      template = mkdtempSync(path.join(tmpdir(), "sentinel-stream-"));
      const first = makeWorld({ dir: template });
      await prepare(first);
      await first.open().close();
      wanted = await judgedOf(PAYMENTS.map(recordOf));
      expect(wanted.size).toBe(PAYMENTS.length);
    });
    afterAll(() => rmSync(template, { recursive: true, force: true }));
    afterEach(() => world.remove());

    /** A copy of the world before anything was streamed. */
    function worldOf(consumers: "one" | "several"): World {
      const dir = mkdtempSync(path.join(tmpdir(), "sentinel-stream-"));
      cpSync(template, dir, { recursive: true });
      return makeWorld({ pipeline: streamSection(topic, consumers), dir });
    }

    /** Every decision once, with the bits of the undisturbed run; a replay of the log finds the same. */
    async function same(wanted: ReadonlyMap<string, string>): Promise<void> {
      const found = byId(await written("decisions", wanted.size));
      expect(found.size).toBe(wanted.size);
      for (const [id, line] of wanted) expect(found.get(id)).toBe(line);
      const { ports, close } = world.open();
      const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
      expect(report).toMatchObject({ verdict: "pass", mismatchCount: 0, missing: 0, predictions: wanted.size });
      await close();
    }

    /** Streams whose writers do something before a transaction, or between its records and its commit. */
    function inCommits(own: Streams, { before = (): void => {}, within = (): void => {} }): Streams {
      /** The writer reads the positions once the records are sent. */
      class Positions extends Map<number, number> {
        override [Symbol.iterator](): MapIterator<[number, number]> {
          within();
          return super[Symbol.iterator]();
        }
      }
      return {
        ...own,
        async writer(options) {
          const writer = await own.writer(options);
          return {
            takeOver: (outputs) => writer.takeOver(outputs),
            close: () => writer.close(),
            commit({ outputs, positions }) {
              before();
              return writer.commit({ outputs, positions: new Positions(positions) });
            },
          };
        },
      };
    }

    /** A process that loads what it needs, to have a task later. */
    const load = (): ChildProcess => fork(CHILD, { execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] });
    function child(step: string, time: number, on: { loaded?: ChildProcess; redis?: number } = {}): ChildProcess {
      const { loaded = load(), redis = null } = on;
      const task: ChildTask = { dir: world.dir, broker: broker.address.brokers[0], topic, step, time, redis };
      loaded.send(task);
      return loaded;
    }
    const ended = (process: ChildProcess): Promise<NodeJS.Signals | null> =>
      new Promise((resolve) => process.once("exit", (_, signal) => resolve(signal)));

    test("killed before it produces, in a transaction, after a commit and in a snapshot: the same decisions", async () => {
      const steps = ["before-produce", "in-transaction", "after-commit", "in-snapshot"].map((step) => ({
        step,
        loaded: load(),
      }));
      await fresh(PAYMENTS.map(recordOf));
      for (const { step, loaded } of steps) {
        const running = child(step, 1, { loaded });
        const over = ended(running);
        // On a busy machine a step may not be reached in time: then it is a kill wherever the process is.
        await Promise.race([over, sleep(STEP_MS_MAX)]);
        running.kill("SIGKILL");
        expect(await over, step).toBe("SIGKILL");
      }
      await judgeAll(world, streams);
      await same(wanted);
    });

    const kills = async (): Promise<void> => {
      const random = new Random(SEED);
      const all = stream(KILLS * RECORDS_OF_KILL).map(recordOf);
      const undisturbed = await judgedOf(all);
      await fresh([]);
      const killed = new Map<string, number>();
      for (let kill = 0; kill < KILLS; kill++) {
        // There is always something to judge, and it is all there when the next process starts.
        await append(topic, all.slice(kill * RECORDS_OF_KILL, (kill + 1) * RECORDS_OF_KILL));
        const step = STEPS[kill % STEPS.length];
        const running = child(step, 1 + random.integer(2));
        const over = ended(running);
        if (step === "by-chance") {
          await new Promise((resolve) => running.once("message", resolve));
          await sleep(random.uniform(0, 400));
        } else await Promise.race([over, sleep(STEP_MS_MAX)]);
        const reached = running.signalCode !== null;
        running.kill("SIGKILL");
        if ((await over) !== "SIGKILL") continue;
        const where = reached || step === "by-chance" ? step : `on the way to ${step}`;
        killed.set(where, (killed.get(where) ?? 0) + 1);
      }
      await judgeAll(world, streams);
      await same(undisturbed);
      for (const [step, count] of killed) tell(`process killed, ${step}`, count, undisturbed.size);
      expect([...killed.values()].reduce((sum, count) => sum + count, 0)).toBe(KILLS);
    };
    // Defined only where somebody asks for it: a test that is skipped is a fault in CI.
    if (KILLS > 0) test("kills at every step and at moments by chance", { timeout: 3_600_000 }, kills);

    const brokerKills = async (): Promise<void> => {
      const kills = Math.max(1, Math.floor(KILLS / 10));
      const all = stream(PAYMENTS.length * kills).map(recordOf);
      const undisturbed = kills === 1 ? wanted : await judgedOf(all);
      await fresh([]);
      let commits = 0;
      const dying = (): Streams =>
        inCommits(streams(), {
          within() {
            if (++commits === 2) void broker.kill();
          },
        });
      const running = await judging(world, dying);
      const { runner } = running.pipelines.get("card")!.engine!;
      const seconds: number[] = [];
      for (let kill = 1; kill <= kills; kill++) {
        const { retries } = runner.totals;
        commits = 0;
        await append(topic, all.slice((kill - 1) * PAYMENTS.length, kill * PAYMENTS.length));
        await until(() => runner.totals.retries > retries, running);
        expect(runner.status().ready).toBe(false);
        await broker.start();
        const begun = performance.now();
        await until(() => runner.totals.committed >= kill * PAYMENTS.length && lagOf(runner) === 0, running);
        seconds.push((performance.now() - begun) / 1000);
      }
      await running.end();
      await same(undisturbed);
      if (KILLS > 0)
        tell(`broker killed in a transaction, found again after ${spread(seconds)}`, kills, undisturbed.size);
    };
    // Not between its answer to a commit and its marks: a cluster of one broker may then forget some of them (docs/streams.md).
    const name = "the broker is killed in a transaction, and comes back: the same decisions";
    test(name, { timeout: KILLS > 0 ? 3_600_000 : 300_000 }, brokerKills);

    const rebalances = async (): Promise<void> => {
      const kills = Math.max(2, Math.floor(KILLS / 3));
      const random = new Random(SEED);
      // Close together: a partition that lies an hour of event time behind the others is decided and not learned.
      const [{ time }] = PAYMENTS;
      const all = stream(kills * RECORDS_OF_KILL).map((payment, at) =>
        recordOf({ ...payment, time: time + 2000 * at }),
      );
      const undisturbed = await judgedOf(all);
      await fresh([], "several");
      const redis = await startRedis();
      const shared = (): SharedStore => createRedisState({ address: redis.address, name: "card" });
      // Two that stay, and one that is killed again and again: each kill and each start is a rebalance.
      const staying = [await judging(world, streams, { shared }), await judging(world, streams, { shared })];
      for (let kill = 0; kill < kills; kill++) {
        const running = child("by-chance", 1, { redis: redis.address.port });
        const over = ended(running);
        await append(topic, all.slice(kill * RECORDS_OF_KILL, (kill + 1) * RECORDS_OF_KILL));
        await new Promise((resolve) => running.once("message", resolve));
        await sleep(random.uniform(0, 1000));
        running.kill("SIGKILL");
        expect(await over).toBe("SIGKILL");
      }
      await written("decisions", all.length);
      for (const one of staying) await one.end();
      await same(undisturbed);
      await redis.dispose();
      if (KILLS > 0) tell("one of three consumers killed, state in Redis", kills, undisturbed.size);
    };
    const text =
      "three consumers share a topic and their state in Redis, one is killed in a rebalance: the same decisions";
    test.runIf(redisInstalled)(text, { timeout: KILLS > 0 ? 3_600_000 : 120_000 }, rebalances);

    test("the broker keeps its connections and answers nothing for a while: the same decisions", async () => {
      await fresh(PAYMENTS.map(recordOf));
      let commits = 0;
      const limits = { askMs: 1_000, commitMs: 1_000, joinMs: 2_000, silentMs: 1_000, leaveMs: 100 };
      const freezing = (): Streams => {
        const own = createKafkaStreams(broker.address, { limits });
        return inCommits(own, {
          before() {
            if (++commits === 2) broker.freeze();
          },
        });
      };
      const running = await judging(world, freezing);
      const { runner } = running.pipelines.get("card")!.engine!;
      await until(() => runner.totals.retries > 1, running);
      expect(runner.status().ready).toBe(false);
      broker.thaw();
      await until(() => runner.totals.committed >= PAYMENTS.length && lagOf(runner) === 0, running);
      await running.end();
      await same(wanted);
    });

    test("Avro: a second version of the schema comes in the middle, without a stop: the decisions of JSON, bit for bit", async () => {
      const registry = await startRegistry();
      const schemas = createRegistrySchemas({ url: registry.url, login: null });
      await fresh([]);
      world = makeWorld({
        pipeline: streamSection(topic).replace("stream:", "stream:\n  format: avro"),
        dir: world.dir,
      });
      const layout = avroLayout(world.pipeline, SCHEMA);
      const later = { type: ["null", "string"], name: "channel", default: null };
      const next = { ...layout.schema, fields: [...layout.schema.fields, later] };
      const subject = subjectOf(topic);
      const first = await schemas.encoder(subject, layout.schema);
      const records = (some: readonly Payment[], encode: typeof first): OutRecord[] =>
        some.map((payment) => ({
          ...recordOf(payment),
          value: encode({ channel: "web", ...layout.record(bodyOf(payment)) }),
        }));
      // All is there when judging begins: of what comes while it goes on, nobody knows in which order the partitions bring it.
      await append(topic, records(PAYMENTS.slice(0, 150), first));
      const check = { pipeline: world.pipeline, schema: SCHEMA, schemas };
      expect(await checkEvolution({ ...check, next })).toMatchObject({ compatible: true, versions: 1 });
      const retyped = {
        ...layout.schema,
        fields: layout.schema.fields.map((field) => ({ ...field, type: "boolean", default: undefined })),
      };
      expect(await checkEvolution({ ...check, next: retyped })).toMatchObject({ compatible: false });
      await expect(schemas.encoder(subject, retyped)).rejects.toMatchObject({ code: "schemas.invalid" });
      await append(topic, records(PAYMENTS.slice(150), await schemas.encoder(subject, next)));
      // Rubbish between them is no reason to stop either.
      await append(topic, [{ ...recordOf(PAYMENTS[0]), value: "no avro" }]);
      const running = await judging(world, streams, { schemas });
      const { runner } = running.pipelines.get("card")!.engine!;
      await until(() => runner.totals.committed > PAYMENTS.length, running);
      expect(runner.totals).toMatchObject({ decided: PAYMENTS.length, deadLetters: 1, retries: 0 });
      await running.end();
      await same(wanted);
      await registry.dispose();
    });

    test("every record twice, one in a hundred rubbish: the same decisions, the rubbish in the dead letters", async () => {
      const records = PAYMENTS.flatMap((payment, at) => {
        const twice = [recordOf(payment), recordOf(payment)];
        return at % 50 === 7 ? [...twice, { ...recordOf(payment), value: `{"transaction_id": ${at}` }] : twice;
      });
      await fresh(records);
      // As where the broker deletes the decisions of such old records within minutes: that is told.
      const forgetful = (): Streams => ({ ...streams(), keeps: async () => new Map([[`${topic}-decisions`, 0]]) });
      const { pipelines } = await judgeAll(world, forgetful);
      await same(wanted);
      const { totals } = pipelines.get("card")!.engine!.runner;
      expect(totals).toMatchObject({ decided: PAYMENTS.length, duplicates: PAYMENTS.length, deadLetters: 8 });
      expect(totals.expired).toBe(PAYMENTS.length);
      const letters = (await written("dead-letters", 8)).map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(letters.map(({ code }) => code)).toEqual(Array.from({ length: 8 }, () => "request.malformed"));
      const texts = letters.map(({ value }) => Buffer.from(String(value), "base64").toString());
      expect(texts.every((text) => text.startsWith('{"transaction_id": '))).toBe(true);
    });
  });
});
