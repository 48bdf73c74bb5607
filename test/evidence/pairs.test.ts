// Pairs of two that both shadowed: what they said before one of them became champion counts too.
import { expect, test } from "vitest";
import { pairsBeside } from "../../src/evidence/pairs.ts";
import type { PairOptions, ShadowPair } from "../../src/ports/log.ts";

const side = (version: string, score: number): ShadowPair["champion"] => ({ version, score, decision: "approve" });
const pair = (
  transactionId: string,
  champion: ShadowPair["champion"],
  candidate: ShadowPair["champion"],
): ShadowPair => ({
  transactionId,
  time: 1,
  champion,
  candidate,
  bundle: "b",
  latencyMs: Number(candidate.version),
  championLatencyMs: 0.5,
  vectorHash: "",
  card: "c",
  amount: 1,
  answered: "approve",
  propensity: null,
  fraud: null,
  labelKnownAt: null,
});

/** Version 1 answered t1 to t3 while 2 and 3 shadowed, 3 not t2; then 2 answers. */
const LOGGED: Readonly<Record<string, readonly ShadowPair[]>> = {
  2: ["t1", "t2", "t3"].map((id) => pair(id, side("1", 0.1), side("2", 0.2))),
  3: [
    ...["t1", "t3"].map((id) => pair(id, side("1", 0.1), side("3", 0.3))),
    pair("t4", side("2", 0.25), side("3", 0.35)),
  ],
};
const log = {
  async *pairs(version: string, { newest }: PairOptions = {}) {
    yield* (LOGGED[version] ?? []).slice(-(newest ?? 100));
  },
};
async function read(champion: string | null): Promise<ShadowPair[]> {
  const pairs: ShadowPair[] = [];
  for await (const one of pairsBeside(log, { candidate: "3", champion })) pairs.push(one);
  return pairs;
}

test("of what another champion answered, the two are compared where both have scored it, each by its own answer", async () => {
  const pairs = await read("2");
  expect(pairs.map(({ transactionId }) => transactionId)).toEqual(["t1", "t3", "t4"]);
  expect(pairs[0]).toEqual({ ...LOGGED[3][0], champion: side("2", 0.2), championLatencyMs: 2 });
  expect(pairs[2]).toBe(LOGGED[3][2]);
});

test("against the champion of then nothing is joined, and without a champion there are no pairs", async () => {
  expect((await read("1")).map(({ transactionId }) => transactionId)).toEqual(["t1", "t3"]);
  expect(await read("9")).toEqual([]);
  expect(await read(null)).toEqual([]);
});
