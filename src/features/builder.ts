// The feature builder: specs written in TypeScript, where a misspelt column is a compile error.
import type {
  Aggregate,
  CategoryFeature,
  ColumnFeature,
  DifferenceFeature,
  ElapsedFeature,
  EventWord,
  ExpressionFeature,
  FeatureDef,
  FeatureSpec,
  FirstSeenFeature,
  FraudRunFeature,
  FraudValueFeature,
  LearnedCategory,
  MovementFeature,
  MultipleFeature,
  NeighboursFeature,
  NewValuesFeature,
  NumericColumns,
  OpenFeature,
  OpenSpec,
  PercentileFeature,
  RatioFeature,
  SinceFraudFeature,
  TimeFeature,
  TimePart,
  TwoHopsFeature,
  WindowFeature,
} from "./definition.ts";
import { EVENT_TIME } from "./definition.ts";
import { columnsNamed } from "./expression.ts";
import { checkOpenSpec } from "./open.ts";

/** A duration as people write it. */
export type Duration = `${number}${"ms" | "s" | "m" | "h" | "d"}`;

/** Columns of a transaction: numbers to compute with, keys to group by, texts for expressions, which may also name keys. */
export type DeclaredColumns = Readonly<Record<string, "number" | "key" | "text">>;

type NamesOf<C extends DeclaredColumns, T> = { [N in keyof C]: C[N] extends T ? N : never }[keyof C] & string;
type NumberOf<C extends DeclaredColumns> = NamesOf<C, "number">;
type AnyOf<C extends DeclaredColumns> = keyof C & string;
/** One key column, or a pair. */
type KeyOf<C extends DeclaredColumns> = AnyOf<C> | readonly [AnyOf<C>, AnyOf<C>];

/** What {@link declareColumns} returns: one function a kind. References are the features themselves, so they cannot dangle. */
export interface FeatureBuilder<C extends DeclaredColumns> {
  column(column: NumberOf<C>, name?: string): ColumnFeature;
  /** Its values by their places in the list; any other value is one category more. */
  category(column: AnyOf<C>, values: readonly string[], name?: string): CategoryFeature;
  /** Its values are learned from the training rows and stand in the bundle: see {@link LearnedCategory}. */
  category(column: AnyOf<C>, learned: LearnedTerms, name?: string): LearnedCategory;
  /** All numeric columns of the training table, in the order of their names: see {@link NumericColumns}. */
  columns(which: Omit<NumericColumns, "kind">): NumericColumns;
  time(name: string, part: TimePart): TimeFeature;
  window(
    name: string,
    what: WindowTerms<C> &
      History<C> &
      (
        | { readonly over: EventWord }
        | { readonly over: NumberOf<C>; readonly aggregate: Aggregate }
        | { readonly over: AnyOf<C>; readonly aggregate: "distinct" }
        | { readonly over: OverSql; readonly aggregate: Exclude<Aggregate, "distinct"> }
      ),
  ): WindowFeature;
  elapsed(
    name: string,
    what: Pick<ElapsedFeature, "since" | "unit"> & Key<C> & History<C> & { readonly within: Duration },
  ): ElapsedFeature;
  sinceFraud(
    name: string,
    what: Key<C> & History<C> & { readonly within: Duration; readonly delay?: Duration },
  ): SinceFraudFeature;
  /** See {@link PercentileFeature}. */
  percentile(
    name: string,
    what: WindowTerms<C> & { readonly over: NumberOf<C>; readonly percent: number },
  ): PercentileFeature;
  /** See {@link FirstSeenFeature}. */
  firstSeen(name: string, what: Key<C> & { readonly column: AnyOf<C>; readonly within: Duration }): FirstSeenFeature;
  /** See {@link NewValuesFeature}. */
  newValues(
    name: string,
    what: Key<C> & {
      readonly column: AnyOf<C>;
      readonly window: Duration;
      readonly within: Duration;
      readonly current?: boolean;
    },
  ): NewValuesFeature;
  /** See {@link MovementFeature}. */
  movement(
    name: string,
    what: Pick<MovementFeature, "measure"> &
      Key<C> & { readonly latitude: NumberOf<C>; readonly longitude: NumberOf<C>; readonly within: Duration },
  ): MovementFeature;
  /** See {@link NeighboursFeature}. */
  neighbours(
    name: string,
    what: Pick<NeighboursFeature, "measure" | "empty"> &
      Key<C> & { readonly column: AnyOf<C>; readonly window: Duration; readonly delay?: Duration },
  ): NeighboursFeature;
  /** See {@link TwoHopsFeature}. */
  twoHops(
    name: string,
    what: Pick<TwoHopsFeature, "aggregate" | "empty"> &
      Key<C> & {
        readonly through: KeyOf<C>;
        readonly within: Duration;
        readonly window: Duration;
        readonly delay?: Duration;
      },
  ): TwoHopsFeature;
  /** See {@link FraudValueFeature}. */
  fraudValue(
    name: string,
    what: Pick<FraudValueFeature, "aggregate"> & Key<C> & { readonly over: NumberOf<C>; readonly within: Duration },
  ): FraudValueFeature;
  /** See {@link FraudRunFeature}. */
  fraudRun(
    name: string,
    what: Pick<FraudRunFeature, "measure"> & Key<C> & { readonly within: Duration; readonly delay?: Duration },
  ): FraudRunFeature;
  multiple(
    name: string,
    what: Pick<MultipleFeature, "times" | "current"> &
      Key<C> & { readonly over: NumberOf<C>; readonly window: Duration; readonly usual: Duration },
  ): MultipleFeature;
  ratio(name: string, numerator: FeatureDef, denominator: FeatureDef): RatioFeature;
  difference(name: string, of: FeatureDef, minus: FeatureDef): DifferenceFeature;
  /** SQL (docs/expressions.md) over the spec's earlier features and declared columns, both by name; `spec` checks it. */
  expression(name: string, sql: string): ExpressionFeature;
  /** The spec of these features in this order, checked. Throws `features.spec-invalid`. */
  spec(what: {
    readonly name: string;
    readonly version: number;
    readonly features: readonly FeatureDef[];
  }): FeatureSpec;
  /** The same where the training table says part of it. */
  spec(what: { readonly name: string; readonly version: number; readonly features: readonly OpenFeature[] }): OpenSpec;
}

/**
 * What each transaction is worth to a window, by SQL (docs/expressions.md) over its declared columns and `event_time`; a truth is 1 or 0, NULL is
 * missing. `name` is what reasons call it.
 */
export interface OverSql {
  readonly name: string;
  readonly sql: string;
}

type LearnedTerms = Pick<LearnedCategory, "values" | "max" | "rowsMin">;

interface Key<C extends DeclaredColumns> {
  readonly key: KeyOf<C>;
}

/** Where the key is looked for in another role: the columns that hold it there, one for one. */
interface History<C extends DeclaredColumns> {
  readonly history?: KeyOf<C>;
}

type WindowTerms<C extends DeclaredColumns> = Key<C> & {
  readonly window: Duration;
  readonly delay?: Duration;
  readonly current?: boolean;
  readonly empty?: number;
};

/** Begins a spec: declares the columns that its features may name. */
export function declareColumns<const C extends DeclaredColumns>(columns: C): FeatureBuilder<C> {
  const known = Object.keys(columns);
  const types = Object.fromEntries(
    Object.entries(columns).map(([name, type]) => [name, type === "number" ? "number" : "text"] as const),
  );
  const ownTypes = { [EVENT_TIME]: "time", ...types } as const;
  function category(column: string, values: readonly string[], name?: string): CategoryFeature;
  function category(column: string, learned: LearnedTerms, name?: string): LearnedCategory;
  function category(
    column: string,
    given: readonly string[] | LearnedTerms,
    name = column,
  ): CategoryFeature | LearnedCategory {
    return isList(given)
      ? { kind: "category", name, column, values: given }
      : { kind: "category", name, column, ...given };
  }
  function spec(what: Omit<FeatureSpec, "timeZone">): FeatureSpec;
  function spec(what: Omit<OpenSpec, "timeZone">): OpenSpec;
  function spec({ name, version, features }: OpenSpec): OpenSpec {
    return checkOpenSpec({ name, version, features }, { columns: known });
  }
  return {
    column: (column, name = column) => ({ kind: "column", name, column }),
    category,
    columns: (which) => ({ kind: "columns", ...which }),
    time: (name, part) => ({ kind: "time", name, part }),
    window: (name, what) => {
      const { over, history, ...rest } = what;
      const made = { kind: "window", name, ...rest, key: keyColumns(what.key), ...historyOf(history) } as const;
      if (typeof over === "string") return { ...made, over };
      const derived = { sql: over.sql, columns: columnsNamed(over.sql, ownTypes), keeps: "value" } as const;
      return { ...made, over: over.name, derived };
    },
    elapsed: (name, { history, ...what }) => ({
      kind: "elapsed",
      name,
      ...what,
      key: keyColumns(what.key),
      ...historyOf(history),
    }),
    sinceFraud: (name, { history, ...what }) => ({
      kind: "since-fraud",
      name,
      ...what,
      key: keyColumns(what.key),
      ...historyOf(history),
    }),
    percentile: (name, what) => ({ kind: "percentile", name, ...what, key: keyColumns(what.key) }),
    firstSeen: (name, what) => ({ kind: "first-seen", name, ...what, key: keyColumns(what.key) }),
    newValues: (name, what) => ({ kind: "new-values", name, ...what, key: keyColumns(what.key) }),
    movement: (name, what) => ({ kind: "movement", name, ...what, key: keyColumns(what.key) }),
    neighbours: (name, what) => ({ kind: "neighbours", name, ...what, key: keyColumns(what.key) }),
    twoHops: (name, what) => ({
      kind: "two-hops",
      name,
      ...what,
      key: keyColumns(what.key),
      through: keyColumns(what.through),
    }),
    fraudValue: (name, what) => ({ kind: "fraud-value", name, ...what, key: keyColumns(what.key) }),
    fraudRun: (name, what) => ({ kind: "fraud-run", name, ...what, key: keyColumns(what.key) }),
    multiple: (name, what) => ({ kind: "multiple", name, ...what, key: keyColumns(what.key) }),
    ratio: (name, numerator, denominator) => ({
      kind: "ratio",
      name,
      numerator: numerator.name,
      denominator: denominator.name,
    }),
    difference: (name, of, minus) => ({ kind: "difference", name, of: of.name, minus: minus.name }),
    expression: (name, sql) => ({ kind: "expression", name, sql, columns: columnsNamed(sql, ownTypes) }),
    spec,
  };
}

function isList(given: readonly string[] | LearnedTerms): given is readonly string[] {
  return Array.isArray(given);
}

function historyOf(history: string | readonly string[] | undefined): { readonly history?: readonly string[] } {
  return history === undefined ? {} : { history: keyColumns(history) };
}

function keyColumns(key: string | readonly string[]): readonly string[] {
  return typeof key === "string" ? [key] : key;
}
