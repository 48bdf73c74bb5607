// Expression features: SQL over earlier features and columns of the transaction, compiled with the types of both.
import { messageOf, SentinelError } from "../core/errors.ts";
import type { DerivedValue } from "../core/window.ts";
import type { CompiledExpression } from "../expression/compile.ts";
import { compileExpression, namesIn } from "../expression/compile.ts";
import type { ColumnType, ExpressionFeature } from "./definition.ts";

/** A name in the SQL is an earlier feature if there is one, else a declared column of the transaction. */
export interface NamePlace {
  readonly from: "feature" | ColumnType;
  readonly name: string;
}

export interface FeatureExpression {
  readonly compiled: CompiledExpression;
  /** One per column of the compiled expression, in its order. */
  readonly places: readonly NamePlace[];
}

/** Compiles an expression feature. Throws `expression.invalid`, also for a result that is a text. */
export function compileFeature(
  def: Pick<ExpressionFeature, "sql" | "columns">,
  earlier: Iterable<string>,
): FeatureExpression {
  const features = new Set(earlier);
  const declared = Object.entries(def.columns ?? {});
  const types = [...declared, ...[...features].map((name) => [name, "number"] as const)];
  // fromEntries makes own members, whatever their names.
  const compiled = compileExpression(def.sql, { columns: Object.fromEntries(types) });
  if (compiled.type === "text" || compiled.type === "time") {
    throw new SentinelError("expression.invalid", `the expression gives a ${compiled.type}`, {
      hint:
        compiled.type === "text"
          ? "a feature is a number or a truth (1 or 0); compare the text, as in country = 'FR'"
          : "a feature is a number or a truth (1 or 0); take the time apart, as in hour(event_time), or say how long ago it is with datediff",
    });
  }
  const columns = new Map(declared);
  const places = compiled.columns.map((name): NamePlace => {
    return { from: features.has(name) ? "feature" : columns.get(name)!, name };
  });
  return { compiled, places };
}

/** Those declared columns that the SQL names; none when it does not parse, which the check of the spec then says. */
export function columnsNamed<T extends string>(
  sql: string,
  declared: Readonly<Record<string, T>>,
): Readonly<Record<string, T>> {
  let names: readonly string[];
  try {
    names = namesIn(sql);
  } catch (error) {
    if (error instanceof SentinelError) return {};
    throw error;
  }
  const known = new Map(Object.entries(declared));
  return Object.fromEntries(names.filter((name) => known.has(name)).map((name) => [name, known.get(name)!]));
}

/** What is wrong with an expression feature, said of the spec; null when nothing is. */
export function expressionFault(
  def: Pick<ExpressionFeature, "name" | "sql" | "columns">,
  scope: { readonly where: string; readonly earlier: ReadonlySet<string>; readonly allNames: ReadonlySet<string> },
): SentinelError | null {
  try {
    compileFeature(def, scope.earlier);
    return null;
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    const hint = laterName(def, scope) ?? `${error.hint}; a column of the transaction is declared in "columns"`;
    const message = `${scope.where}: sql: ${messageOf(error)}`;
    return new SentinelError("features.spec-invalid", message, { hint, cause: error });
  }
}

/** What is wrong with the expression that a window is over, said of the spec; null when nothing is. */
export function derivedFault({ sql, columns }: DerivedValue, where: string): SentinelError | null {
  try {
    const { type } = compileExpression(sql, { columns });
    if (type === "number" || type === "boolean") return null;
    return new SentinelError("features.spec-invalid", `${where}: sql: the expression gives a ${type}`, {
      hint: "a window is over numbers or truths (1 or 0), such as amount / 2 or hour(event_time) < 6",
    });
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    return new SentinelError("features.spec-invalid", `${where}: sql: ${messageOf(error)}`, {
      hint: `${error.hint}; a window is over columns of the transaction itself, declared in "columns", not over features`,
      cause: error,
    });
  }
}

/** The way out when the SQL names the feature itself or one that comes later. */
function laterName(
  def: Pick<ExpressionFeature, "name" | "sql" | "columns">,
  scope: { readonly earlier: ReadonlySet<string>; readonly allNames: ReadonlySet<string> },
): string | null {
  const known = new Set([...scope.earlier, ...Object.keys(def.columns ?? {})]);
  let names: readonly string[];
  try {
    names = namesIn(def.sql);
  } catch {
    return null;
  }
  const later = names.find((name) => !known.has(name) && scope.allNames.has(name));
  if (later === undefined) return null;
  return later === def.name
    ? "refer to features that come before this one, not to itself"
    : `move ${later} before ${def.name}; features may refer to earlier ones only`;
}
