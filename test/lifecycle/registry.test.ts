// What a journal tells: who was champion when, however the alias moved.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AliasMove } from "../../src/core/journal.ts";
import { championAt, history } from "../../src/lifecycle/registry.ts";
import { version } from "./records.ts";
import { emptyPlace, type Place, START } from "./world.ts";

const MODEL = "card-fraud";

let place: Place;
beforeEach(async () => {
  place = await emptyPlace();
  for (let i = 0; i < 3; i++) await version(place.ports, MODEL);
});
afterEach(() => place.close());

async function step(at: number, first: AliasMove, ...also: AliasMove[]): Promise<void> {
  const entry = {
    at,
    actor: `by ${at - START}`,
    verb: "promote",
    verdict: "PROMOTE",
    evidence: "",
    reason: "",
  } as const;
  await (await place.ports.registry()).moveAlias({ model: MODEL, ...first, also, entry });
}

const move = (alias: string, from: string | null, to: string | null): AliasMove => ({ alias, from, to });
const at = async (time: number) => {
  const { version: champion, entry, chain } = await championAt(place.ports, { model: MODEL, at: time });
  expect(chain.ok).toBe(true);
  return [champion, entry?.actor ?? null];
};

test("the newest entry at or before a time tells the champion; before the first there was none", async () => {
  expect(await at(START)).toEqual([null, null]);
  await step(START + 10, move("champion", null, "1"));
  await step(START + 20, move("champion", "1", "2"), move("previous", null, "1"));
  await step(START + 30, move("candidate", null, "3"));
  // The champion may move along with another alias, and may go.
  await step(START + 40, move("candidate", "3", null), move("champion", "2", "3"));
  await step(START + 50, move("champion", "3", null));
  expect(await at(START + 9)).toEqual([null, null]);
  expect(await at(START + 10)).toEqual(["1", "by 10"]);
  expect(await at(START + 19)).toEqual(["1", "by 10"]);
  expect(await at(START + 35)).toEqual(["2", "by 20"]);
  expect(await at(START + 40)).toEqual(["3", "by 40"]);
  expect(await at(START + 60)).toEqual([null, "by 50"]);
  expect(await history(place.ports, MODEL)).toMatchObject({ model: MODEL, chain: { ok: true }, notes: [] });
});

test("of two at one time the later counts; one that is older than those before it tells of its own time", async () => {
  await step(START + 20, move("champion", null, "1"));
  await step(START + 20, move("champion", "1", "2"));
  await step(START + 10, move("champion", "2", "3"));
  expect(await at(START + 20)).toEqual(["2", "by 20"]);
  expect(await at(START + 15)).toEqual(["3", "by 10"]);
});
