// The restore drills: everything is lost but a backup that was taken under traffic; the service is back, and what is missing is what is said to be.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeWorkspace, removeWorkspace, type Served, sentinelJson, serve } from "../cli/sentinel.ts";
import { borrowMlflow, type MlflowProcess, mlflowInstalled } from "../drivers/mlflow-server.ts";
import { borrowPostgres, type PostgresServer, postgresPrograms } from "../drivers/postgres-server.ts";
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

const installed = mlflowInstalled && postgresPrograms !== null;
if (!installed) {
  console.warn("SKIPPED the restore drill with servers: scripts/setup-python and scripts/setup-postgres install them");
  test.runIf(process.env.CI === "true")("MLflow and PostgreSQL are installed", () => expect(installed).toBe(true));
}

describe.runIf(installed)("with log, store and rules in PostgreSQL and the registry in MLflow", () => {
  let place: string;
  let mlflow: MlflowProcess;
  let postgres: PostgresServer;
  let schema: string;
  let env: Readonly<Record<string, string>>;
  let served: Served | undefined;
  const ask = (...args: string[]) => sentinelJson(args, { cwd: place, env });
  const pay = async (payment: LivePayment): Promise<unknown> => {
    const { status, body } = await postJson(`${served!.url}/predict`, payment);
    expect([status, body]).toEqual([200, expect.anything()]);
    return body;
  };
  /** As docs/operating.md says it. */
  const onDatabase = (program: "pg_dump" | "pg_restore", ...args: string[]): void => {
    const url = new URL(env.SENTINEL_DATABASE_URL);
    execFileSync(
      path.join(postgresPrograms!, program),
      [...args, "-h", url.hostname, "-p", url.port, "-U", url.username],
      {
        env: { ...process.env, PGOPTIONS: "-c sentinel.tenant=*" },
        stdio: ["ignore", "ignore", "inherit"],
      },
    );
  };
  const rule = (id: string, amount: number) =>
    ask("rules", "add", id, "--when", `amount >= ${amount}`, "--action", "review", "--force", "--reason", "a drill");

  beforeAll(async () => {
    [mlflow, postgres] = await Promise.all([borrowMlflow(), borrowPostgres()]);
    const address = postgres.address();
    ({ schema } = address);
    env = { SENTINEL_DATABASE_URL: postgres.url(address), MLFLOW_TRACKING_URI: mlflow.uri };
    place = makeWorkspace();
    await writeHistory(place, SMALL_WORLD);
    for (const verb of [["db", "migrate"], ["train"], ["promote"]])
      expect(await ask(...verb)).toMatchObject({ code: 0 });
    expect([0, 1]).toContain((await rule("known", 400)).code);
    served = await serve(place, { env });
  });
  afterAll(async () => {
    await served?.stop("SIGKILL");
    removeWorkspace(place);
  });

  test("all of them lost but their backups: answers, rules, registry and replay are whole up to that moment, and what came later is named", async () => {
    const answers: unknown[] = [];
    for (const payment of payments.slice(0, BEFORE)) answers.push(await pay(payment));
    const folder = path.join(place, "backup");
    const saved = await ask("backup", "--to", folder);
    expect(saved).toMatchObject({ code: 0 });
    // What it says is elsewhere is what has to be saved by other means.
    expect(saved.json.elsewhere.join("\n")).toMatch(/MLflow server[\s\S]*pg_dump of PostgreSQL/);
    const dump = path.join(place, "store.dump");
    const putBack = await mlflow.keep();
    await Promise.all([
      (async () =>
        onDatabase(
          "pg_dump",
          "--enable-row-security",
          "--format=custom",
          `--schema=${schema}`,
          "-f",
          dump,
          "postgres",
        ))(),
      ...payments.slice(BEFORE, BEFORE + 10).map((payment) => pay(payment)),
    ]);
    for (const payment of payments.slice(BEFORE + 10, BEFORE + AFTER)) await pay(payment);
    expect([0, 1]).toContain((await rule("later", 300)).code);
    const revision = (await ask("rules", "list")).json.revision;
    expect((await ask("train", "--seed", "2", "--force", "--reason", "a drill")).code).toBe(0);
    await served!.stop("SIGKILL");

    await postgres.query(`drop schema ${schema} cascade`);
    mlflow.empty();
    rmSync(path.join(mlflow.dir, "files"), { recursive: true, force: true });
    renameSync(path.join(place, "models"), path.join(place, "lost"));
    expect((await ask("registry", "list")).json.versions ?? []).toEqual([]);

    onDatabase("pg_restore", "--dbname=postgres", dump);
    expect(await ask("db", "migrate")).toMatchObject({ code: 0 });
    await putBack();
    const back = await ask("restore", "--from", folder);
    expect(back).toMatchObject({ code: 0, json: { at: saved.json.at } });
    const known = Number(back.json.predictions);
    expect(known).toBeGreaterThanOrEqual(BEFORE);
    expect(known).toBeLessThanOrEqual(BEFORE + 10);
    expect(await ask("registry", "verify")).toMatchObject({ code: 0 });
    expect(await ask("replay")).toMatchObject({ code: 0, json: { verdict: "pass", predictions: known } });
    const rules = (await ask("rules", "list")).json;
    expect([rules.revision, rules.rules.map(({ id }: { id: string }) => id)]).toEqual([revision - 1, ["known"]]);

    served = await serve(place, { env });
    // What it has it answers as before; what it lost is new to it, and answered anew.
    expect(await pay(payments[0])).toEqual(answers[0]);
    expect(await pay(payments[BEFORE - 1])).toEqual(answers[BEFORE - 1]);
    for (const payment of payments.slice(BEFORE, BEFORE + AFTER)) await pay(payment);
    expect(await served.stop("SIGTERM")).toMatchObject({ code: 0 });
    expect(await ask("replay")).toMatchObject({ code: 0, json: { predictions: BEFORE + AFTER } });
    const { findings } = (await ask("doctor")).json;
    const store = findings.find(({ what }: { what: string }) => what === "store");
    expect(store.found).toContain("the audit is whole");
  }, 120_000);
});
