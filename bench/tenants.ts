// Tenants: memory and p99 of one server with one tenant and with a hundred, each with a pipeline, its rules and a key, under the same load.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { assert } from "../src/core/errors.ts";
import { Random } from "../src/core/random.ts";
import { type Bench, type BenchOptions, type Figures, median } from "./bench.ts";
import type { LoadResult } from "./load-own.ts";
import { COMMAND, loader, processorSeconds, residentMb, type SentinelProcess, sentinelServer } from "./serving.ts";
import { temporaryFolder } from "./workspace.ts";

/** Unless `--rows` says otherwise. */
const TENANTS = 100;
/** Of all tenants together, in turn: half of what a slow core answers. */
const RATE = 1000;
const SECONDS = 5;
const CONNECTIONS = 16;
const WARM_UP = 4000;
const BODIES = 20_000;
const USERS = 5000;
/** Of each tenant; a window's rule keeps a state by user. */
const RULES = ["amount > 900", "amount > 500 AND country <> 'FR'", "count_last('10m', user_id) > 20"];
const FIELDS = [
  { name: "transaction_id", type: "string", nullable: false },
  { name: "user_id", type: "string", nullable: false },
  { name: "amount", type: "float", nullable: false },
  { name: "country", type: "string", nullable: false },
];
/** Tenants are taken in by the server, one after the other. */
const WAIT_MS_MAX = 120_000;

type Name = "one" | "hundred";

interface Side {
  readonly server: SentinelProcess;
  /** One for each tenant. */
  readonly keys: readonly string[];
}

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const tenants = options.rows ?? TENANTS;
    const bodiesFile = bodiesIn(temporaryFolder(), options.seed);
    const sides: Partial<Record<Name, Side>> = {};
    try {
      for (const [name, count] of [
        ["one", 1],
        ["hundred", tenants],
      ] as const) {
        sides[name] = await sideOf(count);
        options.print(`  ${count} ${count === 1 ? "tenant serves" : "tenants serve"}`);
      }
      return { tenants, ...(await measure(options, { sides: sides as Record<Name, Side>, bodiesFile, tenants })) };
    } finally {
      for (const side of Object.values(sides)) await side.server.stop();
    }
  },
};

async function measure(
  options: BenchOptions,
  on: { readonly sides: Record<Name, Side>; readonly bodiesFile: string; readonly tenants: number },
): Promise<Figures> {
  const { sides, bodiesFile, tenants } = on;
  const names: readonly Name[] = ["one", "hundred"];
  const sidesOf = (): Record<Name, number[]> => ({ one: [], hundred: [] });
  const [p50, p99, rss, cores] = [sidesOf(), sidesOf(), sidesOf(), sidesOf()];
  for (let round = 0; round < options.repeats; round++) {
    // Each round starts with the other.
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      const { server, keys } = sides[name];
      const load = loader(
        { port: server.port, connections: CONNECTIONS, seconds: SECONDS, bodiesFile, warmUp: WARM_UP },
        `t${round}-${name}`,
      );
      const cpu = processorSeconds(server.pid);
      const begun = performance.now();
      const result: LoadResult = await load({ path: "/pipelines/payments/predict", rate: RATE, keys });
      cores[name].push((1000 * (processorSeconds(server.pid) - cpu)) / (performance.now() - begun));
      assert(
        result.answered > 0 && result.statuses[200] === result.answered && result.unanswered === 0,
        `every tenant's transactions are answered with 200: ${JSON.stringify(result.statuses)}`,
      );
      p50[name].push(result.p50Ms);
      p99[name].push(result.p99Ms);
      rss[name].push(residentMb(server.pid));
      options.print(
        `  ${name.padEnd(8)} p50 ${result.p50Ms.toFixed(2)}  p99 ${result.p99Ms.toFixed(2)} ms  ${Math.round(rss[name].at(-1)!)} MB  ${cores[name].at(-1)!.toFixed(2)} cores`,
      );
    }
  }
  const medians = (of: Record<Name, number[]>): Figures => ({ one: median(of.one), hundred: median(of.hundred) });
  return {
    rssMb: medians(rss),
    /** Of each tenant but the first. */
    rssMbPerTenant: tenants > 1 ? (median(rss.hundred) - median(rss.one)) / (tenants - 1) : 0,
    p50Ms: medians(p50),
    p99Ms: medians(p99),
    cores: medians(cores),
  };
}

/** A server of an empty workspace with so many tenants, the first one included, each ready to answer. */
async function sideOf(count: number): Promise<Side> {
  const dir = path.join(temporaryFolder(), "workspace");
  mkdirSync(dir);
  const keyOf = (role: string): string => {
    const args = ["keys", "add", "--role", role, "--name", role, "--workspace", dir, "--json"];
    const text = execFileSync(process.execPath, [COMMAND, ...args], { encoding: "utf8" });
    return (JSON.parse(text) as { readonly key: string }).key;
  };
  const [operator, first] = [keyOf("operator"), keyOf("admin")];
  const server = await sentinelServer(dir);
  try {
    const ask = async (key: string, at: string, body: object): Promise<unknown> => {
      const response = await fetch(`http://127.0.0.1:${server.port}${at}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": key },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      assert(response.ok, `${at} answers ${response.status}: ${text}`);
      return JSON.parse(text);
    };
    const keys = [first];
    for (let i = 1; i < count; i++) {
      const made = await ask(operator, "/api/tenants", { name: `tenant-${i}`, title: `Tenant ${i}` });
      keys.push((made as { readonly key: string }).key);
    }
    for (const key of keys) {
      await untilServed(server.port, key);
      await ask(key, "/api/pipelines", { name: "Payments", schema: FIELDS });
      for (const [i, rule_expression] of RULES.entries())
        await ask(key, "/api/pipelines/payments/rules", { name: `rule-${i}`, rule_expression });
    }
    return { server, keys };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function untilServed(port: number, key: string): Promise<void> {
  const end = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const { status } = await fetch(`http://127.0.0.1:${port}/api/pipelines`, { headers: { "x-api-key": key } });
    if (status === 200) return;
    assert(performance.now() < end, `a tenant is served within ${WAIT_MS_MAX} ms, its key answers ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Payments of some thousand users, each with `@` for the id. */
function bodiesIn(folder: string, seed: number): string {
  const random = new Random(seed);
  const bodies = Array.from({ length: BODIES }, () =>
    JSON.stringify({
      transaction_id: "@",
      user_id: `user-${Math.floor(random.next() * USERS)}`,
      amount: Math.round(random.next() * 100_000) / 100,
      country: random.next() < 0.9 ? "FR" : "GB",
    }),
  );
  const file = path.join(folder, "bodies.json");
  writeFileSync(file, JSON.stringify(bodies));
  return file;
}
