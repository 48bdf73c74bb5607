// The scope of a rule: every name that it may use, with its type.
import type { Area } from "../core/place.ts";
import type { ExpressionType } from "../expression/check.ts";

export interface RuleScope {
  /** Columns of a transaction by canonical name, the event time among them. */
  readonly columns: ReadonlyMap<string, ExpressionType>;
  /** Columns that the log does not hold as they came: what a rule made of them could not be made again. */
  readonly redacted: ReadonlySet<string>;
  /** The canonical name of a column by any of its names; a name that nobody knows is its own. */
  readonly nameOf: (name: string) => string;
  /** The column that is the event time. */
  readonly time: string;
  /** Features of the model, in the order of its vector; none where there is no model. */
  readonly features: readonly string[];
  /** Whether `score` and `anomaly_score` exist. */
  readonly hasModel: boolean;
  readonly areas: Readonly<Record<string, Area>>;
  /** Lists that exist; null: any name is taken. */
  readonly lists: ReadonlySet<string> | null;
}

/** Where a value of a rule comes from. */
export type SourceKind = "column" | "feature" | "window" | "score" | "anomaly";

/** A name in a resolved tree tells its source, so that a column and a feature of one name are two. */
export function sourceName(kind: SourceKind, name: string): string {
  return `${kind} ${name}`;
}

export function sourceOf(resolved: string): { readonly kind: SourceKind; readonly name: string } {
  const at = resolved.indexOf(" ");
  return { kind: resolved.slice(0, at) as SourceKind, name: resolved.slice(at + 1) };
}
