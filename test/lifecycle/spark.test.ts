// Spark itself, where .cache/venv-spark has it: the bits of one process, whatever the partitions, with executors that are processes, and after they were killed.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createSparkEngine } from "../../src/drivers/engine/spark/driver.ts";
import { featurise } from "../../src/lifecycle/featurise.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import type { Engine } from "../../src/ports/engine.ts";
import { MAIN, ROOT, sentinel } from "../cli/sentinel.ts";
import { expectSameBits } from "./drawn.ts";
import { bytesOf, contentOf, metadataOf, query, tied } from "./feature-tables.ts";
import { packageVersion } from "./package-version.ts";
import { emptyPlace, type Place } from "./world.ts";

const PYTHON = path.join(ROOT, ".cache", "venv-spark", "bin", "python");
const IS_THERE = existsSync(path.join(ROOT, ".cache", "venv-spark", "sentinel-stamp"));
const WORKER = [process.execPath, path.join(ROOT, "dist", "src", "cli", "engine-worker.js")];
const DYING = path.join(ROOT, "test", "lifecycle", "dying-worker.mjs");
const WORLD = { customers: 50, terminals: 20, days: 45, seed: 3 };
const MINUTES = 60_000;
/** Starting Spark and its executors takes a minute of a processor; all of what follows takes ten, and is asked for by name. */
const IS_LONG = process.env.SENTINEL_SPARK === "long";
const PARTITIONS = IS_LONG ? [1, 2, 7] : [1, 7];
/** Random specs and streams. */
const DRAWN = IS_LONG ? 20 : 1;
/** Where executors die. */
const DEATHS: readonly (readonly string[])[] = IS_LONG
  ? [["ids-0"], ["read-0"], ["key-0"], ["key-1"], ["write-0"], ["key-0", "key-1", "write-0"]]
  : [["key-1", "write-0"]];

if (!IS_THERE && !/^(build|long)$/.test(process.env.SENTINEL_SPARK ?? "")) {
  console.warn(
    "NOT TESTED against Spark: there is no .cache/venv-spark; scripts/setup-spark installs it from PyPI, 700 MB",
  );
  test("Spark is asked for by SENTINEL_SPARK=build, or by what scripts/setup-spark installs", () => {
    expect(existsSync(path.join(ROOT, "scripts", "setup-spark"))).toBe(true);
  });
} else {
  describe("featurise --engine spark", () => {
    let place: Place;
    let data: string;
    let local: string;
    /** Of a run that nothing disturbed. */
    let bytes: Record<string, string>;
    const engineOf = (master: string, command: readonly string[] = WORKER): Engine =>
      createSparkEngine({ master, conf: {}, python: PYTHON, command });

    beforeAll(async () => {
      place = await emptyPlace();
      data = path.join(place.dir, "data", "several");
      mkdirSync(data);
      const days = [...tied([...simulateDays(WORLD)])];
      for (const [i, from] of [0, 10, 30].entries()) {
        await place.write(`several/part-${i}.parquet`, days.slice(from, [10, 30, 45][i]));
      }
      local = path.join(place.dir, "data", "local.parquet");
      await featurise(place.ports, { pipeline: place.pipeline, path: data, out: local, packageVersion });
    });
    afterAll(() => place.close());

    async function made(name: string, engine: Engine, partitions: number): Promise<string> {
      const out = path.join(place.dir, "data", name);
      await featurise(place.ports, {
        pipeline: place.pipeline,
        path: data,
        out,
        packageVersion,
        by: { engine, partitions },
      });
      return out;
    }

    test(
      "gives the bits of one process, whatever the partitions, and of random specs and streams",
      async () => {
        const engine = engineOf("local[2]");
        try {
          const out = await made("by-1", engine, 1);
          expect(await contentOf(out)).toEqual(await query(`SELECT * FROM '${local}'`));
          bytes = bytesOf(out);
          expect(await metadataOf(path.join(out, Object.keys(bytes)[0]))).toEqual(await metadataOf(local));
          for (const partitions of PARTITIONS.slice(1)) {
            expect(bytesOf(await made(`by-${partitions}`, engine, partitions))).toEqual(bytes);
          }
          await expectSameBits({
            engineOf: () => engine,
            packageVersion,
            partitions: IS_LONG ? PARTITIONS : [2],
            runs: DRAWN,
          });
        } finally {
          await engine.close();
        }
      },
      30 * MINUTES,
    );

    test(
      "gives the same bytes with executors that are processes, and where they are killed in the middle",
      async () => {
        const deaths = mkdtempSync(path.join(tmpdir(), "sentinel-deaths-"));
        const engine = engineOf("local-cluster[2,1,1024]", [process.execPath, DYING, deaths, ...WORKER]);
        try {
          for (const partitions of IS_LONG ? PARTITIONS : []) {
            expect(bytesOf(await made(`cluster-${partitions}`, engine, partitions))).toEqual(bytes);
          }
          for (const [i, names] of DEATHS.entries()) {
            for (const name of names) writeFileSync(path.join(deaths, name), "");
            expect(bytesOf(await made(`killed-${i}`, engine, 3))).toEqual(bytes);
            // Whoever died has removed what asked for it.
            expect(readdirSync(deaths)).toEqual([]);
          }
        } finally {
          await engine.close();
          rmSync(deaths, { recursive: true, force: true });
        }
      },
      30 * MINUTES,
    );

    test(
      "says in one sentence what a process of the cluster refused",
      async () => {
        const out = path.join(place.dir, "data", "refused");
        const args = ["--engine", "spark", "--master", "local[2]", "--partitions", "1"];
        const run = await sentinel(["featurise", "--data", data, "--out", out, ...args], {
          cwd: place.dir,
          env: { SENTINEL_SPARK_PYTHON: PYTHON, SENTINEL_SPARK_WORKER: `${process.execPath} ${MAIN}` },
        });
        expect([run.code, run.stderr]).toEqual([3, expect.stringMatching(/a process of the cluster ended with/)]);
        expect(existsSync(out)).toBe(false);
        const away = await sentinel(["featurise", "--data", data, "--out", out, ...args], {
          cwd: place.dir,
          env: { SENTINEL_SPARK_PYTHON: process.execPath },
        });
        expect([away.code, away.stderr]).toEqual([3, expect.stringMatching(/engine/)]);
      },
      10 * MINUTES,
    );
  });
}
