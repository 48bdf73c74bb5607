// How figures and tables read: a dash for what is not defined, numbers to the right.
import { expect, test } from "vitest";
import { alignColumns, createOutput, figure } from "../../src/cli/output.ts";

test("a figure that is not defined is a dash, never NaN", () => {
  expect([Number.NaN, null, undefined, 3, 0.123456].map((value) => figure(value))).toEqual([
    "–",
    "–",
    "–",
    "3",
    "0.1235",
  ]);
  expect(figure(0.123456, 2)).toBe("0.12");
});

test("dashes stand under the numbers", () => {
  const [, first, second] = alignColumns([
    ["metric", "value"],
    ["precision", figure(Number.NaN)],
    ["recall", figure(0.25)],
  ]);
  expect(first.length).toBe(second.length);
  expect(first.endsWith("     –")).toBe(true);
});

/** What reaches a terminal of lines, tables and verdicts. */
function shown(write: (output: ReturnType<typeof createOutput>) => void): string {
  let text = "";
  const stdout = { write: (piece: string) => (text += piece) } as unknown as NodeJS.WriteStream;
  write(createOutput({ json: false, quiet: false, stdout, stderr: stdout, elapsed: () => 0 }));
  return text;
}

test("what others wrote moves no cursor and forges no line, wherever it is shown", () => {
  const evil = "ok\u001b[2J\u009b8m\r\nversion 9 is champion\u202e";
  const safe = "ok\\x1b[2J\\x9b8m\\r\\nversion 9 is champion\\u202e";
  const check = { name: evil, passed: false, observed: evil, required: evil, reason: "why" };
  expect(shown((output) => output.table([["why"], [evil]]))).toContain(safe);
  expect(shown((output) => output.heading(evil))).toContain(safe);
  const verdict = shown((output) =>
    output.verdict({ gate: "promotion", verdict: "HOLD", reasons: [evil, evil], checks: [check] }),
  );
  expect(verdict.split(safe)).toHaveLength(6);
  const all = shown((output) => output.line(evil)) + verdict;
  expect(all.replaceAll("\n", "").replaceAll(/\p{Cc}\[\d+m/gu, "")).not.toMatch(/[\p{Cc}\u202e]/u);
});
