// A clean workspace under the real DVC: every stage once, nothing the second time, only what depends after a change.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import type { ModelVersion, RunSummary } from "../../src/ports/registry.ts";
import { MAIN, ROOT, sentinel } from "../cli/sentinel.ts";
import { isInstalled, runPython } from "../python.ts";
import { SMALL_WORLD as WORLD } from "./traffic.ts";

const VENV = path.join(ROOT, ".cache", "venv-dvc");
const installed = isInstalled("venv-dvc");
const STAGES = ["simulate", "validate", "featurise", "train", "evaluate"];

if (!installed) {
  console.warn("SKIPPED the stages under DVC: no .cache/venv-dvc; scripts/setup-python installs it");
  test.runIf(process.env.CI === "true")("DVC is installed", () => {
    expect(installed, "CI must run scripts/setup-python first").toBe(true);
  });
}

/** A small world and few trees; everything else is as init left it. */
function shrink(workspace: string): void {
  const edits: readonly (readonly [file: string, from: string, to: string])[] = [
    ["params.yaml", "customers: 5000", `customers: ${WORLD.customers}`],
    ["params.yaml", "terminals: 10000", `terminals: ${WORLD.terminals}`],
    ["params.yaml", "days: 183", `days: ${WORLD.days}`],
    ["params.yaml", "seed: 0", `seed: ${WORLD.seed}`],
    ["pipelines/card.yaml", "trees: 300", "trees: 40"],
  ];
  for (const [name, from, to] of edits) {
    const file = path.join(workspace, name);
    expect(readFileSync(file, "utf8")).toContain(from);
    writeFileSync(file, readFileSync(file, "utf8").replace(from, to));
  }
}

/** Keys of a pipeline that no stage reads: names, and what matters after training. */
const AFTER_TRAINING = ["name", "source", "schema", "gates.promotion", "shadow", "drift", "retrain", "serve"];

test("every key of a fresh pipeline is a parameter of the training or matters only after it, and every parameter is a key", () => {
  const fresh = (name: string): unknown => parse(readFileSync(path.join(ROOT, name), "utf8"));
  const { gates, ...others } = fresh("pipelines/card.yaml") as Readonly<Record<string, object>>;
  const keys = [...Object.keys(others), ...Object.keys(gates).map((gate) => `gates.${gate}`)];
  const { stages } = fresh("dvc.yaml") as {
    readonly stages: Readonly<
      Record<string, { readonly params?: readonly { readonly "pipelines/card.yaml": readonly string[] }[] }>
    >;
  };
  const paramsOf = (stage: string): readonly string[] => stages[stage].params?.[0]["pipelines/card.yaml"] ?? [];
  expect([...paramsOf("train"), ...AFTER_TRAINING].sort()).toEqual(keys.sort());
  // DVC stops at a parameter that is not there.
  for (const stage of STAGES) expect(keys, stage).toEqual(expect.arrayContaining([...paramsOf(stage)]));
});

/** What both ways must leave alike; train.json names the bundle, and with it the commit. */
const RESULTS = [
  "reports/validation.json",
  "reports/train/metrics.json",
  "reports/train/learning.csv",
  "reports/evaluation/metrics.json",
  "reports/evaluation/precision-recall.csv",
  "reports/evaluation/roc.csv",
  "reports/evaluation/calibration.csv",
];
/** Of the run without DVC. */
const plain = new Map<string, string>();

test("without DVC the stages of dvc.yaml are commands that do the same", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-no-dvc-"));
  try {
    await sentinel(["init", dir]);
    shrink(dir);
    const yaml = (name: string): unknown => parse(readFileSync(path.join(dir, name), "utf8"));
    const { simulate } = yaml("params.yaml") as { readonly simulate: Readonly<Record<string, number | string>> };
    const { stages } = yaml("dvc.yaml") as { readonly stages: Readonly<Record<string, { readonly cmd: string }>> };
    expect(Object.keys(stages)).toEqual(STAGES);
    for (const { cmd } of Object.values(stages)) {
      const command = cmd.replace(/\$\{simulate\.(\w+)\}/g, (_, key: string) => String(simulate[key]));
      expect(command).toMatch(/^sentinel [\w ./-]+$/);
      const ran = await sentinel(command.split(" ").slice(1), { cwd: dir });
      expect(ran.code, `${command}\n${ran.stdout}${ran.stderr}`).toBe(0);
    }
    for (const name of RESULTS) plain.set(name, readFileSync(path.join(dir, name), "utf8"));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

describe.runIf(installed)("under DVC", { timeout: 300_000 }, () => {
  let dir: string;
  let bin: string;

  /** A command in the workspace, with `sentinel` on the PATH as an installed package has it. */
  const surroundings = () => ({
    cwd: path.join(dir, "w"),
    env: {
      ...process.env,
      PATH: `${bin}:${process.env.PATH}`,
      DVC_NO_ANALYTICS: "1",
      DVC_GLOBAL_CONFIG_DIR: dir,
      DVC_SYSTEM_CONFIG_DIR: dir,
      SENTINEL_ACTOR: "ana",
      GIT_CONFIG_GLOBAL: path.join(dir, "gitconfig"),
    },
  });
  const dvc = (...args: string[]) => runPython("venv-dvc", [path.join(VENV, "bin", "dvc"), ...args], surroundings());
  const git = async (...args: string[]) => (await promisify(execFile)("git", args, surroundings())).stdout;
  const read = (name: string): string => readFileSync(path.join(dir, "w", name), "utf8");
  const edit = (name: string, from: string, to: string): void => {
    expect(read(name)).toContain(from);
    writeFileSync(path.join(dir, "w", name), read(name).replace(from, to));
  };
  /** The stages that ran. */
  const repro = async (...args: string[]): Promise<string[]> =>
    [...(await dvc("repro", ...args)).matchAll(/Running stage '(\w+)'/g)].map(([, stage]) => stage);
  const lock = () =>
    parse(read("dvc.lock")) as {
      readonly stages: Readonly<
        Record<string, { readonly outs: readonly { readonly path: string; readonly md5: string }[] }>
      >;
    };
  const dataInLock = (): string =>
    lock().stages.simulate.outs.find(({ path: name }) => name === "data/transactions.parquet")!.md5;
  const registry = async (): Promise<{ runs: readonly RunSummary[]; versions: readonly ModelVersion[] }> => {
    const opened = createLocalRegistry({ dir: path.join(dir, "w", "models") });
    try {
      return { runs: await opened.runs("card"), versions: await opened.versions("card-fraud") };
    } finally {
      await opened.close();
    }
  };

  beforeAll(async () => {
    dir = mkdtempSync(path.join(tmpdir(), "sentinel-dvc-"));
    bin = path.join(dir, "bin");
    mkdirSync(bin);
    chmodSync(MAIN, 0o755);
    symlinkSync(MAIN, path.join(bin, "sentinel"));
    writeFileSync(
      path.join(dir, "gitconfig"),
      "[user]\nname = Ana\nemail = ana@example.com\n[init]\ndefaultBranch = main\n",
    );
    expect((await sentinel(["init", "w"], { cwd: dir })).code).toBe(0);
    await git("init", "--quiet");
    await dvc("init", "--quiet");
    shrink(path.join(dir, "w"));
    await git("add", ".");
    await git("commit", "--quiet", "--message", "a workspace");
    console.info(`the stages under DVC ${(await dvc("--version")).trim()}`);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test("every stage runs once, and the second time none", async () => {
    expect(await repro()).toEqual(STAGES);
    const again = await dvc("repro");
    expect(again).toContain("Data and pipelines are up to date.");
    expect(again).not.toContain("Running stage");
    expect((await registry()).versions).toHaveLength(1);
    expect(plain.size).toBe(RESULTS.length);
    for (const [name, text] of plain) expect(read(name), name).toBe(text);
  });

  test("the run's and the version's data hash is the one in dvc.lock, and that is the data's", async () => {
    const { runs, versions } = await registry();
    const md5 = dataInLock();
    expect(
      createHash("md5")
        .update(readFileSync(path.join(dir, "w", "data/transactions.parquet")))
        .digest("hex"),
    ).toBe(md5);
    for (const { tags } of [runs[0], versions[0]]) {
      expect(tags).toMatchObject({
        "dvc.md5": md5,
        "dvc.stage": "simulate",
        "dvc.state": "current",
        "mlflow.user": "ana",
        // dvc.lock and reports/ are new, and nothing else.
        "mlflow.source.git.dirty": "false",
        "mlflow.source.git.commit": (await git("rev-parse", "HEAD")).trim(),
      });
    }
    const shown = await sentinel(["registry", "show", "1"], { cwd: path.join(dir, "w") });
    expect(shown.stdout).toMatch(new RegExp(`data in DVC +${md5} \\(dvc\\.lock, stage simulate, not committed\\)`));
    expect(shown.stdout).toMatch(/made by +ana, train/);
    expect(JSON.parse(read("reports/train/train.json"))).toMatchObject({
      bundle: versions[0].bundle,
      data: versions[0].tags["sentinel.data_hash"],
      gates: { data: "pass", logic: "pass" },
    });
  });

  test("DVC shows the figures, and both stages found the same ones", async () => {
    const shown = JSON.parse(await dvc("metrics", "show", "--json")) as {
      readonly [rev: string]: {
        readonly data: Readonly<Record<string, { readonly data: Readonly<Record<string, number>> }>>;
      };
    };
    const evaluation = shown[""].data["reports/evaluation/metrics.json"].data;
    const { runs } = await registry();
    for (const key of ["average_precision", "roc_auc", "log_loss", "rows", "frauds"])
      expect(evaluation[key], key).toBeCloseTo(runs[0].metrics[key], 12);
    expect(shown[""].data["reports/train/metrics.json"].data.trees).toBeGreaterThan(0);
  });

  test("DVC draws every curve", async () => {
    const page = (await dvc("plots", "show", "--out", "drawn")).trim();
    expect(page).toMatch(/index\.html$/);
    const html = read("drawn/index.html");
    for (const title of ["Precision and recall", "ROC", "Calibration", "Log-loss by tree"])
      expect(html).toContain(title);
    const points = [...html.matchAll(/"recall": "?[\d.e-]+"?/g)].length;
    expect(points).toBe(read("reports/evaluation/precision-recall.csv").trim().split("\n").length - 1);
    rmSync(path.join(dir, "w", "drawn"), { recursive: true });
  });

  test("a changed parameter is shown against the commit, and only what depends on it runs", async () => {
    await git("add", ".");
    await git("commit", "--quiet", "--message", "first model");
    edit("pipelines/card.yaml", "trees: 40", "trees: 30");
    const diff = JSON.parse(await dvc("params", "diff", "--json")) as unknown;
    expect(diff).toMatchObject({ "pipelines/card.yaml": { "model_parameters.trees": { old: 40, new: 30 } } });
    expect(await repro()).toEqual(["train", "evaluate"]);
    const { versions } = await registry();
    expect(versions).toHaveLength(2);
    expect(versions[1].tags).toMatchObject({
      "dvc.md5": dataInLock(),
      "dvc.rev": (await git("rev-parse", "HEAD")).trim(),
      "mlflow.source.git.dirty": "true",
    });
    const change = JSON.parse(await dvc("metrics", "diff", "--json")) as Readonly<
      Record<string, Readonly<Record<string, unknown>>>
    >;
    const { trees: old } = JSON.parse(plain.get("reports/train/metrics.json")!) as { readonly trees: number };
    expect(old).toBeGreaterThan(30);
    expect(change["reports/train/metrics.json"].trees).toEqual({ old, new: 30, diff: 30 - old });
  });

  test("what matters after training runs nothing; the same bundle again ends the chain", async () => {
    edit("pipelines/card.yaml", "psi_floor: 0.1", "psi_floor: 0.2");
    expect(await repro()).toEqual([]);
    // The bundle names the whole pipeline file by its hash.
    edit("pipelines/card.yaml", "psi_floor: 0.2", "psi_floor: 0.1");
    expect(await repro("--force", "--single-item", "train")).toEqual(["train"]);
    expect(await repro()).toEqual([]);
    const { versions } = await registry();
    expect(versions.map(({ bundle }) => bundle === versions[1].bundle)).toEqual([false, true, true]);
  });

  test("data that fails its gate stops the stages below", async () => {
    edit("pipelines/card.yaml", "label_rate: [0.0001, 0.2]", "label_rate: [0.1, 0.2]");
    const failed = await repro().then(
      () => "",
      ({ stdout }: { readonly stdout: string }) => stdout,
    );
    expect(failed).toContain("Running stage 'validate'");
    expect(failed).not.toContain("Running stage 'train'");
    edit("pipelines/card.yaml", "label_rate: [0.1, 0.2]", "label_rate: [0.0001, 0.2]");
    await repro();
    expect((await registry()).versions).toHaveLength(3);
  });

  test("data of one's own: dvc add instead of the stage", async () => {
    const stages = read("dvc.yaml");
    writeFileSync(path.join(dir, "w", "dvc.yaml"), stages.replace(/ {2}simulate:\n[\s\S]*?\n\n/, ""));
    await dvc("repro");
    const other = ["--customers", "220", "--terminals", "300", "--days", "60", "--seed", "7"];
    const trimmed = await sentinel(["simulate", "--out", "data/transactions.parquet", ...other], {
      cwd: path.join(dir, "w"),
    });
    expect(trimmed.code).toBe(0);
    await dvc("add", "data/transactions.parquet");
    const status = await git("status", "--porcelain", "--", "data");
    expect(status.trim()).toBe("?? data/transactions.parquet.dvc");
    expect(await repro()).toEqual(STAGES.slice(1));
    const { outs } = parse(read("data/transactions.parquet.dvc")) as {
      readonly outs: readonly { readonly md5: string }[];
    };
    expect((await registry()).versions.at(-1)?.tags).toMatchObject({
      "dvc.md5": outs[0].md5,
      "dvc.file": "transactions.parquet.dvc",
    });
  });
});
