// The environment as it becomes configuration: what names an MLflow server or a Redis, and what is refused.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadConfig, registryName, s3Login } from "../src/config.ts";

const mlflow = (environment: Record<string, string>) => loadConfig({ workspace: "/w", environment }).mlflow;
const URI = "MLFLOW_TRACKING_URI";

describe("MLflow", () => {
  test("without an address the registry is the embedded one, whatever else is set", () => {
    expect(mlflow({})).toBeNull();
    expect(mlflow({ [URI]: "  ", MLFLOW_TRACKING_TOKEN: "t" })).toBeNull();
  });

  test("its address and who asks", () => {
    expect(mlflow({ [URI]: "https://models.example.com:5000/team/" })).toEqual({
      uri: "https://models.example.com:5000/team",
    });
    const all = {
      [URI]: "http://localhost:5000",
      MLFLOW_TRACKING_USERNAME: "ana",
      MLFLOW_TRACKING_PASSWORD: "correct horse",
      MLFLOW_TRACKING_TOKEN: "t",
      MLFLOW_WORKSPACE: "team-a",
    };
    expect(mlflow(all)).toEqual({
      uri: "http://localhost:5000",
      username: "ana",
      password: "correct horse",
      token: "t",
      workspace: "team-a",
    });
  });

  test("registries of one host, told apart by path or workspace, have names of their own on this machine", () => {
    const servers = [
      { uri: "http://localhost:5000" },
      { uri: "http://localhost:5001" },
      { uri: "http://localhost:5000/team" },
      { uri: "http://localhost:5000/team", workspace: "blue" },
      { uri: "http://localhost:5000", workspace: "blue" },
      { uri: "http://localhost:5000", workspace: "a/b" },
      { uri: "http://localhost:5000/@blue" },
    ];
    const names = servers.map(registryName);
    expect(new Set(names).size).toBe(servers.length);
    expect(names[0]).toBe("localhost_5000");
    for (const name of names) expect(name).toMatch(/^[a-z0-9][a-z0-9._-]{0,90}$/);
  });

  test.each([
    ["a file", { [URI]: "sqlite:///mlflow.db" }],
    ["a folder", { [URI]: "./mlruns" }],
    ["a password in the address", { [URI]: "http://ana:s3cret@host" }],
    ["a query", { [URI]: "http://host/?a=s3cret" }],
    ["half of a login", { [URI]: "http://host", MLFLOW_TRACKING_PASSWORD: "s3cret" }],
    ["a token with a line break", { [URI]: "http://host", MLFLOW_TRACKING_TOKEN: "s3cret\n" }],
    ["any certificate", { [URI]: "https://host", MLFLOW_TRACKING_INSECURE_TLS: "true" }],
  ])("refuses %s, and does not repeat it", (_, environment) => {
    const refused = () => mlflow(environment);
    expect(refused).toThrow(expect.objectContaining({ code: "config.invalid" }));
    expect(refused).not.toThrow(/s3cret/);
  });
});

describe("Redis", () => {
  const redis = (url: string) => loadConfig({ workspace: "/w", environment: { SENTINEL_REDIS_URL: url } }).redis;

  test("without an address each process keeps its own feature state", () => {
    expect(redis(" ")).toBeNull();
    expect(loadConfig({ workspace: "/w", environment: {} }).redis).toBeNull();
  });

  test("its address and who asks", () => {
    expect(redis("redis://cache.example.com")).toEqual({
      host: "cache.example.com",
      port: 6379,
      database: 0,
      tls: false,
      username: undefined,
      password: undefined,
    });
    expect(redis("rediss://ana:p%40ss%2Fword@[::1]:7000/3")).toEqual({
      host: "::1",
      port: 7000,
      database: 3,
      tls: true,
      username: "ana",
      password: "p@ss/word",
    });
  });

  test.each([
    ["another protocol", "http://ana:s3cret@host"],
    ["no address at all", "s3cret"],
    ["no host", "redis://"],
    ["a database that is no number", "redis://:s3cret@host/cards"],
    ["a query", "redis://:s3cret@host/0?x=1"],
    ["a broken escape", "redis://:s3cret%zz@host"],
  ])("refuses %s, and does not repeat it", (_, url) => {
    expect(() => redis(url)).toThrow(expect.objectContaining({ code: "config.invalid" }));
    expect(() => redis(url)).not.toThrow(/s3cret/);
  });
});

test("keys come by their hashes; what is no list of role:hash is refused, and never shown", () => {
  const hash = "ab".repeat(32);
  const { keys, key } = loadConfig({
    environment: { SENTINEL_KEYS: `predict:${hash}, label:${hash}`, SENTINEL_CLIENT_KEY: "k" },
  });
  expect(keys.map(({ role }) => role)).toEqual(["predict", "label"]);
  expect(key).toBe("k");
  for (const wrong of ["predict", `boss:${hash}`, "predict:secret-in-clear", hash]) {
    const load = () => loadConfig({ environment: { SENTINEL_KEYS: wrong } });
    expect(load).toThrow(/SENTINEL_KEYS is no list/);
    expect(load).not.toThrow(/secret-in-clear/);
  }
});

test("Sentinels and clusters of Redis are refused by name", () => {
  for (const url of ["redis-sentinel://a:26379/primary", "redis+cluster://a:6379", "rediss+sentinel://a"]) {
    expect(() => loadConfig({ environment: { SENTINEL_REDIS_URL: url } })).toThrow(/not supported/);
  }
});

test("the archive's place and the login of a bucket come from the environment, and no secret is shown", () => {
  const load = (environment: Record<string, string>) => loadConfig({ workspace: "/w", environment });
  expect(load({})).toMatchObject({ archiveUrl: null, s3: null });
  expect(load({ SENTINEL_ARCHIVE_URL: "s3://bucket/prefix" }).archiveUrl).toBe("s3://bucket/prefix");
  expect(load({ SENTINEL_ARCHIVE_URL: "archive" }).archiveUrl).toBe("archive");
  for (const wrong of ["s3://", "gs://bucket/x", "https://user:s3cret@host/bucket"]) {
    expect(() => load({ SENTINEL_ARCHIVE_URL: wrong }), wrong).toThrow(
      expect.objectContaining({ code: "config.invalid" }),
    );
    expect(() => load({ SENTINEL_ARCHIVE_URL: wrong })).not.toThrow(/s3cret/);
  }
  const key = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "s3cret" };
  expect(s3Login(load(key))).toMatchObject({ endpoint: null, region: "us-east-1", sessionToken: undefined });
  const all = { ...key, AWS_SESSION_TOKEN: "t", AWS_DEFAULT_REGION: "eu-west-1", AWS_ENDPOINT_URL: "http://h:1/" };
  expect(s3Login(load(all))).toMatchObject({ endpoint: "http://h:1", region: "eu-west-1", sessionToken: "t" });
  expect(s3Login(load({ ...all, AWS_ENDPOINT_URL_S3: "https://s:2", AWS_REGION: "x-1" }))).toMatchObject({
    endpoint: "https://s:2",
    region: "x-1",
  });
  expect(() => s3Login(load({ AWS_ACCESS_KEY_ID: "id" }))).toThrow(/no key/);
});

describe("Kafka", () => {
  const load = (environment: Record<string, string>) => loadConfig({ workspace: "/w", environment }).kafka;

  test("brokers, TLS and a login are read", () => {
    expect(load({})).toBeNull();
    expect(load({ SENTINEL_KAFKA_BROKERS: " one:9093 ,two, [::1]:9094" })).toEqual({
      brokers: ["one:9093", "two:9092", "[::1]:9094"],
      tls: false,
      sasl: null,
    });
    const login = { SENTINEL_KAFKA_USERNAME: "u", SENTINEL_KAFKA_PASSWORD: "p" };
    const all = {
      SENTINEL_KAFKA_BROKERS: "one",
      SENTINEL_KAFKA_TLS: "true",
      SENTINEL_KAFKA_SASL: "SCRAM-SHA-512",
      ...login,
    };
    expect(load(all)).toMatchObject({ tls: true, sasl: { mechanism: "scram-sha-512", username: "u", password: "p" } });
    expect(load({ SENTINEL_KAFKA_BROKERS: "one", ...login })).toMatchObject({ sasl: { mechanism: "plain" } });
  });

  test.each([
    { SENTINEL_KAFKA_BROKERS: "kafka://ana:s3cret@host:9092" },
    { SENTINEL_KAFKA_BROKERS: "ana:s3cret@host" },
    { SENTINEL_KAFKA_BROKERS: "host:0" },
    { SENTINEL_KAFKA_BROKERS: "host:99999" },
    { SENTINEL_KAFKA_BROKERS: "host", SENTINEL_KAFKA_TLS: "maybe" },
    { SENTINEL_KAFKA_BROKERS: "host", SENTINEL_KAFKA_SASL: "oauth" },
    { SENTINEL_KAFKA_BROKERS: "host", SENTINEL_KAFKA_PASSWORD: "s3cret" },
    { SENTINEL_KAFKA_BROKERS: "host", SENTINEL_KAFKA_SASL: "plain" },
  ] as Record<string, string>[])("%j is refused, and no password is shown", (environment) => {
    expect(() => load(environment)).toThrow(expect.objectContaining({ code: "config.invalid" }));
    expect(() => load(environment)).not.toThrow(/s3cret/);
  });
});

describe("SENTINEL_DATABASE_URL", () => {
  const database = (url: string) =>
    loadConfig({ workspace: "/w", environment: { SENTINEL_DATABASE_URL: url } }).database;

  test("without an address the store is a file of the workspace", () => {
    expect(database(" ")).toBeNull();
    expect(loadConfig({ workspace: "/w", environment: {} }).database).toBeNull();
  });

  test("its address, who asks, and which tables", () => {
    expect(database("postgres://db.example.com/fraud")).toEqual({
      host: "db.example.com",
      port: 5432,
      database: "fraud",
      user: undefined,
      password: undefined,
      tls: "off",
      schema: "sentinel",
    });
    const all = "postgresql://ana:p%40ss%2Fw%23rd@[::1]:6432/fra%20ud?sslmode=verify-full&schema=team_a";
    expect(database(all)).toEqual({
      host: "::1",
      port: 6432,
      database: "fra ud",
      user: "ana",
      password: "p@ss/w#rd",
      tls: "verified",
      schema: "team_a",
    });
    expect(database("postgres://h/d?sslmode=require")).toMatchObject({ tls: "encrypted" });
  });

  test.each([
    "db.example.com",
    "mysql://ana:s3cret@h/d",
    "postgres://ana:s3cret@h",
    "postgres://ana:s3cret@h/",
    "postgres://ana:s3cret@h/a/b",
    "postgres:///d",
    "postgres://ana:s3cret@h/d#x",
    "postgres://ana:s3cret@h/d?sslmode=prefer",
    "postgres://ana:s3cret@h/d?sslmode=toString",
    "postgres://ana:s3cret@h/d?schema=a;drop",
    "postgres://ana:s3cret@h/d?schema=pg_catalog",
    "postgres://ana:s3cret@h/d?options=-c%20x",
    "postgres://ana:s3%ret@h/d",
    "postgres://ana:s3cret@h:99999/d",
  ])("%s is refused and not shown", (url) => {
    const refused = () => database(url);
    expect(refused).toThrow(
      expect.objectContaining({ code: "config.invalid", message: expect.stringContaining("SENTINEL_DATABASE_URL") }),
    );
    expect(refused).not.toThrow(/s3/);
  });
});

describe("variables that begin with SENTINEL_", () => {
  const load = (environment: Record<string, string>) => loadConfig({ workspace: "/w", environment });

  test.each([
    ["SENTINEL_REDIS_URI", "SENTINEL_REDIS_URL"],
    ["SENTINEL_REDISURL", "SENTINEL_REDIS_URL"],
    ["SENTINEL_THREAD", "SENTINEL_THREADS"],
    ["SENTINEL_ADMINKEY", "SENTINEL_ADMIN_KEY"],
    ["SENTINEL_KAFKA_BROKER", "SENTINEL_KAFKA_BROKERS"],
    ["SENTINEL_WORKSPCE", "SENTINEL_WORKSPACE"],
    ["SENTINEL_redis_url", "SENTINEL_REDIS_URL"],
  ])("%s is refused with the name that was meant, and without its value", (name, meant) => {
    const refused = () => load({ [name]: "s3cret" });
    expect(refused).toThrow(
      expect.objectContaining({ code: "config.invalid", hint: expect.stringContaining(`did you mean ${meant}?`) }),
    );
    expect(refused).not.toThrow(/s3cret/);
  });

  test("a name like no other is told and changes nothing", () => {
    expect(load({ SENTINEL_FAVOURITE_COLOUR: "red", OTHER: "x" }).warnings).toEqual([
      "SENTINEL_FAVOURITE_COLOUR is set, and Sentinel does not read it (see docs/configuration.md)",
    ]);
    expect(load({ SENTINEL_PORT: "8080" }).warnings).toHaveLength(1);
  });

  test("addresses that Kubernetes sets beside services of this name are no settings", () => {
    const ofKubernetes = {
      SENTINEL_SERVICE_HOST: "10.0.0.11",
      SENTINEL_SERVICE_PORT: "8080",
      SENTINEL_SERVICE_PORT_HTTP: "8080",
      SENTINEL_PORT: "tcp://10.0.0.11:8080",
      SENTINEL_PORT_8080_TCP: "tcp://10.0.0.11:8080",
      SENTINEL_PORT_8080_TCP_PROTO: "tcp",
      SENTINEL_PORT_8080_TCP_ADDR: "10.0.0.11",
      SENTINEL_REDIS_PORT: "tcp://10.0.0.12:6379",
      SENTINEL_REDIS_SERVICE_HOST: "10.0.0.12",
    };
    expect(load(ofKubernetes).warnings).toEqual([]);
  });

  test("every variable that the page names is known, and the page names every one", () => {
    const page = readFileSync(new URL("../docs/configuration.md", import.meta.url), "utf8");
    const named = [...page.matchAll(/^\| `(SENTINEL_[A-Z_]+)`/gm)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(6);
    const misspelt = (name: string) => `${name.slice(0, -1)}${name.at(-1) === "X" ? "Y" : "X"}`;
    for (const name of named) {
      expect(() => load({ [misspelt(name)]: "x" }), name).toThrow(
        expect.objectContaining({ hint: expect.stringContaining(`did you mean ${name}?`) }),
      );
    }
  });
});
test("the port for gRPC is a port or none, and the address that Kubernetes sets beside a service is none", () => {
  const port = (text: string) => loadConfig({ workspace: "/w", environment: { SENTINEL_GRPC_PORT: text } }).grpcPort;
  expect(["50051", " 0 ", "", "65535"].map(port)).toEqual([50051, 0, null, 65_535]);
  expect(port("tcp://10.96.0.12:50051")).toBeNull();
  for (const text of ["65536", "-1", "1.5", "grpc", "0x10", "127.0.0.1:50051"]) {
    expect(() => port(text), text).toThrow(/SENTINEL_GRPC_PORT is/);
  }
});
