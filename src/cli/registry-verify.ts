// `sentinel registry verify`: every fault in words; exit 1 when there is one.
import { visible } from "../core/visible.ts";
import { verifyRegistry } from "../lifecycle/verify.ts";
import type { VerbContext, VerbResult } from "./verb.ts";

export async function verify(context: VerbContext, files: boolean): Promise<VerbResult> {
  const ports = context.ports();
  const { model } = context.pipeline();
  const report = await verifyRegistry(await ports.registry(), { model, files, report: ports.report });
  const { output } = context;
  const { entries, versions, evidence } = report.checked;
  output.line(`${model} in ${report.where}`);
  output.line(
    `  looked at ${entries} journal entries, ${versions} versions${files ? " with all their files" : ""}, ${evidence} evidence documents`,
  );
  for (const fault of report.faults) output.line(`  ✘ ${visible(fault.message)}`);
  for (const note of report.notes) output.line(`  · ${visible(note)}`);
  output.line(report.ok ? "  ✔ everything is as it was written" : `  ${report.faults.length} faults`);
  return { yes: report.ok, json: report };
}
