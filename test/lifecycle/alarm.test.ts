// Alarms on their way: what is sent, when it is sent again, and what becomes of one that nobody takes.
import { expect, test } from "vitest";
import { alarmEvent, deliver, type MonitorResult } from "../../src/lifecycle/monitor.ts";
import { makeWorkspace, removeWorkspace, sentinel } from "../cli/sentinel.ts";

const RESULT = {
  alarm: true,
  reasons: ["amount drifted"],
  version: "3",
  from: 0,
  to: 7,
  drift: { alarm: true, verdict: "drifted", rows: 9, features: [{ name: "amount", drifted: true }] },
} as unknown as MonitorResult;
const EVENT = alarmEvent(RESULT, { pipeline: "card", now: Date.UTC(2026, 0, 2) });

async function run(answers: readonly (number | Error)[]) {
  const left = [...answers];
  const sent: string[] = [];
  const waits: number[] = [];
  const dead: string[] = [];
  const delivery = await deliver(EVENT, {
    post: async (body) => {
      sent.push(body);
      const answer = left.shift()!;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    sleep: async (ms) => void waits.push(ms),
    deadLetter: async (line) => void dead.push(line),
  });
  return { ...delivery, sent, waits, dead };
}

test("the event has every attribute that CloudEvents 1.0 requires, and the same alarm the same id", () => {
  expect(EVENT).toMatchObject({
    specversion: "1.0",
    type: "com.sentinel.monitor.alarm",
    source: "/sentinel/pipelines/card",
    time: "2026-01-02T00:00:00.000Z",
    data: { features: ["amount"], verdict: "drifted", version: "3" },
  });
  expect(EVENT.id).toMatch(/^[0-9a-f]{32}$/);
  expect(alarmEvent(RESULT, { pipeline: "card", now: 5 }).id).toBe(EVENT.id);
  expect(alarmEvent({ ...RESULT, to: 8 }, { pipeline: "card", now: 5 }).id).not.toBe(EVENT.id);
});

test("silence and a busy receiver are tried again with growing waits; every try sends the same", async () => {
  const { delivered, tries, waits, dead, sent } = await run([new Error("ECONNREFUSED"), 503, 204]);
  expect({ delivered, tries, dead }).toEqual({ delivered: true, tries: 3, dead: [] });
  expect(waits).toEqual([500, 1000]);
  expect(new Set(sent)).toEqual(new Set([JSON.stringify(EVENT)]));
});

test("a refusal is final at once, and four failures are enough: a dead letter with the whole event", async () => {
  const refused = await run([401]);
  expect(refused).toMatchObject({ delivered: false, tries: 1, reason: "the receiver answered 401" });
  const failed = await run([500, 500, 429, 500]);
  expect(failed).toMatchObject({ delivered: false, tries: 4 });
  for (const { dead } of [refused, failed]) expect(JSON.parse(dead[0]).event).toEqual(EVENT);
});

test("an address that is none is refused before anything is looked at", async () => {
  const dir = makeWorkspace();
  const answer = await sentinel(["monitor", "--webhook", "ftp://x", "--workspace", dir]);
  removeWorkspace(dir);
  expect(answer).toMatchObject({ code: 2 });
  expect(answer.stderr).toContain("--webhook");
});
