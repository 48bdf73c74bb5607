// A drawn workspace: random features and a random table, whose feature table an engine must make as one process does.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { expect } from "vitest";
import type { FeatureSpec } from "../../src/features/spec.ts";
import { featurise } from "../../src/lifecycle/featurise.ts";
import { loadPipeline } from "../../src/pipeline/pipeline.ts";
import type { Engine } from "../../src/ports/engine.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { labelArbitrary, ownKeysArbitrary, streamArbitrary } from "../features/streams.ts";
import { bytesOf, contentOf, query, streamTables } from "./feature-tables.ts";
import { emptyPlace } from "./world.ts";

const PIPELINE = `name: card
model: card-fraud
source: data/t.parquet
features: card
schema: drawn.schema.json
suite: drawn.suite.json
columns: { id: transaction_id, time: time, amount: amount, card: customer, label: is_fraud }
`;

/**
 * Draws specs and streams with ties and late labels, and expects the same bits of one process and of an engine with as many partitions as each of
 * `partitions` says.
 */
export async function expectSameBits(given: {
  readonly engineOf: (ports: Ports) => Engine;
  readonly packageVersion: string;
  readonly partitions: readonly number[];
  readonly runs: number;
}): Promise<void> {
  const { packageVersion } = given;
  const place = await emptyPlace();
  try {
    rmSync(path.join(place.dir, "features", "card.ts"));
    writeFileSync(path.join(place.dir, "pipelines", "card.yaml"), PIPELINE);
    const pipeline = loadPipeline(place.dir, "card");
    const engine = given.engineOf(place.ports);
    let drawn = 0;
    let frauds = 0;
    const run = async (spec: FeatureSpec, ...table: Parameters<typeof streamTables>): Promise<void> => {
      const name = `drawn-${drawn++}`;
      const folder = path.join(place.dir, "data", name);
      mkdirSync(folder);
      writeFileSync(path.join(place.dir, "features", "card.json"), JSON.stringify(spec));
      for (const [i, part] of streamTables(...table).entries()) {
        if (part.rows > 0) await place.write(`${name}/part-${i}.parquet`, [part]);
      }
      const common = { pipeline, path: folder, packageVersion };
      const local = path.join(place.dir, "data", `${name}-local.parquet`);
      await featurise(place.ports, { ...common, out: local });
      const expected = await query(`SELECT * FROM '${local}'`);
      frauds += expected.filter(({ label }) => Number(label) === 1).length;
      const outs: string[] = [];
      for (const partitions of given.partitions) {
        const out = path.join(place.dir, "data", `${name}-${partitions}`);
        await featurise(place.ports, { ...common, out, by: { engine, partitions } });
        expect(await contentOf(out)).toEqual(expected);
        outs.push(out);
      }
      for (const out of outs) expect(bytesOf(out)).toEqual(bytesOf(outs[0]));
    };
    const labels = fc.array(labelArbitrary, { minLength: 80, maxLength: 80 });
    await fc.assert(fc.asyncProperty(ownKeysArbitrary, streamArbitrary, labels, run), { numRuns: given.runs });
    expect(frauds).toBeGreaterThan(0);
  } finally {
    await place.close();
  }
}
