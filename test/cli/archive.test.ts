// `sentinel archive` and a serving process: what was posted is archived by its thread, killed or stopped; the archive is a table for every verb.
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { anyReader, ask } from "../lifecycle/archive/place.ts";
import { edit, makeWorkspace, removeWorkspace, type Served, sentinel, sentinelJson, serve } from "./sentinel.ts";

let dir: string;
const NOW = Date.now();
const LOOKS_MAX = 1200;
beforeAll(() => {
  dir = makeWorkspace();
  // Rules alone decide: nothing has to be trained.
  edit(
    dir,
    "pipelines/card.yaml",
    (text) =>
      `${text.replace(/model: \S+/, "model: none")}\narchive: { to: data/archive, every: 1s }\nlog: { durability: sync }\n`,
  );
  writeFileSync(
    path.join(dir, "pipelines", "card.rules.yaml"),
    "rules:\n  - { id: big, when: amount > 90, action: block, stage: live }\n",
  );
});
afterAll(() => removeWorkspace(dir));

const root = (): string => path.join(dir, "data", "archive", "card");
const run = (...args: string[]) => sentinel([...args, "--workspace", dir]);
const json = (...args: string[]) => sentinelJson([...args, "--workspace", dir]);

async function post(server: Served, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) {
    const body = {
      transaction_id: `p${i}`,
      time: NOW - (i % 2) * DAY_MS - i,
      amount: i * 5,
      customer_id: `c${i % 5}`,
      terminal_id: i % 3,
      note: { of: i },
    };
    const answer = await fetch(`${server.url}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(200);
  }
}

async function metric(server: Served, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^sentinel_${name}\\{[^}]*\\} (\\S+)$`, "m").exec(text)?.[1]);
}

const archived = async (): Promise<unknown> => {
  if (!existsSync(root()) || !readdirSync(root()).some((name) => name.startsWith("date="))) return [0, 0];
  const [row] = await ask(`SELECT count(*), count(DISTINCT transaction_id) FROM ${anyReader(root())}`);
  return row.map(Number);
};

test("a server archives what it answers; killed and started again it loses nothing and doubles nothing", async () => {
  const server = await serve(dir);
  await post(server, 0, 20);
  for (let look = 0; look < LOOKS_MAX && (await metric(server, "archive_rows_total")) < 20; look++) await sleep(50);
  expect(await archived()).toEqual([20, 20]);
  expect(await metric(server, "archive_failures_total")).toBe(0);
  await post(server, 20, 10);
  await server.stop("SIGKILL");
  const again = await serve(dir);
  await post(again, 30, 10);
  // A clean stop leaves nothing behind.
  expect(await again.stop("SIGTERM")).toMatchObject({ code: 0 });
  expect(await archived()).toEqual([40, 40]);
  expect(
    await ask(
      `SELECT decision, decided_by, decided_rule, rules_fired, extra FROM ${anyReader(root())} WHERE transaction_id IN ('p5', 'p35') ORDER BY amount`,
    ),
  ).toEqual([
    ["approve", "policy", null, [], '{"note":{"of":5}}'],
    ["block", "rule", "big", ["big"], '{"note":{"of":35}}'],
  ]);
  expect((await json("archive", "verify")).json).toMatchObject({ faults: 0 });
});

test("listed, compacted, written by hand, and expired", async () => {
  const { json: listed } = await json("archive", "list");
  expect(listed.days.reduce((sum: number, { marked }: { marked: number }) => sum + marked, 0)).toBe(40);
  expect(listed.position).toBe(listed.last);
  expect((await run("archive", "compact")).code).toBe(0);
  for (const day of readdirSync(root()).filter((name) => name.startsWith("date=")))
    expect(readdirSync(path.join(root(), day))).toHaveLength(1);
  writeFileSync(
    path.join(dir, "labels.csv"),
    `transaction_id,is_fraud,known_at\np35,1,${new Date(NOW).toISOString()}\n`,
  );
  expect((await run("label", path.join(dir, "labels.csv"))).code).toBe(0);
  expect((await json("archive", "write")).json).toMatchObject({ rows: 0, labels: 1 });
  expect((await run("archive", "verify")).stdout).toContain("the archive is what was written");
});

test("the archive is a table: featurise and a rule's backtest read it, with the labels that came", async () => {
  const out = path.join(dir, "features.parquet");
  const featurised = await run("featurise", "--data", root(), "--out", out);
  expect([featurised.code, featurised.stderr]).toEqual([0, ""]);
  expect(await ask(`SELECT count(*)::INTEGER FROM read_parquet('${out}')`)).toEqual([[40]]);
  const { json: tested } = await json("rules", "backtest", "--data", `${root()}/*/*.parquet`);
  expect(JSON.stringify(tested)).toContain('"big"');
});

test.each([
  [["archive", "fly"], 2, /archive knows no "fly"/],
  [["archive", "expire"], 2, /needs --days N/],
  [["archive", "expire", "--days", "0"], 2, /days/],
  [["validate", "--data", "s3://bucket/x"], 2, /no key for it/],
  [["validate", "--data", "s3://"], 2, /names no bucket/],
] as const)("%j is refused", async (args, code, what) => {
  const ran = await run(...args);
  expect([ran.code, ran.stderr]).toEqual([code, expect.stringMatching(what)]);
});

test("a pipeline without an archive says how to have one", async () => {
  const other = makeWorkspace();
  const ran = await sentinel(["archive", "list", "--workspace", other]);
  expect([ran.code, ran.stderr]).toEqual([
    2,
    expect.stringMatching(/has no archive[\s\S]*archive: \{to: data\/archive\}/),
  ]);
  removeWorkspace(other);
});
