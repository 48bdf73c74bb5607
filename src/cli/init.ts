// `sentinel init [dir]`: makes a workspace and says what to do first.
import path from "node:path";
import { init } from "../lifecycle/init.ts";
import { packageRoot } from "./package-root.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  args: "[dir]",
  options: [],
  async run(context, { args }) {
    const dir = args[0] === undefined ? context.config.workspace : path.resolve(args[0]);
    const result = init({ dir, packageRoot: packageRoot() });
    const { output } = context;
    output.line(`workspace ${dir}`);
    for (const name of result.made) output.line(`  made ${name}`);
    for (const name of result.kept) output.line(`  kept ${name}, which was there`);
    const where = dir === process.cwd() ? "" : ` --workspace ${args[0] ?? dir}`;
    output.line(`\nnext: sentinel simulate --out ${path.join(args[0] ?? ".", "data/transactions.parquet")}`);
    output.line(`      sentinel train${where}`);
    return { yes: true, json: result };
  },
};
