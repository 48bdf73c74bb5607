// Notices of a running server: a critical alert reaches a real receiver at once, what nobody takes is shown with its cause, and sent again when asked.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { httpReceiver } from "../drivers/notify/receivers.ts";
import { Side } from "./side.ts";
import { until } from "./world.ts";

test("a critical alert is told at once, with its day's summary; a refusal is a dead letter that can be sent again", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-notices-"));
  const receiver = await httpReceiver();
  writeFileSync(
    path.join(dir, "notifications.yaml"),
    `targets: {room: {kind: webhook, url: "${receiver.url}", key_from: "file:key"}}
routes: [{to: [room], events: [alert, daily]}]
link: https://fraud.example.com/
`,
  );
  writeFileSync(path.join(dir, "key"), "secret\n");
  const side = new Side({}, dir);
  await side.start();
  try {
    const id = await side.pipeline("Room", { transaction_id: "string", user_id: "string", amount: "float" });
    await side.rule(id, "amount > 1000");
    await side.rule(id, "amount > 500", { severity: "warning" });
    const pay = (transaction: string, amount: number) =>
      side.post(`/api/pipelines/${id}/transactions`, { transaction_id: transaction, user_id: "<b>", amount });
    const of = (type: string) =>
      receiver.received.map(({ body }) => JSON.parse(body)).filter((event) => event.type === `com.sentinel.${type}`);
    await pay("t1", 2000);
    await pay("t2", 700);
    await until(async () => of("alert").length > 0 && of("summary.daily").length > 0);
    const [alert] = (await side.get("/api/alerts?severity=critical")).body;
    expect(of("alert")).toMatchObject([
      { subject: `alert ${alert.id}`, data: { severity: "critical", entity: "<b>", transaction_id: "t1" } },
    ]);
    expect(of("alert")[0].data.link).toBe(`https://fraud.example.com/api/alerts/${alert.id}`);
    expect(JSON.stringify(of("alert"))).not.toContain("user_id");
    expect(of("summary.daily")).toHaveLength(1);
    receiver.answer = () => 410;
    await pay("t3", 3000);
    const listed = async () => (await side.get("/api/notifications")).body;
    await until(async () => (await listed()).targets[0]?.dead === 1);
    const { targets, messages } = await listed();
    expect(targets).toMatchObject([{ name: "room", kind: "webhook", waiting: 0, dead: 1, sent: 2 }]);
    expect(messages).toMatchObject([
      {
        target: "room",
        notice: "alert",
        cause: "the receiver answered 410: not now",
        event: { data: { transaction_id: "t3" } },
      },
    ]);
    receiver.answer = () => 200;
    expect((await side.post(`/api/notifications/${messages[0].id}/retry`, {})).status).toBe(200);
    await until(async () => of("alert").filter(({ data }) => data.transaction_id === "t3").length === 2);
    expect((await listed()).messages).toEqual([]);
    expect((await side.post("/api/notifications/999999/retry", {})).status).toBe(404);
    const audit = (await side.get("/api/audit?subject=notification")).body;
    expect(audit).toMatchObject([{ action: "notification.retry", before: { tries: 1 } }]);
  } finally {
    await side.remove();
    await receiver.close();
  }
});
