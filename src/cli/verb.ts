// What a verb file exports, and what it is given: options in, one JSON-able result out.
import type { Config } from "../config.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import type { Output } from "./output.ts";

/** Options as commander parsed them. */
export type VerbOptions = Readonly<Record<string, string | boolean | string[] | undefined>>;

export interface VerbInput {
  readonly args: readonly string[];
  readonly options: VerbOptions;
}

/** What a verb may use; files, registry and log are opened only when asked for. */
export interface VerbContext {
  readonly config: Config;
  readonly output: Output;
  readonly packageVersion: string;
  /** The pipeline that --pipeline names (default: the only one, or `card`). */
  pipeline(): Pipeline;
  /** Its name, whether or not there is such a file. */
  pipelineName(): string;
  ports(): Ports;
}

/** `yes: false` exits 1: a verdict said no. `json` is what --json prints. */
export interface VerbResult {
  readonly yes: boolean;
  readonly json: unknown;
}

export interface Verb {
  /** Positional arguments in commander's spelling, for example "<file>". */
  readonly args?: string;
  /** Flags and what they mean. */
  readonly options: readonly (readonly [flags: string, meaning: string])[];
  run(context: VerbContext, input: VerbInput): Promise<VerbResult>;
}
