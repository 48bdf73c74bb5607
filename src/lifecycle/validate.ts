// Validate: the data gate over a pipeline's table; GX result JSON and an HTML report.
import { existsSync, readFileSync } from "node:fs";
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Table } from "../core/table.ts";
import type { InputReport } from "../features/trained-inputs.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { type DataGateResult, dataGate } from "../quality/gate.ts";
import { htmlReport } from "../quality/report.ts";
import { parseSuite } from "../quality/suite.ts";
import { lackingText } from "./data/plausible.ts";
import { inputsOfTable, servedReport } from "./data/served.ts";
import { readSource, type Source } from "./data/source.ts";
import { readingPlan } from "./data/spec-table.ts";

export interface ValidateResult extends DataGateResult {
  readonly source: Pick<Source, "path" | "hash"> & { readonly rows: number };
  /** How the log's newest transactions look beside this table; null where nothing was served yet. */
  readonly served: InputReport | null;
  /** A self-contained page. */
  readonly html: string;
}

/** Errors: dataset.*, quality.suite-invalid. */
export async function validate(
  ports: Ports,
  input: { readonly pipeline: Pipeline; readonly path: string },
): Promise<ValidateResult> {
  const { pipeline } = input;
  const dataset = await ports.dataset();
  const plan = await readingPlan(ports, pipeline, input.path);
  const source = await readSource(dataset, pipeline, { path: input.path, plans: [plan], labelled: true, all: true });
  const lacking = lackingText(source, plan);
  if (lacking !== null) ports.report.line(lacking);
  const gate = gateOf(pipeline, source.table);
  const trained = inputsOfTable(source.table, { pipeline, plan, dataHash: source.hash });
  const served = await servedReport(ports, { pipeline, plan, trained }).catch((error: unknown) => {
    // A table is judged without a log too.
    ports.report.line(`  served keys are not looked at: ${messageOf(error)}`);
    return null;
  });
  return {
    ...gate,
    served: served === null || served.rows === 0 ? null : served,
    source: { path: source.path, hash: source.hash, rows: source.table.rows },
    html: htmlReport(gate.result, { title: `${pipeline.name}: ${source.path}` }),
  };
}

/** The pipeline's suite and Sentinel's own requirements over a table with canonical names. */
export function gateOf(pipeline: Pipeline, table: Table): DataGateResult {
  if (!existsSync(pipeline.suiteFile)) {
    throw new SentinelError(
      "quality.suite-invalid",
      `${pipeline.file} names a suite that is not there: ${pipeline.suiteFile}`,
      {
        hint: "write a Great Expectations suite there, or correct `suite:`",
      },
    );
  }
  const suite = parseSuite(readFileSync(pipeline.suiteFile, "utf8"), { where: pipeline.suiteFile });
  const { id, time, amount, label } = pipeline.columns;
  const [min, max] = pipeline.gates.data.labelRate;
  return dataGate({
    table,
    suite,
    requirements: {
      columns: { [id]: "key", [time]: "time", ...(amount === null ? {} : { [amount]: "number" }), [label]: "number" },
      volume: { column: time, severity: "warning" },
      labelRate: { column: label, min, max },
    },
  });
}
