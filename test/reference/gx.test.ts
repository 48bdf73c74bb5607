// The real Great Expectations, asked live in one process: the stored answers are its answers, and Sentinel's are the same.
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { evaluateSuite } from "../../src/quality/evaluate.ts";
import { type Answer, differences, MEANT, ours, suiteFor } from "../quality/parity/compare.ts";
import { PARITY_SUITE } from "../quality/parity/suite.ts";
import { PARITY_TABLES } from "../quality/parity/tables.ts";
import { tableFrom } from "../quality/tables.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const VENV = path.join(ROOT, ".cache", "venv-gx");
const STORED = path.join(ROOT, "test", "quality", "reference", "parity.answers.json.gz");
const isThere = existsSync(path.join(VENV, "sentinel-stamp"));
if (!isThere)
  console.warn("SKIPPED Great Expectations itself: there is no .cache/venv-gx; scripts/setup-python installs it");

/** All of them take a minute of processor time: SENTINEL_GX_TABLES=45 asks about all, and SENTINEL_GX_STORE=yes stores what it says. */
const COUNT = Number(process.env.SENTINEL_GX_TABLES ?? 2);
const STORE = process.env.SENTINEL_GX_STORE === "yes";

interface Answers {
  readonly versions: Readonly<Record<string, string>>;
  readonly answers: Readonly<Record<string, readonly Answer[]>>;
}

function ask(names: readonly string[]): Promise<Answers> {
  const tables = Object.fromEntries(names.map((name) => [name, PARITY_TABLES[name]]));
  const script = path.join(ROOT, "scripts", "reference", "gx_parity.py");
  return new Promise((resolve, reject) => {
    const child = execFile(path.join(VENV, "bin", "python"), [script], { maxBuffer: 1 << 28 }, (error, stdout) =>
      error === null ? resolve(JSON.parse(stdout) as Answers) : reject(error),
    );
    child.stdin!.end(JSON.stringify({ tables, suite: PARITY_SUITE }));
  });
}

test.runIf(process.env.CI === "true")("Great Expectations is installed", () => {
  expect(isThere, "CI needs .cache/venv-gx: scripts/setup-python").toBe(true);
});

describe.runIf(isThere)("Great Expectations itself", () => {
  test("answers as it is stored, and as Sentinel does", { timeout: 3_600_000 }, async () => {
    const names = Object.keys(PARITY_TABLES).slice(0, COUNT);
    const asked = await ask(names);
    if (STORE) writeFileSync(STORED, gzipSync(JSON.stringify(asked), { level: 9 }));
    const stored = JSON.parse(gunzipSync(readFileSync(STORED)).toString("utf8")) as Answers;
    const suite = suiteFor(PARITY_SUITE);
    for (const name of names) {
      const mine = evaluateSuite(tableFrom(PARITY_TABLES[name]), suite, { now: null }).results;
      for (const [i, { type }] of PARITY_SUITE.entries()) {
        const live = asked.answers[name][i];
        expect(differences(live, stored.answers[name][i]), `${name}: ${i} ${type}, stored`).toEqual([]);
        if (MEANT.some(({ question, table }) => question === i && table === name)) continue;
        expect(differences(ours(mine[i]), live), `${name}: ${i} ${type}`).toEqual([]);
      }
    }
  });
});
