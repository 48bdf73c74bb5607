// `sentinel rules` and `sentinel lists`: a file becomes live, its plan gates CI, a rule needs its gate, and what is wrong is said with its place.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeWorkspace, removeWorkspace, sentinel } from "./sentinel.ts";

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
