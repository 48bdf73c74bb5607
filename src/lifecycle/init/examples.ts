// Examples: the pipelines for public tables that the package brings, which `init --like` copies.
import { readdirSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../../core/errors.ts";
import { nearestName } from "../../core/nearest.ts";

const FOLDER = "examples";

/** Names of the examples, in order. */
export function exampleNames(packageRoot: string): readonly string[] {
  return readdirSync(path.join(packageRoot, "pipelines", FOLDER))
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => file.slice(0, -".yaml".length))
    .sort();
}

/** The files of an example: from where in the package to where in a workspace. Errors: cli.usage, for a name that there is none of. */
export function exampleFiles(
  packageRoot: string,
  name: string,
): readonly { readonly from: string; readonly to: string }[] {
  const names = exampleNames(packageRoot);
  if (!names.includes(name)) {
    const near = nearestName(name, names);
    throw new SentinelError("cli.usage", `--like ${name}: there is no such example`, {
      hint: `${near === null ? "" : `did you mean ${near}? `}known: ${names.join(", ")}`,
    });
  }
  const pipeline = [`${name}.yaml`, `${name}.schema.json`, `${name}.suite.json`].map((file) => ["pipelines", file]);
  return [...pipeline, ["features", `${name}.ts`]].map(([folder, file]) => ({
    from: path.join(packageRoot, folder, FOLDER, file),
    to: path.join(folder, file),
  }));
}
