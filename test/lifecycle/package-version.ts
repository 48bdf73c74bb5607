// The version of this package, which a worker of a cluster must have too.
import { readFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../cli/sentinel.ts";

export const { version: packageVersion } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
  readonly version: string;
};
