// The restore drill: everything is lost but a backup that was taken under traffic; the service is back, and what is missing is what is said to be.
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeWorkspace, removeWorkspace, type Served, sentinelJson, serve } from "../cli/sentinel.ts";
import { type LivePayment, livePayments, postJson, SMALL_WORLD, writeHistory } from "./traffic.ts";

const BEFORE = 150;
const AFTER = 60;

let dir: string;
let server: Served | undefined;
const payments = livePayments(3).requests;
const run = (...args: string[]) => sentinelJson(args, { cwd: dir });
const score = async (payment: LivePayment): Promise<unknown> => {
  const { status, body } = await postJson(`${server!.url}/predict`, payment);
  expect(status).toBe(200);
  return body;
};

beforeAll(async () => {
  dir = makeWorkspace();
  await writeHistory(dir, SMALL_WORLD);
  for (const verb of ["train", "promote"]) expect(await run(verb)).toMatchObject({ code: 0 });
  server = await serve(dir);
});
afterAll(async () => {
  await server?.stop("SIGKILL");
  removeWorkspace(dir);
});

test("all stores lost but the backup: answers, registry and replay are whole up to its moment, and what came later is named", async () => {
  const answers = new Map<string, unknown>();
  const pay = async (from: number, to: number): Promise<void> => {
    for (const payment of payments.slice(from, to)) answers.set(String(payment.transaction_id), await score(payment));
  };
  await pay(0, BEFORE);
  // Under traffic: what is answered meanwhile is in it or not, and never half.
  const [saved] = await Promise.all([run("backup", "--to", path.join(dir, "backup")), pay(BEFORE, BEFORE + AFTER / 2)]);
  expect(saved).toMatchObject({ code: 0, json: { elsewhere: [] } });
  await pay(BEFORE + AFTER / 2, BEFORE + AFTER);
  expect(await run("restore", "--from", path.join(dir, "backup"))).toMatchObject({ code: 2 });
  await server!.stop("SIGKILL");
  renameSync(path.join(dir, "models"), path.join(dir, "lost"));

  const back = await run("restore", "--from", path.join(dir, "backup"));
  expect(back).toMatchObject({ code: 0, json: { at: saved.json.at, files: saved.json.files } });
  const known = Number(back.json.predictions);
  expect(known).toBeGreaterThanOrEqual(BEFORE);
  expect(known).toBeLessThanOrEqual(BEFORE + AFTER / 2);
  expect(await run("registry", "verify")).toMatchObject({ code: 0 });
  expect(await run("replay")).toMatchObject({ code: 0, json: { verdict: "pass", predictions: known } });

  server = await serve(dir);
  const ids = [...answers.keys()];
  // What it has it answers as before; what it lost is new to it, and answered anew.
  expect(await score(payments[0])).toEqual(answers.get(ids[0]));
  expect(await score(payments[known - 1])).toEqual(answers.get(ids[known - 1]));
  for (const payment of payments.slice(known, BEFORE + AFTER)) await score(payment);
  expect(await server.stop("SIGTERM")).toMatchObject({ code: 0 });
  expect(await run("replay")).toMatchObject({ code: 0, json: { predictions: BEFORE + AFTER } });
});

test("a backup that was damaged or not finished is refused, and nothing of it is restored", async () => {
  const models = path.join(dir, "models");
  renameSync(models, path.join(dir, "lost-too"));
  mkdirSync(models);
  const backup = path.join(dir, "backup");
  expect(await run("backup", "--to", path.join(dir, "none"))).toMatchObject({ code: 2 });
  const file = path.join(
    backup,
    "state",
    readdirSync(path.join(backup, "state")).find((one) => one.endsWith("-log.db"))!,
  );
  writeFileSync(file, "damaged");
  const refused = await run("restore", "--from", backup);
  expect(refused).toMatchObject({
    code: 2,
    json: { error: { code: "dataset.unreadable", message: expect.stringContaining(file) } },
  });
  expect(readdirSync(models)).toEqual([]);
  renameSync(path.join(backup, "backup.json"), path.join(backup, "other.json"));
  expect(await run("restore", "--from", backup)).toMatchObject({
    code: 2,
    json: { error: { hint: expect.stringContaining("not finished") } },
  });
  expect(existsSync(`${models}.restoring`)).toBe(false);
});
