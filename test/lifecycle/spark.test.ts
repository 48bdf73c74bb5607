// Spark itself, where .cache/venv-spark has it: the bytes of one partition, of several, of executors that are processes, and after one was killed.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { featurise } from "../../src/lifecycle/featurise.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { MAIN, ROOT, sentinel } from "../cli/sentinel.ts";
import { metadataOf, query, shuffled } from "./feature-tables.ts";
import { emptyPlace, type Place } from "./world.ts";

const PYTHON = path.join(ROOT, ".cache", "venv-spark", "bin", "python");
const IS_THERE = existsSync(path.join(ROOT, ".cache", "venv-spark", "sentinel-stamp"));
const WORLD = { customers: 150, terminals: 40, days: 45, seed: 3 };
const MINUTES = 60_000;

if (!IS_THERE && process.env.SENTINEL_SPARK !== "build") {
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
    beforeAll(async () => {
      place = await emptyPlace();
      data = await place.write("shuffled.parquet", shuffled([...simulateDays(WORLD)]));
      local = path.join(place.dir, "data", "local.parquet");
      const { version } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as { version: string };
      await featurise(place.ports, { pipeline: place.pipeline, path: data, out: local, packageVersion: version });
    });
    afterAll(() => place.close());

    async function made(
      name: string,
      args: readonly string[],
      options: { readonly env?: Record<string, string>; readonly started?: () => void } = {},
    ): Promise<string> {
      const out = path.join(place.dir, "data", name);
      const { code, stderr } = await sentinel(
        ["featurise", "--data", data, "--out", out, "--engine", "spark", ...args],
        { cwd: place.dir, env: { SENTINEL_SPARK_PYTHON: PYTHON, ...options.env }, started: options.started },
      );
      expect(code, stderr).toBe(0);
      return out;
    }
    const bytesOf = (out: string): Record<string, string> => {
      const names = readdirSync(out, { recursive: true, encoding: "utf8" }).sort();
      const files = names.filter((name) => name.endsWith(".parquet"));
      return Object.fromEntries(files.map((name) => [name, readFileSync(path.join(out, name)).toString("base64")]));
    };

    test(
      "gives the local table bit for bit, whatever the number of partitions",
      async () => {
        const out = await made("one", ["--master", "local[2]", "--partitions", "1"]);
        const content = `SELECT * EXCLUDE (date) FROM read_parquet('${out}/*/*.parquet', hive_partitioning=true)`;
        expect(await query(content)).toEqual(await query(`SELECT * FROM '${local}'`));
        const [first] = Object.keys(bytesOf(out));
        expect(await metadataOf(path.join(out, first))).toEqual(await metadataOf(local));
        const seven = await made("seven", ["--master", "local[2]", "--partitions", "7"]);
        expect(bytesOf(seven)).toEqual(bytesOf(out));
      },
      10 * MINUTES,
    );

    test(
      "gives the same bytes with executors that are processes, one of which is killed in the middle",
      async () => {
        let killed = 0;
        const out = await made(
          "cluster",
          ["--master", "local-cluster[2,1,1024]", "--partitions", "3", "--spark-conf", "spark.task.maxFailures=8"],
          {
            started: () => {
              void (async () => {
                for (let look = 0; killed === 0 && look < 2000; look++) {
                  killed = killExecutor();
                  await sleep(20);
                }
              })();
            },
          },
        );
        expect(killed).toBeGreaterThan(0);
        expect(bytesOf(out)).toEqual(bytesOf(path.join(place.dir, "data", "one")));
      },
      10 * MINUTES,
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

/** Ends an executor of the run that has a worker at work on a pass by key; gives how many it ended. */
function killExecutor(): number {
  const list = execFileSync("ps", ["-eo", "pid,ppid,args"], { encoding: "utf8" });
  const processes = list.split("\n").map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? ["", "", "", ""]);
  const parents = new Map(processes.map(([, pid, ppid]) => [pid, ppid]));
  const texts = new Map(processes.map(([, pid, , text]) => [pid, text]));
  for (const [, pid, , text] of processes) {
    if (!text.includes("engine-worker.js")) continue;
    const above: string[] = [];
    for (let at = parents.get(pid); at !== undefined; at = parents.get(at)) above.push(at);
    const executor = above.find((at) => texts.get(at)?.includes("CoarseGrainedExecutorBackend"));
    // Somebody else's run is left alone.
    if (executor === undefined || !above.includes(String(process.pid))) continue;
    process.kill(Number(executor), "SIGKILL");
    return 1;
  }
  return 0;
}
