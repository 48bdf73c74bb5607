// Targets against real receivers on loopback: what arrives, what is tried again, what is refused for good, and that nothing hostile acts there.
import { createHmac } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CloudEvent } from "../../../src/core/cloud-event.ts";
import { createTarget } from "../../../src/drivers/notify/target.ts";
import { parseNotifications } from "../../../src/pipeline/notifications.ts";
import { type HttpReceiver, httpReceiver, type MailReceiver, mailReceiver } from "./receivers.ts";

const EVENT: CloudEvent = {
  specversion: "1.0",
  id: "e1",
  source: "/sentinel/pipelines/card",
  type: "com.sentinel.alert",
  subject: "alert 7",
  time: "2026-11-30T09:00:00.000Z",
  datacontenttype: "application/json",
  data: {
    title: "card: critical alert\r\nBcc: all@example.com",
    text: ["<!channel> *x* & <https://evil.example|click>", "Zoë \u202eabc"],
    severity: "critical",
    link: "https://fraud.example.com/api/alerts/7",
  },
};
const MESSAGE = { id: 1, key: "e1", notice: "alert", body: JSON.stringify(EVENT) };

let http: HttpReceiver;
let mail: MailReceiver;
beforeAll(async () => {
  http = await httpReceiver();
  mail = await mailReceiver();
});
afterAll(async () => {
  await http.close();
  await mail.close();
});

function target(text: string, secrets: Readonly<Record<string, string>> = {}) {
  const { value } = parseNotifications(`targets: {x: ${text}}`, "notifications.yaml");
  const secret = (place: string): string => {
    if (place in secrets) return secrets[place];
    throw new Error(`the secret ${place} is empty`);
  };
  return createTarget({ name: "x", keys: value.targets.x, secret, timeoutMs: 300 });
}

test("a webhook gets the CloudEvent, signed, with its id", async () => {
  const hook = target(`{kind: webhook, url: "${http.url}", key_from: "env:KEY"}`, { "env:KEY": "k" });
  expect(await hook.send(MESSAGE)).toEqual({ outcome: "taken" });
  const { headers, body } = http.received.at(-1)!;
  expect(JSON.parse(body)).toEqual(EVENT);
  expect(headers["content-type"]).toBe("application/cloudevents+json; charset=utf-8");
  expect(headers["idempotency-key"]).toBe("e1");
  expect(headers["x-sentinel-signature"]).toBe(`sha256=${createHmac("sha256", "k").update(body).digest("hex")}`);
});

test("Slack: what stands in a transaction becomes no link, no call to everybody, no other direction", async () => {
  const slack = target(`{kind: slack, url_from: "env:URL"}`, { "env:URL": http.url });
  expect(await slack.send(MESSAGE)).toEqual({ outcome: "taken" });
  const { text } = JSON.parse(http.received.at(-1)!.body) as { readonly text: string };
  expect(text).toContain("&lt;!channel&gt; *x* &amp; &lt;https://evil.example|click&gt;");
  expect(text.match(/<[^>]*>/g)).toEqual(["<https://fraud.example.com/api/alerts/7>"]);
  expect(text).not.toMatch(/[\u202e\r]/);
  expect(text.split("\n")).toHaveLength(4);
});

test("PagerDuty: a trigger of Events v2 with the routing key and one incident for one happening", async () => {
  const pager = target(`{kind: pagerduty, url: "${http.url}", key_from: "file:key"}`, { "file:key": "r".repeat(32) });
  http.answer = () => 202;
  expect(await pager.send(MESSAGE)).toEqual({ outcome: "taken" });
  http.answer = () => 200;
  expect(JSON.parse(http.received.at(-1)!.body)).toMatchObject({
    routing_key: "r".repeat(32),
    event_action: "trigger",
    dedup_key: "e1",
    payload: { severity: "critical", source: "/sentinel/pipelines/card", class: "com.sentinel.alert" },
    links: [{ href: "https://fraud.example.com/api/alerts/7" }],
  });
});

test("an e-mail by SMTP: one subject line, one body, the same Message-ID for the same happening", async () => {
  const mailed = target(`{kind: email, url: "${mail.url}", from: s@example.com, to: [a@example.com, b@example.com]}`);
  expect(await mailed.send(MESSAGE)).toEqual({ outcome: "taken" });
  expect(await mailed.send(MESSAGE)).toEqual({ outcome: "taken" });
  const [one, two] = mail.mails;
  expect(one).toMatchObject({ from: "s@example.com", to: ["a@example.com", "b@example.com"] });
  const id = /^Message-ID: .+$/im;
  expect(id.exec(one.text)![0]).toBe(id.exec(two.text)![0]);
  expect(one.text).not.toMatch(/^Bcc:/im);
  mail.refusal = 550;
  expect(await mailed.send(MESSAGE)).toMatchObject({
    outcome: "refused",
    cause: expect.stringContaining("no such box"),
  });
  mail.refusal = 451;
  expect(await mailed.send(MESSAGE)).toMatchObject({ outcome: "again" });
  mail.refusal = null;
});

test("busy, silent, away, without its secret: again; a refusal is for good; no cause names the address", async () => {
  const hook = target(`{kind: slack, url_from: "env:URL"}`, { "env:URL": `${http.url}/T0KEN` });
  for (const [answer, outcome] of [
    [500, "again"],
    [429, "again"],
    [408, "again"],
    [404, "refused"],
    [302, "again"],
    ["hang", "again"],
  ] as const) {
    http.answer = () => answer;
    const sent = await hook.send(MESSAGE);
    expect(sent.outcome, String(answer)).toBe(outcome);
    expect(JSON.stringify(sent)).not.toContain("T0KEN");
  }
  http.answer = () => 200;
  const gone = await httpReceiver();
  await gone.close();
  const away = target(`{kind: webhook, url: "${gone.url}/T0KEN"}`);
  const sent = await away.send(MESSAGE);
  expect(sent).toMatchObject({ outcome: "again", cause: expect.stringContaining("ECONNREFUSED") });
  expect(JSON.stringify(sent)).not.toContain("T0KEN");
  expect(await target(`{kind: slack, url_from: "env:NOT"}`).send(MESSAGE)).toMatchObject({ outcome: "again" });
});
