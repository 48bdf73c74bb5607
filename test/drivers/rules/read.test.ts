// Rules that an earlier version kept in files: taken over once, journal and all, and never read again.
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { loadConfig } from "../../../src/config.ts";
import { verifyJournal } from "../../../src/core/journal.ts";
import { openPorts } from "../../../src/wiring.ts";

/** Written by the version before the store. */
const FILES = fileURLToPath(new URL("./files", import.meta.url));
const report = { line: () => {}, progress: () => {} };
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function aWorkspace(): { readonly rules: string; open(): ReturnType<typeof openPorts> } {
  const workspace = mkdtempSync(path.join(tmpdir(), "sentinel-files-"));
  folders.push(workspace);
  const rules = path.join(workspace, "models", "state", "rules");
  cpSync(FILES, rules, { recursive: true });
  const config = loadConfig({ workspace, environment: {} });
  return { rules, open: () => openPorts(config, { report, pipeline: "card" }) };
}

test("head, sets, lists and the sealed journal are the same in the store, and go on from there", async () => {
  const { rules, open } = aWorkspace();
  // A line that a killed process left half written never counted.
  appendFileSync(path.join(rules, "card", "journal.ndjson"), '{"at":1,"actor":"x');
  const first = open();
  const store = await first.ports.rules!();
  const written = readFileSync(path.join(FILES, "card", "journal.ndjson"), "utf8")
    .trim()
    .split("\n");
  expect(await store.journal()).toEqual(written.map((line) => JSON.parse(line)));
  expect(verifyJournal(await store.journal())).toMatchObject({ ok: true });
  const head = await store.head();
  expect(head.revision).toBe(2);
  expect((await store.set(head.live!)).rules.map(({ id }) => id)).toEqual(["large", "more"]);
  expect((await store.set(head.candidate!)).rules.map(({ id }) => id)).toEqual(["large"]);
  expect(await store.lists()).toEqual({ mules: 3 });
  expect((await store.list("mules")).map(({ value }) => value)).toEqual(["c-1", "c-2", "c-3"]);
  const sql = await first.ports.store!();
  expect([...(await sql.ruleNumbers.of("card")).keys()].sort()).toEqual(["large", "more"]);
  expect((await sql.audit.page({}, { limit: 5 })).items).toMatchObject([{ action: "rules.adopt", pipeline: "card" }]);
  const entry = { at: 5, actor: "eve", verb: "rollback", reason: "", verdict: "", evidence: "", changes: [] };
  await store.commit({ expected: 2, sets: [], live: head.candidate, candidate: null, lists: {}, entry });
  await first.close();
  const again = open();
  expect(await (await again.ports.rules!()).head()).toEqual({ revision: 3, live: head.candidate, candidate: null });
  await again.close();
});

test("files that somebody changed are not taken over", async () => {
  const { rules, open } = aWorkspace();
  const file = path.join(rules, "card", "journal.ndjson");
  writeFileSync(file, readFileSync(file, "utf8").replace('"actor":"ana"', '"actor":"bob"'));
  const { ports, close } = open();
  await expect(ports.rules!()).rejects.toMatchObject({ code: "rules.unreadable" });
  await close();
});
