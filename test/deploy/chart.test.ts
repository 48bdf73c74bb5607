// The Helm chart: its values by their schema, its names against the product's; and, where helm and kubeconform are built, what it renders.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { verb as db } from "../../src/cli/db.ts";
import { verb as gateway } from "../../src/cli/gateway.ts";
import { verb as monitor } from "../../src/cli/monitor.ts";
import { verb as retrain } from "../../src/cli/retrain.ts";
import { verb as serve } from "../../src/cli/serve.ts";
import { verb as stream } from "../../src/cli/stream.ts";
import { parseDuration } from "../../src/core/duration.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CHART = path.join(ROOT, "deploy/helm/sentinel");
const VALUES = path.join(ROOT, "deploy/helm/values");
const read = (...file: string[]): string => readFileSync(path.join(...file), "utf8");
const valuesFiles = readdirSync(VALUES).filter((file) => file.endsWith(".yaml"));
const templates = readdirSync(path.join(CHART, "templates"));
const chartText = templates.map((file) => read(CHART, "templates", file)).join("\n");

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** As Helm puts a values file over the chart's own. */
function merged(below: unknown, above: unknown): unknown {
  if (!isObject(below) || !isObject(above)) return above;
  const all = { ...below };
  for (const [key, value] of Object.entries(above)) all[key] = key in below ? merged(below[key], value) : value;
  return all;
}

const defaults = parse(read(CHART, "values.yaml")) as Json;
const validate = new Ajv2020({ allErrors: true }).compile(JSON.parse(read(CHART, "values.schema.json")) as object);

test("the values and every values file are what the schema allows, and nothing else is", () => {
  expect(valuesFiles).toEqual(["laptop.yaml", "own.yaml", "redis.yaml"]);
  for (const file of [null, ...valuesFiles]) {
    const values = file === null ? defaults : merged(defaults, parse(read(VALUES, file)));
    expect([file, validate(values), validate.errors]).toEqual([file, true, null]);
  }
  const wrong: readonly unknown[] = [
    { secret: "x" },
    { secrets: { adminKey: { name: "x", value: "a key itself" } } },
    { server: { replicas: 0 } },
    { server: { announce: "soon" } },
    { gateway: { policy: "fraud" } },
    { gateway: { terminationGracePeriodSeconds: 5 } },
    { mlflow: { uri: "mlflow" } },
    { kafka: { brokers: "kafka" } },
    { models: { size: "20 GB" } },
    { server: { resources: { limits: { memory: "two" } } } },
  ];
  for (const one of wrong) expect([one, validate(merged(defaults, one))]).toEqual([one, false]);
});

/** Every key of the values, by its path. */
function pathsOf(value: unknown, from = ""): readonly string[] {
  if (!isObject(value) || Object.keys(value).length === 0) return [from];
  return Object.entries(value).flatMap(([key, one]) => pathsOf(one, from === "" ? key : `${from}.${key}`));
}

test("every value is used", () => {
  const whole = pathsOf(defaults).filter((one) => !one.includes(".resources."));
  const unused = whole.filter((one) => {
    const parts = one.split(".");
    // Templates reach some through `with` and `get`: then the last names stand there.
    const last = parts.at(-1)!;
    return (
      !chartText.includes(`.${last}`) &&
      !chartText.includes(`"${last}"`) &&
      !chartText.includes(parts.slice(-2).join("."))
    );
  });
  expect(unused).toEqual([]);
});

test("flags are those of the verbs, and the verbs' own", () => {
  const verbs = {
    "server.yaml": [serve],
    "gateway.yaml": [gateway],
    "stream.yaml": [stream],
    "jobs.yaml": [retrain, monitor, db],
  };
  const common = ["--pipeline"];
  expect(read(ROOT, "src/cli/main.ts")).toContain("--pipeline <name");
  let count = 0;
  for (const [file, own] of Object.entries(verbs)) {
    const known = new Set([
      ...common,
      ...own.flatMap(({ options }) => options.map(([flags]) => flags.split(/[ ,]/)[0])),
    ]);
    for (const [, flag] of read(CHART, "templates", file).matchAll(/^\s*- (--[a-z-]+)/gm)) {
      count++;
      expect([file, flag, known.has(flag)]).toEqual([file, flag, true]);
    }
  }
  expect(count).toBeGreaterThan(20);
});

test("variables are those that the configuration reads", () => {
  const config = read(ROOT, "src/config.ts");
  const named = [...chartText.matchAll(/(?:- name: |"name" ")([A-Z][A-Z0-9_]+)/g)].map(([, name]) => name);
  expect(new Set(named).size).toBeGreaterThan(18);
  for (const name of named)
    expect([name, config.includes(`"${name}"`) || config.includes(`${name}:`) || config.includes(`.${name}`)]).toEqual([
      name,
      true,
    ]);
});

test("ports, paths, user and folders are those of the image and of the product", () => {
  const dockerfile = read(ROOT, "Dockerfile");
  expect(chartText).toContain("runAsUser: 10001");
  expect(dockerfile).toContain("USER 10001:10001");
  expect(dockerfile).toContain('VOLUME ["/workspace/models"]');
  for (const port of [8000, 50_051]) expect(dockerfile).toContain(`EXPOSE ${port}\n`);
  for (const [, probe] of chartText.matchAll(/httpGet: \{ path: (\/\w+)/g)) {
    for (const file of ["src/server/probes.ts", "src/server/gateway.ts", "src/stream/probes.ts"]) {
      expect(read(ROOT, file)).toContain(`"${probe}"`);
    }
  }
  expect(read(ROOT, "src/cli/stream.ts")).toContain("9464");
  expect(read(ROOT, "src/cli/gateway.ts")).toContain("8080");
});

test("rules and dashboards are those of deploy/, and there is no second copy", () => {
  const files = readdirSync(path.join(CHART, "files"));
  const there = [
    ...readdirSync(path.join(ROOT, "deploy/prometheus")).filter((file) => /^(alerts|recording|slo)\.yml$/.test(file)),
    ...readdirSync(path.join(ROOT, "deploy/grafana/dashboards")),
  ];
  expect([...files].sort()).toEqual([...there].sort());
  for (const file of files) {
    expect(realpathSync(path.join(CHART, "files", file))).toMatch(/deploy\/(prometheus|grafana\/dashboards)\//);
  }
});

test("no secret stands in the chart, its values or Argo CD's files: only names of Secrets", () => {
  expect(chartText).not.toMatch(/kind: Secret\s*$/m);
  expect(chartText).not.toContain("stringData");
  for (const file of valuesFiles)
    expect(read(VALUES, file)).not.toMatch(/(password|token|secret): *["']?[A-Za-z0-9+/]{16}/i);
});

test("Argo CD's files name the chart, values files that are there, and a tag for the code", () => {
  const application = parse(read(ROOT, "deploy/argocd/application.yaml"));
  expect(existsSync(path.join(ROOT, application.spec.source.path, "Chart.yaml"))).toBe(true);
  for (const file of application.spec.source.helm.valueFiles) expect(existsSync(path.join(CHART, file))).toBe(true);
  expect(application.spec.source.targetRevision).toMatch(/^v\d+\.\d+\.\d+$/);
  const set = parse(read(ROOT, "deploy/argocd/applicationset.yaml"));
  for (const { values, tag } of set.spec.generators[0].list.elements) {
    expect(valuesFiles).toContain(`${values}.yaml`);
    expect(tag).toMatch(/^\d+\.\d+\.\d+$/);
  }
});

const HELM = path.join(ROOT, ".cache/helm");
const built = existsSync(path.join(HELM, "stamp"));
if (!built)
  console.warn(
    "SKIPPED what helm renders: there is no .cache/helm; scripts/setup-helm builds it with Go, which takes minutes",
  );

interface Pod {
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext: Json;
  readonly containers: readonly {
    readonly name: string;
    readonly args: readonly string[];
    readonly env?: readonly { readonly name: string }[];
    readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
    readonly securityContext: Json;
    readonly resources: { readonly requests: Json; readonly limits: Json };
    readonly readinessProbe?: object;
    readonly livenessProbe?: object;
    readonly volumeMounts: readonly { readonly name: string }[];
  }[];
  readonly volumes: readonly { readonly name: string }[];
}

// biome-ignore lint: objects of any kind.
type Kube = Readonly<Record<string, any>>;

function helm(...args: string[]): { readonly ok: boolean; readonly out: string; readonly error: string } {
  const { status, stdout, stderr } = spawnSync(path.join(HELM, "bin/helm"), args, { encoding: "utf8", maxBuffer: 1e8 });
  return { ok: status === 0, out: stdout, error: stderr };
}

const rendered = (...args: string[]): { readonly text: string; readonly objects: readonly Kube[] } => {
  const { ok, out, error } = helm("template", "sentinel", CHART, "--namespace", "payments", ...args);
  if (!ok) throw new Error(error);
  const objects = parseAllDocuments(out).flatMap((document) => {
    const value = document.toJS() as Kube | null;
    return value === null ? [] : [value];
  });
  return { text: out, objects };
};

const podOf = (object: Kube): { readonly pod: Pod; readonly labels: Json } | null => {
  const template = object.kind === "CronJob" ? object.spec.jobTemplate.spec.template : (object.spec?.template ?? null);
  return template?.spec?.containers === undefined ? null : { pod: template.spec, labels: template.metadata.labels };
};

const conform = (text: string): string =>
  execFileSync(
    path.join(HELM, "bin/kubeconform"),
    ["-strict", "-summary", "-schema-location", path.join(HELM, "schemas/{{ .ResourceKind }}{{ .KindSuffix }}.json")],
    { input: text, encoding: "utf8" },
  );

describe.runIf(built)("as helm renders it [helm]", () => {
  test.each(valuesFiles)(
    "%s: lint finds nothing, and Kubernetes' own schemas and those of the custom resources take it",
    (file) => {
      const linted = helm("lint", "--strict", CHART, "--values", path.join(VALUES, file));
      expect([linted.ok, linted.out]).toEqual([true, expect.stringContaining("0 chart(s) failed")]);
      const { text, objects } = rendered("--values", path.join(VALUES, file));
      expect(conform(text)).toMatch(
        new RegExp(
          `Summary: ${objects.length} resources? found .* Valid: ${objects.length}, Invalid: 0, Errors: 0, Skipped: 0`,
        ),
      );
    },
  );

  test("kubeconform would find what is wrong", () => {
    const { text } = rendered("--values", path.join(VALUES, "redis.yaml"));
    for (const [right, wrong] of [
      ["maxReplicas: 10", "maxReplicas: ten"],
      ["containerPort: 8000", "containerPrt: 8000"],
      ["pollingInterval: 15", "pollInterval: 15"],
      ["jobLabel:", "jobLable:"],
    ]) {
      expect(text).toContain(right);
      expect(() => conform(text.replace(right, wrong)), wrong).toThrow();
    }
  });

  test("Argo CD's own schemas take its files", () => {
    const text = ["application", "applicationset"]
      .map((file) => read(ROOT, `deploy/argocd/${file}.yaml`))
      .join("\n---\n");
    expect(conform(text)).toContain("Valid: 2, Invalid: 0, Errors: 0, Skipped: 0");
  });

  test.each(valuesFiles)("%s: every pod runs as nobody, writes only where it must, and stops in time", (file) => {
    const { objects } = rendered("--values", path.join(VALUES, file));
    const pods = objects.flatMap((object) => podOf(object) ?? []);
    expect(pods.length).toBeGreaterThan(0);
    for (const { pod } of pods) {
      expect(Object.entries(pod)).toContainEqual(["automountServiceAccountToken", false]);
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 10_001,
        seccompProfile: { type: "RuntimeDefault" },
      });
      for (const container of pod.containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(container.resources.requests).toHaveProperty("cpu");
        expect(container.resources.limits).toHaveProperty("memory");
        const announce = container.args.find((one) => one.startsWith("--announce="))?.slice("--announce=".length);
        // Requests and shadows may take 10 s each, a gateway's requests 10 s.
        const drainS = container.args[0] === "serve" ? 20 : 10;
        if (announce !== undefined) {
          expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(parseDuration(announce) / 1000 + drainS);
        }
        if (container.ports !== undefined) {
          expect(container.readinessProbe).toMatchObject({ httpGet: { path: "/readyz", port: "http" } });
          expect(container.livenessProbe).toMatchObject({ httpGet: { path: "/livez", port: "http" } });
        }
      }
    }
  });

  test.each(valuesFiles)("%s: what is referred to is there", (file) => {
    const { objects } = rendered("--values", path.join(VALUES, file));
    const named = (kind: string, name: string): boolean =>
      objects.some((one) => one.kind === kind && one.metadata.name === name);
    const pods = objects.flatMap((object) => podOf(object) ?? []);
    const matched = (labels: Json): boolean =>
      pods.some((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value));
    for (const object of objects) {
      const { kind, spec, metadata } = object;
      if (kind === "HorizontalPodAutoscaler" || kind === "ScaledObject") {
        expect(named(spec.scaleTargetRef.kind, spec.scaleTargetRef.name), metadata.name).toBe(true);
      }
      if (kind === "Service") {
        expect(matched(spec.selector), metadata.name).toBe(true);
        const own = pods.filter((one) =>
          Object.entries(spec.selector).every(([key, value]) => one.labels[key] === value),
        );
        const names = own.flatMap(({ pod }) =>
          pod.containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name)),
        );
        for (const { targetPort } of spec.ports) expect(names).toContain(targetPort);
      }
      if (kind === "PodDisruptionBudget") expect(matched(spec.selector.matchLabels), metadata.name).toBe(true);
      if (kind === "StatefulSet" && spec.template.spec.containers[0].args[0] !== "stream") {
        expect(named("Service", spec.serviceName), spec.serviceName).toBe(true);
      }
      const own = podOf(object);
      if (own === null) continue;
      const claims: readonly Kube[] = spec.volumeClaimTemplates ?? [];
      const volumes = new Set([
        ...own.pod.volumes.map(({ name }) => name),
        ...claims.map((one) => one.metadata.name as string),
      ]);
      for (const container of own.pod.containers) {
        for (const { name } of container.volumeMounts) expect(volumes).toContain(name);
      }
      for (const volume of own.pod.volumes as readonly Kube[]) {
        const claim = volume.persistentVolumeClaim?.claimName as string | undefined;
        if (claim === undefined || claim === "training-data") continue;
        const fromSet = /^models-(.*)-0$/.exec(claim)?.[1];
        expect(
          fromSet === undefined ? named("PersistentVolumeClaim", claim) : named("StatefulSet", fromSet),
          claim,
        ).toBe(true);
      }
    }
  });

  test("a network policy stands around every pod, and alerts know the jobs by the names that they are scraped under", () => {
    const { objects } = rendered("--values", path.join(VALUES, "redis.yaml"));
    const policies = objects.filter(({ kind }) => kind === "NetworkPolicy");
    for (const { labels } of objects.flatMap((object) => podOf(object) ?? [])) {
      const around = policies.filter(({ spec }) =>
        Object.entries(spec.podSelector.matchLabels).every(([key, value]) => labels[key] === value),
      );
      expect([labels["app.kubernetes.io/component"], around.length]).toEqual([
        labels["app.kubernetes.io/component"],
        1,
      ]);
    }
    const jobs = new Set(
      objects.filter(({ kind }) => kind === "Service").map((one) => one.metadata.labels["sentinel.dev/job"]),
    );
    const asked = [...read(ROOT, "deploy/prometheus/alerts.yml").matchAll(/job="([\w-]+)"/g)].map(([, job]) => job);
    for (const job of asked) expect(jobs).toContain(job);
    const rules = objects.filter(({ kind }) => kind === "PrometheusRule");
    expect(rules.map(({ spec }) => spec.groups.length).every((count: number) => count > 0)).toBe(true);
    expect(rules).toHaveLength(3);
  });

  test("what cannot be meant is refused in words", () => {
    const keys = ["--set", "secrets.adminKey.name=k", "--set", "secrets.clientKey.name=k"];
    const refused: readonly (readonly [args: readonly string[], words: RegExp])[] = [
      [[], /a server that others reach asks for keys/],
      [["--set", "secrets.adminKey.name=k"], /the gateway's own key/],
      [[...keys, "--set", "state=redis"], /needs secrets\.redis\.name/],
      [[...keys, "--set", "server.autoscaling.enabled=true"], /a server with a state of its own is one pod/],
      [[...keys, "--set", "stream.enabled=true"], /needs kafka\.brokers/],
      [[...keys, "--set", "server.grpc=false,gateway.protocol=grpc"], /gateway\.protocol: grpc needs server\.grpc/],
      [[...keys, "--set", "server.replica=3"], /replica/],
    ];
    for (const [args, words] of refused) {
      const { ok, error } = helm("template", "sentinel", CHART, ...args);
      expect([args, ok, error]).toEqual([args, false, expect.stringMatching(words)]);
    }
    expect(helm("template", "sentinel", CHART, ...keys).ok).toBe(true);
  });
});
