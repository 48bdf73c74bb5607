// One road for labels: the same file leaves the same records, through a running server and beside it, and is refused by both alike.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { verb } from "../../src/cli/label.ts";
import type { Output } from "../../src/cli/output.ts";
import type { VerbContext } from "../../src/cli/verb.ts";
import { loadConfig } from "../../src/config.ts";
import type { BundleFiles } from "../../src/core/bundle.ts";
import { DAY_MS, HOUR_MS } from "../../src/core/duration.ts";
import { datasetDuckdb } from "../../src/drivers/dataset/duckdb/driver.ts";
import type { LabelRecord } from "../../src/ports/log.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { bodyOf, makeBundle, makeWorld, NOW, payments, post, SPEC_A, serve, type World } from "../server/world.ts";

let bundle: BundleFiles;
beforeAll(() => {
  bundle = makeBundle(SPEC_A, 1);
});
const dataset = datasetDuckdb();
const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.remove();
});

/** Answered an hour before now: with the pipeline's delay, a label is known only after the clock. */
const ANSWERED = payments(120, { seed: 3, from: NOW - HOUR_MS, prefix: "p" }).map((payment, at) => ({
  ...payment,
  time: NOW - HOUR_MS + at,
}));
const iso = (time: number): string => new Date(time).toISOString().replace("T", " ").replace("Z", "");

/** What the command line warned of. */
const warned: string[] = [];

/** The command line's own context over a world's ports. */
function contextOf(world: World, ports: Ports): VerbContext {
  const output = { line: () => {}, warn: (text: string) => warned.push(text) } as unknown as Output;
  const free = async () => ({ acquire: async () => ({ release: async () => {} }) });
  return {
    config: loadConfig({ workspace: world.dir, environment: {} }),
    output,
    packageVersion: "0",
    pipeline: () => world.pipeline,
    pipelineName: () => "card",
    ports: () => ({ ...ports, dataset: async () => dataset, lock: free }) as Ports,
  };
}

interface Labelled {
  readonly json: unknown;
  readonly fault: string | null;
  readonly records: readonly Omit<LabelRecord, "sequence" | "receivedAt">[];
}

/** A server answers, then `sentinel label` takes the file by it, or after it has stopped. */
async function label(csv: string, way: "url" | "file"): Promise<Labelled> {
  const world = makeWorld({ pipeline: "" });
  worlds.push(world);
  await world.alias("champion", await world.register(bundle));
  await world.saveState(SPEC_A);
  const served = await serve(world, { aheadMaxMs: HOUR_MS });
  const named = ANSWERED.filter(({ transaction_id }) => csv.includes(`\n${transaction_id},`));
  for (const payment of named) expect((await post(served.server, "/predict", bodyOf(payment))).status).toBe(200);
  const { host, port } = await served.server.start({ host: "127.0.0.1", port: 0 });
  if (way === "file") await served.stop();
  const ports = way === "url" ? served.ports : world.open().ports;
  const file = path.join(world.dir, "labels.csv");
  writeFileSync(file, csv);
  let json: unknown = null;
  let fault: string | null = null;
  try {
    const options = way === "url" ? { url: `http://${host}:${port}` } : {};
    ({ json } = await verb.run(contextOf(world, ports), { args: [file], options }));
  } catch (error) {
    fault = (error as { readonly code: string }).code;
  }
  const log = await ports.log();
  await log.flush();
  const records: Labelled["records"][number][] = [];
  for await (const { kind, record } of log.scan(0)) {
    if (kind !== "label") continue;
    const { transactionId, fraud, source, knownAt } = record as LabelRecord;
    records.push({ transactionId, fraud, source, knownAt });
  }
  if (way === "url") await served.stop();
  return { json, fault, records };
}

const [FIRST, SECOND, THIRD] = ANSWERED;
const DELAY_MS = DAY_MS;

test.each<readonly [what: string, csv: string, knownAt: readonly number[]]>([
  ["no time", "id,is_fraud\np0,1\np1,0\nnobody,1\n", [FIRST.time + DELAY_MS, SECOND.time + DELAY_MS]],
  [
    "the transactions' times beside",
    `id,is_fraud,time\np0,1,${iso(FIRST.time)}\np1,0,${iso(SECOND.time)}\n`,
    [FIRST.time + DELAY_MS, SECOND.time + DELAY_MS],
  ],
  [
    "a time for some, and a source",
    `id,is_fraud,label_known_at,source\np0,1,${iso(NOW - 1000)},bank\np2,1,,\n`,
    [NOW - 1000, THIRD.time + DELAY_MS],
  ],
  [
    "more than one request takes",
    `id,is_fraud\n${ANSWERED.map(({ transaction_id }) => `${transaction_id},0`).join("\n")}\n`,
    ANSWERED.map(({ time }) => time + DELAY_MS),
  ],
])("a file with %s leaves the same records with --url and without", async (_, csv, knownAt) => {
  const byUrl = await label(csv, "url");
  expect(byUrl.fault).toBeNull();
  expect(byUrl.records.map((record) => record.knownAt)).toEqual(knownAt);
  expect(await label(csv, "file")).toEqual(byUrl);
});

test.each<readonly [what: string, row: string]>([
  ["known before its transaction", `p0,1,${iso(FIRST.time - 1)},bank`],
  ["known long after now", `p0,1,${iso(NOW + 3 * DAY_MS)},bank`],
  ["with a source that is too long", `p0,1,,${"x".repeat(101)}`],
])("a label %s is refused with --url and without", async (_, row) => {
  for (const way of ["url", "file"] as const) {
    const refused = await label(`id,is_fraud,label_known_at,source\n${row}\n`, way);
    expect([way, refused.fault, refused.records]).toEqual([way, "labels.invalid", []]);
  }
});

test("rows that contradict each other are told, by id and row; those known at different times are a history", async () => {
  const history = `p1,0,${iso(NOW - 2000)}\np1,1,${iso(NOW - 1000)}`;
  const csv = `id,is_fraud,label_known_at\np0,1,\n${history}\np0,0,\np2,1,\np2,1,\n`;
  for (const way of ["url", "file"] as const) {
    warned.splice(0);
    const { json, records } = await label(csv, way);
    expect(json).toMatchObject({
      read: 6,
      contradictoryCount: 1,
      contradictory: [{ transactionId: "p0", rows: [1, 4], fraud: false }],
    });
    expect(warned).toEqual([
      expect.stringMatching(/^1 of 6 rows .* later row counts: "p0" is fraud in data row 1 and genuine in data row 4;/),
    ]);
    expect(records.filter(({ transactionId }) => transactionId === "p0").at(-1)?.fraud).toBe(false);
  }
});
