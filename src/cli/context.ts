// A verb's context: configuration, the chosen pipeline, and ports opened at their first use.
import { loadConfig } from "../config.ts";
import { loadPipeline, type Pipeline, pipelineNames } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { openPorts } from "../wiring.ts";
import type { Output } from "./output.ts";
import type { VerbContext, VerbOptions } from "./verb.ts";

const DEFAULT_PIPELINE = "card";

/** The context of one command, and `close` for what it opened. */
export function openContext(
  options: VerbOptions,
  given: { readonly output: Output; readonly packageVersion: string },
): { readonly context: VerbContext; close(): Promise<void> } {
  const config = loadConfig({
    workspace: typeof options.workspace === "string" ? options.workspace : undefined,
    tenant: typeof options.tenant === "string" ? options.tenant : undefined,
  });
  for (const warning of config.warnings) given.output.warn(warning);
  let pipeline: Pipeline | undefined;
  let opened: ReturnType<typeof openPorts> | undefined;
  const name = (): string => {
    if (typeof options.pipeline === "string") return options.pipeline;
    const known = pipelineNames(config.workspace);
    return known.length === 1 ? known[0] : DEFAULT_PIPELINE;
  };
  const load = (): Pipeline => {
    pipeline ??= loadPipeline(config.workspace, name());
    return pipeline;
  };
  // The doctor looks at the log of a pipeline whose file is broken, too.
  const settings = (): Pipeline | null => {
    try {
      return load();
    } catch {
      return null;
    }
  };
  return {
    context: {
      config,
      output: given.output,
      packageVersion: given.packageVersion,
      pipeline: load,
      pipelineName: name,
      ports: (): Ports => {
        opened ??= openPorts(config, { report: given.output, pipeline: name(), settings });
        return opened.ports;
      },
    },
    close: async () => opened?.close(),
  };
}
