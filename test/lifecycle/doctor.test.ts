// Doctor and init: every finding with its state and what to do; nothing thrown, nothing overwritten.
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { doctor } from "../../src/lifecycle/doctor.ts";
import { init } from "../../src/lifecycle/init.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { addLife } from "../../src/online/states/shared/lives.ts";
import { ROOT } from "../cli/sentinel.ts";
import { version } from "./records.ts";
import { emptyPlace, type Place } from "./world.ts";

let place: Place;
beforeEach(async () => {
  place = await emptyPlace();
});
afterEach(() => place.close());

async function findings(given: { workspace?: string; pipeline?: string; nodeVersion?: string } = {}) {
  const found = await doctor(place.ports, { workspace: place.dir, pipeline: "card", nodeVersion: "v22.1.0", ...given });
  for (const { state, todo } of found) if (state !== "ok") expect(todo).not.toBe("");
  return Object.fromEntries(found.map((finding) => [finding.what, finding]));
}

test("a fresh workspace has no fault, only what is still to do", async () => {
  const found = await findings();
  expect(Object.values(found).filter(({ state }) => state === "fault")).toEqual([]);
  expect(found.node.state).toBe("ok");
  expect(found.data).toMatchObject({
    state: "note",
    todo: expect.stringContaining("sentinel simulate --out data/transactions.parquet"),
  });
  expect(found.registry).toMatchObject({ state: "note", todo: expect.stringContaining("sentinel train") });
});

test("a shared feature state is looked at: whose it is, and whether its server may lose it", async () => {
  const head = { marker: "m", generation: 1, sequence: 0, newestTime: null, version: 1, layouts: [] };
  const store = { where: "redis://h:1/0", head: async () => head, pending: async () => [], risk: async () => null };
  const look = async (changes: object) => {
    Object.assign(place.ports, { shared: async () => ({ ...store, ...changes }) });
    return (await findings())["shared feature state"];
  };
  expect(await look({})).toMatchObject({ state: "fault", found: expect.stringContaining("another workspace") });
  expect(await look({ head: async () => null })).toMatchObject({ state: "ok", found: "redis://h:1/0: empty" });
  expect(await look({ risk: async () => ({ found: "it evicts", todo: "noeviction" }) })).toMatchObject({
    state: "fault",
    todo: "noeviction",
  });
  await addLife(await place.ports.snapshots(), "card", { marker: "m", generation: 1, catchUpSequence: 0 });
  expect(await look({})).toMatchObject({ state: "ok", found: "redis://h:1/0: 0 layouts, 0 records wait for the log" });
  expect(await look({ head: async () => null })).toMatchObject({
    state: "note",
    todo: expect.stringContaining("fills"),
  });
});

test("pipelines beside the one that is looked at are told of, since one server holds all of them", async () => {
  expect((await findings())["other pipelines"]).toMatchObject({ state: "ok", found: "none" });
  writeFileSync(path.join(place.dir, "pipelines", "shop.yaml"), "name: [shop");
  expect((await findings())["other pipelines"]).toMatchObject({
    state: "note",
    found: expect.stringMatching(/shop cannot be served: .*shop\.yaml/),
    todo: expect.stringContaining("doctor --pipeline"),
  });
});

test("data and journal are counted", async () => {
  await place.write("transactions.parquet", simulateDays({ customers: 20, terminals: 20, days: 3, seed: 1 }));
  const found = await findings();
  expect(found.data.state).toBe("ok");
  expect(found.data.found).toMatch(/: \d+ rows, parquet$/);
  expect(found.journal).toMatchObject({ state: "ok" });
});

test("the data's version in DVC: not tracked, as tracked, changed since, or a file nobody can read", async () => {
  const file = await place.write(
    "transactions.parquet",
    simulateDays({ customers: 20, terminals: 20, days: 3, seed: 1 }),
  );
  const inDvc = async () => (await findings())["data in DVC"];
  expect(await inDvc()).toMatchObject({ state: "ok", found: expect.stringContaining("not tracked") });
  const md5 = createHash("md5").update(readFileSync(file)).digest("hex");
  const track = (hash: string) =>
    writeFileSync(`${file}.dvc`, `outs:\n- md5: ${hash}\n  hash: md5\n  path: transactions.parquet\n`);
  track(md5);
  expect(await inDvc()).toMatchObject({ state: "ok", found: `${md5} in data/transactions.parquet.dvc` });
  track("0".repeat(32));
  expect(await inDvc()).toMatchObject({ state: "note", todo: expect.stringContaining("dvc repro") });
  writeFileSync(`${file}.dvc`, "<<<<<<< HEAD\nouts:\n=======\n");
  expect(await inDvc()).toMatchObject({ state: "fault" });
});

test("each broken thing is a fault of its own", async () => {
  expect((await findings({ nodeVersion: "v18.19.0" })).node).toMatchObject({
    state: "fault",
    todo: "install Node 20 or newer",
  });
  expect((await findings({ pipeline: "loans" })).pipeline).toMatchObject({
    state: "fault",
    found: expect.stringContaining('"loans"'),
  });
  expect((await findings({ workspace: "/nowhere" })).workspace.state).toBe("fault");
  writeFileSync(path.join(place.dir, "features", "card.ts"), "export const card = {");
  writeFileSync(path.join(place.dir, "data", "transactions.parquet"), "no parquet");
  // A champion whose bundle is none.
  await version(place.ports, "card-fraud");
  await (await place.ports.registry()).moveAlias({
    model: "card-fraud",
    alias: "champion",
    from: null,
    to: "1",
    entry: { at: 1, actor: "tester", verb: "promote", verdict: "PROMOTE", evidence: "", reason: "a test" },
  });
  const found = await findings();
  for (const what of ["pipeline", "data", "registry"]) expect(found[what], what).toMatchObject({ state: "fault" });
  expect(found.node.state).toBe("ok");
});

test("init makes what is missing and keeps what is there", () => {
  const { dir } = place;
  const file = path.join(dir, "features", "card.ts");
  writeFileSync(file, "// mine\n");
  rmSync(path.join(dir, "pipelines", "card.suite.json"));
  const again = init({ dir, packageRoot: ROOT });
  expect(again.made).toEqual([path.join("pipelines", "card.suite.json")]);
  expect(again.kept).toContain(path.join("features", "card.ts"));
  expect(readFileSync(file, "utf8")).toBe("// mine\n");
});
