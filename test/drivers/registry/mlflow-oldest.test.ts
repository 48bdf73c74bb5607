// The port's contract on the oldest MLflow server of the third series.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMlflowRegistry } from "../../../src/drivers/registry/mlflow/driver.ts";
import { registryContract } from "../../contracts/registry.ts";
import { type MlflowProcess, OLDEST_SERVER, oldestServerInstalled, startMlflow } from "../mlflow-server.ts";

if (!oldestServerInstalled) {
  console.warn(
    `SKIPPED the Registry contract on the oldest server: no .cache/${OLDEST_SERVER}; scripts/setup-python installs it`,
  );
  test.runIf(process.env.CI === "true")("the oldest MLflow server is installed", () => {
    expect(oldestServerInstalled, "CI must run scripts/setup-python first").toBe(true);
  });
}

describe.runIf(oldestServerInstalled)("on the oldest server", () => {
  let server: MlflowProcess;
  let version = "";
  beforeAll(async () => {
    server = await startMlflow(OLDEST_SERVER);
    version = await server.version();
    expect(version).toMatch(/^3\.0\./);
  });
  afterAll(() => server?.dispose());

  registryContract(
    "registry-mlflow",
    async () => {
      server.empty();
      return { open: async () => createMlflowRegistry({ server }), dispose: async () => {} };
    },
    () => `MLflow ${version}`,
  );
});
