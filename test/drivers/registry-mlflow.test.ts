// The registry on a real MLflow server: the port's contract, then what only a server can do to us.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMlflowRegistry } from "../../src/drivers/registry-mlflow.ts";
import { registryContract } from "../contracts/registry.ts";
import { type MlflowProcess, mlflowInstalled, startMlflow } from "./mlflow-server.ts";

if (!mlflowInstalled) {
  console.warn(
    "SKIPPED the tests against an MLflow server: there is no .cache/venv-mlflow; scripts/setup-python installs it",
  );
  test.runIf(process.env.CI === "true")("MLflow is installed", () => {
    expect(mlflowInstalled, "CI must run scripts/setup-python first").toBe(true);
  });
}

describe.runIf(mlflowInstalled)("on a server", () => {
  let server: MlflowProcess;
  beforeAll(async () => {
    server = await startMlflow();
    console.info(`registry-mlflow against MLflow ${await server.version()}`);
  });
  afterAll(() => server?.dispose());

  registryContract("registry-mlflow", async () => {
    server.empty();
    return { open: async () => createMlflowRegistry({ server }), dispose: async () => {} };
  });
});
