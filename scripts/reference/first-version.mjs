// Makes test/lifecycle/first-version.br: a small workspace as version 0.1.0 left it, its champion, its journal, its log and what it answered.
// Usage: git worktree add /tmp/first 808f604, build it there, then node scripts/reference/first-version.mjs /tmp/first
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

const TARGET = fileURLToPath(new URL("../../test/lifecycle/first-version.br", import.meta.url));
const MAIN = path.resolve(process.argv[2], "dist", "src", "cli", "main.js");
const ROWS = 1000;
const ANSWERS = 60;
const START = Date.UTC(2026, 0, 1);
const HALF_HOUR_MS = 1_800_000;
/** What a test has no use for; the state that training left was replaced by the server's own. */
const LEFT_OUT = /dvc\.yaml|params\.yaml|gitkeep|gitignore|handbook|state-train/;

/** One feature of each kind that the version knew. */
const FEATURES = `import { declareColumns } from "sentinel";

const f = declareColumns({ amount: "number", customer_id: "key", terminal_id: "key" });
const customer = { key: "customer_id" } as const;
const terminal = { key: "terminal_id" } as const;
const delay = "7d";
const within = "35d";
const amount = f.column("amount");
const usual = f.window("usual_7d", { ...customer, over: "amount", aggregate: "mean", window: "7d", current: false });

export const card = f.spec({
  name: "card",
  version: 1,
  features: [
    amount,
    f.time("hour", "hour"),
    f.time("night", "night"),
    f.window("transactions_1d", { ...customer, over: "transactions", window: "1d" }),
    f.window("spend_std_7d", { ...customer, over: "amount", aggregate: "std", window: "7d" }),
    f.window("spend_max_30d", { ...customer, over: "amount", aggregate: "max", window: "30d" }),
    usual,
    f.ratio("amount_to_usual", amount, usual),
    f.difference("amount_over_usual", amount, usual),
    f.multiple("spends_3x_usual_7d", { ...customer, over: "amount", times: 3, window: "7d", usual: "30d" }),
    f.elapsed("seconds_since_last", { ...customer, since: "last-transaction", within: "30d", unit: "seconds" }),
    f.window("terminal_frauds_14d", { ...terminal, over: "frauds", window: "14d", delay }),
    f.window("terminal_fraud_rate_7d", { ...terminal, over: "fraud-rate", window: "7d", delay, empty: 0 }),
    f.elapsed("terminal_days_since_fraud", { ...terminal, since: "last-fraud", within, unit: "days" }),
    f.sinceFraud("terminal_genuine_since_fraud", { ...terminal, within, delay }),
  ],
});
`;

/** Few trees, so that the file stays small; reviews for some of so few rows; a seed whose trees are better without the anomaly score. */
const FEWER = [
  ["trees: 300", "trees: 12"],
  ["anomaly_trees: 100", "anomaly_trees: 3"],
  ["anomaly_sample: 256", "anomaly_sample: 32"],
  ["  seed: 1", "  seed: 2"],
  ["review_share: 0.01", "review_share: 0.1"],
  ["data/transactions.parquet", "data/transactions.csv"],
];

let seed = 7;
/** A whole number below `n`. */
function draw(n) {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return (seed >>> 8) % n;
}

function table() {
  const lines = ["transaction_id,time,amount,customer_id,terminal_id,is_fraud"];
  let time = START;
  for (let row = 0; row < ROWS; row++) {
    time += draw((2 * 50 * 86_400) / ROWS) * 1000;
    const terminal = draw(15);
    const amount = (100 + draw(30_000)) / 100;
    const fraud = draw(100) < (terminal < 4 && amount > 110 ? 85 : 1) ? 1 : 0;
    const at = new Date(time).toISOString().slice(0, 19);
    lines.push(`t${row},${at},${amount},c${draw(30)},m${terminal},${fraud}`);
  }
  return { text: `${lines.join("\n")}\n`, end: time };
}

const dir = mkdtempSync(path.join(tmpdir(), "sentinel-first-"));
const sentinel = (...args) => execFileSync(process.execPath, [MAIN, ...args], { cwd: dir, stdio: ["ignore", 2, 2] });
const post = async (url, body) => {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return (await fetch(url, init)).json();
};

sentinel("init", dir);
writeFileSync(path.join(dir, "features", "card.ts"), FEATURES);
const file = path.join(dir, "pipelines", "card.yaml");
writeFileSync(
  file,
  FEWER.reduce((text, [from, to]) => text.replace(from, to), readFileSync(file, "utf8")),
);
const { text, end } = table();
writeFileSync(path.join(dir, "data", "transactions.csv"), text);
sentinel("train", "--force", "--reason", "a small table");
sentinel("promote", "--to", "1", "--force", "--reason", "a first champion");
const server = spawn(process.execPath, [MAIN, "serve", "--port", "0"], {
  cwd: dir,
  stdio: ["ignore", "ignore", "pipe"],
});
const ended = new Promise((resolve) => server.once("close", resolve));
const port = await new Promise((resolve) =>
  createInterface({ input: server.stderr }).on("line", (line) => {
    if (line.includes('"msg":"listening"')) resolve(JSON.parse(line).port);
  }),
);
const url = `http://127.0.0.1:${port}`;
while (!(await fetch(`${url}/readyz`)).ok) await new Promise((resolve) => setTimeout(resolve, 50));
const answers = [];
for (let at = 0; at < ANSWERS; at++) {
  const [customer, terminal, amount] = [draw(32), draw(16), (100 + draw(30_000)) / 100];
  const time = new Date(end + (at + 1) * HALF_HOUR_MS).toISOString();
  const ids = { customer_id: `c${customer}`, terminal_id: `m${terminal}` };
  answers.push(await post(`${url}/predict`, { transaction_id: `o-${at}`, time, ...ids, amount }));
  if (at % 20 === 5) await post(`${url}/feedback`, [{ transaction_id: `o-${at}`, fraud: at % 40 === 5 }]);
}
server.kill("SIGTERM");
await ended;
writeFileSync(path.join(dir, "answers.json"), JSON.stringify(answers));
sentinel("replay");

// A line of names and lengths, then the files one after the other.
const names = readdirSync(dir, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && !LEFT_OUT.test(entry.name))
  .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)))
  .sort();
const bodies = names.map((name) => readFileSync(path.join(dir, name)));
const head = Buffer.from(`${JSON.stringify(names.map((name, at) => [name, bodies[at].length]))}\n`);
const whole = Buffer.concat([head, ...bodies]);
const params = {
  [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
  [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
};
writeFileSync(TARGET, brotliCompressSync(whole, { params }));
rmSync(dir, { recursive: true });
