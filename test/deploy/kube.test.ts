// The chart on a real API server: it takes every values file twice and an upgrade of each, autoscalers find what they scale, and it refuses what is wrong.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { type Kube, type KubeServer, kubeBuilt, startKube } from "./kube-server.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CHART = path.join(ROOT, "deploy/helm/sentinel");
const VALUES = path.join(ROOT, "deploy/helm/values");
const HELM = path.join(ROOT, ".cache/helm/bin/helm");
const valuesFiles = readdirSync(VALUES).filter((file) => file.endsWith(".yaml"));

const built = kubeBuilt && existsSync(HELM);
if (!built)
  console.warn("SKIPPED the chart on an API server: scripts/setup-helm and scripts/setup-kube build what it needs");

/** What a cluster gets: hooks are objects too. */
function rendered(values: string, ...args: string[]): readonly Kube[] {
  const of = ["template", "sentinel", CHART, "--namespace", "any", "--values", path.join(VALUES, values), ...args];
  const { status, stdout, stderr } = spawnSync(HELM, of, { encoding: "utf8", maxBuffer: 1e8 });
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout).flatMap((document) => {
    const value = document.toJS() as Kube | null;
    return value === null ? [] : [value];
  });
}

const nameOf = ({ kind, metadata }: Kube): string => `${kind}/${metadata.name}`;
const isHook = ({ metadata }: Kube): boolean => metadata.annotations?.["helm.sh/hook"] !== undefined;

describe.runIf(built)("the chart on an API server [helm]", () => {
  let kube: KubeServer;
  const namespaceOf = (file: string): string => `of-${path.basename(file, ".yaml")}`;
  /** Every refusal; none where all were taken. */
  const refusals = async (objects: readonly Kube[], namespace: string): Promise<readonly string[]> => {
    const refused: string[] = [];
    for (const object of objects) {
      const { status, json } = await kube.apply(object, namespace);
      if (status !== 200 && status !== 201) refused.push(`${nameOf(object)}: ${status} ${json.message}`);
    }
    return refused;
  };
  /** What the server keeps of them, but who wrote what when. */
  const kept = async (objects: readonly Kube[], namespace: string): Promise<readonly object[]> => {
    const found: object[] = [];
    for (const object of objects) {
      const { json } = await kube.ask("GET", await kube.pathOf(object, namespace));
      const { metadata, status: _, ...content } = json;
      found.push({ ...content, name: metadata.name, labels: metadata.labels, annotations: metadata.annotations });
    }
    return found;
  };

  beforeAll(async () => {
    kube = await startKube();
    const kinds = valuesFiles.flatMap((file) => rendered(file).map(({ kind }) => kind as string));
    await kube.define(new Set([...kinds, "Application", "ApplicationSet"]));
    for (const namespace of [...valuesFiles.map(namespaceOf), "argocd"]) {
      const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
      const made = await kube.ask("POST", "/api/v1/namespaces", {
        ...{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } },
      });
      expect(made.status).toBe(201);
    }
  }, 120_000);
  afterAll(() => kube?.dispose());

  test.each(valuesFiles)(
    "%s: every object is taken, taken again unchanged, and so is the next release of the code",
    async (file) => {
      const namespace = namespaceOf(file);
      const objects = rendered(file);
      expect(await refusals(objects, namespace)).toEqual([]);
      const before = await kept(objects, namespace);
      expect(await refusals(objects, namespace)).toEqual([]);
      expect(await kept(objects, namespace)).toEqual(before);
      const next = rendered(file, "--set", "image.tag=9.9.9");
      expect(JSON.stringify(next)).toContain(":9.9.9");
      // Helm removes a hook before it makes it again.
      for (const hook of next.filter(isHook)) {
        await kube.ask("DELETE", `${await kube.pathOf(hook, namespace)}?propagationPolicy=Background`);
      }
      expect(await refusals(next, namespace)).toEqual([]);
    },
    60_000,
  );

  test.each(valuesFiles)("%s: what an autoscaler scales is there, and says how many pods it has", async (file) => {
    const namespace = namespaceOf(file);
    const scaling = rendered(file).filter(({ kind }) => kind === "HorizontalPodAutoscaler" || kind === "ScaledObject");
    for (const object of scaling) {
      const { apiVersion = "apps/v1", kind, name } = object.spec.scaleTargetRef;
      const at = await kube.pathOf({ apiVersion, kind, metadata: { name } }, namespace);
      const { status, json } = await kube.ask("GET", `${at}/scale`);
      expect([nameOf(object), status, json.kind]).toEqual([nameOf(object), 200, "Scale"]);
      expect(json.status.selector).toContain("app.kubernetes.io/component=");
      // Who sets the number of pods: the autoscaler alone, or an upgrade would undo it.
      const rendering = rendered(file).find((one) => one.kind === kind && one.metadata.name === name);
      expect([nameOf(object), rendering?.spec.replicas]).toEqual([nameOf(object), undefined]);
    }
    if (file === "redis.yaml") expect(new Set(scaling.map(({ kind }) => kind)).size).toBe(2);
  });

  test.each(valuesFiles)("%s: every pod is one that a namespace of the strictest kind lets in", async (file) => {
    const namespace = namespaceOf(file);
    for (const object of rendered(file)) {
      const template = object.kind === "CronJob" ? object.spec.jobTemplate.spec.template : object.spec?.template;
      if (template?.spec?.containers === undefined) continue;
      const claims: readonly Kube[] = object.spec.volumeClaimTemplates ?? [];
      const named = claims.map(({ metadata: { name } }) => ({ name, persistentVolumeClaim: { claimName: name } }));
      const restartPolicy = template.spec.restartPolicy ?? "Always";
      const spec = { ...template.spec, restartPolicy, volumes: [...(template.spec.volumes ?? []), ...named] };
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { ...template.metadata, name: "tried" }, spec };
      const { status, json } = await kube.ask("POST", `/api/v1/namespaces/${namespace}/pods?dryRun=All`, pod);
      expect([nameOf(object), status, json.message]).toEqual([nameOf(object), 201, undefined]);
    }
  });

  test("Argo CD's objects are taken", async () => {
    for (const name of ["application", "applicationset"]) {
      const object = parse(readFileSync(path.join(ROOT, `deploy/argocd/${name}.yaml`), "utf8")) as Kube;
      expect(await refusals([object], "argocd")).toEqual([]);
    }
  });

  test("what schemas alone do not see is refused", async () => {
    const objects = rendered("redis.yaml");
    const of = (kind: string): Kube => structuredClone(objects.find((one) => one.kind === kind)!);
    const [scaler, front, server, budget] = [
      of("HorizontalPodAutoscaler"),
      of("Service"),
      of("Deployment"),
      of("PodDisruptionBudget"),
    ];
    scaler.spec.maxReplicas = 1;
    scaler.spec.minReplicas = 2;
    front.spec.ports[0].port = 70_000;
    server.spec.selector.matchLabels = { other: "label" };
    budget.spec.minAvailable = 1;
    for (const object of [scaler, front, server, budget]) {
      expect([nameOf(object), (await refusals([object], namespaceOf("redis.yaml"))).length]).toEqual([
        nameOf(object),
        1,
      ]);
    }
  });
});
