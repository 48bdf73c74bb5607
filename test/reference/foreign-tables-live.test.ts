// Imported models of the usual size against the newest and the oldest libraries themselves, on 100,000 rows with missing and unseen values.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compare, readTables } from "./tables.ts";

const ROWS = 100_000;
const TOLERANCE = 1e-6;
const SCRIPT = fileURLToPath(new URL("../../scripts/reference/foreign_tables.py", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.cache", import.meta.url));

describe.each(["bench-venv", "bench-venv-oldest"])("the libraries of %s [bench peers]", (venv) => {
  const home = path.join(CACHE, venv);
  // The stamp is written last. Where the libraries are missing, the stored answers of foreign-tables.test.ts stand for them.
  const isThere = existsSync(path.join(home, "sentinel-stamp"));
  if (!isThere) console.warn(`SKIPPED: there is no .cache/${venv}; scripts/bench-setup installs it`);
  let folder: string;

  beforeAll(() => {
    if (!isThere) return;
    folder = mkdtempSync(path.join(tmpdir(), "sentinel-tables-"));
    execFileSync(path.join(home, "bin", "python"), [SCRIPT, folder, String(ROWS), "large"], { stdio: "pipe" });
  }, 600_000);
  afterAll(() => {
    if (isThere) rmSync(folder, { recursive: true, force: true });
  });

  test.runIf(isThere)(
    "every model scores as its own library does",
    () => {
      const names = Object.keys(readTables(folder).models);
      expect(names.length).toBeGreaterThan(30);
      const differences = names.map((name) => {
        const { largest } = compare(folder, name);
        console.info(`${name}: largest difference ${largest}`);
        return { name, isEqual: largest <= TOLERANCE };
      });
      expect(differences.filter(({ isEqual }) => !isEqual)).toEqual([]);
    },
    600_000,
  );
});
