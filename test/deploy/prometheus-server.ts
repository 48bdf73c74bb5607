// A real Prometheus for tests: our own configuration with other targets and a quicker pace, a free port, and an end.
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";

/** Where the configuration and the rules are. */
export const RULES_DIR = fileURLToPath(new URL("../../deploy/prometheus/", import.meta.url));

export function prometheusInstalled(): boolean {
  return ["prometheus", "promtool"].every((name) => spawnSync(name, ["--version"]).status === 0);
}

/** What promtool says. Throws when it finds a fault. */
export function promtool(...args: string[]): string {
  return execFileSync("promtool", args, { cwd: RULES_DIR, encoding: "utf8", stdio: "pipe" });
}

export interface PrometheusProcess {
  /** The samples of an instant query. Throws when the query is refused. */
  query(
    expr: string,
  ): Promise<readonly { readonly metric: Readonly<Record<string, string>>; readonly value: number }[]>;
  stop(): Promise<void>;
}

/** Scrapes `target` twice a second, with our own configuration and rules. */
export async function startPrometheus(target: string): Promise<PrometheusProcess> {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-prometheus-"));
  const config = parse(readFileSync(path.join(RULES_DIR, "prometheus.yml"), "utf8"));
  config.global = { scrape_interval: "500ms", evaluation_interval: "500ms" };
  config.rule_files = config.rule_files.map((file: string) => path.join(RULES_DIR, file));
  config.scrape_configs[0].static_configs[0].targets = [target];
  const file = path.join(dir, "prometheus.yml");
  writeFileSync(file, stringify(config));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    "prometheus",
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${path.join(dir, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: "ignore" },
  );
  const stop = async (): Promise<void> => {
    await ended(child);
    rmSync(dir, { recursive: true, force: true });
  };
  for (;;) {
    if (child.exitCode !== null) {
      await stop();
      throw new Error(`prometheus ended with ${child.exitCode}`);
    }
    if ((await fetch(`${url}/-/ready`).catch(() => null))?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    async query(expr) {
      const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: expr })}`);
      const body = (await response.json()) as {
        readonly error?: string;
        readonly data?: {
          readonly result: readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[];
        };
      };
      if (body.data === undefined) throw new Error(`${expr}: ${body.error}`);
      return body.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    stop,
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
