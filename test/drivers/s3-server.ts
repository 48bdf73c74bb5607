// A real S3-compatible server for tests (moto): a free port, an empty bucket, and an end.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isInstalled, venvAt } from "../python.ts";

const START_TRIES_MAX = 600;
const VENV = "venv-s3";

/** scripts/setup-python installs it. */
export const s3Installed = isInstalled(VENV);

export const BUCKET = "bucket";

export interface S3Process {
  readonly uri: string;
  /** What a process that asks it has in its environment; `uri` names another address that leads to it. */
  environment(uri?: string): Readonly<Record<string, string>>;
  /** Everything goes, and the bucket is there. */
  empty(): Promise<void>;
  dispose(): Promise<void>;
}

export async function startS3(): Promise<S3Process> {
  const port = await freePort();
  const uri = `http://127.0.0.1:${port}`;
  const child = spawn(path.join(venvAt(VENV), "bin", "moto_server"), ["-H", "127.0.0.1", "-p", String(port)], {
    stdio: "ignore",
  });
  const isUp = async (): Promise<boolean> => (await fetch(`${uri}/moto-api/`).catch(() => null))?.ok === true;
  for (let tries = 0; tries < START_TRIES_MAX && !(await isUp()); tries++) await sleep(50);
  const empty = async (): Promise<void> => {
    await fetch(`${uri}/moto-api/reset`, { method: "POST" });
    const made = await fetch(`${uri}/${BUCKET}`, { method: "PUT" });
    if (!made.ok) throw new Error(`moto made no bucket: ${made.status}`);
  };
  await empty();
  return {
    uri,
    environment: (at = uri) => ({
      AWS_ENDPOINT_URL_S3: at,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_REGION: "eu-central-1",
    }),
    empty,
    async dispose() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0));
    });
  });
}
