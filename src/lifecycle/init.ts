// Init: a workspace from the package's own features, pipelines and stages; an existing file is never overwritten.
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../core/errors.ts";

/** Folders copied from the package as they are. */
const COPIED = ["features", "pipelines"];
/** The stages for DVC and their parameters. */
const COPIED_FILES = ["dvc.yaml", "params.yaml"];
/** Data and models stay out of git; what DVC writes beside data (`dvc add`) belongs into it. */
const GITIGNORE = "data/*\n!data/.gitkeep\n!data/*.dvc\nmodels/*\n!models/.gitkeep\ndvc_plots/\nnode_modules/\n";

export interface InitResult {
  readonly dir: string;
  readonly made: readonly string[];
  readonly kept: readonly string[];
}

/** Errors: workspace.unwritable, workspace.not-empty (a file where a folder must be). */
export function init(input: { readonly dir: string; readonly packageRoot: string }): InitResult {
  const made: string[] = [];
  const kept: string[] = [];
  const put = (name: string, write: (target: string) => void): void => {
    const target = path.join(input.dir, name);
    if (existsSync(target)) {
      kept.push(name);
      return;
    }
    mkdirSync(path.dirname(target), { recursive: true });
    write(target);
    made.push(name);
  };
  try {
    for (const folder of COPIED) {
      const from = path.join(input.packageRoot, folder);
      for (const file of readdirSync(from).sort())
        put(path.join(folder, file), (target) => copyFileSync(path.join(from, file), target));
    }
    for (const file of COPIED_FILES) put(file, (target) => copyFileSync(path.join(input.packageRoot, file), target));
    for (const folder of ["data", "models"]) put(path.join(folder, ".gitkeep"), (target) => writeFileSync(target, ""));
    put(".gitignore", (target) => writeFileSync(target, GITIGNORE));
  } catch (error) {
    throw new SentinelError("workspace.unwritable", `cannot make a workspace in ${input.dir}: ${messageOf(error)}`, {
      hint: "name a folder you may write to: `sentinel init my-fraud-model`",
      cause: error,
    });
  }
  return { dir: input.dir, made, kept };
}
