// Streams in files from end to end: what is decided, what is an alert or a dead letter, and that a repeat, a restart or a lost disk changes nothing.
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createTarget } from "../../src/drivers/notify/target.ts";
import { createNdjsonStreams } from "../../src/drivers/stream/ndjson/driver.ts";
import { Notifier } from "../../src/lifecycle/desk.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { silentLog } from "../../src/online/counters.ts";
import type { Pipelines } from "../../src/online/pipelines.ts";
import { parseNotifications } from "../../src/pipeline/notifications.ts";
import type { Streams } from "../../src/ports/stream.ts";
import { httpReceiver } from "../drivers/notify/receivers.ts";
import { bodyOf, historyTable, makeWorld, type Payment, post, reply, serve, type World } from "../server/world.ts";
import { byId, judgeAll, judging, prepare, recordOf, STREAM_SECTION, stream, streamSection, until } from "./world.ts";

const PAYMENTS = stream(150);
let world: World;
let folder: string;

beforeEach(async () => {
  world = makeWorld({ pipeline: STREAM_SECTION });
  await prepare(world);
  folder = path.join(world.dir, "stream");
  await createNdjsonStreams({ folder }).create("payments", 1);
});
afterEach(() => world.remove());

const streams = (): Streams => createNdjsonStreams({ folder });
const fileOf = (topic: string): string => path.join(folder, `${topic}.ndjson`);
const lineOf = (payment: Payment): string => `${recordOf(payment).value}\n`;
const put = (...lines: readonly string[]): void => appendFileSync(fileOf("payments"), lines.join(""));
function lines(topic: string): string[] {
  return existsSync(fileOf(topic)) ? readFileSync(fileOf(topic), "utf8").split("\n").slice(0, -1) : [];
}
const decisions = (): string[] => lines("payments-decisions");
const letters = (): Record<string, unknown>[] =>
  lines("payments-dead-letters").map((line) => JSON.parse(line) as Record<string, unknown>);

test("what a stream decides is what HTTP answers, in the stream's order, and a replay finds the same bits", async () => {
  put(...PAYMENTS.map(lineOf));
  const { pipelines } = await judgeAll(world, streams);
  expect(pipelines.get("card")?.engine?.runner.totals).toMatchObject({ decided: 150, committed: 150, duplicates: 0 });
  const decided = decisions().map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(decided.map(({ transaction_id: id }) => id)).toEqual(PAYMENTS.map(({ transaction_id: id }) => id));

  const other = makeWorld();
  await prepare(other);
  const { server, stop } = await serve(other);
  await server.start({ host: "127.0.0.1", port: 0 });
  for (const [at, payment] of PAYMENTS.entries()) {
    const answer = await reply(post(server, "/predict", bodyOf(payment)));
    const { pipeline, time, ...rest } = decided[at];
    expect(rest).toEqual(answer);
    expect([pipeline, time]).toEqual(["card", new Date(payment.time).toISOString()]);
  }
  await stop();
  await other.remove();

  const alerts = lines("payments-alerts").map((line) => JSON.parse(line) as Record<string, unknown>);
  const stopped = decided.filter(({ decision }) => decision !== "approve");
  expect(stopped.length).toBeGreaterThan(3);
  expect(alerts.map(({ transaction_id: id }) => id)).toEqual(stopped.map(({ transaction_id: id }) => id));
  const first = PAYMENTS.find(({ transaction_id: id }) => id === alerts[0].transaction_id)!;
  expect(alerts[0].transaction).toEqual({
    amount: first.amount,
    customer_id: first.customer_id,
    terminal_id: first.terminal_id,
  });
  expect(alerts[0].vector_hash).toMatch(/^[0-9a-f]{64}$/);

  const { ports, close } = world.open();
  const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(report).toMatchObject({ verdict: "pass", mismatchCount: 0, missing: 0, predictions: 150 });
  await close();
});

test("every event twice and rubbish between: the same decisions, each once; the rubbish is in the dead letters with its cause", async () => {
  put(...PAYMENTS.map(lineOf));
  await judgeAll(world, streams);
  const wanted = decisions();

  const other = makeWorld({ pipeline: STREAM_SECTION });
  await prepare(other);
  folder = path.join(other.dir, "stream");
  await streams().create("payments", 1);
  const rubbish = ["{", "[1]\n", '"text"', '{"a":1,}', '{"amount":1e999}', '{"transaction_id":"x"}'];
  for (const [at, payment] of PAYMENTS.entries()) {
    put(lineOf(payment), lineOf(payment));
    if (at % 25 === 3) put(`${rubbish[(at - 3) / 25].trim()}\n`);
  }
  appendFileSync(fileOf("payments"), Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d, 0x0a));
  const again = { ...bodyOf(PAYMENTS[0]), amount: 1 };
  put(`${JSON.stringify(again)}\n`, `${"x".repeat(1_100_000)}\n`);
  const { pipelines } = await judgeAll(other, streams);
  expect(decisions()).toEqual(wanted);
  expect(pipelines.get("card")?.engine?.runner.totals).toMatchObject({ decided: 150, duplicates: 150, deadLetters: 9 });
  expect(letters().map(({ code }) => code)).toEqual([
    "request.malformed",
    "request.invalid",
    "request.invalid",
    "request.malformed",
    "request.malformed",
    "request.invalid",
    "request.malformed",
    "request.duplicate",
    "request.body-too-large",
  ]);
  const [first] = letters();
  expect(first).toMatchObject({ pipeline: "card", topic: "payments", partition: 0, attempts: 1 });
  expect(Buffer.from(String(first.value), "base64").toString()).toBe("{");
  const input = readFileSync(fileOf("payments"));
  expect(input.subarray(Number(first.offset), Number(first.offset) + 2).toString()).toBe("{\n");
  await other.remove();
});

test("the output depends on nothing but the input: two runs write the same bytes", async () => {
  put(...PAYMENTS.map(lineOf), "{\n");
  await judgeAll(world, streams);
  const outputs = ["payments-decisions", "payments-alerts", "payments-dead-letters"];
  const one = outputs.map((topic) => lines(topic));
  const other = makeWorld({ pipeline: STREAM_SECTION });
  await prepare(other);
  const input = readFileSync(fileOf("payments"));
  folder = path.join(other.dir, "stream");
  await streams().create("payments", 1);
  writeFileSync(fileOf("payments"), input);
  await judgeAll(other, streams);
  expect(outputs.map((topic) => lines(topic))).toEqual(one);
  await other.remove();
});

test("a restart goes on where it stopped; the state is that of one long run", async () => {
  put(...PAYMENTS.slice(0, 70).map(lineOf));
  await judgeAll(world, streams);
  put(...PAYMENTS.slice(70).map(lineOf));
  const { pipelines } = await judgeAll(world, streams);
  expect(pipelines.get("card")?.engine?.runner.totals).toMatchObject({ decided: 80, restored: 0 });
  const parts = decisions();
  const other = makeWorld({ pipeline: STREAM_SECTION });
  await prepare(other);
  folder = path.join(other.dir, "stream");
  await streams().create("payments", 1);
  put(...PAYMENTS.map(lineOf));
  await judgeAll(other, streams);
  expect(parts).toEqual(decisions());
  await other.remove();
});

test("judged and logged, but not committed: the same decisions are written, and nothing is learned twice", async () => {
  put(...PAYMENTS.map(lineOf));
  await judgeAll(world, streams);
  const wanted = decisions();
  // As after a kill between the log and the commit: positions and outputs are those of an earlier transaction.
  const file = path.join(folder, ".judges-payments.payments.positions.json");
  const saved = JSON.parse(readFileSync(file, "utf8"));
  const kept = wanted.slice(0, 40).join("\n").length + 1;
  const read = PAYMENTS.slice(0, 40).map(lineOf).join("").length;
  const lengths = { ...saved.lengths, "payments-decisions": kept, "payments-alerts": 0 };
  writeFileSync(file, JSON.stringify({ ...saved, positions: { 0: read }, lengths }));
  const alerts = lines("payments-alerts");
  await judgeAll(world, streams);
  expect(decisions()).toEqual(wanted);
  expect(alerts.slice(-lines("payments-alerts").length)).toEqual(lines("payments-alerts"));
  const { ports, close } = world.open();
  const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(report).toMatchObject({ verdict: "pass", mismatchCount: 0, predictions: 150 });
  await close();
});

test("the log and its snapshots are gone: the input is judged again without being written, then it goes on as if nothing had been", async () => {
  put(...PAYMENTS.map(lineOf));
  await judgeAll(world, streams);
  const wanted = decisions();

  const other = makeWorld({ pipeline: STREAM_SECTION });
  await prepare(other);
  folder = path.join(other.dir, "stream");
  await streams().create("payments", 1);
  put(...PAYMENTS.slice(0, 90).map(lineOf));
  await judgeAll(other, streams);
  // What training left is there again; log and saved states are not.
  const kept = other.dir;
  await other.open().close();
  rmSync(path.join(kept, "state"), { recursive: true });
  const fresh = makeWorld({ pipeline: STREAM_SECTION, dir: kept });
  await fresh.saveState((await import("../server/world.ts")).SPEC_A);
  put(...PAYMENTS.slice(90).map(lineOf));
  const { pipelines } = await judgeAll(fresh, streams);
  expect(pipelines.get("card")?.engine?.runner.totals).toMatchObject({ restored: 90, decided: 60 });
  expect(decisions()).toEqual(wanted);
  await fresh.remove();
});

test("dead letters are judged again once the schema is right; what fails again is written again", async () => {
  const strict = { type: "object", required: ["transaction_id", "amount"], properties: { amount: { type: "string" } } };
  put(lineOf(PAYMENTS[0]), "{\n");
  await judgeAll(world, streams, { schema: strict });
  expect(letters().map(({ attempts }) => attempts)).toEqual([1, 1]);
  expect(decisions()).toEqual([]);
  await judgeAll(world, streams, { deadLetters: true });
  expect([...byId(decisions()).keys()]).toEqual([PAYMENTS[0].transaction_id]);
  expect(letters().map(({ attempts, offset }) => [attempts, offset])).toEqual([
    [1, 0],
    [1, lineOf(PAYMENTS[0]).length],
    [2, lineOf(PAYMENTS[0]).length],
  ]);
});

test("who hears of dead letters gets one message with the counts of their causes, and none of what stands in them", async () => {
  const receiver = await httpReceiver();
  try {
    const text = `
targets: { room: { kind: webhook, url: "${receiver.url}" } }
routes: [{ to: [room], events: [dead-letter] }]
`;
    const file = parseNotifications(text, "notifications.yaml").value;
    const notices = {
      file,
      targets: [createTarget({ name: "room", keys: file.targets.room, secret: () => "" })],
    };
    const bad = { ...bodyOf(PAYMENTS[0]), transaction_id: "bad", amount: "secret-name" };
    put(lineOf(PAYMENTS[0]), ...Array.from({ length: 90 }, () => "{\n"), `${JSON.stringify(bad)}\n`);
    await judgeAll(world, streams, { notices });
    const codes = letters().map(({ code }) => code);
    const told = async (): Promise<readonly unknown[]> => {
      const { ports, close } = world.open();
      const { clock } = ports;
      const pipelines = { all: () => [] } as unknown as Pipelines<never>;
      await new Notifier<never>({ notices, store: ports.store!, pipelines, clock, logger: silentLog }).look();
      await close();
      return receiver.received.map(({ body }) => JSON.parse(body));
    };
    const messages = await told();
    expect(codes).toHaveLength(91);
    expect(messages).toMatchObject([
      {
        type: "com.sentinel.stream.dead-letters",
        data: {
          pipeline: "card",
          dead_letters: "payments-dead-letters",
          count: 91,
          causes: [
            { code: "request.malformed", topic: "payments", count: 90, first: { partition: 0 } },
            { code: "request.invalid", topic: "payments", count: 1 },
          ],
        },
      },
    ]);
    expect(receiver.received[0].body).not.toContain("secret-name");
    // Judged again, they are in a second message, as where they stood at first.
    await judgeAll(world, streams, { notices, deadLetters: true });
    expect((await told())[1]).toMatchObject({ data: { count: 91, causes: [{ topic: "payments", count: 90 }, {}] } });
  } finally {
    await receiver.close();
  }
});

test("standard input is judged to its end", async () => {
  const pipe = new PassThrough();
  const piped = (): Streams => createNdjsonStreams({ folder, input: pipe });
  pipe.end(PAYMENTS.slice(0, 30).map(lineOf).join(""));
  await judgeAll(world, piped, { untilEnd: false });
  expect(byId(decisions()).size).toBe(30);
});

test("a stream that goes on judges what is appended; its probes and measures say so; at the end it commits", async () => {
  const running = await judging(world, streams, { probes: true });
  const at = `http://127.0.0.1:${running.probes!.port}`;
  put(...PAYMENTS.slice(0, 50).map(lineOf), "{\n");
  const { totals } = running.pipelines.get("card")!.engine!.runner;
  await until(() => totals.committed === 51);
  expect([decisions().length, letters().length]).toEqual([50, 1]);
  await until(async () => (await fetch(`${at}/readyz`)).status === 200);
  expect((await fetch(`${at}/livez`)).status).toBe(200);
  expect((await fetch(`${at}/nothing`)).status).toBe(404);
  const text = await (await fetch(`${at}/metrics`)).text();
  expect(text).toContain('sentinel_stream_dead_letters_total{pipeline="card",code="request.malformed"} 1');
  expect(text).toMatch(/sentinel_stream_decisions_total\{pipeline="card",decision="approve"\} \d+/);
  expect(text).toContain('sentinel_stream_ready{pipeline="card"} 1');
  expect(text).toContain('sentinel_stream_records_total{pipeline="card"} 51');
  put(...PAYMENTS.slice(50).map(lineOf));
  await until(() => decisions().length > 50);
  await running.end();
  // Nothing that was judged is left behind.
  expect(decisions().length).toBe(totals.decided);
  expect(totals.committed).toBe(totals.decided + 1);
});

test("no champion: records wait for one, and readiness says why", async () => {
  const empty = makeWorld({ pipeline: STREAM_SECTION });
  folder = path.join(empty.dir, "stream");
  await streams().create("payments", 1);
  put(...PAYMENTS.slice(0, 5).map(lineOf));
  const running = await judging(empty, streams);
  await until(() => running.pipelines.get("card")!.engine!.runner.totals.retries > 0);
  expect(decisions()).toEqual([]);
  expect(running.pipelines.get("card")!.engine!.runner.status()).toMatchObject({
    ready: false,
    fault: expect.stringContaining("champion"),
  });
  await prepare(empty);
  await until(() => decisions().length === 5);
  await running.end();
  expect(letters()).toEqual([]);
  await empty.remove();
});

test("several consumers with a state of their own are refused, with the features that would be wrong", async () => {
  const several = makeWorld({ pipeline: streamSection("payments", "several") });
  await prepare(several);
  await expect(judgeAll(several, streams)).rejects.toMatchObject({
    code: "stream.invalid",
    message: expect.stringContaining("terminal_frauds_7d (by terminal_id)"),
  });
  await several.remove();
});

test("records that the topic forgets while it is read are counted as lost, once", async () => {
  put(...PAYMENTS.slice(0, 20).map(lineOf));
  let asked = 0;
  const forgetful = (): Streams => {
    const own = streams();
    return {
      ...own,
      async subscribe(options) {
        const source = await own.subscribe(options);
        return Object.assign(Object.create(source), {
          async spans() {
            const [[partition, { begin, end }]] = await source.spans();
            if (asked++ === 0) return new Map([[partition, { begin, end }]]);
            // Seven more came and went.
            await until(() => source.readTo(partition) === end);
            return new Map([[partition, { begin: end + 7, end: end + 7 }]]);
          },
        });
      },
    };
  };
  const running = await judging(world, forgetful);
  const { totals } = running.pipelines.get("card")!.engine!.runner;
  await until(() => totals.committed === 20 && totals.lost > 0);
  await running.end();
  expect(totals).toMatchObject({ decided: 20, lost: 7 });
});

test("an input that was replaced by a shorter one is refused", async () => {
  put(...PAYMENTS.slice(0, 20).map(lineOf));
  await judgeAll(world, streams);
  writeFileSync(fileOf("payments"), lineOf(PAYMENTS[30]));
  await expect(judgeAll(world, streams)).rejects.toMatchObject({ code: "stream.invalid" });
});

test("labels come from a topic of their own, before and after what they are about; what is none goes to the dead letters and comes back", async () => {
  const labelled = makeWorld({ pipeline: `${STREAM_SECTION}  labels: truths\n` });
  await prepare(labelled);
  folder = path.join(labelled.dir, "stream");
  for (const topic of ["payments", "truths"]) await streams().create(topic, 1);
  const label = (payment: Payment, fraud: boolean): string =>
    `${JSON.stringify({ transaction_id: payment.transaction_id, fraud })}\n`;
  const later = PAYMENTS[30];
  appendFileSync(
    fileOf("truths"),
    [label(PAYMENTS[0], true), "{\n", label(later, true), label(PAYMENTS[1], false)].join(""),
  );
  put(...PAYMENTS.slice(0, 20).map(lineOf));
  const running = await judging(labelled, streams);
  const { runner, engine } = running.pipelines.get("card")!.engine!;
  const labels = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { kind, record } of engine.log.scan(1)) if (kind === "label") found.push(record.transactionId);
    return found;
  };
  await until(async () => (await labels()).length === 2);
  expect(await labels()).toEqual([PAYMENTS[0], PAYMENTS[1]].map(({ transaction_id: id }) => id));
  await until(() => letters().length === 2);
  expect(letters().map(({ code, topic }) => [code, topic])).toEqual([
    ["request.malformed", "truths"],
    ["request.not-found", "truths"],
  ]);
  put(...PAYMENTS.slice(20, 40).map(lineOf));
  await until(() => runner.totals.committed === 40);
  await running.end();
  await judgeAll(labelled, streams, { deadLetters: true });
  const { ports, close } = labelled.open();
  const known: string[] = [];
  for await (const { kind, record } of (await ports.log()).scan(1))
    if (kind === "label") known.push(record.transactionId);
  expect(known).toEqual([PAYMENTS[0], PAYMENTS[1], later].map(({ transaction_id: id }) => id));
  await close();
  await labelled.remove();
});
