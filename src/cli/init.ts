// `sentinel init [dir]`: makes a workspace and says what to do first.
import { existsSync } from "node:fs";
import path from "node:path";
import { init } from "../lifecycle/init.ts";
import { loadPipeline } from "../pipeline/pipeline.ts";
import { textOption } from "./options.ts";
import { packageRoot } from "./package-root.ts";
import type { Verb } from "./verb.ts";

/** The stages of dvc.yaml, as commands. */
const STEPS = ["simulate --out data/transactions.parquet", "validate", "train", "evaluate"];

export const verb: Verb = {
  args: "[dir]",
  options: [
    [
      "--like <table>",
      "the pipeline of a public table: paysim, creditcard, sparkov, tabformer, banksim, baf, ieee-cis, elliptic",
    ],
  ],
  async run(context, { args, options }) {
    const dir = args[0] === undefined ? context.config.workspace : path.resolve(args[0]);
    const like = textOption(options, "like");
    const result = init({ dir, packageRoot: packageRoot(), like });
    const { output } = context;
    output.line(`workspace ${dir}`);
    for (const name of result.made) output.line(`  made ${name}`);
    for (const name of result.kept) output.line(`  kept ${name}, which was there`);
    output.line("\nnext:");
    if (dir !== process.cwd()) output.line(`  cd ${path.relative(process.cwd(), dir)}`);
    const { name, spec } = result.dependency;
    // A package.json that was there may not name this package yet.
    if (!isInstalledFor(dir, name))
      output.line(result.made.includes("package.json") ? "  npm install" : `  npm install ${name}@${spec}`);
    if (like !== undefined) {
      const { source } = loadPipeline(dir, like);
      const files = source.split(",").map((file) => path.relative(dir, file));
      output.line(`  put the table there: ${files.join(", ")}`);
      for (const step of STEPS.slice(1)) output.line(`  npx sentinel ${step} --pipeline ${like}`);
      return { yes: true, json: result };
    }
    for (const step of STEPS) output.line(`  npx sentinel ${step}`);
    output.line("\nor all of it by DVC, which runs again only what has changed:");
    output.line("  git init && dvc init && dvc repro");
    output.line(`  (its stages call \`sentinel\`, so that must be on the PATH: export PATH="${commandDir()}:$PATH")`);
    return { yes: true, json: result };
  },
};

/** Whether `npx sentinel` in this folder finds the command: in its own node_modules or in one above. */
function isInstalledFor(dir: string, name: string): boolean {
  for (let folder = dir; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, "node_modules", name))) return true;
    if (path.dirname(folder) === folder) return false;
  }
}

/** Where a command named `sentinel` lies: where this one was called, or where the build puts it. */
function commandDir(): string {
  const called = process.argv[1] ?? "";
  return path.basename(called) === "sentinel" ? path.dirname(called) : path.join(packageRoot(), "node_modules", ".bin");
}
