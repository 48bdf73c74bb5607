// The steps of a GitHub workflow, run as a runner would: inputs filled in, one shell per step, a summary file, a stop at the first failure.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { parse } from "yaml";

interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
}

interface Job {
  readonly env?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

export interface Workflow {
  readonly on: { readonly workflow_call: { readonly inputs: Readonly<Record<string, { readonly default?: string }>> } };
  readonly jobs: Readonly<Record<string, Job>>;
}

export interface StepResult {
  readonly name: string;
  readonly code: number;
  readonly output: string;
}

export function readWorkflow(file: string): Workflow {
  return parse(readFileSync(file, "utf8")) as Workflow;
}

/** Runs the `run` steps of the only job in a folder; after a failure only those that run `always()`. */
export async function runSteps(
  workflow: Workflow,
  given: {
    readonly cwd: string;
    readonly inputs: Readonly<Record<string, string>>;
    readonly env: Readonly<Record<string, string>>;
  },
): Promise<readonly StepResult[]> {
  const { inputs } = workflow.on.workflow_call;
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, input]) => [name, given.inputs[name] ?? input.default ?? ""]),
  );
  const fill = (text: string): string =>
    text.replace(/\$\{\{\s*(inputs|secrets)\.(\w+)\s*\}\}/g, (_, kind: string, name: string) =>
      kind === "inputs" ? values[name] : "",
    );
  const [job] = Object.values(workflow.jobs);
  const jobEnv = Object.fromEntries(Object.entries(job.env ?? {}).map(([name, value]) => [name, fill(value)]));
  const results: StepResult[] = [];
  let failed = false;
  for (const [i, step] of job.steps.entries()) {
    if (step.run === undefined || (failed && step.if !== "always()")) continue;
    const result = await runStep(fill(step.run), { cwd: given.cwd, env: { ...process.env, ...jobEnv, ...given.env } });
    results.push({ name: step.name ?? `step ${i}`, ...result });
    failed ||= result.code !== 0;
  }
  return results;
}

/** As GitHub runs `shell: bash`. */
function runStep(
  script: string,
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(
      "bash",
      ["--noprofile", "--norc", "-eo", "pipefail", "-c", script],
      { ...options, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ code, output: `${stdout}${stderr}` });
      },
    );
  });
}
