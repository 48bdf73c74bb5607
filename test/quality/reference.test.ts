// Sentinel's answers against the stored answers of the real Great Expectations (made by scripts/reference/gx.py).
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { evaluateExpectation } from "../../src/quality/evaluate.ts";
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
