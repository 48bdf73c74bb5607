// A real MLflow server that asks who calls: a registry moved there and used by somebody it knows, and what others are told.
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLocalRegistry } from "../../../src/drivers/registry/local/driver.ts";
import { createMlflowRegistry } from "../../../src/drivers/registry/mlflow/driver.ts";
import { edit, makeWorkspace, removeWorkspace, sentinel, sentinelJson } from "../../cli/sentinel.ts";
import { aVersion, bundle, codeOf, draft } from "../../contracts/registry.ts";
import { SMALL_WORLD, writeHistory } from "../../journeys/traffic.ts";
import { type MlflowProcess, mlflowInstalled, startMlflow } from "../mlflow-server.ts";

if (!mlflowInstalled) {
  console.warn(
    "SKIPPED all tests of an MLflow server with a login: no .cache/venv-mlflow; scripts/setup-python installs it",
  );
  test.runIf(process.env.CI === "true")("MLflow is installed", () => {
    expect(mlflowInstalled, "CI must run scripts/setup-python first").toBe(true);
  });
}

const ADMIN = { username: "root-of-all", password: "pass-for-the-administrator-1" };
const ANA = { username: "ana", password: "correct horse: battery 42" };
const ZOE = { username: "zoë", password: "the password of zoë" };
const WRONG = "not-the-password-of-ana";

describe.runIf(mlflowInstalled)("on a server with a login", () => {
  let server: MlflowProcess;
  beforeAll(async () => {
    server = await startMlflow("venv-mlflow", ADMIN);
    for (const somebody of [ANA, ZOE]) {
      const answer = await fetch(`${server.uri}/api/2.0/mlflow/users/create`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString("base64")}`,
        },
        body: JSON.stringify(somebody),
      });
      expect(answer.status, await answer.text()).toBe(200);
    }
  });
  afterAll(() => server?.dispose());

  describe("registry-mlflow", () => {
    test.each([
      ["nobody", {}],
      ["a wrong password", { username: ANA.username, password: WRONG }],
      ["somebody it does not know", { username: "eve", password: WRONG }],
      ["a token, which it does not take", { token: WRONG }],
    ])("%s may neither read nor write, and is told which variables hold the login", async (_, who) => {
      const registry = createMlflowRegistry({ server: { uri: server.uri, ...who } });
      expect(await codeOf(registry.aliases("card-fraud"))).toBe("registry.unreachable");
      expect(await codeOf(aVersion(registry))).toBe("registry.unreachable");
      const error = await registry.versions("card-fraud").catch((thrown: unknown) => thrown as Error);
      expect(error).toMatchObject({ hint: expect.stringContaining("MLFLOW_TRACKING_PASSWORD") });
      for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
        expect(`${cause.message}\n${cause.stack}`).not.toContain(WRONG);
    });

    test("a login of other letters reads, and is told why files are not taken", async () => {
      const zoe = createMlflowRegistry({ server: { uri: server.uri, ...ZOE } });
      expect(await zoe.versions("card-fraud")).toEqual([]);
      const error = await aVersion(zoe, "zoe").then(
        () => null,
        (thrown: unknown) => thrown as Error,
      );
      // A later MLflow may take it.
      if (error !== null) expect(error).toMatchObject({ hint: expect.stringContaining("ASCII") });
    });

    test("by the command line: pushed, listed and moved with the login of the environment; a wrong one ends with 3 and is never shown", async () => {
      const dir = makeWorkspace();
      try {
        const local = createLocalRegistry({ dir: path.join(dir, "models") });
        await aVersion(local);
        await aVersion(local);
        for (const [alias, from, to] of [
          ["champion", null, "1"],
          ["champion", "1", "2"],
          ["previous", null, "1"],
        ] as const) {
          await local.moveAlias({ model: "card-fraud", alias, from, to, entry: draft({ evidence: "" }) });
        }
        await local.close();
        const login = { MLFLOW_TRACKING_URI: server.uri, MLFLOW_TRACKING_USERNAME: ANA.username };
        const right = { ...login, MLFLOW_TRACKING_PASSWORD: ANA.password };
        for (const args of [
          ["registry", "push"],
          ["registry", "list"],
          ["registry", "verify"],
        ]) {
          const { code, stdout, stderr } = await sentinel(args, { cwd: dir, env: right });
          expect(code, stdout + stderr).toBe(0);
          expect(stdout + stderr).not.toContain(ANA.password);
        }
        const wrong = { ...login, MLFLOW_TRACKING_PASSWORD: WRONG };
        for (const args of [
          ["registry", "push"],
          ["registry", "list"],
          ["registry", "list", "--json"],
          ["promote"],
          ["doctor"],
        ]) {
          const { code, stdout, stderr } = await sentinel(args, { cwd: dir, env: wrong });
          // `doctor` gives an answer about the server; the others need one from it.
          expect(code, args.join(" ")).toBe(args[0] === "doctor" ? 1 : 3);
          expect(stdout + stderr).toContain("MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD");
          expect(stdout + stderr).not.toContain(WRONG);
        }
        const token = { MLFLOW_TRACKING_URI: server.uri, MLFLOW_TRACKING_TOKEN: WRONG };
        const told = await sentinel(["registry", "list"], { cwd: dir, env: token });
        expect(told.code, told.stdout).toBe(3);
        expect(told.stderr).toContain("MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD");
        expect(told.stdout + told.stderr).not.toContain(WRONG);
        const ana = createMlflowRegistry({ server: { uri: server.uri, ...ANA } });
        expect(await ana.aliases("card-fraud")).toEqual({ champion: "2", previous: "1" });
        await ana.moveAlias({
          model: "card-fraud",
          alias: "champion",
          from: "2",
          to: "1",
          entry: draft({ evidence: "" }),
        });
        expect(await ana.journal("card-fraud")).toHaveLength(4);
        expect(await ana.load("card-fraud", "1")).toEqual(bundle());
        // A model of her own, too: of one that is not there, the server says that she may not.
        expect(await aVersion(ana, "another")).toBe("1");
      } finally {
        removeWorkspace(dir);
      }
    });

    test("by the command line: trained, promoted, asked and verified by a user of the server", async () => {
      const dir = makeWorkspace();
      try {
        // A model of its own: the one of the other tests has a champion that was never trained.
        edit(dir, "pipelines/card.yaml", (text) => text.replace("card-fraud", "card-fraud-of-ana"));
        await writeHistory(dir, SMALL_WORLD);
        const env = {
          MLFLOW_TRACKING_URI: server.uri,
          MLFLOW_TRACKING_USERNAME: ANA.username,
          MLFLOW_TRACKING_PASSWORD: ANA.password,
          SENTINEL_ACTOR: "ana",
        };
        const run = async (...args: string[]) => {
          const ran = await sentinelJson(args, { cwd: dir, env });
          expect(ran.code, ran.stdout + ran.stderr).toBe(0);
          expect(ran.stdout + ran.stderr).not.toContain(ANA.password);
          return ran.json;
        };
        await run("train", "--force", "--reason", "the first");
        await run("promote");
        const { entries, chain } = await run("registry", "history");
        expect(chain.ok).toBe(true);
        expect(entries).toMatchObject([
          { verb: "train", alias: "candidate", from: null, to: "1", actor: "ana" },
          {
            verb: "promote",
            alias: "champion",
            from: null,
            to: "1",
            also: [{ alias: "candidate", from: "1", to: null }],
            actor: "ana",
          },
        ]);
        await run("registry", "verify");
      } finally {
        removeWorkspace(dir);
      }
    });
  });
});
