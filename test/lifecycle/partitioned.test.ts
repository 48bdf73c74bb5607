// A feature table made in partitions: the bits, types and metadata of the one made in one process, and the same refusals.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeFrame, type FrameColumn } from "../../src/core/frame.ts";
import type { Column } from "../../src/core/table.ts";
import { featurise } from "../../src/lifecycle/featurise.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { loadPipeline } from "../../src/pipeline/pipeline.ts";
import type { Engine, EngineJob } from "../../src/ports/engine.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { ROOT, sentinel } from "../cli/sentinel.ts";
import { expectSameBits } from "./drawn.ts";
import { bytesOf, contentOf, metadataOf, query, tied } from "./feature-tables.ts";
import { packageVersion } from "./package-version.ts";
import { standInEngine } from "./stand-in.ts";
import { emptyPlace, type Place } from "./world.ts";

const WORLD = { customers: 90, terminals: 30, days: 24, seed: 5 };
const VERSION = "1.2.3";

let place: Place;
/** Three files. */
let folder: string;
let local: string;

beforeAll(async () => {
  place = await emptyPlace();
  folder = path.join(place.dir, "data", "several");
  mkdirSync(folder);
  const days = [...tied([...simulateDays(WORLD)])];
  for (const [i, from] of [0, 5, 17].entries()) {
    await place.write(`several/part-${i}.parquet`, days.slice(from, [5, 17, 24][i]));
  }
  local = path.join(place.dir, "data", "local.parquet");
  await featurise(place.ports, { pipeline: place.pipeline, path: folder, out: local, packageVersion: VERSION });
});

afterAll(() => place.close());

function made(name: string, how: { readonly partitions: number; readonly twice?: boolean; readonly from?: string }) {
  const out = path.join(place.dir, "data", name);
  const { partitions, twice, from = folder } = how;
  const engine = standInEngine(place.ports, { packageVersion: VERSION, seed: partitions, twice, frameRows: 333 });
  return featurise(place.ports, {
    pipeline: place.pipeline,
    path: from,
    out,
    packageVersion: VERSION,
    by: { engine, partitions },
  });
}

describe("a feature table made in partitions", () => {
  test("has the rows of the local one, bit for bit and in its order, and the same bytes for 1, 2 and 7 partitions", async () => {
    const expected = await query(`SELECT * FROM '${local}'`);
    expect(expected.length).toBeGreaterThan(700);
    for (const partitions of [1, 2, 7]) {
      const result = await made(`by-${partitions}`, { partitions, twice: partitions === 2 });
      expect(result).toMatchObject({ rows: expected.length, features: 55, run: { partitions, engine: "stand-in" } });
      if (partitions === 1) expect(await contentOf(result.out)).toEqual(expected);
      else expect(bytesOf(result.out)).toEqual(bytesOf(path.join(place.dir, "data", "by-1")));
    }
    const left = readdirSync(path.join(place.dir, "data"));
    expect(left.filter((name) => name.startsWith(".")).sort()).toEqual([".gitkeep"]);
  });

  test("says what it was made of, as the local one does, and has its types", async () => {
    const { out, dataHash, featureHash } = await made("said", { partitions: 3 });
    const [first] = Object.keys(bytesOf(out));
    expect(await metadataOf(path.join(out, first))).toEqual(await metadataOf(local));
    expect(await metadataOf(local)).toMatchObject({
      "sentinel.data.hash": dataHash,
      "sentinel.features.hash": featureHash,
    });
    const types = (file: string): Promise<unknown> =>
      query(
        `SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet('${file}', hive_partitioning=false))`,
      );
    expect(await types(path.join(out, first))).toEqual(await types(local));
  });

  test("keeps whole numbers as ids, from a table of one file", async () => {
    const numbered = await place.write("numbered.parquet", simulateDays({ ...WORLD, days: 3 }));
    const { out } = await made("numbered", { partitions: 2, from: numbered });
    const [{ type }] = await query(`SELECT DISTINCT typeof(transaction_id) AS type FROM '${out}/*/*.parquet'`);
    expect(type).toBe("BIGINT");
  });
});

test("random specs and streams, with ties and late labels, come to the bits of one process", async () => {
  const engineOf = (ports: Ports): Engine => standInEngine(ports, { packageVersion: VERSION, frameRows: 7 });
  const runs = process.env.SENTINEL_SPARK === "long" ? 200 : 2;
  await expectSameBits({ engineOf, packageVersion: VERSION, partitions: [1, 7], runs });
});

test("a worker whose rows end in the middle of a partition writes nothing: who sent them was killed", async () => {
  const engine = standInEngine(place.ports, { packageVersion });
  const jobs: EngineJob[] = [];
  const spy: Engine = {
    ...engine,
    run(job, onProgress) {
      jobs.push(job);
      return engine.run(job, onProgress);
    },
  };
  const out = path.join(place.dir, "data", "cut");
  const given = { pipeline: place.pipeline, path: folder, packageVersion };
  await featurise(place.ports, { ...given, out, by: { engine: spy, partitions: 1 } });
  const { task, columns } = jobs[0].stages.at(-1)!;
  const before = jobs[0].stages.at(-2)!.columns;
  const row = {
    rows: 1,
    columns: new Map(before.map(({ name, type, kind = "number" }) => [name, cellOf(type, kind)])),
  };
  const cut = path.join(place.dir, "data", "cut-folder");
  const blocks = [JSON.stringify({ ...task, folder: cut, ids: null }), encodeFrame(row, before)].map(blockOf);
  const run = async (
    input: Buffer,
  ): Promise<{ readonly code: number | null; readonly said: string; readonly bytes: number }> => {
    const child = spawn(process.execPath, [path.join(ROOT, "dist", "src", "cli", "engine-worker.js")]);
    let said = "";
    let bytes = 0;
    child.stderr.on("data", (text: Buffer) => (said += text.toString("utf8")));
    child.stdout.on("data", (some: Buffer) => (bytes += some.length));
    child.stdin.end(input);
    return await new Promise((resolve) => child.on("close", (code) => resolve({ code, said, bytes })));
  };
  expect(await run(Buffer.concat(blocks))).toMatchObject({
    code: 3,
    said: expect.stringMatching(/ended in the middle/),
  });
  expect(readdirSync(cut, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".parquet"))).toEqual(
    [],
  );
  // The same rows with the block that ends them, twice: a process takes one partition after the other.
  const whole = Buffer.concat([...blocks, blockOf(""), ...blocks, blockOf("")]);
  expect(await run(whole)).toMatchObject({ code: 0, said: "" });
  expect(Object.keys(bytesOf(cut))).toEqual(["date=1970-01-01/part-00000.parquet"]);
  expect(columns.map(({ name }) => name)).toEqual(["file", "rows"]);
});

function blockOf(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([head, bytes]);
}

function cellOf(type: FrameColumn["type"], kind: Column["kind"]): Column {
  if (type === "text" || kind === "text") return { kind: "text", codes: Int32Array.of(0), dictionary: ["one"] };
  return { kind, values: Float64Array.of(0) };
}

describe("what is refused", () => {
  test("an id that stands twice, with the rows that the local run names", async () => {
    const twice = path.join(place.dir, "data", "twice");
    cpSync(folder, twice, { recursive: true });
    cpSync(path.join(folder, "part-1.parquet"), path.join(twice, "part-3.parquet"));
    const said = async (run: Promise<unknown>): Promise<string> => {
      const error = await run.catch((caught: unknown) => caught);
      return (error as Error).message;
    };
    const out = path.join(place.dir, "data", "twice.parquet");
    const own = await said(
      featurise(place.ports, { pipeline: place.pipeline, path: twice, out, packageVersion: VERSION }),
    );
    expect(own).toMatch(/occurs twice, in data rows/);
    expect(await said(made("twice-out", { partitions: 2, from: twice }))).toBe(own);
    expect(existsSync(path.join(place.dir, "data", "twice-out"))).toBe(false);
  });

  test("a folder that is there, a state that is too small, and a worker of another version", async () => {
    await expect(made("several", { partitions: 2 })).rejects.toMatchObject({ code: "cli.usage" });
    const given = { pipeline: place.pipeline, path: folder, packageVersion: VERSION };
    const run = (version: string, stateBytesMax: number): Promise<unknown> =>
      featurise(place.ports, {
        ...given,
        out: path.join(place.dir, "data", "refused"),
        by: { engine: standInEngine(place.ports, { packageVersion: version }), partitions: 1, stateBytesMax },
      });
    await expect(run(VERSION, 10_000)).rejects.toMatchObject({
      code: "features.limit",
      message: expect.stringMatching(/one partition of the key customer_id holds/) as string,
    });
    await expect(run("9.9.9", 2 ** 30)).rejects.toMatchObject({ code: "config.invalid" });
    expect(readdirSync(path.join(place.dir, "data")).filter((name) => name.includes("refused"))).toEqual([]);
  });

  test("files whose columns would be spelled otherwise alone", async () => {
    const mixed = path.join(place.dir, "data", "mixed");
    mkdirSync(mixed);
    const from = path.join(folder, "part-0.parquet");
    await query(`COPY (SELECT * FROM '${from}') TO '${mixed}/a.parquet'`);
    await query(
      `COPY (SELECT * REPLACE (transaction_id || 'b' AS transaction_id, terminal_id::FLOAT AS terminal_id) FROM '${from}') TO '${mixed}/b.parquet'`,
    );
    await expect(made("mixed-out", { partitions: 2, from: mixed })).rejects.toMatchObject({
      code: "dataset.type-wrong",
      message: expect.stringMatching(/column terminal_id is FLOAT, and DOUBLE in the table as a whole/) as string,
    });
  });
});

test("ids that are made of the rows' numbers are those of the whole table", async () => {
  const file = path.join(place.dir, "pipelines", "card.yaml");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(/^ {2}id: transaction_id.*$/m, "  id: { from: row }"));
  const pipeline = loadPipeline(place.dir, "card");
  const plain = path.join(place.dir, "data", "plain");
  mkdirSync(plain);
  for (const part of [0, 1]) {
    await query(
      `COPY (SELECT * EXCLUDE (transaction_id) FROM '${folder}/part-${part}.parquet' LIMIT 500) TO '${plain}/part-${part}.parquet'`,
    );
  }
  const own = path.join(place.dir, "data", "plain.parquet");
  const given = { pipeline, path: plain, packageVersion: VERSION };
  await featurise(place.ports, { ...given, out: own });
  const engine = standInEngine(place.ports, { packageVersion: VERSION });
  const out = path.join(place.dir, "data", "plain-out");
  await featurise(place.ports, { ...given, out, by: { engine, partitions: 2 } });
  writeFileSync(file, text);
  expect(await contentOf(out)).toEqual(await query(`SELECT * FROM '${own}'`));
});

test("options of an engine are refused without one, and a master is asked for", async () => {
  const run = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await sentinel(["featurise", "--out", "x", ...args], { cwd: place.dir });
    expect(code).toBe(2);
    return stderr;
  };
  expect(await run("--partitions", "3")).toMatch(/--partitions is about an engine/);
  expect(await run("--engine", "flink")).toMatch(/no engine "flink"/);
  expect(await run("--engine", "spark")).toMatch(/needs --master/);
  expect(await run("--engine", "spark", "--master", "local[1]", "--spark-conf", "memory")).toMatch(/is no setting/);
});
