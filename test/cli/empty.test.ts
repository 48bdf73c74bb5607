// `sentinel serve` where nothing is yet: it is ready, and what the API makes answers at once and after a restart.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { postJson } from "../journeys/traffic.ts";
import { removeWorkspace, serve } from "./sentinel.ts";

const dir = mkdtempSync(path.join(tmpdir(), "sentinel-empty-"));
afterAll(() => removeWorkspace(dir));

test("a server in an empty folder serves the pipelines that programs make", async () => {
  const server = await serve(dir);
  const ready = await fetch(`${server.url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([200, expect.objectContaining({ status: "ready" })]);
  const schema = [
    { name: "user_id", type: "string", nullable: false },
    { name: "amount", type: "float", nullable: false },
  ];
  const made = await postJson(`${server.url}/api/pipelines`, { name: "Payments", schema });
  expect(made.status).toBe(201);
  const rule = { rule_expression: "amount > 10", severity: "critical", action: "block" };
  expect((await postJson(`${server.url}/api/pipelines/1/rules`, rule)).status).toBe(201);
  const event = { user_id: "u", amount: 11 };
  const { body } = await postJson(`${server.url}/pipelines/payments/predict`, event);
  expect(body).toMatchObject({ decision: "block", decided_by: "rule" });
  expect(await server.stop("SIGTERM")).toMatchObject({ code: 0 });
  const again = await serve(dir);
  const later = await postJson(`${again.url}/pipelines/payments/predict`, event);
  expect(later.body).toMatchObject({ decision: "block" });
  expect(await again.stop("SIGTERM")).toMatchObject({ code: 0 });
});
