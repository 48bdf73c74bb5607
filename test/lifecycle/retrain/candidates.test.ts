// A loop's candidates: when a model that knows more of a new world is due, which place it takes, and which candidates go.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { verifyJournal } from "../../../src/core/journal.ts";
import { LEARNED_TAG, SINCE_TAG } from "../../../src/lifecycle/learned.ts";
import { type Candidate, candidatesOf, placeFor, withdrawStale } from "../../../src/lifecycle/retrain/candidates.ts";
import { refreshOf } from "../../../src/lifecycle/retrain/refresh.ts";
import type { ModelVersion } from "../../../src/ports/registry.ts";
import { version } from "../records.ts";
import { emptyPlace, type Place, pipelineOf, START } from "../world.ts";

const MODEL = "card-fraud";
const SINCE = START + 20 * DAY_MS;

const made = (number: string, tags: Readonly<Record<string, string>>): ModelVersion => ({
  model: MODEL,
  version: number,
  runId: "r",
  createdAt: START,
  description: "",
  tags,
  bundle: number,
});
/** A version that was made for the world since {@link SINCE}, and has learned so many days of it. */
const learnedOf = (days: number, number = "2"): ModelVersion =>
  made(number, { [SINCE_TAG]: String(SINCE), [LEARNED_TAG]: String(SINCE + days * DAY_MS) });

describe("a refresh", () => {
  const pipeline = pipelineOf();
  const due = (versions: readonly ModelVersion[], knownDays: number, refreshMs = 56 * DAY_MS) =>
    refreshOf(versions, {
      final: SINCE + knownDays * DAY_MS,
      pipeline: { ...pipeline, retrain: { ...pipeline.retrain, refreshMs } },
    });

  test("is due once half as many days more are known than the newest model has learned, and says so", () => {
    expect(due([learnedOf(6)], 8.9)).toMatchObject({
      since: SINCE,
      due: false,
      reason: expect.stringMatching(/version 2 has learned it up to .*: the next model follows once labels up to/),
    });
    expect(due([learnedOf(6)], 9)).toMatchObject({
      since: SINCE,
      due: true,
      reason: expect.stringMatching(/version 2 has learned it up to/),
    });
    // Whoever has learned most counts, candidate or champion.
    expect(due([learnedOf(6), learnedOf(8, "3")], 9)).toMatchObject({ due: false });
    expect(due([learnedOf(6), learnedOf(8, "3")], 12)).toMatchObject({ due: true });
  });

  test("is none without a drift, before a model has learned any of the new world, or when it has learned enough", () => {
    expect(due([], 30)).toBeNull();
    expect(due([made("2", { [LEARNED_TAG]: String(SINCE) })], 30)).toBeNull();
    expect(due([learnedOf(-3)], 30)).toBeNull();
    expect(due([learnedOf(56)], 200)).toBeNull();
    expect(due([learnedOf(6)], 30, 0)).toBeNull();
  });
});

describe("the place of a new candidate", () => {
  const candidate = (alias: string): Candidate => ({ alias, version: learnedOf(1) });
  const none = (): boolean => false;

  test("beside one that waits only a model that has learned more takes one, and there are three", () => {
    expect(placeFor([], { mayReplace: none, extra: false })).toBe("candidate");
    expect(placeFor([candidate("candidate")], { mayReplace: none, extra: false })).toBeNull();
    expect(placeFor([candidate("candidate")], { mayReplace: none, extra: true })).toBe("candidate-2");
    const all = ["candidate-3", "candidate-2", "candidate"].map(candidate);
    expect(placeFor(all, { mayReplace: none, extra: true })).toBeNull();
    expect(placeFor([candidate("candidate-2")], { mayReplace: none, extra: true })).toBe("candidate");
  });

  test("of those that may be replaced the oldest goes", () => {
    const newestFirst = ["candidate-2", "candidate"].map(candidate);
    expect(placeFor(newestFirst, { mayReplace: () => true, extra: false })).toBe("candidate");
    expect(placeFor(newestFirst, { mayReplace: ({ alias }) => alias === "candidate-2", extra: true })).toBe(
      "candidate-2",
    );
  });
});

describe("candidates that are behind", () => {
  let place: Place;
  beforeEach(async () => {
    place = await emptyPlace();
  });
  afterEach(() => place.close());

  test("are withdrawn once the champion has learned later days; those of people stay; the journal says why", async () => {
    const registry = await place.ports.registry();
    const gates = { training: "pass", logic: "pass" };
    const tags = (verb: string, days: number) => ({
      "sentinel.verb": verb,
      [LEARNED_TAG]: String(SINCE + days * DAY_MS),
    });
    await version(place.ports, MODEL, gates, tags("retrain", 10));
    await version(place.ports, MODEL, gates, tags("train", 5));
    await version(place.ports, MODEL, gates, tags("retrain", 5));
    await version(place.ports, MODEL, gates, tags("retrain", 15));
    const aliases = { champion: "1", candidate: "2", "candidate-2": "3", "candidate-3": "4", "candidate-mine": "3" };
    for (const [alias, to] of Object.entries(aliases)) {
      const entry = {
        at: START,
        actor: "tester",
        verb: "train",
        verdict: "pass",
        evidence: "",
        reason: "made",
      } as const;
      await registry.moveAlias({ model: MODEL, alias, from: null, to, entry });
    }
    const found = await candidatesOf(place.ports, place.pipeline);
    expect(found.map(({ alias }) => alias).sort()).toEqual(["candidate", "candidate-2", "candidate-3"]);
    await withdrawStale(place.ports, { pipeline: place.pipeline, actor: "timer" });
    const { "candidate-2": _, ...left } = aliases;
    expect(await registry.aliases(MODEL)).toEqual(left);
    const journal = await registry.journal(MODEL);
    expect(verifyJournal(journal).ok).toBe(true);
    expect(journal.at(-1)).toMatchObject({
      alias: "candidate-2",
      from: "3",
      to: null,
      verdict: "WITHDRAWN",
      actor: "timer",
    });
    // Again there is nothing to do.
    await withdrawStale(place.ports, { pipeline: place.pipeline, actor: "timer" });
    expect(await registry.journal(MODEL)).toHaveLength(journal.length);
  });
});
