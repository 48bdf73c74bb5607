// Forget: a card with a thousand transactions leaves a workspace, and nothing of it is found in any file, table or key; receipts are checked.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import Database from "libsql";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadConfig } from "../../../src/config.ts";
import { DAY_MS } from "../../../src/core/duration.ts";
import { eraserOf } from "../../../src/core/erasure.ts";
import { sha256 } from "../../../src/core/hash.ts";
import { ruleSetHash } from "../../../src/core/rule.ts";
import { parseTenant } from "../../../src/core/tenant.ts";
import { replaceDurably } from "../../../src/drivers/files/durable.ts";
import { declareColumns } from "../../../src/features/builder.ts";
import { compileSpec, layoutOf } from "../../../src/features/plan.ts";
import { FeatureState } from "../../../src/features/state.ts";
import { verifyArchive } from "../../../src/lifecycle/archive/verify.ts";
import { archiveNow } from "../../../src/lifecycle/archive/write.ts";
import { lookAtEntity } from "../../../src/lifecycle/desk.ts";
import { forget as forgetPerson } from "../../../src/lifecycle/forget.ts";
import { lastForgotten } from "../../../src/lifecycle/forgotten.ts";
import { NO_QUOTAS } from "../../../src/lifecycle/tenants.ts";
import { loadState, saveTrainingState } from "../../../src/online/states.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import type { NewAuditEntry, Store } from "../../../src/ports/store.ts";
import { openWorkspacePorts } from "../../../src/wiring.ts";
import { sentinel, sentinelJson } from "../../cli/sentinel.ts";
import { BY, newAlert, fields as pipelineFields, ruleSet, rulesChange } from "../../contracts/store.ts";
import { label, prediction, shadow } from "../../drivers/records.ts";
import { type ArchivePlace, archivePlace, ask, DAY, NOW, SCHEMA } from "../archive/place.ts";

/** With what JSON and SQL escape, and a neighbour whose name only begins alike. */
const CARD = 'C-4929"7/Ünï';
const NEIGHBOUR = "C-4929";
const TRANSACTIONS = 1000;
/** `SENTINEL_FORGET_KILLS=50` reaches more places. */
const KILLS = Number(process.env.SENTINEL_FORGET_KILLS ?? 2);
const KILL_STEP_MS = 150;
const MAIL = "mia.muster@example.org";

let place: ArchivePlace;
let ports: Ports;
let close: () => Promise<void>;
beforeEach(() => {
  place = archivePlace("to: data/archive, row_group: 2048");
  const file = path.join(place.dir, "pipelines", "card.yaml");
  writeFileSync(file, `${readFileSync(file, "utf8")}privacy: { personal: [email] }\n`);
  ({ ports, close } = place.open());
});
afterEach(async () => {
  await close();
  place.dispose();
});

const f = declareColumns({ amount: "number", customer_id: "key", country: "key" });
const PLAN = compileSpec(
  f.spec({
    name: "forget",
    version: 1,
    features: [
      f.window("customer_count_1d", { key: "customer_id", over: "transactions", window: "1d" }),
      f.window("both_sum_1d", { key: ["country", "customer_id"], over: "amount", aggregate: "sum", window: "1d" }),
    ],
  }),
);

async function fill(): Promise<void> {
  const log = await ports.log();
  const state = new FeatureState(layoutOf([PLAN]));
  for (let i = 0; i < TRANSACTIONS; i++) {
    const id = i % 3 === 0 ? `t${i}/${CARD}` : `t${i}`;
    const fields = { amount: i, customer_id: CARD, account: "a", country: "FR" };
    const record = { fields, time: DAY + i * 60_000, extra: { email: MAIL, note: `card ${CARD} again` } };
    log.appendPrediction(prediction(id, record));
    if (i % 10 === 0) log.appendLabel(label(id, { source: `analyst of ${CARD}` }));
    if (i % 7 === 0) log.appendShadow(shadow(id));
    state.learn({ id, time: record.time, fields });
    if (i % 100 === 99) await log.flush();
  }
  for (let i = 0; i < 200; i++) {
    const fields = { amount: i, customer_id: NEIGHBOUR, account: "a", country: "DE" };
    log.appendPrediction(
      prediction(`n${i}`, { fields, time: DAY + i * 60_000, extra: { email: "other@example.org" } }),
    );
    state.learn({ id: `n${i}`, time: DAY + i * 60_000, fields });
  }
  await log.flush();
  await saveTrainingState(ports, {
    ...{ pipeline: "card", layout: PLAN.layoutHash, state },
    ...{ dataHash: "d", dataPath: "data/history.parquet", trainedUpTo: DAY },
  });
  await archiveNow(ports, place.input);
}

async function fillStore(): Promise<void> {
  const store = await ports.store!();
  const pipeline = await store.pipelines.create(pipelineFields("card"), BY);
  const transaction = { transaction_id: "t1", customer_id: CARD, email: MAIL, amount: 1 };
  const alerts = await store.alerts.append([
    newAlert(pipeline.id, "t1", { entity: CARD, transaction, reasons: [{ key: CARD, text: `many of ${CARD}` }] }),
    newAlert(pipeline.id, "n1", { entity: NEIGHBOUR, transaction: { customer_id: NEIGHBOUR } }),
  ]);
  expect(alerts).toHaveLength(2);
  const set = { ...ruleSet(["r1"]), rules: [{ ...ruleSet(["r1"]).rules[0], when: `customer_id = '${CARD}'` }] };
  const rules = store.rules("card");
  await rules.commit({
    ...rulesChange(0, []),
    sets: [set],
    live: ruleSetHash(set),
    lists: { blocked: [{ value: CARD, from: 0, to: null, at: NOW, actor: "ana", reason: `fraud by ${CARD}` }] },
    entry: { ...rulesChange(0, []).entry, changes: [`+ ${CARD} on blocked`] },
  });
  await store.outbox.put(
    [
      {
        target: "hook",
        key: `alert ${CARD}`,
        notice: "alert",
        pipeline: "card",
        body: JSON.stringify({ data: { transaction } }),
      },
    ],
    NOW,
  );
  await store.ledger.append([
    {
      ...{ id: `t9/${CARD}`, transaction: JSON.stringify(transaction).replace("C-", "\\u0043-"), answer: "{}" },
      ...{ by: "brain" as const, brain: "b", receivedAt: NOW, answeredAt: NOW },
    },
  ]);
  await store.audit.append({
    ...{ at: NOW, actor: "ana", action: "note", subject: "case", subjectId: CARD, pipeline: "card" },
    ...{ reason: `asked by ${CARD}`, before: null, after: { customer_id: CARD } },
  });
}

function fillFiles(): void {
  const write = (file: string, content: string | Uint8Array): void => {
    mkdirSync(path.dirname(path.join(place.dir, file)), { recursive: true });
    writeFileSync(path.join(place.dir, file), content);
  };
  const json = JSON.stringify({ customer_id: CARD, email: MAIL });
  write("models/reports/card-validation.html", `<p>rows of ${CARD}</p>`);
  write("models/state/card-alarms.dead.ndjson", `${json}\n{"other":1}\n`);
  write("models/state/ledger-spool.ndjson", `${JSON.stringify({ id: "t8", transaction: json })}\n`);
  // More than is read at once, with a line across two readings.
  const others = `${JSON.stringify({ customer_id: NEIGHBOUR, note: "n".repeat(700_000) })}\n`;
  write("data/stream/card.ndjson", `${json}\n${others}${json}\n${others}${json}\n`);
  write(
    "data/old.csv",
    `customer_id,email,amount\n"${CARD.replaceAll('"', '""')}",${MAIL},1.10\n${NEIGHBOUR},x,2.50\n`,
  );
  write("data/more.ndjson.gz", gzipSync(`${json}\n`));
}

const forget = (...more: string[]) =>
  sentinelJson(["forget", "--card", CARD, ...more], { cwd: place.dir, env: { SENTINEL_FORGET_KEY: "k".repeat(32) } });

/** Every file, as bytes and as what is packed in it; every row of every database; receipts and their key left out. */
async function findAll(wanted: string): Promise<readonly string[]> {
  const found: string[] = [];
  const spellings = [
    wanted,
    wanted.replaceAll('"', '""'),
    JSON.stringify(wanted).slice(1, -1),
    JSON.stringify(JSON.stringify(wanted)).slice(3, -3),
  ];
  const look = (file: string, text: string | Buffer): void => {
    for (const one of spellings) if (text.includes(one) && !found.includes(file)) found.push(file);
  };
  const walk = async (folder: string): Promise<void> => {
    for (const name of readdirSync(folder)) {
      const file = path.join(folder, name);
      if (statSync(file).isDirectory()) await walk(file);
      else {
        look(file, readFileSync(file));
        if (name.endsWith(".gz")) look(file, gunzipSync(readFileSync(file)));
        if (name.endsWith(".parquet")) look(file, JSON.stringify(await ask(`SELECT * FROM '${file}'`)));
        if (name.endsWith(".db")) look(file, JSON.stringify(rowsOf(file)));
      }
    }
  };
  await walk(place.dir);
  return found.map((file) => path.relative(place.dir, file)).sort();
}

function rowsOf(file: string): unknown {
  const db = new Database(file, { readonly: true } as never);
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all([]) as { name: string }[];
  const rows = tables.map(({ name }) => db.prepare(`SELECT * FROM "${name}"`).raw().all([]));
  db.close();
  return rows;
}

test("a card with a thousand transactions leaves every store; the receipt says so, is checked, and finds what comes back", async () => {
  await fill();
  await fillStore();
  fillFiles();
  const before = await (await ports.log()).counts();
  const stateNow = () => loadState(ports, "train", { pipeline: "card", layout: PLAN.layoutHash });
  const { learned, events, keys } = (await stateNow())!.state.stats();
  await close();
  expect((await findAll(CARD)).length).toBeGreaterThan(8);

  const first = await forget();
  expect([first.code, first.stderr]).toEqual([0, expect.anything()]);
  const receipt = first.json;
  const countOf = (what: string, where: string): number =>
    receipt.places.find((one: { what: string; where: string }) => one.what === what && one.where.includes(where))
      ?.found;
  expect(countOf("predictions", "card-log.db")).toBe(TRANSACTIONS);
  expect(countOf("transactions", "archive")).toBe(TRANSACTIONS);
  expect(countOf("labels", "card-log.db")).toBe(TRANSACTIONS / 10);
  for (const table of ["alerts", "ledger", "outbox", "rule_list_changes", "rule_sets", "rule_journal", "audit"])
    expect([table, countOf(table, "store.db")]).toEqual([table, expect.any(Number)]);
  expect(
    receipt.data.map(({ file, rows, erased }: { file: string; rows: number; erased: boolean }) => [file, rows, erased]),
  ).toEqual([
    ["data/more.ndjson.gz", 1, false],
    ["data/old.csv", 1, false],
  ]);
  expect(await findAll(CARD)).toEqual(["data/more.ndjson.gz", "data/old.csv"]);
  // Four digits alone may stand in a random id.
  expect(JSON.stringify(receipt)).not.toContain("C-4929");

  expect(await forget("--data")).toMatchObject({ code: 0 });
  expect(await findAll(CARD)).toEqual([]);
  expect(await findAll(MAIL)).toEqual([]);
  expect((await findAll(NEIGHBOUR)).length).toBeGreaterThan(3);
  expect(readFileSync(path.join(place.dir, "data/old.csv"), "utf8")).toMatch(
    /^customer_id,email,amount\n"forgotten-\w{24}",,1.10\nC-4929,x,2.50\n$/,
  );

  // What the log, the archive and the state are besides is as it was.
  ({ ports, close } = place.open());
  expect(await (await ports.log()).counts()).toEqual(before);
  expect(await verifyArchive(ports, place.input)).toMatchObject({ faults: 0 });
  const state = await stateNow();
  expect(state!.state.stats()).toMatchObject({ learned, events, keys });
  const store = await ports.store!();
  expect((await store.rules("card").journal()).length).toBe(1);
  expect((await store.rules("card").head()).live).not.toBeNull();
  await close();
  const doctor = await sentinelJson(["doctor"], { cwd: place.dir });
  const found = doctor.json.findings.find(({ what }: { what: string }) => what === "store");
  expect(found).toMatchObject({ state: "ok", found: expect.stringContaining("the audit is whole") });

  const check = (...more: string[]) =>
    sentinelJson(["forget", "--verify", receipt.id, ...more], {
      cwd: place.dir,
      env: { SENTINEL_FORGET_KEY: "k".repeat(32) },
    });
  expect(await check()).toMatchObject({ code: 0, json: { found: 0 } });
  expect(await check("--value", CARD)).toMatchObject({ code: 0, json: { found: 0, files: [] } });
  expect(await check("--value", "somebody else")).toMatchObject({ code: 2 });
  ({ ports, close } = place.open());
  (await ports.log()).appendPrediction(prediction("back", { fields: { customer_id: CARD } }));
  await close();
  expect(await check()).toMatchObject({ code: 1, json: { found: 1, places: [{ what: "predictions" }] } });
  ({ ports, close } = place.open());
}, 60_000);

test("killed at any place and run again it goes on under one receipt, and nothing is left or counted twice", async () => {
  await fill();
  await fillStore();
  fillFiles();
  await close();
  const options = { cwd: place.dir, env: { SENTINEL_FORGET_KEY: "k".repeat(32) }, own: true };
  const folder = path.join(place.dir, "models", "state", "forgotten");
  for (let kill = 0; kill < KILLS; kill++) {
    await sentinel(["forget", "--card", CARD, "--data"], {
      ...options,
      started(child) {
        // Steps begin once the run is noted; later and later ones are reached.
        const timer = setInterval(() => {
          if (!existsSync(folder) && child.exitCode === null) return;
          clearInterval(timer);
          setTimeout(() => child.kill("SIGKILL"), kill * KILL_STEP_MS);
        }, 2);
      },
    });
  }
  const begun = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".begun.json")) : [];
  const last = await forget("--data");
  expect([last.code, last.stderr]).toEqual([0, ""]);
  if (begun.length > 0) expect(begun).toEqual([`${last.json.id}.begun.json`]);
  expect(await findAll(CARD)).toEqual([]);
  expect(readdirSync(folder).filter((name) => name.endsWith(".begun.json"))).toEqual([]);
  ({ ports, close } = place.open());
  expect(await (await ports.log()).counts()).toMatchObject({ predictions: TRANSACTIONS + 200 });
  expect(await verifyArchive(ports, place.input)).toMatchObject({ faults: 0 });
}, 600_000);

test("rows of another tenant in the same file are its own: they are named, and nothing of this one is left", async () => {
  await fillStore();
  await close();
  const silentReport = { line: () => {}, progress: () => {} };
  const workspace = openWorkspacePorts(loadConfig({ workspace: place.dir, environment: {} }), { report: silentReport });
  const stores = await workspace.stores();
  const north = parseTenant("north");
  await stores.tenants.create({ name: north, title: "The north", quotas: NO_QUOTAS }, BY);
  const { pipelines, alerts } = stores.of(north);
  const { id } = await pipelines.create(pipelineFields("card"), BY);
  await alerts.append([newAlert(id, "t1", { entity: CARD, transaction: { customer_id: CARD } })]);
  await workspace.close();
  const ran = await forget();
  expect(ran).toMatchObject({
    code: 0,
    json: {
      left: [
        {
          where: expect.stringMatching(/^models.state.store.db/),
          elsewhere: true,
          why: expect.stringContaining("north"),
        },
      ],
    },
  });
  const options = { cwd: place.dir, env: { SENTINEL_FORGET_KEY: "k".repeat(32) } };
  const check = await sentinelJson(["forget", "--verify", ran.json.id, "--value", CARD], options);
  expect(check).toMatchObject({ code: 0, json: { found: 0, files: [] } });
}, 60_000);

test("the same card of two tenants: forgotten for one it is all there for the other, file by file and row by row, and then for that one too", async () => {
  await fill();
  await fillStore();
  await close();
  const north = path.join(place.dir, "tenants", "north");
  for (const folder of ["pipelines", "models", "data"]) {
    cpSync(path.join(place.dir, folder), path.join(north, folder), { recursive: true });
  }
  // The store is one for all, and an archive has a folder for each other tenant.
  for (const end of ["", "-wal", "-shm"])
    rmSync(path.join(north, "models", "state", `store.db${end}`), { force: true });
  mkdirSync(path.join(north, "data", "archive", "_tenants", "north"), { recursive: true });
  renameSync(
    path.join(north, "data", "archive", "card"),
    path.join(north, "data", "archive", "_tenants", "north", "card"),
  );
  const silentReport = { line: () => {}, progress: () => {} };
  const workspace = openWorkspacePorts(loadConfig({ workspace: place.dir, environment: {} }), { report: silentReport });
  const stores = await workspace.stores();
  await stores.tenants.create({ name: parseTenant("north"), title: "The north", quotas: NO_QUOTAS }, BY);
  const theirs = stores.of(parseTenant("north"));
  const { id } = await theirs.pipelines.create(pipelineFields("card"), BY);
  const transaction = { transaction_id: "t1", customer_id: CARD, email: MAIL };
  await theirs.alerts.append([newAlert(id, "t1", { entity: CARD, transaction })]);
  await theirs.ledger.append([
    {
      ...{ id: `t9/${CARD}`, transaction: JSON.stringify(transaction), answer: "{}" },
      ...{ by: "brain" as const, brain: "b", receivedAt: NOW, answeredAt: NOW },
    },
  ]);
  await workspace.close();
  const rowsOfNorth = (): string => JSON.stringify(rowsWith("north", path.join(place.dir, "models/state/store.db")));
  const [filesBefore, rowsBefore] = [hashesBelow(north), rowsOfNorth()];
  expect(rowsBefore).toContain(JSON.stringify(MAIL).slice(1, -1));
  const isTheirs = (file: string): boolean => file.startsWith(path.join("tenants", "north"));

  const own = await forget("--data");
  expect(own).toMatchObject({ code: 0, json: { left: [{ elsewhere: true, why: expect.stringContaining("north") }] } });
  expect(own.json.places.some(({ where }: { where: string }) => where.includes("north"))).toBe(false);
  expect([hashesBelow(north), rowsOfNorth()]).toEqual([filesBefore, rowsBefore]);
  const left = (await findAll(CARD)).filter((file) => !isTheirs(file));
  expect(left).toEqual([path.join("models", "state", "store.db")]);

  const ofDefault = (): string => JSON.stringify(rowsWith("default", path.join(place.dir, "models/state/store.db")));
  const [files, rows] = [hashesBelow(place.dir, /^(tenants|models\/state\/store\.db)/), ofDefault()];
  const other = await forget("--data", "--tenant", "north");
  expect(other).toMatchObject({ code: 0, json: { left: [] } });
  expect(other.json.places).toContainEqual(expect.objectContaining({ what: "predictions", found: TRANSACTIONS }));
  expect([other.json.id === own.json.id, await findAll(CARD), await findAll(MAIL)]).toEqual([false, [], []]);
  expect([hashesBelow(place.dir, /^(tenants|models\/state\/store\.db)/), ofDefault()]).toEqual([files, rows]);
}, 60_000);

/** Path and content of every file below a folder, but of `not`. */
function hashesBelow(folder: string, not = /^$/): Readonly<Record<string, string>> {
  const all = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = all.map((entry) => path.join(entry.parentPath, entry.name));
  const named = files.map((file) => [path.relative(folder, file), file] as const).filter(([name]) => !not.test(name));
  return Object.fromEntries(named.map(([name, file]) => [name, sha256(readFileSync(file).toString("base64"))]).sort());
}

/** Rows of one tenant, table by table. */
function rowsWith(tenant: string, file: string): unknown {
  const db = new Database(file, { readonly: true } as never);
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all([]) as { name: string }[];
  const rows = tables.flatMap(({ name }) => {
    const columns = (db.prepare(`SELECT name FROM pragma_table_info('${name}')`).all([]) as { name: string }[]).map(
      (column) => column.name,
    );
    if (!columns.includes("tenant")) return [];
    return [[name, db.prepare(`SELECT * FROM "${name}" WHERE tenant = ? ORDER BY 1, 2`).raw().all([tenant])]];
  });
  db.close();
  return rows;
}

test("killed after its entry of the audit it ends with the receipt that the entry names, and writes no second one", async () => {
  await fillStore();
  const store = await ports.store!();
  const { pipeline, schema } = place.input;
  const input = {
    ...{ workspace: place.dir, stateDir: path.join(place.dir, "models", "state"), neighbours: [], topics: [] },
    ...{ pipelines: [{ pipeline, ports, schema }], column: null, value: CARD, hidden: [], actor: "ana", key: "k" },
    ...{ data: false, writeFile: replaceDurably },
  };
  const audit = {
    page: store.audit.page.bind(store.audit),
    append: async (entry: NewAuditEntry) => {
      await store.audit.append(entry);
      throw new Error("killed");
    },
  };
  const dying = { where: store.where, erase: store.erase.bind(store), audit } as unknown as Store;
  await expect(forgetPerson({ ...input, stores: [dying], at: NOW })).rejects.toThrow("killed");
  expect(await lastForgotten(store)).not.toBeNull();
  const { receipt, file } = await forgetPerson({ ...input, stores: [store], at: NOW + DAY_MS });
  const { items } = await store.audit.page({ subject: "forget" }, { limit: 10 });
  // The others say which sealed entries were changed.
  const noted = items.filter(({ after }) => "receipt" in (after as object));
  expect(noted.map(({ subjectId, after }) => [subjectId, after])).toEqual([
    [receipt.id, { receipt: receipt.hash, places: expect.any(Number) }],
  ]);
  expect(JSON.parse(readFileSync(file, "utf8")).hash).toBe(receipt.hash);
}, 60_000);

test("rows that a server keeps in memory are read again once a person was forgotten", async () => {
  const log = await ports.log();
  log.appendPrediction(prediction("t1", { fields: { customer_id: CARD } }));
  await log.flush();
  const { pipeline } = place.input;
  const engine = { log, pipeline, schema: SCHEMA } as unknown as Parameters<typeof lookAtEntity>[0];
  const look = async (forgotten: string | null) =>
    (await lookAtEntity(engine, { column: "customer_id", value: CARD, forgotten })).transactions.length;
  expect(await look(null)).toBe(1);
  const person = {
    names: new Set(["customer_id"]),
    personal: new Set<string>(),
    pseudonym: `forgotten-${"0".repeat(24)}`,
  };
  await log.erase(eraserOf([CARD], person), { write: true });
  expect(await look("sealed")).toBe(0);
});

test("a served workspace is refused with what to stop, and nothing of it is touched", async () => {
  const log = await ports.log();
  log.appendPrediction(prediction("t1", { fields: { customer_id: CARD } }));
  await log.flush();
  const lock = await (await ports.lock()).acquire("serve-card");
  expect(await forget()).toMatchObject({
    code: 2,
    json: { error: { code: "lifecycle.locked", hint: expect.stringContaining("stop that server") } },
  });
  await lock.release();
  expect((await log.find("t1"))?.fields.customer_id).toBe(CARD);
  expect(existsSync(path.join(place.dir, "models", "state", "forgotten"))).toBe(false);
});

test("what nobody can mean is refused: no column, blanks, a receipt that was changed", async () => {
  const run = (...args: string[]) => sentinelJson(["forget", ...args], { cwd: place.dir });
  expect(await run("--value", "X")).toMatchObject({ code: 2, json: { error: { code: "cli.usage" } } });
  expect(await run("--card", " X")).toMatchObject({ code: 2, json: { error: { code: "cli.usage" } } });
  expect(await run("--verify", "forget-0000000000000000")).toMatchObject({
    code: 2,
    json: { error: { code: "dataset.missing" } },
  });
  const made = await run("--column", "customer_id", "--value", "nobody-1");
  expect([made.code, made.stderr]).toEqual([0, expect.anything()]);
  const file = made.json.file as string;
  writeFileSync(file, readFileSync(file, "utf8").replace('"found": 0', '"found": 1'));
  expect(await run("--verify", file)).toMatchObject({ code: 2, json: { error: { code: "dataset.unreadable" } } });
});
