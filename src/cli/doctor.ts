// `sentinel doctor`: what is configured, reachable, and what to do about the rest; exit 1 on a fault.

import pc from "picocolors";
import { visible } from "../core/visible.ts";
import { doctor, type Finding } from "../lifecycle/doctor.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [],
  async run(context) {
    const findings = await doctor(context.ports(), {
      workspace: context.config.workspace,
      pipeline: context.pipelineName(),
      nodeVersion: process.version,
    });
    for (const finding of findings) {
      context.output.line(`  ${markOf(finding)} ${finding.what}: ${visible(finding.found)}`);
      if (finding.todo !== "") context.output.line(`      what to do: ${finding.todo}`);
    }
    return { yes: findings.every(({ state }) => state !== "fault"), json: { findings } };
  },
};

function markOf({ state }: Finding): string {
  return state === "ok" ? pc.green("✔") : state === "note" ? pc.yellow("■") : pc.red("✘");
}
