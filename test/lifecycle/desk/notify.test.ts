// Notices on their way to real receivers, on a clock that the test sets: away for an hour, slow, answering 500, a server that is killed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { dailyBefore, toldTo, waitAfter } from "../../../src/cases/notices.ts";
import { SentinelError } from "../../../src/core/errors.ts";
import { createTarget } from "../../../src/drivers/notify/target.ts";
import { openLibsqlStore } from "../../../src/drivers/store/libsql/driver.ts";
import type { SqlStore } from "../../../src/drivers/store/sql/driver.ts";
import { type Buried, letterNotices, Notifier } from "../../../src/lifecycle/desk.ts";
import { silentLog } from "../../../src/online/counters.ts";
import type { Pipelines } from "../../../src/online/pipelines.ts";
import { type NotificationsFile, parseNotifications } from "../../../src/pipeline/notifications.ts";
import type { Target } from "../../../src/ports/outbox.ts";
import { type HttpReceiver, httpReceiver } from "../../drivers/notify/receivers.ts";
import { ofDefault } from "../../drivers/store/of-default.ts";

const BEGIN = Date.UTC(2026, 10, 30, 9);
const HOUR = 3_600_000;
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

interface Desk {
  readonly store: SqlStore;
  now: number;
  /** Puts messages in, so many for each target. */
  put(target: string, count: number, notice?: string): Promise<void>;
  /** Rounds, a step of the clock between two, until the receivers were told or so many passed. */
  rounds(count: number, stepMs: number): Promise<void>;
  readonly file: NotificationsFile;
  /** Another server on the same store. */
  notifier(targets?: readonly Target[]): Notifier<never>;
}

async function aDesk(targets: Readonly<Record<string, string>>, routes = ""): Promise<Desk> {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-notify-"));
  const store = await ofDefault(
    openLibsqlStore({ file: path.join(dir, "store.db"), clock: { elapsed: () => performance.now() } }),
  );
  open.push({
    async close() {
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  });
  const lines = Object.entries(targets).map(([name, url]) => `  ${name}: {kind: webhook, url: "${url}"}`);
  const file = parseNotifications(`targets:\n${lines.join("\n")}\nroutes: [${routes}]\n`, "notifications.yaml").value;
  const made = Object.entries(file.targets).map(([name, keys]) =>
    createTarget({ name, keys, secret: () => "", timeoutMs: 200 }),
  );
  let puts = 0;
  const desk: Desk = {
    store,
    now: BEGIN,
    file,
    async put(target, count, notice = "alert") {
      const messages = Array.from({ length: count }, () => {
        const key = `m${String(++puts).padStart(4, "0")}`;
        return { target, key, notice, pipeline: "card", body: JSON.stringify({ id: key, data: {} }) };
      });
      await store.outbox.put(messages, desk.now);
    },
    notifier: (own = made) =>
      new Notifier<never>({
        notices: { file, targets: own },
        store: async () => store,
        pipelines: { all: () => [] } as unknown as Pipelines<never>,
        clock: { now: () => desk.now, elapsed: () => desk.now },
        logger: silentLog,
      }),
    async rounds(count, stepMs) {
      const notifier = desk.notifier();
      for (let round = 0; round < count; round++) {
        await notifier.look();
        desk.now += stepMs;
      }
    },
  };
  return desk;
}

async function aReceiver(port?: number): Promise<HttpReceiver> {
  const receiver = await httpReceiver(port);
  open.push(receiver);
  return receiver;
}
const idsOf = ({ received }: HttpReceiver): readonly string[] =>
  received.map(({ body }) => (JSON.parse(body) as { readonly id: string }).id);
const upTo = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `m${String(i + 1).padStart(4, "0")}`);

test("a receiver that is away for an hour gets everything afterwards, in order; others get theirs meanwhile", async () => {
  const away = await aReceiver();
  const here = await aReceiver();
  const port = Number(new URL(away.url).port);
  await away.close();
  open.splice(open.indexOf(away), 1);
  const desk = await aDesk({ away: away.url, here: here.url });
  await desk.put("away", 30);
  await desk.put("here", 5);
  await desk.rounds(70, 60_000);
  expect(desk.now - BEGIN).toBeGreaterThan(HOUR);
  expect(here.received).toHaveLength(5);
  expect((await desk.store.outbox.states()).find(({ target }) => target === "away")).toMatchObject({
    waiting: 30,
    dead: 0,
  });
  const back = await aReceiver(port);
  // Within the longest wait it is tried again.
  await desk.rounds(2, 300_000);
  expect(idsOf(back)).toEqual(upTo(30));
  expect(await desk.store.outbox.states()).toMatchObject([
    { target: "away", waiting: 0, dead: 0, sent: 30 },
    { target: "here", waiting: 0, sent: 5 },
  ]);
});

test("while one receiver is slow another hears of what comes meanwhile", async () => {
  const desk = await aDesk({ slow: "http://127.0.0.1:1", quick: "http://127.0.0.1:1" });
  const heard: string[] = [];
  let answer = (): void => {};
  const silent = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const target = (name: string, waits: Promise<void>): Target => ({
    name,
    async send() {
      heard.push(name);
      await waits;
      return { outcome: "taken" };
    },
  });
  const notifier = desk.notifier([target("slow", silent), target("quick", Promise.resolve())]);
  await desk.put("slow", 1);
  const first = notifier.look();
  await vi.waitFor(() => expect(heard).toEqual(["slow"]));
  await desk.put("quick", 1);
  const second = notifier.look();
  await vi.waitFor(() => expect(heard).toEqual(["slow", "quick"]));
  answer();
  await Promise.all([first, second]);
  expect(await desk.store.outbox.states()).toMatchObject([{ waiting: 0 }, { waiting: 0 }]);
});

test("one that is slow or answers 500 now and then gets each at least once, the first of each in order", async () => {
  const receiver = await aReceiver();
  receiver.answer = (place) => (place % 4 === 1 ? 500 : place % 7 === 3 ? "hang" : 200);
  const desk = await aDesk({ flaky: receiver.url });
  await desk.put("flaky", 12);
  await desk.rounds(60, 60_000);
  const firsts = [...new Set(idsOf(receiver))];
  expect(firsts).toEqual(upTo(12));
  expect(receiver.received.length).toBeGreaterThan(12);
  expect(await desk.store.outbox.states()).toMatchObject([{ waiting: 0, dead: 0, sent: 12 }]);
});

test("a refusal, and a day without a receiver, are dead letters with their cause; the next goes, and others are told", async () => {
  const receiver = await aReceiver();
  const watcher = await aReceiver();
  const desk = await aDesk(
    { strict: receiver.url, watcher: watcher.url },
    "{to: [strict, watcher], events: [dead-letter]}",
  );
  receiver.answer = (place) => (place === 1 ? 403 : 200);
  await desk.put("strict", 3);
  await desk.rounds(2, 1000);
  expect(idsOf(receiver)).toEqual(["m0001", "m0002", "m0003"]);
  receiver.answer = () => 503;
  await desk.put("strict", 1);
  await desk.rounds(5, 300_000);
  desk.now += 24 * HOUR;
  await desk.rounds(2, 1000);
  const { items } = await desk.store.outbox.deadLetters({ limit: 10 });
  expect(items.map(({ key, cause }) => [key, cause])).toEqual([
    ["m0004", "the receiver answered 503: not now"],
    ["m0002", "the receiver answered 403: not now"],
  ]);
  expect(items[0].diedAt - items[0].at).toBeGreaterThanOrEqual(24 * HOUR);
  expect(items[0].tries).toBe(6);
  // Told to the other, not to the one that did not take them.
  expect(watcher.received.map(({ body }) => (JSON.parse(body) as { data: { target: string } }).data.target)).toEqual([
    "strict",
    "strict",
  ]);
  receiver.answer = () => 200;
  await desk.store.outbox.retry(items[0].id, desk.now);
  await desk.rounds(1, 0);
  expect(idsOf(receiver).at(-1)).toBe("m0004");
});

test("a server that is killed while it sends leaves the message to another one: at least once, in order", async () => {
  const receiver = await aReceiver();
  const desk = await aDesk({ room: receiver.url });
  await desk.put("room", 3);
  let begun = (): void => {};
  const sending = new Promise<void>((resolve) => {
    begun = resolve;
  });
  // Its answer never comes to whoever was killed.
  const killed = desk.notifier([
    {
      name: "room",
      send: () => {
        begun();
        return new Promise(() => {});
      },
    },
  ]);
  void killed.look();
  await sending;
  await desk.rounds(3, 10_000);
  expect(receiver.received).toEqual([]);
  await desk.rounds(2, 30_000);
  await desk.rounds(1, 0);
  expect(idsOf(receiver)).toEqual(upTo(3));
});

test("two servers send each message once between them", async () => {
  const receiver = await aReceiver();
  const desk = await aDesk({ room: receiver.url });
  await desk.put("room", 20);
  await Promise.all([desk.notifier().look(), desk.notifier().look(), desk.notifier().look()]);
  await desk.rounds(1, 0);
  expect(idsOf(receiver)).toEqual(upTo(20));
});

test("dead letters of a stream: one message however many, then none for ten minutes; nothing is forgotten while the store is away", async () => {
  const receiver = await aReceiver();
  const desk = await aDesk({ room: receiver.url }, "{to: [room], events: [dead-letter], pipelines: [card]}");
  let away = false;
  const options = {
    ...{ pipeline: "card", deadLetters: "payments-dead-letters", notices: { file: desk.file, targets: [] } },
    store: async () => {
      if (away) throw new SentinelError("store.unreachable", "nobody answers", { hint: "wait" });
      return desk.store;
    },
    clock: { now: () => desk.now, elapsed: () => desk.now },
    logger: silentLog,
  };
  expect(letterNotices({ ...options, pipeline: "shop" }), "no route wants those of that pipeline").toBeNull();
  const letters = letterNotices(options)!;
  const some = (count: number, code: Buried["code"], topic = "payments"): readonly Buried[] =>
    Array.from({ length: count }, (_, i) => ({ topic, partition: 1, offset: 40 + i, attempts: 0, code }));
  const heard = async (): Promise<
    readonly { readonly count: number; readonly causes: object; readonly text: object }[]
  > => {
    await desk.rounds(1, 0);
    return receiver.received.map(({ body }) => JSON.parse(body).data);
  };

  await letters.look();
  expect(await heard()).toEqual([]);
  letters.count(some(1, "request.invalid"));
  letters.count(some(50_000, "request.malformed"));
  letters.count(some(2, "request.not-found", "labels"));
  await letters.look();
  const [first] = await heard();
  expect(first).toMatchObject({
    title: "card: 50003 records of labels and payments could not be judged",
    severity: "warning",
    pipeline: "card",
    dead_letters: "payments-dead-letters",
    count: 50_003,
    causes: [
      { code: "request.malformed", topic: "payments", count: 50_000, first: { partition: 1, offset: 40 } },
      { code: "request.not-found", topic: "labels", count: 2 },
      { code: "request.invalid", topic: "payments", count: 1 },
    ],
  });
  expect(receiver.received[0].body).toContain("--from-dead-letters");
  expect(JSON.parse(receiver.received[0].body)).toMatchObject({
    type: "com.sentinel.stream.dead-letters",
    source: "/sentinel/pipelines/card",
  });

  // More of them wait, and are one message again.
  for (let minute = 0; minute < 9; minute++) {
    desk.now += 60_000;
    letters.count(some(3, "request.malformed"));
    await letters.look();
  }
  expect(await heard()).toHaveLength(1);
  desk.now += 60_000;
  away = true;
  await letters.look();
  letters.count(some(4, "request.invalid"));
  away = false;
  await letters.look();
  expect((await heard())[1]).toMatchObject({
    count: 31,
    causes: [
      { code: "request.malformed", count: 27 },
      { code: "request.invalid", count: 4 },
    ],
  });
  // A stream that ends says what it has.
  letters.count(some(1, "request.duplicate"));
  await letters.stop();
  expect((await heard())[2]).toMatchObject({ title: "card: 1 record of payments could not be judged", count: 1 });
});

test("who is told: by event, by severity of alerts, by pipeline; each target once", () => {
  const { value } = parseNotifications(
    `targets: {a: {kind: webhook, url: "http://a"}, b: {kind: webhook, url: "http://b"}}
routes:
  - {to: [a, b], events: [alert]}
  - {to: [b], events: [alert, daily], severities: [warning, critical], pipelines: [card]}
  - {to: [a], events: [drift], pipelines: [shop]}
`,
    "n.yaml",
  );
  expect(toldTo(value, { notice: "alert", severity: "critical", pipeline: "card" })).toEqual(["a", "b"]);
  expect(toldTo(value, { notice: "alert", severity: "warning", pipeline: "card" })).toEqual(["b"]);
  expect(toldTo(value, { notice: "alert", severity: "warning", pipeline: "shop" })).toEqual([]);
  expect(toldTo(value, { notice: "daily", pipeline: "card" })).toEqual(["b"]);
  expect(toldTo(value, { notice: "daily", pipeline: null })).toEqual([]);
  expect(toldTo(value, { notice: "drift", pipeline: "shop" })).toEqual(["a"]);
  expect([1, 2, 3, 20, 99].map(waitAfter)).toEqual([1000, 2000, 4000, 300_000, 300_000]);
  expect(dailyBefore(BEGIN, "06:00")).toBe(BEGIN - 3 * HOUR);
  expect(dailyBefore(BEGIN, "09:00")).toBe(BEGIN);
  expect(dailyBefore(BEGIN, "09:01")).toBe(BEGIN - 24 * HOUR + 60_000);
});

test("a file in which a secret stands, or a name that is no target, is refused with its line", () => {
  for (const [text, what] of [
    [`targets: {s: {kind: slack, url: "https://hooks.slack.com/x"}}`, /Slack address/],
    [`targets: {w: {kind: webhook, url: "https://u:p@host/"}}`, /login/],
    [`targets: {w: {kind: webhook}}`, /no address/],
    [`targets: {w: {kind: webhook, url: "https://a", url_from: "env:A"}}`, /twice/],
    [`targets: {p: {kind: pagerduty}}`, /routing key/],
    [`targets: {p: {kind: pagerduty, key_from: "secret"}}`, /key_from/],
    [`targets: {m: {kind: email, url: "smtp://h", to: [a]}}`, /sender/],
    [`targets: {w: {kind: webhook, url: nonsense}}`, /no address/],
    [`targets: {"a b": {kind: webhook, url: "https://a"}}`, /names no target/],
    [`routes: [{to: [nobody], events: [alert]}]`, /no target/],
    [`routes: [{to: [a], events: [alerts]}]`, /events/],
  ] as const)
    expect(() => parseNotifications(text, "notifications.yaml"), text).toThrow(what);
});
