// Sentinel's answers about a table and forty faulty copies of it against the stored answers of the real Great Expectations, whole and in batches.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Table } from "../../src/core/table.ts";
import { type Batches, evaluateBatches, evaluateSuite } from "../../src/quality/evaluate.ts";
import { EXPECTATION_TYPES } from "../../src/quality/expectations/registry.ts";
import { shapesOf } from "../../src/quality/shape.ts";
import { TallyPool } from "../../src/quality/tally-pool.ts";
import { memoryScratch } from "./memory-scratch.ts";
import { type Answer, cut, differences, MEANT, ours, suiteFor } from "./parity/compare.ts";
import { PARITY_SUITE } from "./parity/suite.ts";
import { PARITY_TABLES } from "./parity/tables.ts";
import { tableFrom } from "./tables.ts";

const { answers, versions } = JSON.parse(
  gunzipSync(readFileSync(new URL("reference/parity.answers.json.gz", import.meta.url))).toString("utf8"),
) as { answers: Record<string, Answer[]>; versions: Record<string, string> };

const suite = suiteFor(PARITY_SUITE);

test("there are forty copies and more, and every type of Great Expectations that is supported is asked for", () => {
  expect(Object.keys(PARITY_TABLES).length).toBeGreaterThan(40);
  const asked = new Set(PARITY_SUITE.map(({ type }) => type));
  expect(EXPECTATION_TYPES.filter((type) => type.startsWith("expect_") && !asked.has(type))).toEqual([]);
  expect(versions.great_expectations).toMatch(/^1\.\d+\.\d+$/);
});

test("every question but the plainest is answered yes for one table and no for another", () => {
  const plain = PARITY_SUITE.filter((_, i) => {
    const said = new Set(Object.values(answers).map((of) => of[i].success));
    return said.size < 2;
  });
  expect(plain.map(({ type }) => type)).toEqual([]);
});

describe("as Great Expectations answers", () => {
  for (const [name, columns] of Object.entries(PARITY_TABLES)) {
    test(name, async () => {
      const table = tableFrom(columns);
      const whole = evaluateSuite(table, suite, { now: null }).results;
      const parts = (await evaluateBatches(batchesOf(table, 37), suite, { now: null, pool: tinyPool() })).result
        .results;
      const faults: string[] = [];
      for (const [i, { type }] of PARITY_SUITE.entries()) {
        const theirs = answers[name][i];
        const meant = MEANT.find((one) => one.table === name && one.question === i);
        const found = differences(ours(whole[i]), theirs);
        if (meant === undefined) for (const what of found) faults.push(`${i} ${type}: ${what}`);
        else expect(found.join(), `${i} ${type}: ${meant.why}`).not.toBe("");
        for (const what of differences(ours(parts[i]), ours(whole[i]))) faults.push(`${i} ${type} in batches: ${what}`);
      }
      expect(faults).toEqual([]);
    });
  }
});

function batchesOf(table: Table, rows: number): Batches {
  return {
    columns: shapesOf(table),
    async *read(names) {
      for (const batch of cut(table, rows)) {
        yield { ...batch, columns: new Map([...batch.columns].filter(([name]) => names.includes(name))) };
      }
    },
  };
}

/** So small that every count of different values goes to its partitions. */
function tinyPool(): TallyPool {
  return new TallyPool({ scratch: memoryScratch(), slots: 0 });
}

test("the table of docs/quality.md names every supported type, and no other", () => {
  const page = readFileSync(new URL("../../docs/quality.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `(expect_\w+)` \| yes \|/gm)].map(([, type]) => type);
  expect([...rows].sort()).toEqual(EXPECTATION_TYPES.filter((type) => type.startsWith("expect_")).sort());
  const asked = PARITY_SUITE.length * Object.keys(PARITY_TABLES).length;
  const grouped = (value: number): string => value.toLocaleString("en");
  expect(page).toContain(`${grouped(asked - MEANT.length)} of ${grouped(asked)} answers`);
});
