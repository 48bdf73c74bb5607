// Option values parsed at the door: numbers in range, instants, texts, each with an error that names the option.
import { CANDIDATE_NAME } from "../core/alias.ts";
import { parseDuration } from "../core/duration.ts";
import { SentinelError } from "../core/errors.ts";
import { readInstant } from "../core/time.ts";
import type { VerbOptions } from "./verb.ts";

/** What a seed may be. */
export const SEEDS = { low: 0, high: 4_294_967_295 } as const;

/** An integer option in [low, high], or the fallback. */
export function integerOption(
  options: VerbOptions,
  name: string,
  range: { readonly low: number; readonly high: number; readonly fallback: number },
): number {
  const text = options[name];
  if (text === undefined) return range.fallback;
  const value = Number(text);
  if (typeof text !== "string" || !Number.isInteger(value) || value < range.low || value > range.high) {
    throw usage(`--${dashed(name)} ${String(text)} is no whole number from ${range.low} to ${range.high}`);
  }
  return value;
}

/** As {@link integerOption}; undefined when absent. */
export function optionalInteger(
  options: VerbOptions,
  name: string,
  range: { readonly low: number; readonly high: number },
): number | undefined {
  return options[name] === undefined ? undefined : integerOption(options, name, { ...range, fallback: range.low });
}

/** A text option, or undefined. */
export function textOption(options: VerbOptions, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** The values of an option that may stand several times, in their order. */
export function listOption(options: VerbOptions, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value : [];
}

/** The alias that a new version gets; undefined when absent. */
export function candidateOption(options: VerbOptions): string | undefined {
  const alias = textOption(options, "as");
  if (alias === undefined || CANDIDATE_NAME.test(alias)) return alias;
  throw new SentinelError("cli.usage", `--as ${alias} names no candidate`, {
    hint: "--as candidate, or --as candidate-NAME for one that shadows beside it",
  });
}

/** A finite number, or undefined. */
export function numberOption(options: VerbOptions, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value)) throw usage(`--${dashed(name)} ${text} is no number`);
  return value;
}

/** One of several words; undefined when absent. */
export function choiceOption<T extends string>(
  options: VerbOptions,
  name: string,
  allowed: readonly T[],
): T | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const found = allowed.find((word) => word === text);
  if (found === undefined) throw usage(`--${dashed(name)} ${text} is not one of ${allowed.join(", ")}`);
  return found;
}

/** An instant: ISO date or time (UTC when no zone is given), or epoch milliseconds; undefined when absent. */
export function timeOption(options: VerbOptions, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const value = readInstant(text);
  if (Number.isNaN(value))
    throw usage(
      `--${dashed(name)} ${text} is no time such as 2018-08-15 or 2018-08-15T12:00:00Z, nor milliseconds since 1970`,
    );
  return value;
}

/** A duration such as 30s, in milliseconds, or the fallback. */
export function durationOption(options: VerbOptions, name: string, fallback: number): number {
  const text = textOption(options, name);
  if (text === undefined) return fallback;
  const value = parseDuration(text);
  if (Number.isNaN(value)) throw usage(`--${dashed(name)} ${text} is no duration such as 30s, 15m, 6h or 7d`);
  return value;
}

/** The reason of --force. Errors: cli.usage when one of --force and --reason is given without the other. */
export function forceReason(options: VerbOptions): string | null {
  if (options.force !== true) {
    if (options.reason === undefined) return null;
    throw new SentinelError("cli.usage", "--reason needs --force", {
      hint: "drop --reason, because the journal records the gate's own reasons; or add --force to override a failed gate",
    });
  }
  const reason = textOption(options, "reason")?.trim() ?? "";
  if (reason === "") throw usage('--force needs --reason "…": the journal keeps why a gate was overridden');
  return reason;
}

function usage(message: string): SentinelError {
  return new SentinelError("cli.usage", message, { hint: "see `sentinel <verb> --help`" });
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
