// The shared feature state on a real redis-server: bit for bit what one process in memory would have, whoever applies.
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HOUR_MS } from "../../../src/core/duration.ts";
import { eraserOf } from "../../../src/core/erasure.ts";
import type { Transaction } from "../../../src/core/transaction.ts";
import { createRedisClient } from "../../../src/drivers/state/redis/client.ts";
import { createRedisState } from "../../../src/drivers/state/redis/driver.ts";
import { declareColumns } from "../../../src/features/builder.ts";
import type { FeatureArrival } from "../../../src/features/encode.ts";
import { erasedKey, identitySwaps, swapped } from "../../../src/features/erase.ts";
import { Excerpt } from "../../../src/features/excerpt.ts";
import type { StateLimits } from "../../../src/features/limits.ts";
import { compileSpec, type FeaturePlan, layoutOf } from "../../../src/features/plan.ts";
import { FeatureState } from "../../../src/features/state.ts";
import { type SharedBelief, takeLabel, takeTransaction } from "../../../src/online/states/shared/apply.ts";
import type { SharedStore } from "../../../src/ports/shared-store.ts";
import {
  arrivalsArbitrary,
  LATENESS_MS,
  START,
  specArbitrary,
  streamArbitrary,
  transaction,
} from "../../features/streams.ts";
import { startForwarder } from "../forwarder.ts";
import { PATIENT_MS, type RedisProcess, redisInstalled, startRedis } from "../redis-server.ts";

if (!redisInstalled) {
  console.warn("SKIPPED all tests against Redis: no redis-server on the path; scripts/setup-redis installs it");
  test.runIf(process.env.CI === "true")("redis-server is installed", () => {
    expect(redisInstalled, "CI must run scripts/setup-redis first").toBe(true);
  });
}

const QUIET = { latenessMs: LATENESS_MS, tileEvents: 1000 };
/** Few transactions a tile, few ids. Keys are not limited: Redis gives none up, so that memory must not either. */
const BUSY = { latenessMs: LATENESS_MS, tileEvents: 2, tileMs: 6 * HOUR_MS, idsMax: 8 };
const NONE = new Uint8Array(0);
const f = declareColumns({ amount: "number", customer_id: "key", terminal_id: "key" });
const specOfCards = f.spec({
  name: "cards",
  version: 1,
  features: [
    f.window("customer_count", { key: "customer_id", over: "transactions", window: "1d" }),
    f.window("terminal_customers", { key: "terminal_id", over: "customer_id", aggregate: "distinct", window: "1d" }),
  ],
});

describe.runIf(redisInstalled)("on a server", () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.dispose());
  beforeEach(() => redis.flush());

  const open = (limits: Partial<StateLimits>): SharedStore =>
    createRedisState({ address: redis.address, name: "card", commandMsMax: PATIENT_MS, limits });

  /** An empty layout in an empty store, and one caller's view of it. */
  async function begin(store: SharedStore, plan: FeaturePlan, limits: Partial<StateLimits>): Promise<SharedBelief> {
    const before = await store.head();
    const life = { marker: `m${before?.generation ?? 0}`, generation: (before?.generation ?? 0) + 1, sequence: 0 };
    expect(await store.begin({ replaces: before?.marker ?? null, ...life })).toBe(true);
    const id = await store.prepare();
    const layout = { id, hash: plan.layoutHash, about: "" };
    const ids = { generation: null, lists: [] };
    const at = { marker: life.marker, sequence: 0, watermark: Number.NEGATIVE_INFINITY, ids };
    expect(await store.add(layout, at)).toBe(true);
    return viewOf({ marker: life.marker, version: 1, id }, plan, limits);
  }

  function viewOf(
    at: { readonly marker: string; readonly version: number; readonly id: string },
    plan: FeaturePlan,
    limits: Partial<StateLimits>,
  ): SharedBelief {
    const { marker, version, id } = at;
    return { marker, version, sequenceKnown: 0, parts: [{ id, excerpt: new Excerpt(layoutOf([plan]), limits) }] };
  }

  /** Takes one event; gives its vector (empty for a label) and its place in the order; null for a repeat of one that no log has yet. */
  async function take(
    store: SharedStore,
    view: SharedBelief,
    on: { readonly plan: FeaturePlan; readonly event: FeatureArrival },
  ): Promise<{ readonly sequence: number; readonly bits: string } | null> {
    const { plan, event } = on;
    const vector = new Float32Array(event.kind === "label" ? 0 : plan.width);
    const taken =
      event.kind === "label"
        ? await takeLabel(store, () => view, { ...event, record: NONE })
        : await takeTransaction(store, () => view, {
            transaction: event.transaction,
            again: true,
            receivedAt: () => event.receivedAt ?? Number.POSITIVE_INFINITY,
            record: () => {
              view.parts[0].excerpt.state.read(plan, event.transaction, vector);
              return NONE;
            },
          });
    if (taken.outcome === "repeated") return null;
    if (taken.outcome !== "applied") throw new Error(taken.outcome);
    // As a log would have written it at once.
    await store.settle([event.kind === "label" ? `l ${taken.sequence}` : `t ${event.transaction.id}`]);
    return { sequence: taken.sequence, bits: bits(vector) };
  }

  /** What a state in memory says to the same event. */
  function inMemory(state: FeatureState, plan: FeaturePlan, event: FeatureArrival): string {
    if (event.kind === "label") {
      state.learnLabel(event);
      return "";
    }
    const vector = new Float32Array(plan.width);
    state.read(plan, event.transaction, vector);
    state.learn(event.transaction, event.receivedAt);
    return bits(vector);
  }

  test.each([
    ["quiet keys", QUIET],
    ["busy keys", BUSY],
  ])("memory = Redis, bit for bit: %s", async (_, limits) => {
    const store = open(limits);
    try {
      await fc.assert(
        fc.asyncProperty(specArbitrary, arrivalsArbitrary, async (spec, events) => {
          const plan = compileSpec(spec);
          const view = await begin(store, plan, limits);
          const state = new FeatureState(layoutOf([plan]), limits);
          const retentionMs = state.tables.map((table) => table.retentionMs);
          for (const [at, event] of events.entries()) {
            // What is swept is what no window can ask for.
            if (at % 4 === 0) await store.sweep([{ id: view.parts[0].id, retentionMs }], 1);
            expect((await take(store, view, { plan, event }))?.bits).toBe(inMemory(state, plan, event));
          }
        }),
        { numRuns: 150 },
      );
    } finally {
      await store.close();
    }
  });

  test.each([
    ["quiet keys", QUIET],
    ["busy keys", BUSY],
  ])(
    "several clients at once: the order of the sequence gives every vector again, and nothing counts twice: %s",
    async (_, limits) => {
      const clients = Array.from({ length: 4 }, () => open(limits));
      const control = open(limits);
      try {
        await fc.assert(
          fc.asyncProperty(specArbitrary, streamArbitrary, async (spec, events) => {
            const plan = compileSpec(spec);
            const first = await begin(control, plan, limits);
            const [{ id }] = first.parts;
            const done: { readonly sequence: number; readonly bits: string; readonly event: FeatureArrival }[] = [];
            let next = 0;
            await Promise.all(
              clients.map(async (store) => {
                const view = viewOf({ marker: first.marker, version: first.version, id }, plan, limits);
                while (next < events.length) {
                  const event = events[next++];
                  const taken = await take(store, view, { plan, event });
                  if (taken !== null) done.push({ ...taken, event });
                }
              }),
            );
            done.sort((a, b) => a.sequence - b.sequence);
            expect(done.map(({ sequence }) => sequence)).toEqual(done.map((_one, i) => i + 1));
            const state = new FeatureState(layoutOf([plan]), limits);
            for (const { bits: said, event } of done) expect(said).toBe(inMemory(state, plan, event));
          }),
          { numRuns: 150 },
        );
      } finally {
        for (const store of [...clients, control]) await store.close();
      }
    },
  );

  test("keys that are silent for longer than the retention go, and so do those of layouts that are gone", async () => {
    const plan = compileSpec({
      name: "s",
      version: 1,
      features: [{ kind: "window", name: "n", key: ["c"], over: "transactions", window: "1h" }],
    });
    const store = open({});
    const keys = async (): Promise<string[]> => ((await redis.command("KEYS", "*:k:*")) as string[]).sort();
    try {
      const view = await begin(store, plan, {});
      const [{ id, excerpt }] = view.parts;
      const learn = (c: string, hours: number): Promise<unknown> => {
        const tx = transaction(`${c} ${hours}`, START + hours * HOUR_MS, { c });
        return take(store, view, { plan, event: { kind: "transaction", transaction: tx } });
      };
      const sweep = async (): Promise<number> => {
        await redis.command("DEL", "sentinel:{card}:sweeper");
        return store.sweep([{ id, retentionMs: excerpt.state.tables.map(({ retentionMs }) => retentionMs) }], 60_000);
      };
      await learn("old", 0);
      await learn("young", 1.5);
      expect(await sweep()).toBe(0);
      await learn("now", 2);
      expect(await sweep()).toBe(1);
      expect(await keys()).toEqual([`sentinel:{card}:k:${id}:0:"now"`, `sentinel:{card}:k:${id}:0:"young"`]);
      // Another one swept just now.
      expect(await store.sweep([], 60_000)).toBe(0);
      const filled = await store.prepare();
      await store.fill(filled, [{ series: 0, text: "x", bytes: NONE }]);
      const lock = await store.lock(60_000);
      expect(await store.lock(60_000)).toBeNull();
      expect(await sweep()).toBe(0);
      expect(await lock!.extend()).toBe(true);
      await lock!.release();
      expect(await lock!.extend()).toBe(false);
      expect(await sweep()).toBe(1);
      await store.use([id], -1);
      expect((await store.head())!.layouts).toHaveLength(1);
      await store.use([], -1);
      expect((await store.head())!.layouts).toHaveLength(0);
      expect(await sweep()).toBe(2);
      expect(await keys()).toEqual([]);
    } finally {
      await store.close();
    }
  });

  test("a change made under an old belief is refused: another life, another set of layouts, lost changes", async () => {
    const plan = compileSpec({ name: "s", version: 1, features: [{ kind: "column", name: "a", column: "a" }] });
    const store = open({});
    const one = createRedisState({ address: redis.address, name: "card", commandMsMax: PATIENT_MS, pendingMax: 1 });
    try {
      const view = await begin(store, plan, {});
      const outcome = async (belief: SharedBelief, id: string, on = store): Promise<string> => {
        const tx = transaction(id, START, {});
        return (await takeTransaction(on, () => belief, { transaction: tx, record: () => NONE })).outcome;
      };
      expect(await outcome({ ...view, marker: "other" }, "a")).toBe("lost");
      expect(await outcome({ ...view, version: 7 }, "a")).toBe("stale");
      expect(await outcome({ ...view, sequenceKnown: 5 }, "a")).toBe("lost");
      expect((await store.head())!.sequence).toBe(0);
      expect(await outcome(view, "a")).toBe("applied");
      expect(await outcome(view, "b", one)).toBe("full");
      expect((await store.pending()).map(({ field, sequence }) => ({ field, sequence }))).toEqual([
        { field: "t a", sequence: 1 },
      ]);
      // Somebody else was first to begin anew.
      expect(await store.begin({ replaces: null, marker: "x", generation: 9, sequence: 0 })).toBe(false);
      // While a layout is being added nothing is applied; then the change is tried again under the new set.
      await store.pause(600_000);
      const waiting = outcome(view, "c");
      expect(await Promise.race([waiting, store.prepare()])).not.toBe("applied");
      expect((await store.head())!.sequence).toBe(1);
      const layout = { id: "late", hash: "late", about: "" };
      const at = { marker: view.marker, watermark: START, ids: { generation: null, lists: [] } };
      expect(await store.add(layout, { ...at, sequence: 0 })).toBe(false);
      expect(await store.add(layout, { ...at, sequence: 1 })).toBe(true);
      expect(await waiting).toBe("stale");
      expect(await store.risk()).toBeNull();
      await redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
      expect((await store.risk())?.todo).toMatch(/noeviction/);
      await redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction");
    } finally {
      await store.close();
      await one.close();
    }
  });

  test("a person's keys and ids get other names, what stands for the value among others changes, and a second look finds nothing", async () => {
    const store = open(QUIET);
    const plan = compileSpec(specOfCards);
    const view = await begin(store, plan, QUIET);
    const value = 'c-77:"ü*';
    for (const [i, key] of [value, "other", value].entries()) {
      const fields = { amount: 1, customer_id: key, terminal_id: "t" };
      const event = { kind: "transaction", transaction: { id: `${i}/${key}`, time: START + i, fields } } as const;
      expect(await take(store, view, { plan, event: event as never })).not.toBeNull();
    }
    const eraser = eraserOf([value], {
      names: new Set(["customer_id"]),
      personal: new Set<string>(),
      pseudonym: "forgotten-aaaaaaaaaaaaaaaaaaaaaaaa",
    });
    const swaps = identitySwaps([value], "forgotten-aaaaaaaaaaaaaaaaaaaaaaaa");
    const layout = layoutOf([plan]);
    const erase = async (write: boolean): Promise<unknown> =>
      Object.fromEntries(
        (
          await store.erase({
            key: (_, series, text) => erasedKey(layout.series[series].key, text, eraser),
            id: eraser.text,
            record: eraser.json,
            bytes: (bytes) => swapped(bytes, swaps),
            write,
          })
        ).map(({ what, found }) => [what, found]),
      );
    // The customer's own key, and the terminal's, which tells its customers apart.
    expect(await erase(false)).toEqual({ keys: 2, ids: 2, pending: 0 });
    expect(await erase(true)).toEqual({ keys: 2, ids: 2, pending: 0 });
    expect(await erase(true)).toEqual({ keys: 0, ids: 0, pending: 0 });
    const keys = { layout: view.parts[0].id, keys: [] };
    expect((await store.read({ transactionId: `0/${value}`, layouts: [keys] })).contents[0].seen).toBe(false);
    await store.close();
  });

  test("a database that the server does not have is an error, not another database", async () => {
    const address = { ...redis.address, database: 4711 };
    const store = createRedisState({ address, name: "card", commandMsMax: PATIENT_MS });
    await expect(store.head()).rejects.toMatchObject({
      code: "state.unreachable",
      message: expect.stringContaining("DB index is out of range"),
    });
    await store.close();
  });

  test("whoever takes over without the named database is an error: nothing goes on in database 0", async () => {
    const small = await startRedis({ databases: 1 });
    const name = await startForwarder(redis.address.port);
    const address = { ...redis.address, port: name.port, database: 3 };
    const client = createRedisClient(address, { commandMsMax: PATIENT_MS });
    const set = (value: string): Promise<string> =>
      client.command("SET", "k", value).then(String, ({ message }: Error) => message);
    try {
      expect(await set("1")).toBe("OK");
      name.to(small.address.port);
      await redis.command("CLIENT", "KILL", "TYPE", "normal");
      await expect.poll(() => set("2"), { timeout: PATIENT_MS }).toMatch(/does not answer: ERR .*out of range/);
      expect(await set("3")).toMatch(/out of range/);
      expect(await small.command("DBSIZE")).toBe(0);
    } finally {
      await client.close();
      await name.close();
      await small.dispose();
    }
  });

  test("an id that two clients send at once counts once", async () => {
    const plan = compileSpec({
      name: "s",
      version: 1,
      features: [{ kind: "window", name: "n", key: ["c"], over: "transactions", window: "1d" }],
    });
    const stores = Array.from({ length: 4 }, () => open({}));
    try {
      const first = await begin(stores[0], plan, {});
      const [{ id }] = first.parts;
      const outcomes: string[] = [];
      const send = async (store: SharedStore, tx: Transaction): Promise<void> => {
        const view = viewOf({ marker: first.marker, version: first.version, id }, plan, {});
        const record = (): Uint8Array => new TextEncoder().encode(tx.id);
        const taken = await takeTransaction(store, () => view, { transaction: tx, record });
        outcomes.push(taken.outcome);
        if (taken.outcome === "repeated") expect(Buffer.from(taken.pending.record).toString()).toBe(tx.id);
      };
      for (let i = 0; i < 50; i++) {
        const tx = transaction(`t${i}`, START + i, { c: "a" });
        await Promise.all(stores.map((store) => send(store, tx)));
      }
      expect(outcomes.filter((outcome) => outcome === "applied")).toHaveLength(50);
      expect(outcomes.filter((outcome) => outcome === "repeated")).toHaveLength(150);
      const view = viewOf({ marker: first.marker, version: first.version, id }, plan, {});
      const event = { kind: "transaction", transaction: transaction("last", START + 60, { c: "a" }) } as const;
      expect((await take(stores[0], view, { plan, event }))?.bits).toBe(bits(Float32Array.of(51)));
    } finally {
      for (const store of stores) await store.close();
    }
  });
});

/** The bits of a vector, so that NaN equals NaN and 0 differs from −0. */
function bits(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("hex");
}
