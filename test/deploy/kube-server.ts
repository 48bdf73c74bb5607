// A real Kubernetes API server for tests: kube-apiserver over etcd in a folder of their own, free ports, and an end. No node, no controller: objects are kept, and refused.
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

const KUBE = fileURLToPath(new URL("../../.cache/kube", import.meta.url));
const START_TRIES_MAX = 1200;
const ESTABLISHED_TRIES_MAX = 400;
const PAUSE_MS = 50;
/** Of what a server that does not start has said. */
const WORDS_MAX = 2000;

/** Whether the server is in .cache; scripts/setup-kube builds it. */
export const kubeBuilt = existsSync(path.join(KUBE, "stamp"));

// biome-ignore lint: objects of any kind.
export type Kube = Readonly<Record<string, any>>;

interface KubeAnswer {
  readonly status: number;
  readonly json: Kube;
}

export interface KubeServer {
  ask(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: Kube): Promise<KubeAnswer>;
  /** Makes an object, or changes it to this, as `kubectl apply --server-side` does; fields that nobody knows are refused. */
  apply(object: Kube, namespace: string): Promise<KubeAnswer>;
  /** Where an object is. Throws for a kind that the server does not know. */
  pathOf(object: Kube, namespace: string): Promise<string>;
  /** The custom resources of these groups are there. */
  define(kinds: ReadonlySet<string>): Promise<void>;
  dispose(): Promise<void>;
}

export async function startKube(): Promise<KubeServer> {
  const dir = await mkdtemp(path.join(tmpdir(), "sentinel-kube-"));
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()];
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const file = (name: string, content: string | Buffer): string => {
    writeFileSync(path.join(dir, name), content);
    return path.join(dir, name);
  };
  const signing = file("sa.key", privateKey.export({ type: "pkcs1", format: "pem" }));
  const checking = file("sa.pub", publicKey.export({ type: "spki", format: "pem" }));
  const tokens = file("tokens.csv", "test,admin,admin,system:masters\n");
  const said: string[] = [];
  const launch = (name: string, args: readonly string[]): ChildProcess => {
    const child = spawn(path.join(KUBE, "bin", name), args, { cwd: dir, stdio: ["ignore", "ignore", "pipe"] });
    child.stderr!.setEncoding("utf8").on("data", (text: string) => said.push(text));
    return child;
  };
  const etcd = launch("etcd", [
    ...["--data-dir", path.join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "error"],
    ...["--listen-client-urls", `http://127.0.0.1:${client}`, "--advertise-client-urls", `http://127.0.0.1:${client}`],
    ...["--listen-peer-urls", `http://127.0.0.1:${peer}`, "--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
    ...["--initial-cluster", `default=http://127.0.0.1:${peer}`],
  ]);
  const server = launch("kube-apiserver", [
    `--etcd-servers=http://127.0.0.1:${client}`,
    ...["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", `--secure-port=${port}`],
    ...[`--cert-dir=${path.join(dir, "certs")}`, "--service-cluster-ip-range=10.0.0.0/24"],
    `--service-account-issuer=https://127.0.0.1:${port}`,
    ...[`--service-account-key-file=${checking}`, `--service-account-signing-key-file=${signing}`],
    ...[`--token-auth-file=${tokens}`, "--authorization-mode=RBAC", "--endpoint-reconciler-type=none"],
    "--disable-admission-plugins=ServiceAccount",
  ]);
  const children = [etcd, server];
  const kill = (): void => {
    for (const child of children) child.kill("SIGKILL");
  };
  process.once("exit", kill);
  const ask: KubeServer["ask"] = (method, at, body) => asked({ port, method, at, body });
  for (let tries = 0; ; tries++) {
    if ((await ask("GET", "/readyz").catch(() => null))?.status === 200) break;
    if (children.some(({ exitCode }) => exitCode !== null) || tries === START_TRIES_MAX) {
      kill();
      throw new Error(`the API server did not start: ${said.join("").slice(-WORDS_MAX)}`);
    }
    await sleep(PAUSE_MS);
  }
  const kinds = new Map<string, { readonly plural: string; readonly namespaced: boolean }>();
  const groupOf = (apiVersion: string): string =>
    apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const pathOf: KubeServer["pathOf"] = async ({ apiVersion, kind, metadata }, namespace) => {
    const key = `${apiVersion} ${kind}`;
    if (!kinds.has(key)) {
      const { json } = await ask("GET", groupOf(apiVersion));
      for (const { name, kind: known, namespaced } of json.resources ?? [])
        if (!name.includes("/")) kinds.set(`${apiVersion} ${known}`, { plural: name, namespaced });
    }
    const found = kinds.get(key);
    if (found === undefined) throw new Error(`the server knows no ${key}`);
    const { plural, namespaced } = found;
    return `${groupOf(apiVersion)}${namespaced ? `/namespaces/${namespace}` : ""}/${plural}/${metadata.name}`;
  };
  return {
    ask,
    pathOf,
    apply: async (object, namespace) =>
      ask("PATCH", `${await pathOf(object, namespace)}?fieldManager=test&force=true&fieldValidation=Strict`, object),
    async define(wanted) {
      const all = readdirSync(path.join(KUBE, "crds")).flatMap((name) =>
        parseAllDocuments(readFileSync(path.join(KUBE, "crds", name), "utf8")).map(
          (document) => document.toJS({ maxAliasCount: -1 }) as Kube | null,
        ),
      );
      for (const crd of all) {
        if (crd?.kind !== "CustomResourceDefinition" || !wanted.has(crd.spec.names.kind)) continue;
        const at = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd.metadata.name}`;
        const made = await ask("PATCH", `${at}?fieldManager=test&force=true`, crd);
        if (made.status >= 300) throw new Error(`${crd.metadata.name}: ${JSON.stringify(made.json)}`);
        for (let tries = 0; ; tries++) {
          const conditions: readonly Kube[] = (await ask("GET", at)).json.status?.conditions ?? [];
          if (conditions.some(({ type, status }) => type === "Established" && status === "True")) break;
          if (tries === ESTABLISHED_TRIES_MAX) throw new Error(`${crd.metadata.name} is not established`);
          await sleep(PAUSE_MS);
        }
      }
    },
    async dispose() {
      process.off("exit", kill);
      const ended = children.map((child) => new Promise((resolve) => child.once("exit", resolve)));
      kill();
      await Promise.all(ended);
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function asked(of: {
  readonly port: number;
  readonly method: string;
  readonly at: string;
  readonly body?: Kube;
}): Promise<KubeAnswer> {
  const { port, method, at, body } = of;
  // JSON is YAML.
  const type = method === "PATCH" ? "application/apply-patch+yaml" : "application/json";
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ host: "127.0.0.1", port, method, path: at },
        // A server of our own on this machine, with the certificate that it made for itself.
        rejectUnauthorized: false,
        headers: { authorization: "Bearer test", accept: "application/json", "content-type": type },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.on("error", reject);
        response.on("end", () => {
          const isJson = text.startsWith("{");
          resolve({ status: response.statusCode ?? 0, json: isJson ? (JSON.parse(text) as Kube) : { text } });
        });
      },
    );
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { readonly port: number };
      probe.close(() => resolve(port));
    });
  });
}
