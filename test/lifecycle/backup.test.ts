// A backup of tenants: the first one's has everybody's files, another one's its own alone, and neither is restored as somebody else's.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { backedUp, elsewhereOf } from "../../src/cli/backup.ts";
import { loadConfig, tenantConfig } from "../../src/config.ts";
import { parseTenant } from "../../src/core/tenant.ts";
import { backUp, restore } from "../../src/lifecycle/backup.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-backup-"));
  for (const file of FILES) write(file, file);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const KEYS = "models/state/keys.json";
const FILES = [KEYS, "models/state/store.db", `tenants/north/${KEYS}`, "tenants/north/models/state/card-log.db"];
const given = { at: 0, elsewhere: [], copyDatabase: async (from: string, to: string) => copyFileSync(from, to) };
const first = () => loadConfig({ workspace: dir, environment: {} });
const north = () => tenantConfig(first(), parseTenant("north"));
const there = (file: string): boolean => existsSync(path.join(dir, file));

function write(file: string, text: string): void {
  mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
  writeFileSync(path.join(dir, file), text);
}

test("the first tenant's backup brings back what all tenants had, each where it was", async () => {
  write("tenants/north/models/state/forget.key", "stays apart");
  write("tenants/north/models/state/locks/card", "of the past");
  const folder = path.join(dir, "saved");
  const { files } = await backUp({ ...backedUp(first()), folder }, given);
  expect(files).toHaveLength(FILES.length);
  // One of another tenant's is in the way: nothing is mixed.
  renameSync(path.join(dir, "models"), path.join(dir, "lost"));
  await expect(restore({ ...backedUp(first()), folder })).rejects.toMatchObject({
    code: "cli.usage",
    message: expect.stringContaining(path.join(dir, "tenants", "north", "models")),
  });
  renameSync(path.join(dir, "tenants"), path.join(dir, "lost-too"));
  await restore({ ...backedUp(first()), folder });
  for (const file of FILES) expect(readFileSync(path.join(dir, file), "utf8")).toBe(file);
});

test("another tenant's backup has its files alone, names what is in the store, and is nobody else's to restore", async () => {
  const folder = path.join(dir, "saved");
  const elsewhere = elsewhereOf(north());
  expect(elsewhere).toEqual([expect.stringContaining(path.join(dir, "models", "state", "store.db"))]);
  expect(elsewhereOf(first())).toEqual([]);
  const { files, tenant } = await backUp({ ...backedUp(north()), folder }, { ...given, elsewhere });
  expect([files.length, tenant]).toEqual([2, "north"]);
  for (const name of ["models", "tenants"]) renameSync(path.join(dir, name), path.join(dir, `lost-${name}`));
  for (const other of [first(), tenantConfig(first(), parseTenant("south"))])
    await expect(restore({ ...backedUp(other), folder })).rejects.toMatchObject({
      code: "cli.usage",
      hint: "say --tenant north",
    });
  await restore({ ...backedUp(north()), folder });
  expect([there(`tenants/north/${KEYS}`), there(KEYS)]).toEqual([true, false]);
});
