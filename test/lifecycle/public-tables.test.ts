// The examples of `init --like`: each trains from CSV as its table is published, and serves the same rows with the same bits.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { compileSpec } from "../../src/features/plan.ts";
import { readHistory } from "../../src/lifecycle/data/history.ts";
import { loadSchema } from "../../src/lifecycle/data/schema-file.ts";
import { readSource } from "../../src/lifecycle/data/source.ts";
import { vectorsOf } from "../../src/lifecycle/data/vectors.ts";
import { exampleNames } from "../../src/lifecycle/init/examples.ts";
import { init } from "../../src/lifecycle/init.ts";
import { promote } from "../../src/lifecycle/promote.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import { learnedSpec, train } from "../../src/lifecycle/train.ts";
import { schemaFields } from "../../src/online/fields.ts";
import { loadPipeline, type Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { createServer } from "../../src/server/server.ts";
import { openPorts } from "../../src/wiring.ts";
import { ROOT } from "../cli/sentinel.ts";
import { csvOf, makePublicTable, PUBLIC_TABLES, type PublicTable } from "./public-tables.ts";

const LIVE_ROWS = 120;
const quiet = { line: () => {}, progress: () => {} };
let dir = "";
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("there is a table for every example, and an unknown one is refused by the nearest name", () => {
  expect([...PUBLIC_TABLES].sort()).toEqual(exampleNames(ROOT));
  expect(() => init({ dir, packageRoot: ROOT, like: "paysym" })).toThrow(/no such example/);
});

test.each(PUBLIC_TABLES)(
  "%s trains from its CSV, serves the same bits and replays clean",
  { timeout: 120_000 },
  async (name) => {
    dir = mkdtempSync(path.join(tmpdir(), `sentinel-${name}-`));
    const { made } = init({ dir, packageRoot: ROOT, like: name });
    expect(made).toContain(`pipelines/${name}.yaml`);
    expect(made).not.toContain("pipelines/card.yaml");
    const shipped = loadPipeline(dir, name);
    const small = { ...shipped.modelParameters, trees: 10, anomalyTrees: 5 };
    const pipeline: Pipeline = {
      ...shipped,
      modelParameters: small,
      gates: { ...shipped.gates, data: { labelRate: [0, 1] } },
    };
    const table = makePublicTable(name, 3);
    const live = writeTable(table, pipeline);

    const clock = { now: () => table.until, elapsed: () => performance.now() };
    const { ports, close } = openPorts(loadConfig({ workspace: dir, environment: {} }), {
      report: quiet,
      pipeline: name,
      clock,
    });
    try {
      const { version, verdicts } = await train(ports, {
        pipeline,
        path: pipeline.source,
        actor: "tester",
        packageVersion: "0",
        forced: "a small table needs a model",
        verb: "train",
      });
      expect(verdicts.map(({ gate, verdict }) => [gate, verdict])).toContainEqual(["logic", "pass"]);
      expect(verdicts[0]).toMatchObject({ gate: "data", verdict: "pass" });
      await promote(ports, {
        pipeline,
        to: version!.version,
        actor: "tester",
        forced: "a test needs a champion",
        seed: 1,
      });
      const requests = live.rows.map((cells, i) => requestOf(cells, { table, pipeline, id: `live-${i}` }));
      expect(about(table.key, await serve(ports, pipeline, requests))).toEqual([]);

      const plan = compileSpec(await learnedSpec(ports, pipeline, pipeline.source));
      const whole = await readSource(await ports.dataset(), pipeline, {
        path: `${pipeline.source},${live.file}`,
        plans: [plan],
        labelled: true,
      });
      const { x } = vectorsOf(whole.table, { plan, pipeline, report: quiet });
      const served: Float32Array[] = [];
      for await (const entry of (await ports.log()).scan(0))
        if (entry.kind === "prediction") served.push(entry.record.vector);
      expect(served).toHaveLength(live.rows.length);
      const before = x.rows - live.rows.length;
      for (const [i, vector] of served.entries()) {
        const row = Array.from(x.names, (_, c) => x.values[c * x.rows + before + i]);
        expect([...vector], `row ${i}`).toEqual(row);
      }
      const report = await replay(ports, {
        pipeline,
        history: (origin, of) => readHistory(ports, pipeline, { origin, plan: of }),
      });
      expect(report.mismatches).toEqual([]);
      expect(report).toMatchObject({ verdict: "pass", compared: live.rows.length });

      const { key } = table;
      if (key === undefined) return;
      const otherwise = requests.map((request, i) => ({
        ...request,
        [pipeline.columns.id]: `otherwise-${i}`,
        [key]: spelledOtherwise(String(request[key])),
      }));
      const warned = about(key, await serve(ports, pipeline, otherwise));
      expect(warned.length).toBeGreaterThan(0);
      for (const warning of warned) expect(warning).toMatch(/0 % of \d+ served keys .*is the key spelled otherwise/);
    } finally {
      await close();
    }
  },
);

/** Serves requests by HTTP; what the server then warns of. */
async function serve(ports: Ports, pipeline: Pipeline, requests: readonly object[]): Promise<readonly string[]> {
  const server = await createServer({
    ports,
    pipeline,
    schema: loadSchema(pipeline),
    options: { logger: pino({ level: "silent" }) },
  });
  for (const request of requests) {
    const response = await server.app.request("/predict", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
    });
    expect(response.status, await response.clone().text()).toBe(200);
  }
  const { inputs } = (await (await server.app.request("/model")).json()) as {
    readonly inputs: { readonly warnings: readonly string[] };
  };
  await server.stop();
  return inputs.warnings;
}

/** The warnings about a key. */
function about(key: string | undefined, warnings: readonly string[]): readonly string[] {
  return key === undefined ? [] : warnings.filter((warning) => warning.split(":")[0].split(" + ").includes(key));
}

/** As another system would write the same key: letters small, digits padded. */
function spelledOtherwise(key: string): string {
  return /[A-Z]/.test(key) ? key.toLowerCase() : `0${key}`;
}

/** All rows but the last into the pipeline's files; the last, whose labels nobody knows yet, beside them. */
function writeTable(
  table: PublicTable,
  pipeline: Pipeline,
): { readonly file: string; readonly rows: PublicTable["rows"] } {
  const { header, rows, label } = table;
  const files = pipeline.source.split(",");
  expect(files.map((file) => path.basename(file))).toEqual(table.files);
  const trained = rows.slice(0, -LIVE_ROWS);
  const share = Math.ceil(trained.length / files.length);
  for (const [i, file] of files.entries())
    writeFileSync(file, csvOf(header, trained.slice(i * share, (i + 1) * share)));
  const unlabelled = rows.slice(-LIVE_ROWS).map((cells) => cells.map((cell, i) => (header[i] === label ? "" : cell)));
  const file = path.join(path.dirname(files[0]), "live.csv");
  writeFileSync(file, csvOf(header, unlabelled));
  return { file, rows: unlabelled };
}

/** A row as a client sends it: by its names, numbers where the schema has numbers, texts otherwise. */
function requestOf(
  cells: readonly string[],
  { table, pipeline, id }: { readonly table: PublicTable; readonly pipeline: Pipeline; readonly id: string },
): Record<string, unknown> {
  const fields = schemaFields(JSON.parse(readFileSync(pipeline.schemaFile, "utf8")) as object);
  const body: Record<string, unknown> = { [pipeline.columns.id]: id };
  for (const [i, name] of table.header.entries()) {
    if (!fields.has(name) || cells[i] === "" || name in body) continue;
    const text = cells[i].startsWith('"') ? cells[i].slice(1, -1) : cells[i];
    const { type } = fields.get(name) as { readonly type: unknown };
    const isNumber = [type].flat().includes("number") && /^-?\d+(\.\d+)?$/.test(text);
    body[name] = isNumber || type === "integer" ? Number(text) : text;
  }
  return body;
}
