// The contract of the Registry port: one suite for every driver.
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { type BundleFiles, bundleHash } from "../../src/core/bundle.ts";
import { SentinelError } from "../../src/core/errors.ts";
import { sha256 } from "../../src/core/hash.ts";
import { verifyJournal } from "../../src/core/journal.ts";
import type { JournalDraft, Registry } from "../../src/ports/registry.ts";

/** An empty place for one test; `open` connects to it, as another process would. */
export interface RegistryPlace {
  open(): Promise<Registry>;
  dispose(): Promise<void>;
}

export const NOW = Date.UTC(2026, 10, 21, 7);

export const draft = (changes: Partial<JournalDraft> = {}): JournalDraft => ({
  at: NOW,
  actor: "ana",
  verb: "promote",
  verdict: "PROMOTE",
  evidence: "e".repeat(64),
  reason: "AP +0.02 [0.01, 0.03]",
  ...changes,
});

export function bundle(seed = 1): BundleFiles {
  return new Map([
    ["bundle.json", new TextEncoder().encode(`{"seed":${seed}}`)],
    ["models/gbdt.bin", Uint8Array.from({ length: 5_000 }, (_, index) => (index * seed) % 251)],
    ["card.md", new TextEncoder().encode("# Card — für Menschen")],
    ["empty", new Uint8Array(0)],
  ]);
}

export async function aRun(registry: Registry, experiment = "card"): Promise<string> {
  return registry.startRun({ experiment, name: "train", startedAt: NOW, user: "ana", tags: {} });
}

export async function aVersion(registry: Registry, model = "card-fraud"): Promise<string> {
  const runId = await aRun(registry);
  return (await registry.register({ model, runId, files: bundle(), description: "", tags: {}, at: NOW })).version;
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SentinelError)) throw new Error(`expected a SentinelError, got ${error}`);
  expect(error.message.length).toBeGreaterThan(10);
  expect(error.hint.length).toBeGreaterThan(10);
  return error.code;
}

/** `about` says what it ran against, for the line that is printed at the end. */
export function registryContract(
  driver: string,
  makePlace: () => Promise<RegistryPlace>,
  about: () => Promise<string> | string,
): void {
  describe(`${driver}: the Registry contract`, () => {
    let place: RegistryPlace;
    let registry: Registry;
    let cases = 0;
    afterAll(async () => console.info(`the Registry contract: ${cases} cases on ${driver}, ${await about()}`));
    beforeEach(async () => {
      cases++;
      place = await makePlace();
      registry = await place.open();
    });
    afterEach(async () => {
      await registry.close();
      await place.dispose();
    });

    test("an empty registry answers with nothing", async () => {
      expect(await registry.runs("card")).toEqual([]);
      expect(await registry.versions("card-fraud")).toEqual([]);
      expect(await registry.aliases("card-fraud")).toEqual({});
      expect(await registry.journal("card-fraud")).toEqual([]);
      expect(await codeOf(registry.version("card-fraud", "1"))).toBe("registry.version-unknown");
      expect(await codeOf(registry.load("card-fraud", "1"))).toBe("registry.version-unknown");
    });

    describe("runs", () => {
      test("keep what was logged", async () => {
        const tags = { "sentinel.data": "abc", "mlflow.source.git.commit": "1234567" };
        const runId = await registry.startRun({
          experiment: "card",
          name: "train 1",
          startedAt: NOW,
          user: "ana",
          tags,
        });
        await registry.logRun(runId, {
          params: { "gbdt.rounds": "200", note: "größer" },
          metrics: [{ key: "ap", value: 0.75 }],
          tags: { stage: "done" },
          datasets: [
            { name: "tx", digest: "d".repeat(36), sourceType: "local", source: '{"uri":"a"}', context: "training" },
          ],
          at: NOW + 5,
        });
        await registry.endRun(runId, "FINISHED", NOW + 10);
        const [run, ...others] = await registry.runs("card");
        expect(others).toEqual([]);
        expect(run).toMatchObject({ runId, name: "train 1", status: "FINISHED", startedAt: NOW, endedAt: NOW + 10 });
        expect(run.params).toEqual({ "gbdt.rounds": "200", note: "größer" });
        expect(run.metrics).toEqual({ ap: 0.75 });
        expect(run.tags).toMatchObject({ ...tags, stage: "done", "mlflow.runName": "train 1", "mlflow.user": "ana" });
      });

      test("are listed oldest first, by experiment, running ones without an end", async () => {
        const start = (name: string, startedAt: number, experiment = "card") =>
          registry.startRun({ experiment, name, startedAt, user: "", tags: {} });
        await start("second", NOW + 1);
        await start("first", NOW);
        await start("other", NOW, "wire");
        const runs = await registry.runs("card");
        expect(runs.map(({ name, status, endedAt }) => [name, status, endedAt])).toEqual([
          ["first", "RUNNING", null],
          ["second", "RUNNING", null],
        ]);
        expect(await registry.runs("wire")).toHaveLength(1);
      });

      test("keep NaN, infinities, extremes and negative values of metrics", async () => {
        const runId = await aRun(registry);
        const values = {
          nan: Number.NaN,
          up: Number.POSITIVE_INFINITY,
          down: Number.NEGATIVE_INFINITY,
          tiny: 5e-324,
          third: 1 / 3,
          minus: -2.5,
        };
        const metrics = Object.entries(values).map(([key, value]) => ({ key, value }));
        await registry.logRun(runId, { metrics, at: NOW });
        expect((await registry.runs("card"))[0].metrics).toEqual(values);
      });

      test("show the metric of the highest step, whatever came last", async () => {
        const runId = await aRun(registry);
        const metrics = [3, 9, 4].map((step) => ({ key: "loss", value: step / 10, step }));
        await registry.logRun(runId, { metrics, at: NOW });
        await registry.logRun(runId, { metrics: [{ key: "loss", value: 7, step: 1 }], at: NOW + 1 });
        await registry.logRun(runId, { metrics: [{ key: "loss", value: 0.9, step: 9 }], at: NOW });
        expect((await registry.runs("card"))[0].metrics).toEqual({ loss: 0.9 });
      });

      test("take a parameter again only with the same value; tags change", async () => {
        const runId = await aRun(registry);
        await registry.logRun(runId, { params: { a: "1" }, tags: { t: "1" }, at: NOW });
        await registry.logRun(runId, { params: { a: "1" }, tags: { t: "2" }, at: NOW });
        expect(await codeOf(registry.logRun(runId, { params: { b: "1", a: "2" }, at: NOW }))).toBe("registry.conflict");
        const [run] = await registry.runs("card");
        expect(run.params).toEqual({ a: "1" });
        expect(run.tags.t).toBe("2");
      });

      test("that do not exist are an error", async () => {
        const unknown = "0".repeat(32);
        expect(await codeOf(registry.logRun(unknown, { at: NOW }))).toBe("registry.missing");
        expect(await codeOf(registry.endRun(unknown, "FAILED", NOW))).toBe("registry.missing");
        const files = bundle();
        const input = { model: "m", runId: unknown, files, description: "", tags: {}, at: NOW };
        expect(await codeOf(registry.register(input))).toBe("registry.missing");
        expect(await registry.versions("m")).toEqual([]);
      });

      test.each([
        ["an empty key", { params: { "": "x" } }],
        ["a key that leads up", { params: { "a/../b": "x" } }],
        ["a key with a bracket", { tags: { "a[0]": "x" } }],
        ["a long key", { tags: { ["k".repeat(251)]: "x" } }],
        ["a long parameter", { params: { a: "x".repeat(6_001) } }],
        ["a long tag", { tags: { a: "x".repeat(8_001) } }],
        ["a NUL", { tags: { a: "x\u0000y" } }],
        ["a step that is not whole", { metrics: [{ key: "a", value: 1, step: 0.5 }] }],
        [
          "a long digest",
          { datasets: [{ name: "a", digest: "d".repeat(37), sourceType: "local", source: "{}", context: "training" }] },
        ],
      ])("refuse %s", async (_, what) => {
        const runId = await aRun(registry);
        expect(await codeOf(registry.logRun(runId, { ...what, at: NOW }))).toBe("registry.invalid");
      });

      test("keep keys that are names of Object's members", async () => {
        const runId = await aRun(registry);
        const params = Object.fromEntries([
          ["__proto__", "1"],
          ["constructor", "2"],
        ]);
        await registry.logRun(runId, { params, at: NOW });
        expect(Object.entries((await registry.runs("card"))[0].params).sort()).toEqual(Object.entries(params));
      });
    });

    describe("versions", () => {
      test("count up and give back the same bytes", async () => {
        const runId = await aRun(registry);
        const first = await registry.register({
          model: "card-fraud",
          runId,
          files: bundle(1),
          description: "first",
          tags: { gate: "pass" },
          at: NOW,
        });
        const second = await registry.register({
          model: "card-fraud",
          runId,
          files: bundle(2),
          description: "",
          tags: {},
          at: NOW + 1,
        });
        expect(first).toEqual({
          model: "card-fraud",
          version: "1",
          runId,
          createdAt: NOW,
          description: "first",
          tags: { gate: "pass" },
          bundle: bundleHash(bundle(1)),
        });
        expect(second.version).toBe("2");
        expect(await registry.versions("card-fraud")).toEqual([first, second]);
        expect(await registry.version("card-fraud", "1")).toEqual(first);
        const files = await registry.load("card-fraud", "2");
        expect([...files.keys()].sort()).toEqual([...bundle(2).keys()].sort());
        for (const [name, bytes] of bundle(2)) expect(files.get(name)).toEqual(bytes);
      });

      test("of two models do not mix", async () => {
        await aVersion(registry, "a");
        await aVersion(registry, "b");
        expect(await aVersion(registry, "a")).toBe("2");
        expect(await registry.versions("b")).toHaveLength(1);
      });

      test("are sound when inspected, and unknown ones are unknown", async () => {
        await aVersion(registry);
        expect(await registry.inspect("card-fraud", "1")).toEqual([]);
        expect(await codeOf(registry.inspect("card-fraud", "2"))).toBe("registry.version-unknown");
        expect(await registry.storeFaults("card-fraud")).toEqual([]);
      });

      test("are seen by whoever opens the registry next", async () => {
        await aVersion(registry);
        const other = await place.open();
        expect((await other.load("card-fraud", "1")).size).toBe(bundle().size);
        await other.close();
      });

      test("registered at once get numbers of their own", async () => {
        const runId = await aRun(registry);
        const input = { model: "card-fraud", runId, files: bundle(), description: "", tags: {}, at: NOW };
        const versions = await Promise.all(Array.from({ length: 6 }, () => registry.register(input)));
        expect(versions.map(({ version }) => version).sort()).toEqual(["1", "2", "3", "4", "5", "6"]);
      });

      test("take tags later, and keep the bundle's hash to themselves", async () => {
        await aVersion(registry);
        await registry.tagVersion("card-fraud", "1", { a: "1", b: "2" });
        await registry.tagVersion("card-fraud", "1", { a: "3" });
        const version = await registry.version("card-fraud", "1");
        expect(version.tags).toEqual({ a: "3", b: "2" });
        expect(await codeOf(registry.tagVersion("card-fraud", "1", { "sentinel.bundle": "x" }))).toBe(
          "registry.invalid",
        );
        expect(await codeOf(registry.tagVersion("card-fraud", "9", { a: "1" }))).toBe("registry.version-unknown");
        expect((await registry.version("card-fraud", "1")).bundle).toBe(bundleHash(bundle()));
      });

      test.each(["0", "-1", "1.0", "01", "x", "", "99", "1 OR 1=1"])("unknown: %j", async (version) => {
        await aVersion(registry);
        expect(await codeOf(registry.version("card-fraud", version))).toBe("registry.version-unknown");
        expect(await codeOf(registry.load("card-fraud", version))).toBe("registry.version-unknown");
      });

      test.each([
        ["a model with a slash", { model: "a/b" }],
        ["a model with a colon", { model: "a:b" }],
        ["a model without a name", { model: " " }],
        ["no files", { files: new Map() }],
        ["a file that leads out", { files: new Map([["../x", new Uint8Array(1)]]) }],
        ["a file from the root", { files: new Map([["/x", new Uint8Array(1)]]) }],
        ["a long description", { description: "x".repeat(5_001) }],
        ["a long tag", { tags: { a: "x".repeat(5_001) } }],
      ])("refuse %s", async (_, changes) => {
        const runId = await aRun(registry);
        const input = { model: "m", runId, files: bundle(), description: "", tags: {}, at: NOW, ...changes };
        expect(await codeOf(registry.register(input))).toBe("registry.invalid");
      });
    });

    describe("aliases", () => {
      const move = (alias: string, from: string | null, to: string | null, entry = draft()) =>
        registry.moveAlias({ model: "card-fraud", alias, from, to, entry });

      test("move, and the journal tells it", async () => {
        await aVersion(registry);
        await aVersion(registry);
        await move("champion", null, "1", draft({ verb: "train", reason: "first" }));
        await move("candidate-b_2", null, "2");
        await move("champion", "1", "2", draft({ at: NOW + 1 }));
        expect(await registry.aliases("card-fraud")).toEqual({ champion: "2", "candidate-b_2": "2" });
        await move("candidate-b_2", "2", null);
        expect(await registry.aliases("card-fraud")).toEqual({ champion: "2" });
        const journal = await registry.journal("card-fraud");
        expect(journal.map(({ index, alias, from, to }) => [index, alias, from, to])).toEqual([
          [0, "champion", null, "1"],
          [1, "candidate-b_2", null, "2"],
          [2, "champion", "1", "2"],
          [3, "candidate-b_2", "2", null],
        ]);
        expect(journal[0]).toMatchObject({
          ...draft({ verb: "train", reason: "first" }),
          model: "card-fraud",
          previous: "",
        });
        expect(verifyJournal(journal)).toEqual({ ok: true, badIndex: null, why: "" });
      });

      test("do not move from where they are not; nothing is written then", async () => {
        await aVersion(registry);
        await aVersion(registry);
        await move("champion", null, "1");
        expect(await codeOf(move("champion", null, "2"))).toBe("registry.conflict");
        expect(await codeOf(move("champion", "2", "2"))).toBe("registry.conflict");
        expect(await codeOf(move("candidate", "1", "2"))).toBe("registry.conflict");
        expect(await registry.aliases("card-fraud")).toEqual({ champion: "1" });
        expect(await registry.journal("card-fraud")).toHaveLength(1);
      });

      test("do not move to a version that is not there", async () => {
        await aVersion(registry);
        expect(await codeOf(move("champion", null, "7"))).toBe("registry.version-unknown");
        expect(await registry.aliases("card-fraud")).toEqual({});
        expect(await registry.journal("card-fraud")).toEqual([]);
      });

      test("keep the evidence of their moves, under its hash", async () => {
        await aVersion(registry);
        const document = '{"verdict":"PROMOTE","text":"größer ☃"}';
        const evidence = sha256(document);
        const input = { model: "card-fraud", alias: "champion", from: null, to: "1", document };
        expect(await registry.evidence("card-fraud", evidence)).toBeNull();
        expect(await codeOf(registry.moveAlias({ ...input, entry: draft() }))).toBe("registry.invalid");
        await registry.moveAlias({ ...input, entry: draft({ evidence }) });
        expect(await registry.evidence("card-fraud", evidence)).toBe(document);
        expect(await registry.evidence("card-fraud", "0".repeat(64))).toBeNull();
        expect(await registry.evidence("card-fraud", "../bundle.json")).toBeNull();
      });

      test("that are nowhere do not go nowhere", async () => {
        await aVersion(registry);
        expect(await codeOf(move("champion", null, null))).toBe("registry.invalid");
        expect(await registry.journal("card-fraud")).toEqual([]);
      });

      describe("in one step", () => {
        const step = (changes: Partial<Parameters<Registry["moveAlias"]>[0]> = {}) =>
          registry.moveAlias({
            model: "card-fraud",
            alias: "champion",
            from: "1",
            to: "2",
            also: [
              { alias: "previous", from: null, to: "1" },
              { alias: "candidate", from: "2", to: null },
            ],
            entry: draft({ at: NOW + 1 }),
            ...changes,
          });
        const before = { champion: "1", candidate: "2" };

        beforeEach(async () => {
          await aVersion(registry);
          await aVersion(registry);
          await move("champion", null, "1");
          await move("candidate", null, "2");
        });

        test("several move with one entry, which names them all and is sealed with them", async () => {
          const entry = await step();
          expect(await registry.aliases("card-fraud")).toEqual({ champion: "2", previous: "1" });
          const journal = await registry.journal("card-fraud");
          expect(journal).toHaveLength(3);
          expect(journal[2]).toEqual(entry);
          expect(entry).toMatchObject({ index: 2, alias: "champion", from: "1", to: "2", verb: "promote" });
          expect(entry.also).toEqual([
            { alias: "previous", from: null, to: "1" },
            { alias: "candidate", from: "2", to: null },
          ]);
          expect(Object.hasOwn(journal[0], "also")).toBe(false);
          expect(verifyJournal(journal)).toEqual({ ok: true, badIndex: null, why: "" });
          const changed = { ...entry, also: [{ alias: "previous", from: null, to: "2" }] };
          expect(verifyJournal([...journal.slice(0, 2), changed])).toMatchObject({ ok: false, badIndex: 2 });
          const other = await place.open();
          expect(await other.journal("card-fraud")).toEqual(journal);
          expect(await other.journal("card-fraud", { asStored: true })).toEqual(journal);
          await other.close();
        });

        test.each([
          ["the first has moved since", { from: "2" }, "registry.conflict"],
          ["another has moved since", { also: [{ alias: "candidate", from: "1", to: null }] }, "registry.conflict"],
          [
            "one goes to no version",
            { also: [{ alias: "previous", from: null, to: "9" }] },
            "registry.version-unknown",
          ],
          ["one goes nowhere", { also: [{ alias: "previous", from: null, to: null }] }, "registry.invalid"],
          ["one is named twice", { also: [{ alias: "champion", from: "1", to: "2" }] }, "registry.invalid"],
          ["one has no name", { also: [{ alias: "", from: null, to: "1" }] }, "registry.invalid"],
          [
            "there are too many",
            { also: Array.from({ length: 10 }, (_, i) => ({ alias: `candidate-${i}`, from: null, to: "1" })) },
            "registry.invalid",
          ],
        ])("none moves and nothing is written when %s", async (_, changes, code) => {
          expect(await codeOf(step(changes))).toBe(code);
          expect(await registry.aliases("card-fraud")).toEqual(before);
          expect(await registry.journal("card-fraud")).toHaveLength(2);
        });

        test("of two at once one wins whole", async () => {
          const other = await place.open();
          const back = { alias: "champion", from: "1", to: null, also: [{ alias: "previous", from: null, to: "2" }] };
          const outcomes = await Promise.allSettled([
            step(),
            other.moveAlias({ model: "card-fraud", ...back, entry: draft() }),
          ]);
          await other.close();
          expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
          expect(await registry.journal("card-fraud")).toHaveLength(3);
          expect(await registry.aliases("card-fraud")).toEqual(
            outcomes[0].status === "fulfilled" ? { champion: "2", previous: "1" } : { candidate: "2", previous: "2" },
          );
        });

        test("nothing is left to recover after a move that ended", async () => {
          await step();
          expect(await registry.recover("card-fraud")).toBeNull();
          expect(await registry.recover("nobody")).toBeNull();
          expect(await registry.journal("card-fraud")).toHaveLength(3);
        });
      });

      test("moved by two at once: one wins", async () => {
        await aVersion(registry);
        await aVersion(registry);
        const other = await place.open();
        const outcomes = await Promise.allSettled([
          move("champion", null, "1"),
          other.moveAlias({ model: "card-fraud", alias: "champion", from: null, to: "2", entry: draft() }),
        ]);
        await other.close();
        expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
        const journal = await registry.journal("card-fraud");
        expect(journal).toHaveLength(1);
        expect(await registry.aliases("card-fraud")).toEqual({ champion: journal[0].to });
      });

      test.each(["Champion", "latest", "v1", "v22", "", "a b", "a.b", "é", "x".repeat(256)])(
        "cannot be called %j",
        async (alias) => {
          await aVersion(registry);
          expect(await codeOf(move(alias, null, "1"))).toBe("registry.invalid");
        },
      );

      test("of two models have chains of their own", async () => {
        await aVersion(registry, "card-fraud");
        await aVersion(registry, "wire-fraud");
        await move("champion", null, "1");
        await registry.moveAlias({ model: "wire-fraud", alias: "champion", from: null, to: "1", entry: draft() });
        const journal = await registry.journal("wire-fraud");
        expect(journal.map(({ index }) => index)).toEqual([0]);
        expect(verifyJournal(journal).ok).toBe(true);
      });
    });
  });
}
