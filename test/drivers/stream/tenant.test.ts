// Streams of tenants: whatever a pipeline names, two tenants never meet in a topic, a group, a writer or a schema.
import { expect, test } from "vitest";
import { loadConfig, tenantConfig } from "../../../src/config.ts";
import { DEFAULT_TENANT, parseTenant, type Tenant } from "../../../src/core/tenant.ts";
import { tenantSchemas, tenantStreams } from "../../../src/drivers/stream/tenant.ts";
import type { Schemas } from "../../../src/ports/schemas.ts";
import type { StreamSource, Streams, StreamWriter } from "../../../src/ports/stream.ts";
import { openStreams } from "../../../src/wiring.ts";

const NORTH = parseTenant("north");

/** A cluster that notes every name that it hears. */
function cluster() {
  const names = new Set<string>();
  const note = (...heard: readonly string[]): void => {
    for (const name of heard) names.add(name);
  };
  const writer: StreamWriter = {
    takeOver: async (outputs) => note(...outputs),
    commit: async ({ outputs }) => note(...outputs.keys()),
    close: async () => {},
  };
  const streams: Streams = {
    where: "a cluster",
    replayable: true,
    binary: true,
    makesTopics: false,
    async topics(asked) {
      note(...asked);
      return new Map(asked.map((name) => [name, 3]));
    },
    async kept(asked) {
      note(...asked);
      return asked.map((topic) => ({ topic, retentionMs: null, compacted: false }));
    },
    create: async (topic) => note(topic),
    async keeps(asked) {
      note(...asked);
      return new Map(asked.map((name) => [name, 7]));
    },
    async subscribe({ topic, group }) {
      note(topic, group);
      return { topic, readTo: () => 5 } as unknown as StreamSource;
    },
    async writer({ id, group, topic }) {
      note(group, topic, ...(id === null ? [] : [id]));
      return writer;
    },
    close: async () => {},
  };
  return { streams, names };
}

/** Does everything that there is to do with two topics, and gives the names that the cluster heard. */
async function heardOf(tenant: Tenant): Promise<ReadonlySet<string>> {
  const { streams, names } = cluster();
  const own = tenantStreams(streams, tenant);
  expect(await own.topics(["card"])).toEqual(new Map([["card", 3]]));
  expect(await own.keeps(["card"])).toEqual(new Map([["card", 7]]));
  await own.kept(["card"]);
  await own.create("card", 1);
  const subscribed = { topic: "card", group: "sentinel-card", sessionMs: 1, recordBytesMax: 1, whole: false };
  const source = await own.subscribe(subscribed);
  expect([source.topic, source.readTo(0)]).toEqual(["card", 5]);
  const writer = await own.writer({ id: "sentinel-card-card", group: "sentinel-card", topic: "card" });
  await writer.takeOver(["card-alerts"]);
  await writer.commit({ outputs: new Map([["card-alerts", []]]), positions: new Map() });
  return names;
}

test("the first tenant's names are as its pipelines have them, and no other tenant's is among them", async () => {
  const [first, north, south] = await Promise.all([DEFAULT_TENANT, NORTH, parseTenant("south")].map(heardOf));
  expect([...first].sort()).toEqual(["card", "card-alerts", "sentinel-card", "sentinel-card-card"]);
  expect([...north].sort()).toEqual([...first].map((name) => `_tenants.north.${name}`).sort());
  for (const name of north) expect(first.has(name) || south.has(name)).toBe(false);
});

test("a name that is another tenant's, or too long, is refused, by any way", async () => {
  const { streams, names } = cluster();
  const first = tenantStreams(streams, DEFAULT_TENANT);
  const theirs = "_tenants.north.card";
  const writer = await first.writer({ id: null, group: "g", topic: "t" });
  const subscribed = { group: "g", sessionMs: 1, recordBytesMax: 1, whole: false };
  for (const work of [
    () => first.topics([theirs]),
    () => first.create(theirs, 1),
    () => first.subscribe({ ...subscribed, topic: theirs }),
    () => first.subscribe({ ...subscribed, topic: "t", group: theirs }),
    () => first.writer({ id: theirs, group: "g", topic: "t" }),
    () => writer.takeOver([theirs]),
    () => writer.commit({ outputs: new Map([[theirs, []]]), positions: new Map() }),
    () => tenantStreams(streams, NORTH).create("x".repeat(240), 1),
  ])
    await expect((async () => work())()).rejects.toMatchObject({ code: "config.invalid" });
  expect([...names].some((name) => name.includes("north"))).toBe(false);
});

test("schemas of a tenant's topics are its own", async () => {
  const asked: string[] = [];
  const registry = {
    where: "a registry",
    encoder: async (subject: string) => {
      asked.push(subject);
      return () => new Uint8Array();
    },
    versions: async (subject: string) => {
      asked.push(subject);
      return [];
    },
    check: async (subject: string) => {
      asked.push(subject);
      return { compatible: true, reasons: [] };
    },
  } as unknown as Schemas;
  const own = tenantSchemas(registry, NORTH);
  await own.encoder("card-value", {});
  await own.versions("card-value");
  await own.check("card-value", {});
  expect(new Set(asked)).toEqual(new Set(["_tenants.north.card-value"]));
});

test("whoever opens a workspace's streams in Kafka gets those of its tenant", async () => {
  const config = loadConfig({ workspace: "/tmp", environment: { SENTINEL_KAFKA_BROKERS: "127.0.0.1:1" } });
  for (const [of, refused] of [
    [config, "_tenants.north.card"],
    [tenantConfig(config, NORTH), "_tenants.south.card"],
  ] as const) {
    const streams = await openStreams(of, { folder: "/tmp", onLine: () => {} });
    await expect(Promise.resolve().then(() => streams.topics([refused]))).rejects.toMatchObject({
      code: "config.invalid",
    });
    await streams.close();
  }
});
