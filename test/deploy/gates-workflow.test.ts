// The reusable workflow of the gates: its steps run in a repository of somebody else's, with data that are fit and with data that are not.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { datasetDuckdb } from "../../src/drivers/dataset/duckdb/driver.ts";
import { simulateDays } from "../../src/lifecycle/simulate.ts";
import { MAIN, makeWorkspace, ROOT, removeWorkspace, sentinel } from "../cli/sentinel.ts";
import { readWorkflow, runSteps, type StepResult } from "./workflow-steps.ts";

const workflow = readWorkflow(path.join(ROOT, ".github", "workflows", "gates.yml"));
const WORLD = { customers: 200, terminals: 300, days: 60, seed: 5 };

let repository: string;
let bin: string;
const workspaces: string[] = [];

beforeAll(async () => {
  repository = mkdtempSync(path.join(tmpdir(), "sentinel-gates-"));
  // A global `sentinel`, as npm would install it.
  bin = path.join(repository, "bin");
  mkdirSync(bin);
  writeFileSync(path.join(bin, "sentinel"), `#!/usr/bin/env bash\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  chmodSync(path.join(bin, "sentinel"), 0o755);
  const made = makeWorkspace();
  workspaces.push(made);
  cpSync(made, path.join(repository, "fraud"), { recursive: true });
  mkdirSync(path.join(repository, "fraud", "data"), { recursive: true });
  await datasetDuckdb().write(path.join(repository, "store.parquet"), simulateDays(WORLD));
  writeFileSync(
    path.join(repository, "broken.csv"),
    "tx_id,tx_datetime,tx_amount,customer_id,terminal_id,tx_fraud\n1,2024-01-01T00:00:00,-5,1,1,0\n1,2024-01-02T00:00:00,7,2,1,1\n",
  );
});

afterAll(() => {
  rmSync(repository, { recursive: true, force: true });
  for (const dir of workspaces) removeWorkspace(dir);
});

function editPipeline(edit: (text: string) => string): void {
  const file = path.join(repository, "fraud", "pipelines", "card.yaml");
  writeFileSync(file, edit(readFileSync(file, "utf8")));
}

async function run(inputs: Readonly<Record<string, string>>): Promise<{
  readonly steps: readonly StepResult[];
  readonly summary: string;
  readonly reports: readonly string[];
}> {
  const summaryFile = path.join(repository, "summary.md");
  rmSync(summaryFile, { force: true });
  rmSync(path.join(repository, "fraud", "gate-reports"), { recursive: true, force: true });
  const steps = await runSteps(workflow, {
    cwd: repository,
    inputs: { workspace: "fraud", package: "", ...inputs },
    env: { PATH: `${bin}:${process.env.PATH ?? ""}`, GITHUB_STEP_SUMMARY: summaryFile, NO_COLOR: "1" },
  });
  const reports = path.join(repository, "fraud", "gate-reports");
  return {
    steps,
    summary: existsSync(summaryFile) ? readFileSync(summaryFile, "utf8") : "",
    reports: existsSync(reports) ? readdirSync(reports).sort() : [],
  };
}

test("data that are fit go through all gates, each with its words in the summary and its report among the artifacts", async () => {
  const { steps, summary, reports } = await run({ prepare: "cp ../store.parquet data/transactions.parquet" });
  const failed = steps.find(({ code }) => code !== 0);
  expect(failed === undefined ? "" : `${failed.name}: ${failed.output.slice(-2000)}`).toBe("");
  const names = "install, prepare, data gate, training and logic gate, comparison, promotion gate, reports";
  expect(steps.map(({ name }) => name).join(", ")).toBe(names);
  for (const words of ["**data gate: pass**", "**training gate: pass**", "**logic gate: pass**", "**promotion gate:"])
    expect(summary).toContain(words);
  expect(summary).toContain("There is no champion yet");
  expect(summary).toMatch(/\| check \| observed \| required \|/);
  expect(reports).toEqual([
    "evaluate",
    "failing-rows.csv",
    "train",
    "training.html",
    "validation.html",
    "validation.json",
  ]);
});

test("with a champion the candidate is compared with it, and a HOLD for want of shadow traffic leaves the check green and the champion", async () => {
  const { steps, summary } = await run({ prepare: "sentinel promote --to 1", data: "../store.parquet" });
  const failed = steps.find(({ code }) => code !== 0);
  expect(failed === undefined ? "" : `${failed.name}: ${failed.output.slice(-2000)}`).toBe("");
  expect(summary).not.toContain("There is no champion yet");
  const [, compared, gated] = /## sentinel compare([\s\S]*)## sentinel promote([\s\S]*)/.exec(summary) ?? [];
  expect(compared).toMatch(/champion version 1, candidate version 2/);
  expect(compared).toMatch(/\| average precision \| 0\.\d+ \| 0\.\d+ \|/);
  expect(compared).toMatch(/\| on frauds \| \d+ \| \d+ \|/);
  expect(gated).toMatch(/\*\*promotion gate: HOLD\*\*/);
  expect(gated).toMatch(/- coverage: no shadow traffic, required at least 95 % of traffic scored/);
  const { stdout } = await sentinel(["registry", "list", "--json", "--workspace", path.join(repository, "fraud")]);
  expect(JSON.parse(stdout)).toMatchObject({ aliases: { champion: "1", candidate: "2" } });
});

test("a training gate or a logic gate that says no makes the check red, with the reasons in the summary, and nothing is registered", async () => {
  // No machine walks a thousand trees within a microsecond.
  editPipeline((text) =>
    text
      .replace(/anomaly_trees: \d+/, "anomaly_trees: 1000")
      .replace(/^ {2}training:$/m, "  logic: { latency_ms_max: 0.001 }\n$&\n    frauds_min: 100000"),
  );
  const { steps, summary, reports } = await run({ data: "../store.parquet" });
  const red = steps.filter(({ code }) => code !== 0);
  expect(red.map(({ name, code }) => `${name} ${code}`)).toEqual(["training and logic gate 1"]);
  expect(steps.map(({ name }) => name)).not.toContain("promotion gate");
  expect(summary).toMatch(/\*\*training gate: fail\*\*\s+- test frauds: /);
  expect(summary).toMatch(
    /\*\*logic gate: fail\*\*\s+- latency p99: scoring takes too long to answer a payment in time/,
  );
  expect(reports).toContain("train");
  const { stdout } = await sentinel(["registry", "list", "--json", "--workspace", path.join(repository, "fraud")]);
  expect(JSON.parse(stdout)).toMatchObject({ aliases: { champion: "1", candidate: "2" } });
});

test("data that are not fit end the job at the data gate, and the rows at fault are kept", async () => {
  const { steps, summary, reports } = await run({ data: "../broken.csv" });
  expect(steps.filter(({ code }) => code !== 0).map(({ name, code }) => `${name} ${code}`)).toEqual(["data gate 1"]);
  expect(steps.map(({ name }) => name)).not.toContain("training and logic gate");
  expect(summary).toContain("**data gate: fail**");
  expect(summary).toContain("values to be unique");
  expect(reports).toContain("failing-rows.csv");
  const csv = readFileSync(path.join(repository, "fraud", "gate-reports", "failing-rows.csv"), "utf8");
  expect(csv.split("\n")[0]).toContain("check,severity,chosen,data_row,transaction_id");
});
