// Closing a case, interrupted: whenever a server is killed, no label is lost and none is written twice.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Desk } from "../../src/lifecycle/desk.ts";
import { silentLog } from "../../src/online/counters.ts";
import { Side } from "./side.ts";
import { until } from "./world.ts";

const CASES = 12;
const CLOSE = { disposition: "fraud", reason: "stolen" };
const SCHEMA = { transaction_id: "string", user_id: "string", amount: "float" };

/** A pipeline with a rule, and a case of each of these users with two transactions. */
async function prepared(side: Side, users: number): Promise<{ readonly id: number; readonly slug: string }> {
  const id = await side.pipeline("Closing", SCHEMA);
  await side.rule(id, "amount > 1000");
  for (let i = 0; i < users; i++) {
    for (const part of ["a", "b"])
      await side.post(`/api/pipelines/${id}/transactions`, {
        transaction_id: `t${i}${part}`,
        user_id: `u${i}`,
        amount: 2000,
      });
  }
  await until(async () => {
    const { body } = await side.get(`/api/cases?pipeline=${id}&limit=1000`);
    const alerts = body.cases.reduce((sum: number, one: { alert_count: number }) => sum + one.alert_count, 0);
    return alerts === 2 * users;
  });
  return { id, slug: "closing" };
}

test("killed after the log has a label and before that is said, or before the log has it: written once by whoever comes next", async () => {
  const side = new Side({});
  await side.start();
  try {
    const { id, slug } = await prepared(side, 2);
    const store = await side.workspace.common.store!();
    const { cases } = store;
    const real = { settle: cases.settle, owed: cases.owed };
    const all = (await side.get(`/api/cases?pipeline=${id}`)).body.cases;
    const { log } = side.server.pipelines.find(slug);
    // As a process that ends there: what it had taken in hand is nobody's until its time is over.
    cases.settle = () => Promise.reject(new Error("killed"));
    await side.post(`/api/cases/${all[0].id}/close`, CLOSE, { "if-match": "*" });
    cases.settle = real.settle;
    expect((await log.counts()).labels).toBe(2);
    cases.owed = async (of) => {
      await real.owed(of);
      throw new Error("killed");
    };
    const closed = await side.post(`/api/cases/${all[1].id}/close`, CLOSE, { "if-match": "*" });
    cases.owed = real.owed;
    expect(closed.body.labels.map(({ state }: { state: string }) => state)).toEqual(["waiting", "waiting"]);
    expect((await log.counts()).labels).toBe(2);
    const desk = new Desk({
      store: async () => store,
      notices: null,
      pipelines: side.server.pipelines,
      clock: { now: () => Date.now() + 60_000, elapsed: () => performance.now() },
      logger: silentLog,
    });
    await Promise.all([desk.look(), desk.look()]);
    for (const one of all) {
      const { labels } = (await side.get(`/api/cases/${one.id}`)).body;
      expect(labels.map(({ state }: { state: string }) => state)).toEqual(["written", "written"]);
    }
    for (const transaction of ["t0a", "t0b", "t1a", "t1b"])
      expect(await log.labelsOf(transaction), transaction).toHaveLength(1);
  } finally {
    await side.remove();
  }
});

test("a server that is killed while many cases are closed at once: each closed one has its labels once, each open one none", async () => {
  const first = new Side({});
  await first.start();
  const { id, slug } = await prepared(first, CASES);
  await first.stop();
  const script = fileURLToPath(new URL("./closing-child.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, first.dir], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  });
  const [url] = (await once(child, "message")) as [string];
  const asked = await fetch(`${url}/api/cases?pipeline=${id}&limit=1000`);
  const { cases } = (await asked.json()) as { readonly cases: readonly { readonly id: number }[] };
  expect(cases).toHaveLength(CASES);
  let answered = 0;
  const closing = cases.map(async (one) => {
    const sent = { method: "POST", headers: { "content-type": "application/json", "if-match": "*" } };
    const answer = await fetch(`${url}/api/cases/${one.id}/close`, { ...sent, body: JSON.stringify(CLOSE) });
    if (answer.status === 200) answered++;
  });
  // Any moment will do: what is looked at holds at each of them.
  await Promise.race([Promise.any(closing), sleep(5000)]);
  child.kill("SIGKILL");
  await once(child, "exit");
  await Promise.allSettled(closing);
  const side = new Side({}, first.dir);
  await side.start();
  try {
    const store = await side.workspace.common.store!();
    // What the killed server had in hand is free after its time.
    const later = { now: () => Date.now() + 60_000, elapsed: () => performance.now() };
    const { pipelines } = side.server;
    await new Desk({ store: async () => store, notices: null, pipelines, clock: later, logger: silentLog }).look();
    const { log } = pipelines.find(slug);
    let closed = 0;
    for (const [i, one] of [...cases].reverse().entries()) {
      const { body } = await side.get(`/api/cases/${one.id}`);
      const labels = body.status === "closed" ? 1 : 0;
      closed += labels;
      for (const part of ["a", "b"]) expect(await log.labelsOf(`t${i}${part}`), `${one.id}`).toHaveLength(labels);
      expect(body.labels.every(({ state }: { state: string }) => state === "written")).toBe(true);
    }
    // Whoever was answered has it.
    expect(closed).toBeGreaterThanOrEqual(answered);
    expect((await log.counts()).labels).toBe(2 * closed);
  } finally {
    await side.remove();
  }
});
