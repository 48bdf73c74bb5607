// `sentinel rules` and `sentinel lists`: a file becomes live, its plan gates CI, a rule needs its gate, and what is wrong is said with its place.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import type { Decision } from "../../src/core/decision.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import type { Column } from "../../src/core/table.ts";
import { parseRulesFile } from "../../src/pipeline/rules.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { openPorts } from "../../src/wiring.ts";
import { edit, makeWorkspace, ROOT, removeWorkspace, sentinel } from "./sentinel.ts";

let dir: string;
beforeAll(() => {
  dir = makeWorkspace();
});
afterAll(() => removeWorkspace(dir));

const run = (...args: string[]) => sentinel([...args, "--workspace", dir]);
const json = async (...args: string[]) => {
  const { code, stdout } = await run(...args, "--json");
  return { code, value: JSON.parse(stdout) };
};
const write = (text: string): void => writeFileSync(path.join(dir, "pipelines", "card.rules.yaml"), text);

test("from a file to history", async () => {
  write("rules:\n  - { id: big, when: amount > 900, stage: live }\nlists: { mules: [c1, c2] }\n");
  expect((await run("rules", "apply", "--check")).code).toBe(1);
  const applied = await run("rules", "apply");
  expect(applied).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /\+ rule big \(live, review\): amount > 900[\s\S]*list mules: on c1, c2[\s\S]*done: rule set/,
    ),
  });
  expect((await run("rules", "apply", "--check")).code).toBe(0);
  expect((await json("rules", "list")).value).toMatchObject({ revision: 1, rules: [{ id: "big" }] });
  expect((await run("lists", "end", "mules", "c1", "--reason", "cleared")).code).toBe(0);
  expect((await json("lists", "show", "mules")).value).toMatchObject([{ value: "c2" }]);
  expect(
    (await run("rules", "add", "listed", "--when", "customer_id IN (SELECT value FROM mules)", "--action", "block"))
      .code,
  ).toBe(0);
  // There is no past to judge it on.
  const staged = await run("rules", "stage", "listed", "live");
  expect(staged).toMatchObject({ code: 1, stdout: expect.stringContaining("HOLD") });
  expect((await run("rules", "stage", "listed", "live", "--force", "--reason", "attack")).code).toBe(0);
  expect((await json("rules", "list")).value.rules).toMatchObject([{ id: "big" }, { id: "listed", stage: "live" }]);
  expect((await run("rules", "rollback", "--reason", "oops")).code).toBe(0);
  const { value } = await json("rules", "history");
  expect(value.map(({ verb }: { verb: string }) => verb)).toEqual(["apply", "list end", "add", "stage", "rollback"]);
  expect(value[3]).toMatchObject({ verdict: "FORCED", reason: "attack" });
  expect((await run("rules", "conflicts")).code).toBe(0);
});

describe("with a past and a log", () => {
  const ROWS = 4000;
  const LARGE = 900;
  let amounts: Float64Array;
  let frauds: Uint8Array;
  const timeAt = (row: number): number => Date.UTC(2025, 0, 1) + Math.floor((row / ROWS) * 60 * DAY_MS);

  /** The workspace's own drivers, opened beside the commands and closed again. */
  async function within(work: (ports: Ports) => Promise<void>): Promise<void> {
    const report = { line: () => {}, progress: () => {} };
    const config = loadConfig({ workspace: dir, environment: {} });
    const { ports, close } = openPorts(config, { report, pipeline: "card" });
    await work(ports);
    await close();
  }

  beforeAll(async () => {
    const random = new Random(8);
    amounts = Float64Array.from({ length: ROWS }, () => Math.round(random.uniform(1, 1000)));
    // What is planted: large amounts.
    frauds = Uint8Array.from(amounts, (amount) => (random.next() < (amount >= LARGE ? 0.6 : 0.003) ? 1 : 0));
    const text = (of: (row: number) => string): Column => {
      const words = Array.from(amounts, (_, row) => of(row));
      const dictionary = [...new Set(words)];
      const codes = new Map(dictionary.map((word, code) => [word, code]));
      return { kind: "text", codes: Int32Array.from(words, (word) => codes.get(word)!), dictionary };
    };
    const columns = new Map<string, Column>([
      ["transaction_id", text((row) => `x${row}`)],
      ["time", { kind: "time", values: Float64Array.from(amounts, (_, row) => timeAt(row)) }],
      ["amount", { kind: "number", values: amounts }],
      ["customer_id", text((row) => `c${row % 200}`)],
      ["terminal_id", text((row) => `t${row % 17}`)],
      ["is_fraud", { kind: "number", values: Float64Array.from(frauds) }],
    ]);
    await within(async (ports) => {
      await (await ports.dataset()).write(path.join(dir, "data", "transactions.parquet"), [{ rows: ROWS, columns }]);
    });
  });

  test("the starter rules are applied and judged, and the gate of one is asked before it goes live", async () => {
    const starter = path.join(ROOT, "pipelines", "card.starter.rules.yaml");
    expect((await run("rules", "apply", "--file", starter)).code).toBe(0);
    const { code, value } = await json("rules", "backtest");
    expect(code).toBe(0);
    const ids = value.rules.map(({ id }: { id: string }) => id);
    expect(ids).toEqual([
      "amount-far-over-usual",
      "amount-never-seen",
      "burst",
      "spree",
      "probe-then-large",
      "busy-terminal",
    ]);
    const seen = value.rules[1];
    expect(seen.fires).toBe(amounts.filter((amount) => amount > 220).length);
    const matured = timeAt(ROWS - 1) - 7 * DAY_MS;
    const hits = [...amounts.keys()].filter((row) => amounts[row] > 220 && timeAt(row) <= matured);
    expect(seen.precision).toMatchObject({ rows: hits.length, hits: hits.filter((row) => frauds[row] === 1).length });
    const shown = await run("rules", "backtest", "amount-never-seen");
    expect(shown).toMatchObject({ code: 1, stdout: expect.stringContaining("amount-never-seen: ") });
    expect(await run("rules", "stage", "amount-never-seen", "live")).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/REJECT: its precision.*stays as it is/s),
    });
  });

  test("compare, promote and roll back a candidate by what both sets decided", async () => {
    const review = ["--action", "review", "--stage", "live"];
    expect((await run("rules", "compare")).code).toBe(2);
    // Some frauds, and as many genuine ones; the candidate finds all of them and no other.
    expect((await run("rules", "add", "some", "--when", "amount >= 960 OR amount < 60", ...review)).code).toBe(0);
    const added = await run("rules", "add", "large", "--when", `amount >= ${LARGE}`, ...review, "--candidate");
    expect(added.code).toBe(0);
    const { value: now } = await json("rules", "list");
    const decisionOf = (isAlert: boolean): Decision => (isAlert ? "review" : "approve");
    await within(async (ports) => {
      const log = await ports.log();
      for (let row = 0; row < ROWS; row++) {
        const [amount, time, transactionId] = [amounts[row], timeAt(row), `x${row}`];
        const none = { by: "model", rule: null, fired: [] } as const;
        const decision = decisionOf(amount >= 960 || amount < 60);
        const candidate = { ...none, set: now.candidate, decision: decisionOf(amount >= LARGE) };
        const rules = { ...none, set: now.live, without: "approve", shadow: [], unready: 0, candidate } as const;
        log.appendPrediction({
          transactionId,
          time,
          receivedAt: time,
          fields: { amount, customer_id: `c${row % 200}` },
          extra: {},
          vector: new Float32Array(0),
          score: 0,
          anomalyScore: 0,
          decision,
          version: "1",
          bundle: "b",
          latencyMs: 1,
          degraded: false,
          rules,
        });
        const knownAt = time + DAY_MS;
        if (frauds[row] === 1)
          log.appendLabel({ transactionId, fraud: true, source: "analyst", knownAt, receivedAt: knownAt });
        if (row % 500 === 0) await log.flush();
      }
      await log.flush();
    });
    const { code, value } = await json("rules", "compare");
    expect(code).toBe(0);
    expect(value).toMatchObject({
      live: now.live,
      candidate: now.candidate,
      pairs: ROWS,
      verdict: { verdict: "PROMOTE" },
    });
    const matured = [...amounts.keys()].filter((row) => timeAt(row) <= timeAt(ROWS - 1) - 7 * DAY_MS);
    const caught = matured.filter((row) => frauds[row] === 1);
    expect(value.matured).toBe(matured.length);
    expect(value.frauds).toBe(caught.length);
    expect(value.recall.observedB).toBeCloseTo(
      caught.filter((row) => amounts[row] >= LARGE).length / caught.length,
      12,
    );
    expect(value.recall.low).toBeGreaterThan(0);
    expect(await run("rules", "compare")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/recall: .* → .*PROMOTE/s),
    });
    expect(await run("rules", "promote")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/rule set .* decides/),
    });
    expect((await json("rules", "list")).value).toMatchObject({ live: now.candidate, candidate: null });
    expect((await run("rules", "rollback", "--reason", "another look")).code).toBe(0);
    const { value: entries } = await json("rules", "history");
    expect(entries.slice(-2)).toMatchObject([
      { verb: "promote", verdict: "PROMOTE", live: { from: now.live, to: now.candidate } },
      { verb: "rollback", reason: "another look" },
    ]);
    expect((await json("rules", "list")).value.rules.map(({ id }: { id: string }) => id)).toContain("some");
  });

  test("conflicts beside what was measured, and drafts that later days confirm", async () => {
    expect((await run("rules", "add", "more", "--when", "amount >= 970", "--stage", "live")).code).toBe(0);
    const { code, value } = await json("rules", "conflicts", "--data", path.join(dir, "data", "transactions.parquet"));
    expect(code).toBe(1);
    expect(value.findings).toContainEqual(expect.objectContaining({ kind: "within", rule: "more", other: "some" }));
    const both = amounts.filter((amount) => amount >= 970).length;
    expect(value.measured.pairs).toContainEqual(expect.objectContaining({ both, shareOfOther: 1 }));
    expect((await run("rules", "conflicts")).stdout).toContain("--data FILE or --log");
    const file = path.join(dir, "drafts.rules.yaml");
    const suggested = await run("rules", "suggest", "--out", file);
    expect(suggested).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/mined from.*amount >= (8[5-9]|9[0-4])\d/s),
    });
    const drafts = parseRulesFile(readFileSync(file, "utf8"), file).value;
    expect(drafts.rules.length).toBeGreaterThan(0);
    expect(drafts.rules.every(({ stage }) => stage === "draft")).toBe(true);
  });

  test("four eyes hold on the command line: who adds or stages is whoever SENTINEL_ACTOR names", async () => {
    edit(dir, "pipelines/card.yaml", (text) => `${text}\nrules: { four_eyes: true }\n`);
    const as = (actor: string, ...args: string[]) =>
      sentinel([...args, "--workspace", dir], { env: { SENTINEL_ACTOR: actor } });
    const add = ["rules", "add", "mine", "--when", "amount > 990"];
    const refused = { code: 2, stderr: expect.stringMatching(/ana wrote rule mine.*somebody else/s) };
    expect(await as("ana", ...add, "--stage", "live")).toMatchObject(refused);
    expect(await as("ana", ...add, "--stage", "rollout", "--share", "0.01")).toMatchObject(refused);
    expect((await as("ana", ...add, "--stage", "shadow")).code).toBe(0);
    const live = ["rules", "stage", "mine", "live", "--force", "--reason", "attack"];
    expect(await as("ana", ...live)).toMatchObject(refused);
    expect((await as("ben", ...live)).code).toBe(0);
  });
});

test.each([
  [
    "an unknown column",
    "rules: [{ id: a, when: amuont > 3 }]",
    /rule a: line 1, column 1: no column or feature amuont/,
    /did you mean amount/,
  ],
  ["an unknown key", "rules: [{ id: a, when: amount > 3, actoin: block }]", /line 1/, /docs\/rules\.md/],
  [
    "an id twice",
    "rules: [{ id: a, when: amount > 3 }, { id: a, when: amount > 4 }]",
    /rule a is there twice/,
    /its own id/,
  ],
  [
    "a list that nobody made",
    "rules: [{ id: a, when: customer_id IN (SELECT value FROM nobody) }]",
    /no list nobody/,
    /sentinel lists add/,
  ],
  [
    "an area over the 180° meridian",
    "rules: []\nareas: { fiji: [[-21, 176], [-12, 176], [-12, -178], [-21, -178]] }",
    /line 2.*spans more than 180 degrees/,
    /two areas/,
  ],
  ["no condition", "rules: [{ id: a, when: amount }]", /the rule is a number, no condition/, /amount > 1000/],
])("refused: %s", async (_, text, message, hint) => {
  write(text);
  const { code, value } = await json("rules", "apply");
  expect(code).toBe(2);
  expect(value.error.message).toMatch(message);
  expect(value.error.hint).toMatch(hint);
});

test("a tenant's limit holds for a file, too, and for all its pipelines together", async () => {
  const limited = makeWorkspace();
  const at = (...args: string[]) => sentinel([...args, "--workspace", limited]);
  const rules = (ids: readonly string[]): void =>
    writeFileSync(
      path.join(limited, "pipelines", "card.rules.yaml"),
      `rules:\n${ids.map((id) => `  - { id: ${id}, when: amount > 900, stage: live }\n`).join("")}`,
    );
  try {
    expect((await at("tenants", "set", "default", "--rules", "2")).code).toBe(0);
    rules(["a", "b", "c"]);
    expect(await at("rules", "apply")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("this tenant has 0 rules, may have 2, and would have 3"),
    });
    rules(["a", "b"]);
    expect((await at("rules", "apply")).code).toBe(0);
    expect((await at("rules", "add", "c", "--when", "amount > 1")).code).toBe(2);
    expect((await at("tenants", "set", "default", "--rules", "none")).code).toBe(0);
    expect((await at("rules", "add", "c", "--when", "amount > 1")).code).toBe(0);
  } finally {
    removeWorkspace(limited);
  }
});
