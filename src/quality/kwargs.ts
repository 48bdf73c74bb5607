// The arguments of one expectation, read with their types checked; a name nobody read is a spelling mistake.
import { SentinelError } from "../core/errors.ts";
import { parseInstant } from "./cells.ts";

/** A limit as a suite gives it: a number, or an instant (milliseconds since 1970) for time columns. */
export interface Limit {
  readonly value: number;
  readonly isTime: boolean;
}

export interface Range {
  readonly min: Limit | null;
  readonly max: Limit | null;
  readonly strictMin: boolean;
  readonly strictMax: boolean;
}

/** Values a set may hold; booleans are read as 1 and 0, which is how they compare in Python. */
export type SetValue = number | string;

/** At most this many members in a list; a longer one belongs in a table, not in a suite. */
const LIST_LENGTH_MAX = 100_000;

/** Keyword arguments every expectation may have and that change nothing here, or that the evaluator has read before. */
const COMMON = ["batch_id", "result_format", "catch_exceptions", "include_config", "windows", "row_condition"] as const;
/**
 * Of 0.x files: how limits were once found (the limits themselves stand beside), and that texts are to be read as dates, as they are here anyway.
 */
const OLD = ["auto", "profiler_config", "parse_strings_as_datetimes", "allow_cross_type_comparisons"] as const;
const ALWAYS_ALLOWED: ReadonlySet<string> = new Set([...COMMON, ...OLD, "condition_parser"]);

/** Reads the arguments of one expectation; every method throws `quality.suite-invalid` naming `where` and the argument. */
export class Kwargs {
  readonly where: string;
  private readonly given: Readonly<Record<string, unknown>>;
  private readonly read = new Set<string>();

  constructor(given: Readonly<Record<string, unknown>>, where: string) {
    this.given = given;
    this.where = where;
  }

  /** The value under a name, undefined when absent or null. */
  get(name: string): unknown {
    this.read.add(name);
    if (!Object.hasOwn(this.given, name)) return undefined;
    return this.given[name] ?? undefined;
  }

  text(name: string): string {
    const value = this.get(name);
    return typeof value === "string" && value !== "" ? value : this.wrong(name, "a text that is not empty");
  }

  optionalText(name: string): string | null {
    return this.get(name) === undefined ? null : this.text(name);
  }

  optionalNumber(name: string): number | null {
    const value = this.get(name);
    if (value === undefined) return null;
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    return typeof number === "number" && !Number.isNaN(number) ? number : this.wrong(name, "a number");
  }

  number(name: string): number {
    return this.optionalNumber(name) ?? this.wrong(name, "a number");
  }

  boolean(name: string, otherwise: boolean): boolean {
    const value = this.get(name);
    if (value === undefined) return otherwise;
    return typeof value === "boolean" ? value : this.wrong(name, "true or false");
  }

  /** The share of rows that must be as expected, 0 to 1. */
  mostly(): number {
    const value = this.get("mostly") ?? 1;
    return typeof value === "number" && value >= 0 && value <= 1 ? value : this.wrong("mostly", "a number from 0 to 1");
  }

  choice<T extends string>(name: string, allowed: readonly T[]): T {
    const value = this.get(name) ?? allowed[0];
    return allowed.find((one) => one === value) ?? this.wrong(name, `one of ${allowed.join(", ")}`);
  }

  list(name: string): readonly unknown[] {
    const value = this.get(name);
    if (!Array.isArray(value)) return this.wrong(name, "a list");
    return value.length <= LIST_LENGTH_MAX ? value : this.wrong(name, `a list of at most ${LIST_LENGTH_MAX} members`);
  }

  texts(name: string): readonly string[] {
    const texts = this.list(name).filter((member): member is string => typeof member === "string");
    return texts.length === this.list(name).length ? texts : this.wrong(name, "a list of texts");
  }

  /** A null among them stands for a missing cell, which is no value: `hasNull` tells of it. */
  values(name: string): readonly SetValue[] {
    const members = this.list(name).filter((member) => member !== null);
    return members.map((member) => {
      if (typeof member === "boolean") return member ? 1 : 0;
      if (typeof member === "number" || typeof member === "string") return member;
      return this.wrong(name, "a list of numbers, texts and booleans");
    });
  }

  /** Whether a null stands under the name, as 0.x files have it where nothing was chosen. */
  isNull(name: string): boolean {
    this.read.add(name);
    return Object.hasOwn(this.given, name) && this.given[name] === null;
  }

  hasNull(name: string): boolean {
    return this.list(name).includes(null);
  }

  /** min_value, max_value, strict_min, strict_max; `ordered` refuses a minimum above the maximum. */
  range(options: { readonly required?: boolean } = {}): Range {
    const min = this.limit("min_value");
    const max = this.limit("max_value");
    if (options.required && min === null && max === null) this.wrong("min_value", "given, or max_value");
    return { min, max, strictMin: this.boolean("strict_min", false), strictMax: this.boolean("strict_max", false) };
  }

  limit(name: string): Limit | null {
    const value = this.get(name);
    if (value === undefined) return null;
    if (typeof value === "string") {
      const instant = parseInstant(value.trim());
      if (!Number.isNaN(instant)) return { value: instant, isTime: true };
    }
    if (typeof value === "boolean" || typeof value === "object" || value === "") this.wrong(name, "a number or a date");
    const number = Number(value);
    return Number.isNaN(number) ? this.wrong(name, "a number or a date") : { value: number, isTime: false };
  }

  /** Refuses names that nobody asked for: a misspelt limit would be a check that always passes. */
  finish(): void {
    const unknown = Object.keys(this.given).filter((name) => !this.read.has(name) && !ALWAYS_ALLOWED.has(name));
    if (unknown.length === 0) return;
    throw new SentinelError("quality.suite-invalid", `${this.where} has no argument ${unknown.join(", ")}`, {
      hint: `its arguments are: ${[...this.read].join(", ")}, and on every expectation: row_condition`,
    });
  }

  wrong(name: string, wanted: string): never {
    const value = Object.hasOwn(this.given, name) ? JSON.stringify(this.given[name])?.slice(0, 80) : "absent";
    throw new SentinelError("quality.suite-invalid", `${this.where}: ${name} is ${value} and must be ${wanted}`, {
      hint: `correct ${name} in the suite file`,
    });
  }
}
