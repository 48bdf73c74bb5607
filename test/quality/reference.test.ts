// Sentinel's answers against the stored answers of the real Great Expectations (made by scripts/reference/gx_cases.py).
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { canonicalJson } from "../../src/core/hash.ts";
import { evaluateExpectation, evaluateSuite } from "../../src/quality/evaluate.ts";
import { parseSuite } from "../../src/quality/suite.ts";
import { type ColumnSource, tableFrom } from "./tables.ts";

interface Case {
  readonly table: string;
  readonly type: string;
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Present where Sentinel means to answer otherwise; says why. */
  readonly differs?: string;
}

interface Answer {
  readonly success?: boolean;
  readonly result?: unknown;
  readonly exception?: string;
  readonly refused?: string;
}

function stored<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`reference/${name}`, import.meta.url), "utf8")) as T;
}

const { tables, cases } = stored<{ tables: Record<string, Record<string, ColumnSource>>; cases: Case[] }>("cases.json");
const { answers } = stored<{ answers: Answer[] }>("cases.answers.json");

/** What Sentinel says, in the shape of a stored answer. */
function ours({ table, type, kwargs }: Case): Answer {
  try {
    const text = JSON.stringify({ expectations: [{ type, kwargs }] });
    const [expectation] = parseSuite(text, { where: "case" }).expectations;
    const { success, result, exception_info, meta } = evaluateExpectation(tableFrom(tables[table]), expectation, {
      now: null,
    });
    if (meta.status === "unsupported") return { refused: "unsupported" };
    if (exception_info.raised_exception) return { success, exception: "raised" };
    return { success, result: JSON.parse(JSON.stringify(result)) };
  } catch (error) {
    if (error instanceof SentinelError) return { refused: error.code };
    throw error;
  }
}

/**
 * An expectation GX refuses or raises for is one Sentinel refuses or raises for; both stop the gate, at another time. Two
 * spellings are levelled: "NaT" is missing, and NaN, unequal to itself and to be sorted nowhere, is counted once a row
 * by pandas and leaves the counts in no order.
 */
function comparable(answer: Answer): unknown {
  if (answer.refused !== undefined || answer.exception !== undefined) return "cannot be judged";
  return JSON.parse(
    JSON.stringify({ success: answer.success, result: answer.result }).replaceAll('"NaT"', "null"),
    levelNulls,
  );
}

function levelNulls(name: string, value: unknown): unknown {
  if (name !== "partial_unexpected_counts" || !JSON.stringify(value).includes("null")) return value;
  const counts = new Map<string, number>();
  for (const { value: shown, count } of value as { value: unknown; count: number }[]) {
    counts.set(JSON.stringify(shown), (counts.get(JSON.stringify(shown)) ?? 0) + count);
  }
  return Object.fromEntries(counts);
}

describe("the same cases as Great Expectations", () => {
  test("every case has an answer", () => {
    expect(answers).toHaveLength(cases.length);
  });

  for (const [i, one] of cases.entries()) {
    const name = `${i} ${one.table}: ${one.type} ${JSON.stringify(one.kwargs)}`;
    if (one.differs === undefined) {
      test(name, () => expect(comparable(ours(one))).toEqual(comparable(answers[i])));
    } else {
      test(`${name} differs: ${one.differs}`, () => expect(comparable(ours(one))).not.toEqual(comparable(answers[i])));
    }
  }
});

interface SuiteAnswer {
  readonly success: boolean;
  readonly suite_name: string;
  readonly statistics: unknown;
  readonly results: (Answer & { expectation_config: Case; exception_info: Record<string, unknown> })[];
}

describe("card.suite.json on the same tables as Great Expectations", () => {
  const suite = parseSuite(readFileSync(new URL("../../pipelines/card.suite.json", import.meta.url), "utf8"), {
    where: "card.suite.json",
  });
  const cardTables = stored<{ tables: Record<string, Record<string, ColumnSource>> }>("card.json").tables;
  const { results } = stored<{ results: Record<string, SuiteAnswer> }>("card.answers.json");
  /** GX's results are grouped by column and errors come first; ours stand in suite order. */
  const key = ({ type, kwargs }: Case): string => canonicalJson({ ...kwargs, type, batch_id: undefined });

  for (const [name, theirs] of Object.entries(results)) {
    test(`the ${name} table`, () => {
      const mine = JSON.parse(JSON.stringify(evaluateSuite(tableFrom(cardTables[name]), suite, { now: null })));
      expect({ success: mine.success, suite_name: mine.suite_name, statistics: mine.statistics }).toEqual({
        success: theirs.success,
        suite_name: theirs.suite_name,
        statistics: theirs.statistics,
      });
      const wanted = new Map(theirs.results.map((one) => [key(one.expectation_config), one]));
      expect(wanted.size).toBe(mine.results.length);
      for (const one of mine.results) {
        const other = wanted.get(key(one.expectation_config))!;
        const raised = !("raised_exception" in other.exception_info);
        expect(one.exception_info.raised_exception).toBe(raised);
        expect(one.expectation_config.severity).toBe((other.expectation_config as { severity?: string }).severity);
        expect(comparable(one)).toEqual(comparable(other));
      }
    });
  }

  test("every expectation of the suite passes somewhere and fails somewhere", () => {
    for (const [i] of suite.expectations.entries()) {
      const outcomes = Object.values(cardTables).map(
        (columns) => evaluateSuite(tableFrom(columns), suite, { now: null }).results[i].success,
      );
      expect(new Set(outcomes)).toEqual(new Set([true, false]));
    }
  });
});
