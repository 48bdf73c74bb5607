// `sentinel featurise`: the feature vectors of a table as a Parquet file.
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { featurise } from "../lifecycle/featurise.ts";
import { ENGINE_OPTIONS, engineOption } from "./engine.ts";
import { textOption } from "./options.ts";
import { checkOutFolder, checkOutTable } from "./out.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--data <file>", "CSV, Parquet or NDJSON with labels (default: the pipeline's source)"],
    ["--out <file>", "the feature table; .parquet, or with --engine a folder that is not there yet"],
    ...ENGINE_OPTIONS,
  ],
  async run(context, { options }) {
    const out = textOption(options, "out");
    if (out === undefined) {
      throw new SentinelError("cli.usage", "featurise needs --out FILE", {
        hint: "for example: sentinel featurise --out data/features.parquet",
      });
    }
    const by = await engineOption(context, options);
    if (by === undefined) checkOutTable("--out", out);
    else checkOutFolder("--out", path.dirname(path.resolve(out)));
    const pipeline = context.pipeline();
    const ports = context.ports();
    const started = ports.clock.elapsed();
    const data = textOption(options, "data") ?? pipeline.source;
    const { packageVersion } = context;
    const result = await featurise(ports, { pipeline, path: data, out, packageVersion, by }).finally(() =>
      by?.engine.close(),
    );
    const seconds = (ports.clock.elapsed() - started) / 1000;
    context.output.line(
      `${result.rows.toLocaleString("en")} transactions × ${result.features} features (spec ${result.featureHash.slice(0, 12)}) → ${out} in ${seconds.toFixed(1)} s`,
    );
    if (result.run !== undefined) {
      const { engine, partitions, files } = result.run;
      context.output.line(
        `${engine}: ${partitions.toLocaleString("en")} partitions, ${files.toLocaleString("en")} files`,
      );
    }
    if (result.specFile !== null) {
      context.output.line(`the spec with the columns and values of this table → ${result.specFile}`);
    }
    return { yes: true, json: result };
  },
};
