// `sentinel explain` as people read it: the table adds up to the margin, the difference has both sides, the words are there.
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verb } from "../../src/cli/explain.ts";
import { alignColumns, type Output } from "../../src/cli/output.ts";
import type { VerbContext, VerbOptions } from "../../src/cli/verb.ts";
import type { Explained } from "../../src/lifecycle/explain.ts";
import {
  bodyOf,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  SPEC_A,
  SPEC_B,
  serve,
  type World,
} from "../server/world.ts";

let world: World;
let opened: ReturnType<World["open"]>;
const paid = payments(5, { seed: 5, from: NOW - 3_600_000, prefix: "p" });

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_B);
  // The champion's features hold all of the candidate's, so nothing has to be recomputed.
  await world.alias("champion", await world.register(makeBundle(SPEC_B, 1)));
  await world.alias("candidate", await world.register(makeBundle(SPEC_A, 2)));
  const { server, stop } = await serve(world);
  for (const payment of paid) await post(server, "/predict", bodyOf(payment));
  await stop();
  opened = world.open();
});

afterAll(async () => {
  await opened.close();
  await world.remove();
});

async function run(
  id: string,
  options: VerbOptions = {},
): Promise<{ readonly text: string; readonly json: Explained }> {
  const lines: string[] = [];
  const output: Output = {
    json: false,
    line: (text) => void lines.push(text),
    heading: (text) => void lines.push(text),
    table: (rows) => void lines.push(...alignColumns(rows)),
    verdict: () => {},
    warn: () => {},
    progress: () => {},
  };
  const context: VerbContext = {
    config: {} as VerbContext["config"],
    output,
    packageVersion: "0",
    pipeline: () => world.pipeline,
    pipelineName: () => "card",
    ports: () => opened.ports,
  };
  const { json, yes } = await verb.run(context, { args: [id], options });
  expect(yes).toBe(true);
  // Colours, which CI switches on, are no part of the words.
  return { text: stripVTControlCharacters(lines.join("\n")), json: json as Explained };
}

test("tells decision, reasons and a table that leads from the baseline to the margin", async () => {
  const { text, json } = await run(paid[0].transaction_id);
  const { explanation, reasons, sentences } = json;
  expect(text).toContain(`transaction ${paid[0].transaction_id}`);
  expect(text).toContain(explanation.decision);
  for (const reason of reasons) expect(text).toContain(`${reason.text}  ${reason.code}`);
  for (const { feature } of explanation.contributions) expect(text).toContain(sentences[feature]);
  const added = [...text.matchAll(/^ {2}(\S+) .*?([+−]\d+\.\d{3})/gm)].map(([, feature, number]) => ({
    feature,
    value: Number(number.replace("−", "-")),
  }));
  expect(added).toHaveLength(2 + explanation.contributions.length);
  expect(added[0].feature).toBe("(baseline)");
  const sum = added.slice(0, -1).reduce((total, { value }) => total + value, 0);
  expect(Math.abs(sum - added[added.length - 1].value)).toBeLessThan(0.0005 * added.length);
});

test("sets another version against it, with a dash where it has no such feature", async () => {
  const { text, json } = await run(paid[1].transaction_id, { against: "candidate" });
  expect(text).toContain("version 2 against version 1");
  expect(text).toMatch(/terminal_sum_3d +[+−]\d\.\d+ +– /);
  expect(json.difference?.candidate.version).toBe("2");
});

test("says so when another version explains than the one that answered", async () => {
  const { text } = await run(paid[2].transaction_id, { version: "candidate" });
  expect(text).toContain("by version 2");
  expect(text).toMatch(/version 1 answered: (approve|review|block)/);
});
