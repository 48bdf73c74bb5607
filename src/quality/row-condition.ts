// What a row condition is once it is read: comparisons of a column with values, joined by and, or, not.

export const ORDER_OPERATORS = ["==", "!=", "<", "<=", ">", ">="] as const;
export const SET_OPERATORS = ["IN", "NOT_IN"] as const;
export type Operator = (typeof ORDER_OPERATORS)[number] | (typeof SET_OPERATORS)[number];
export type Parameter = number | string;

export type Condition =
  | { readonly kind: "comparison"; readonly column: string; readonly operator: Operator; readonly values: Parameter[] }
  | { readonly kind: "nullity"; readonly column: string; readonly isNull: boolean }
  | { readonly kind: "and" | "or"; readonly conditions: readonly Condition[] }
  | { readonly kind: "not"; readonly condition: Condition }
  /** A text that only another engine can read, so that the expectation is reported as unsupported. */
  | { readonly kind: "foreign"; readonly text: string; readonly why: string };
