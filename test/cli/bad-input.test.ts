// Bad input at the command line: each with its exit code, a message that names what and where, a hint, and nothing half-written.
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Column, Table } from "../../src/core/table.ts";
import { datasetDuckdb } from "../../src/drivers/dataset/duckdb/driver.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { SMALL_WORLD as WORLD, writeHistory } from "../journeys/traffic.ts";
import { edit, makeWorkspace, removeWorkspace, sentinel, sentinelJson, serve } from "./sentinel.ts";

/** A workspace with data and nothing trained, and one with a champion; each case works on a copy of one. */
let empty: string;
let trained: string;
let rows: string[];
const copies: string[] = [];
const head = "transaction_id,tx_datetime,customer_id,terminal_id,tx_amount,tx_fraud";

beforeAll(async () => {
  empty = makeWorkspace();
  await writeHistory(empty, WORLD);
  rows = [...simulateDays(WORLD)].flatMap(csvLines);
  trained = copyOf(empty);
  for (const verb of ["train", "promote"]) {
    const { code, stderr } = await sentinel([verb], { cwd: trained });
    expect(code, stderr).toBe(0);
  }
});

afterAll(() => {
  for (const dir of [empty, trained, ...copies]) removeWorkspace(dir);
});

describe("tables", () => {
  const csv = (lines: readonly string[], header = head): string => `${header}\n${lines.join("\n")}\n`;
  const changed = (row: number, column: number, value: string): string[] =>
    rows.map((line, at) => (at === row - 1 ? line.split(",").toSpliced(column, 1, value).join(",") : line));
  const all = (column: number, value: string): string[] =>
    rows.map((line) => line.split(",").toSpliced(column, 1, value).join(","));
  const ndjson = (amount: string): string =>
    rows
      .slice(0, 50)
      .map((line, at) => {
        const [id, time, customer, terminal, value] = line.split(",");
        const keys = `"customer_id":"${customer}","terminal_id":"${terminal}"`;
        return `{"id":${id},"time":"${time}",${keys},"amount":${at === 9 ? amount : value},"is_fraud":0}`;
      })
      .join("\n");
  const cases: [name: string, file: string, text: (() => string) | null, code: string, says: RegExp][] = [
    ["a missing file", "gone.csv", null, "dataset.missing", /no file gone\.csv/],
    ["an empty CSV", "t.csv", () => "", "dataset.empty", /t\.csv has no bytes/],
    ["an empty Parquet file", "t.parquet", () => "", "dataset.empty", /t\.parquet has no bytes/],
    ["a header alone", "t.csv", () => `${head}\n`, "dataset.empty", /t\.csv has columns but no rows/],
    ["no Parquet inside", "t.parquet", () => csv(rows.slice(0, 50)), "dataset.unreadable", /t\.parquet/],
    ["an unknown ending", "t.xlsx", () => csv(rows.slice(0, 50)), "dataset.format-unknown", /t\.xlsx/],
    [
      "wrong columns",
      "t.csv",
      () => csv(rows, head.replace("tx_amount", "money")),
      "dataset.columns-missing",
      /t\.csv has no column amount \(or tx_amount\); it has: transaction_id, .*money/,
    ],
    [
      "text as amount",
      "t.csv",
      () => csv(changed(12, 4, "abc")),
      "dataset.type-wrong",
      /tx_amount .*is no number in data row 12: "abc"/,
    ],
    [
      "text as time",
      "t.csv",
      () => csv(changed(12, 1, "yesterday")),
      "dataset.type-wrong",
      /tx_datetime .*in data row 12 is "yesterday", which is no time/,
    ],
    ["a row without time", "t.csv", () => csv(changed(12, 1, "")), "dataset.type-wrong", /tx_datetime .*data row 12/],
    ["a label of 2", "t.csv", () => csv(changed(12, 5, "2")), "dataset.type-wrong", /tx_fraud .* is 2 in data row 12/],
    ["no fraud at all", "t.csv", () => csv(all(5, "0")), "ml.one-class", /train slice .* no fraud/],
    ["frauds only", "t.csv", () => csv(all(5, "1")), "ml.one-class", /train slice .* all of them are frauds/],
    [
      "an id twice",
      "t.csv",
      () => csv(changed(12, 0, "3")),
      "dataset.type-wrong",
      /transaction id 3 occurs twice, in data rows 4 and 12/,
    ],
    [
      "three rows",
      "t.csv",
      () => csv(rows.slice(0, 3)),
      "lifecycle.not-enough-data",
      /the data spans less than a day.*/,
    ],
    ["too short a time", "t.csv", () => csv(rows.slice(0, 800)), "lifecycle.not-enough-data", /the data spans \d+d/],
    [
      "Infinity in CSV",
      "t.csv",
      () => csv(changed(12, 4, "Infinity")),
      "dataset.type-wrong",
      /tx_amount .*data row 12/,
    ],
    ["Infinity in NDJSON", "t.ndjson", () => ndjson("Infinity"), "dataset.type-wrong", /amount .*data row 10/],
    ["1e999 in NDJSON", "t.ndjson", () => ndjson("1e999"), "dataset.type-wrong", /amount .*data row 10/],
    ["broken NDJSON", "t.ndjson", () => ndjson("{"), "dataset.unreadable", /t\.ndjson line 10/],
  ];

  test.each(cases)("%s", async (_, file, text, code, says) => {
    const dir = copyOf(empty);
    if (text !== null) writeFileSync(path.join(dir, file), text());
    await refused(dir, ["train", "--data", file], { code, says });
    expectNothingRegistered(dir);
  });

  test("Infinity and NaN in Parquet", async () => {
    const dir = copyOf(empty);
    const dataset = await datasetDuckdb();
    for (const [value, says] of [
      [Number.POSITIVE_INFINITY, /tx_amount .*data row 1$/m],
      [Number.NaN, /amount/],
    ] as const) {
      const days = [...simulateDays(WORLD)];
      days[0] = withFirst(days[0], "tx_amount", value);
      await dataset.write(path.join(dir, "t.parquet"), days);
      const { code, stdout, stderr } = await sentinel(["train", "--data", "t.parquet"], { cwd: dir });
      // An infinite amount is no table, a missing one is the data gate's to refuse.
      expect(code).toBe(Number.isNaN(value) ? 1 : 2);
      expect(stdout + stderr).toMatch(says);
      expectNothingRegistered(dir);
    }
  });

  test("NaN and a missing amount are one, and the data gate says no", async () => {
    const dir = copyOf(empty);
    for (const amount of ["NaN", ""]) {
      writeFileSync(path.join(dir, "t.csv"), csv(changed(12, 4, amount)));
      const { code, stdout } = await sentinel(["train", "--data", "t.csv"], { cwd: dir });
      expect(code, amount).toBe(1);
      expect(stdout).toMatch(/fail data gate: amount: .*1 of \d+ rows/);
      expectNothingRegistered(dir);
    }
  });

  test("columns named after Object's own are data like any other", async () => {
    const dir = copyOf(empty);
    const header = `${head},__proto__,constructor`;
    writeFileSync(
      path.join(dir, "t.csv"),
      csv(
        rows.map((line) => `${line},1,2`),
        header,
      ),
    );
    const validated = await sentinelJson(["validate", "--data", "t.csv"], { cwd: dir });
    expect(validated).toMatchObject({ code: 0, json: { verdict: { verdict: "pass" } } });
    const made = await sentinelJson(["train", "--data", "t.csv"], { cwd: dir });
    expect(made).toMatchObject({ code: 0, json: { version: { version: "1" } } });
  });
});

describe("pipelines", () => {
  const yaml = (from: string | RegExp, to: string) => (dir: string) =>
    edit(dir, "pipelines/card.yaml", (text) => text.replace(from, to));
  const cases: [name: string, spoil: (dir: string) => void, code: string, says: RegExp][] = [
    [
      "broken YAML",
      yaml("name: card", "name: card\n  : [broken"),
      "pipeline.invalid",
      /card\.yaml: line \d+, column \d+/,
    ],
    [
      "an unknown key",
      yaml("    margin: 0.02", "    marginal: 0.02"),
      "pipeline.invalid",
      /line \d+: gates\.promotion .*marginal/,
    ],
    [
      "a wrong type",
      yaml("trees: 40", "trees: many"),
      "pipeline.invalid",
      /line \d+: model_parameters\.trees must be integer/,
    ],
    [
      "no duration",
      yaml("delay: 7d", "delay: soon"),
      "pipeline.invalid",
      /line \d+: labels\.delay: "soon" is no duration/,
    ],
    ["a key left out", yaml(/^source: .*\n/m, ""), "pipeline.invalid", /must have required property 'source'/],
    [
      "two columns of one name",
      yaml("[id, tx_id]", "[id, tx_id, amount]"),
      "pipeline.invalid",
      /amount stands for both amount and transaction_id/,
    ],
    ["shares over one", yaml(/history: [\d.]+/, "history: 0.9"), "pipeline.invalid", /split: /],
    [
      "an empty file",
      (dir) => writeFileSync(path.join(dir, "pipelines/card.yaml"), ""),
      "pipeline.invalid",
      /card\.yaml: is empty/,
    ],
    [
      "a folder",
      (dir) => replaceByFolder(path.join(dir, "pipelines/card.yaml")),
      "pipeline.invalid",
      /card\.yaml: cannot be read/,
    ],
    ["no feature file", yaml("features: card ", "features: cards "), "features.spec-missing", /features\/cards\.ts/],
    [
      "a name that is not exported",
      yaml("features: card ", "features: card#other "),
      "features.spec-invalid",
      /card\.ts exports no other; it exports card/,
    ],
    [
      "no suite",
      (dir) => rmSync(path.join(dir, "pipelines/card.suite.json")),
      "quality.suite-invalid",
      /card\.suite\.json/,
    ],
    [
      "a broken suite",
      (dir) => writeFileSync(path.join(dir, "pipelines/card.suite.json"), "{"),
      "quality.suite-invalid",
      /card\.suite\.json/,
    ],
  ];

  test.each(cases)("%s", async (_, spoil, code, says) => {
    const dir = copyOf(empty);
    spoil(dir);
    await refused(dir, ["train"], { code, says });
    expectNothingRegistered(dir);
  });

  test("an unknown pipeline names those there are", async () => {
    await refused(empty, ["train", "--pipeline", "loans"], { code: "pipeline.missing", says: /"loans"[\s\S]*card/ });
    await refused(empty, ["train", "--pipeline", "../card"], { code: "pipeline.missing", says: /"\.\.\/card"/ });
    await refused(empty, ["train", "--workspace", "/nowhere"], {
      code: "pipeline.missing",
      says: /\/nowhere[\s\S]*sentinel init/,
    });
  });

  test("serve refuses a schema that is missing or broken", async () => {
    const dir = copyOf(trained);
    const schema = path.join(dir, "pipelines/card.schema.json");
    writeFileSync(schema, "{");
    await refused(dir, ["serve", "--port", "0"], { code: "pipeline.invalid", says: /card\.schema\.json is no JSON/ });
    rmSync(schema);
    await refused(dir, ["serve", "--port", "0"], { code: "pipeline.invalid", says: /card\.schema\.json/ });
  });
});

describe("features", () => {
  const start = `import { declareColumns } from "sentinel-fraud";
const f = declareColumns({ amount: "number", customer_id: "key" });
`;
  const spec = (features: string): string =>
    `${start}export const card = f.spec({ name: "card", version: 1, features: [${features}] });\n`;
  const cases: [name: string, text: string, says: RegExp][] = [
    ["a syntax error", `${start}export const card = f.spec({\n`, /card\.ts, line 4, does not load/],
    [
      "a package that is not there",
      `import "left-pad";\nexport const card = 1;\n`,
      /card\.ts, line 1, does not load: .*left-pad/,
    ],
    ["something else than a spec", "export const card = 42;\n", /spec/],
    ["no export", "const card = 42;\n", /card\.ts exports no card/],
    [
      "an unknown feature",
      spec('f.column("amount"), f.ratio("r", f.column("amount"), f.nonsense)'),
      /card\.ts, line 3/,
    ],
    ["a misspelt column", spec('f.column("amout")'), /amout/],
  ];

  test.each(cases)("in TypeScript: %s", async (_, text, says) => {
    const dir = copyOf(empty);
    writeFileSync(path.join(dir, "features/card.ts"), text);
    await refused(dir, ["train"], { code: "features.spec-invalid", says });
    expectNothingRegistered(dir);
  });

  const json = (features: readonly object[]): string => JSON.stringify({ name: "card", version: 1, features });
  const ratio = (name: string, numerator: string, denominator: string) => ({
    kind: "ratio",
    name,
    numerator,
    denominator,
  });
  const jsonCases: [name: string, text: string, says: RegExp][] = [
    ["broken JSON", "{", /card\.json is no JSON/],
    ["an unknown kind", json([{ name: "luck", kind: "luck" }]), /luck/],
    ["an unknown feature", json([ratio("a", "amount", "nonsense")]), /nonsense|amount/],
    ["a ring", json([ratio("a", "b", "b"), ratio("b", "a", "a")]), /\ba\b|\bb\b/],
  ];

  test.each(jsonCases)("in JSON: %s", async (_, text, says) => {
    const dir = copyOf(empty);
    rmSync(path.join(dir, "features/card.ts"));
    writeFileSync(path.join(dir, "features/card.json"), text);
    await refused(dir, ["train"], { code: "features.spec-invalid", says });
    expectNothingRegistered(dir);
  });
});

describe("commands", () => {
  const cases: [args: string, code: string, says: RegExp][] = [
    ["frobnicate", "cli.usage", /"frobnicate"[\s\S]*known verbs: init, inspect, demo/],
    ["train --nope", "cli.usage", /--nope/],
    ["train --seed x", "cli.usage", /--seed x is no whole number/],
    ["train extra", "cli.usage", /too many arguments/],
    ["promote --force", "cli.usage", /--reason/],
    ["promote --reason tested", "cli.usage", /--reason needs --force/],
    ["train --reason tested --data gone.csv", "cli.usage", /--reason needs --force/],
    ["import gone.json --reason tested", "cli.usage", /--reason needs --force/],
    ["retrain --reason tested", "cli.usage", /--reason needs --force/],
    ["serve --port 99999", "cli.usage", /--port 99999/],
    ["serve --default nobody", "pipeline.missing", /--default nobody/],
    ["validate --pipeline card --pipeline shop", "cli.usage", /card and shop/],
    ["train --as champion", "cli.usage", /--as champion/],
    ["keys add --role label --only nobody", "cli.usage", /nobody, which is no pipeline here/],
    ["monitor --until soon", "cli.usage", /--until soon/],
    ["registry", "cli.usage", /what/],
    ["registry burn", "cli.usage", /"burn"/],
    ["simulate", "cli.usage", /--out/],
    ["simulate --rate 5 --out t.csv", "cli.usage", /--rate/],
    ["simulate --out t.csv --drift doom@3", "cli.usage", /doom@3/],
    // Asked before the work: the data that are not there are not even looked for.
    ["train --data gone.csv --out pipelines/card.yaml", "workspace.unwritable", /is a file, not a folder/],
    [
      "train --data gone.csv --out pipelines/card.yaml/x/y",
      "workspace.unwritable",
      /lies in .*card\.yaml, which is a file/,
    ],
    ["evaluate --data gone.csv --out pipelines/card.yaml", "workspace.unwritable", /is a file, not a folder/],
    ["featurise --data gone.csv --out pipelines", "dataset.unwritable", /pipelines is a folder, not a file/],
    ["featurise --data gone.csv --out no/f.parquet", "dataset.unwritable", /folder that is not there/],
    ["simulate --days 100000 --out pipelines", "dataset.unwritable", /pipelines is a folder, not a file/],
    ["validate --data gone.csv --report pipelines", "workspace.unwritable", /--report pipelines is a folder/],
    [
      "validate --data gone.csv --result pipelines/card.yaml/r.json",
      "workspace.unwritable",
      /--result .*which is a file/,
    ],
    ["label", "cli.usage", /file/],
    ["promote", "lifecycle.no-candidate", /card-fraud has no candidate[\s\S]*sentinel train/],
    ["promote --to 7", "registry.version-unknown", /7/],
    ["rollback", "lifecycle.no-champion", /no champion[\s\S]*sentinel promote/],
    ["monitor", "lifecycle.no-champion", /no champion/],
    ["retrain", "lifecycle.no-champion", /no champion/],
    ["compare", "lifecycle.no-champion", /no champion/],
    ["registry show", "lifecycle.no-champion", /no champion/],
    ["explain", "cli.usage", /transaction_id/],
    ["explain 99 --version", "cli.usage", /--version/],
    ["explain 99", "request.not-found", /transaction "99" is not in .*card-log\.db/],
  ];

  test.each(cases)("sentinel %s", async (args, code, says) => {
    await refused(empty, args.split(" "), { code, says });
    expectNothingRegistered(empty);
  });

  test("with --json a refusal is one document on stdout", async () => {
    for (const [args, code] of [
      ["train --data gone.csv", "dataset.missing"],
      ["train --nope", "cli.usage"],
      ["simulate --rate 5", "cli.usage"],
      ["rollback", "lifecycle.no-champion"],
      ["", "cli.usage"],
    ]) {
      const ran = await sentinelJson(args.split(" ").filter(Boolean), { cwd: empty, own: true });
      expect(ran).toMatchObject({ code: 2, stderr: "", json: { error: { code } } });
      expect(ran.json.error.hint).toMatch(/\w/);
    }
  });

  test("no verb at all shows the help, and is no success", async () => {
    const { code, stdout, stderr } = await sentinel([], { cwd: empty });
    expect([code, stderr]).toEqual([2, ""]);
    expect(stdout).toMatch(/Usage: sentinel/);
  });

  test("a port in use", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { readonly port: number };
    try {
      const args = ["serve", "--port", String(port), "--log-level", "silent"];
      await refused(trained, args, { code: "server.port-in-use", says: new RegExp(`${port}`) });
    } finally {
      taken.close();
    }
  });
});

describe("what is on disk", () => {
  const NOBODY = 65_534;
  const root = process.getuid?.() === 0;

  test("a file where a folder must be", async () => {
    await refused(empty, ["init", path.join(empty, "pipelines/card.yaml/w")], {
      code: "workspace.unwritable",
      says: /card\.yaml/,
    });
  });

  // As root every folder can be written, so the commands run as nobody; who is not root cannot write a folder of mode 555.
  test.each([["train"], ["simulate", "--out", "data/more.csv"], ["validate"], ["init", "w"]])(
    "a read-only workspace: %s",
    async (...args) => {
      const dir = copyOf(empty);
      const names = (): string[] => readdirSync(dir, { recursive: true, encoding: "utf8" }).sort();
      const before = names();
      makeReadOnly(dir);
      const { code, stderr } = await sentinel(args, { cwd: dir, uid: root ? NOBODY : undefined });
      makeWritable(dir);
      expect(stderr).not.toMatch(/this is a bug/);
      expect(code, stderr).toBe(2);
      expect(stderr).toMatch(/what to do: /);
      expect(names()).toEqual(before);
    },
  );

  test.each([
    ["train", "--data", "gone.csv", "--out", "locked/x"],
    ["evaluate", "--data", "gone.csv", "--out", "locked"],
    ["featurise", "--data", "gone.csv", "--out", "locked/f.parquet"],
    ["validate", "--data", "gone.csv", "--report", "locked/r.html"],
  ])("a folder for results that nobody may write to, before the work: %s", async (...args) => {
    const dir = copyOf(empty);
    // Whoever runs the command may look into the workspace, and write into all of it but this.
    chmodSync(dir, 0o777);
    mkdirSync(path.join(dir, "locked"));
    chmodSync(path.join(dir, "locked"), 0o555);
    const { code, stderr } = await sentinel(args, { cwd: dir, uid: root ? NOBODY : undefined });
    chmodSync(path.join(dir, "locked"), 0o755);
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(/locked.* cannot be written/);
  });

  test("one changed byte of an artifact stops whoever loads it", async () => {
    const dir = copyOf(trained);
    const folder = path.join(dir, "models", "artifacts");
    const file = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((name) => name.endsWith("trees.bin"))!;
    const bytes = readFileSync(path.join(folder, file));
    bytes[bytes.length >> 1] ^= 1;
    chmodSync(path.join(folder, file), 0o644);
    writeFileSync(path.join(folder, file), bytes);
    await refused(dir, ["registry", "show", "1"], {
      code: "bundle.corrupt|registry.corrupt",
      says: /trees\.bin|version 1/,
      exit: 3,
    });
    await refused(dir, ["monitor", "--data", "data/transactions.parquet"], {
      code: "bundle.corrupt|registry.corrupt",
      says: /trees\.bin|version 1/,
      exit: 3,
    });
    const { code, stdout } = await sentinel(["doctor"], { cwd: dir });
    expect(code).toBe(1);
    expect(stdout).toMatch(/✘ registry: /);
  });

  test("a registry that is no database is named, and left as it is", async () => {
    const dir = copyOf(trained);
    const file = path.join(dir, "models", "mlflow.db");
    for (const name of readdirSync(path.dirname(file)))
      if (/-(wal|shm)$/.test(name)) rmSync(path.join(dir, "models", name));
    writeFileSync(file, "this is no database, only text that happens to be here\n".repeat(50));
    const before = readFileSync(file);
    for (const args of [["registry", "list"], ["train"], ["promote"]])
      await refused(dir, args, { code: "registry.corrupt", says: /mlflow\.db/, exit: 3 });
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test("a damaged snapshot of the state is left aside, and the server says that it is cold", async () => {
    const dir = copyOf(trained);
    const folder = path.join(dir, "models", "state", "snapshots");
    const names = readdirSync(folder).filter((name) => name.startsWith("state-"));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const bytes = readFileSync(path.join(folder, name));
      writeFileSync(path.join(folder, name), bytes.subarray(0, bytes.length >> 1));
    }
    const server = await serve(dir);
    try {
      // Better cold than wrong: the model answers from an empty state, and says so.
      const { champion } = (await (await fetch(`${server.url}/model`)).json()) as {
        readonly champion: { readonly state: { readonly warm: boolean } };
      };
      expect(champion.state.warm).toBe(false);
    } finally {
      await server.stop("SIGTERM");
    }
  });

  test("a prediction log of another program is named", async () => {
    const dir = copyOf(trained);
    writeFileSync(path.join(dir, "models", "state", "card-log.db"), "no log\n".repeat(500));
    await refused(dir, ["replay"], { code: "log.unreadable", says: /card-log\.db/, exit: 3 });
  });
});

/** The command ends with the exit code, the code, the words and a hint, on stderr alone; and as one JSON document. */
async function refused(
  dir: string,
  args: readonly string[],
  wanted: { readonly code: string; readonly says: RegExp; readonly exit?: number },
): Promise<void> {
  // A server holds its log open until its process ends.
  const { code, stderr } = await sentinel(args, { cwd: dir, own: args[0] === "serve" });
  expect(stderr).not.toMatch(/this is a bug|^\s+at /m);
  expect(code, stderr).toBe(wanted.exit ?? 2);
  expect(stderr).toMatch(new RegExp(`\\((${wanted.code})\\)`));
  expect(stderr).toMatch(wanted.says);
  expect(stderr).toMatch(/what to do: \S+/);
  expect(stderr).not.toMatch(/\[object|NaN/);
}

function expectNothingRegistered(dir: string): void {
  for (const folder of ["models/artifacts", "data"].filter((name) => existsSync(path.join(dir, name)))) {
    const names = readdirSync(path.join(dir, folder), { recursive: true, encoding: "utf8" }).filter(
      (name) => !["transactions.parquet", ".gitkeep"].includes(name) && /\./.test(name),
    );
    expect(names).toEqual([]);
  }
}

function copyOf(dir: string): string {
  const copy = `${dir}-${copies.length}`;
  cpSync(dir, copy, { recursive: true });
  copies.push(copy);
  return copy;
}

function csvLines(table: Table): string[] {
  const number = (name: string, row: number): number => valuesOf(table.columns.get(name)!)[row];
  return Array.from({ length: table.rows }, (_, row) => {
    const time = new Date(number("tx_datetime", row)).toISOString();
    const others = ["customer_id", "terminal_id", "tx_amount", "tx_fraud"].map((name) => number(name, row));
    return [number("transaction_id", row), time, ...others].join(",");
  });
}

function withFirst(table: Table, name: string, value: number): Table {
  const values = valuesOf(table.columns.get(name)!).slice();
  values[0] = value;
  return { rows: table.rows, columns: new Map([...table.columns, [name, { kind: "number", values }]]) };
}

function valuesOf(column: Column): Float64Array {
  return column.kind === "text" ? new Float64Array(0) : column.values;
}

function replaceByFolder(file: string): void {
  rmSync(file);
  mkdirSync(file);
}

function makeReadOnly(dir: string): void {
  for (const folder of [".", "data", "models", "features", "pipelines"]) chmodSync(path.join(dir, folder), 0o555);
}

function makeWritable(dir: string): void {
  for (const folder of [".", "data", "models", "features", "pipelines"]) chmodSync(path.join(dir, folder), 0o755);
}
