// `sentinel retention`: what is older than its kind may become leaves every store of the workspace; --dry-run shows what would.
import { retain, storeKept } from "../lifecycle/retention.ts";
import { everyName, loadPipeline } from "../pipeline/pipeline.ts";
import { openEverywhere } from "../wiring.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [["--dry-run", "only show what would go"]],
  async run({ config, output }, { options }) {
    const dryRun = options.dryRun === true;
    const names = everyName(config.workspace);
    const pipelines = names.map((name) => loadPipeline(config.workspace, name));
    const opened = await openEverywhere(config, { report: output, pipelines });
    try {
      const retained = await retain({
        pipelines: opened.pipelines,
        stores: opened.stores,
        kept: storeKept(config.keep, pipelines),
        reportsDir: config.reportsDir,
        actor: config.actor,
        now: opened.clock.now(),
        dryRun,
      });
      output.table([
        ["kind", "where", "kept", dryRun ? "would go" : "gone"],
        ...retained.map(({ kind, where, days, records }) => [
          kind,
          where,
          days === null ? "for ever" : `${days} days`,
          records.toLocaleString("en"),
        ]),
      ]);
      return { yes: true, json: { dryRun, retained } };
    } finally {
      await opened.close();
    }
  },
};
