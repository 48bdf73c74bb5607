// What Great Expectations and Sentinel are both asked: every type that Sentinel supports, most of them in several ways.

export interface Asked {
  readonly type: string;
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** What Sentinel means to answer otherwise, where the columns make it so; says why. */
  readonly differs?: string;
}

const NAMES = [
  ...["transaction_id", "time", "amount", "limit", "balance", "customer_id", "visit", "terminal_id", "channel"],
  ...["country", "billing", "email", "day", "written", "payload", "part_a", "part_b", "part_c", "is_fraud"],
];
const PARTS = ["part_a", "part_b", "part_c"];
const CHANNELS = ["web", "pos", "app"];
const column = (type: string, name: string, kwargs: Readonly<Record<string, unknown>> = {}): Asked => ({
  type,
  kwargs: { column: name, ...kwargs },
});
const comparison = (name: string, operator: string, parameter: unknown): unknown => ({
  type: "comparison",
  column: { name },
  operator,
  parameter,
});

export const PARITY_SUITE: readonly Asked[] = [
  column("expect_column_to_exist", "country"),
  column("expect_column_to_exist", "amount", { column_index: 2 }),
  { type: "expect_table_row_count_to_be_between", kwargs: { min_value: 100, max_value: 241 } },
  { type: "expect_table_row_count_to_equal", kwargs: { value: 240 } },
  { type: "expect_table_column_count_to_be_between", kwargs: { min_value: 19, max_value: 30 } },
  { type: "expect_table_column_count_to_equal", kwargs: { value: 19 } },
  {
    type: "expect_table_columns_to_match_set",
    kwargs: { column_set: ["amount", "time", "country"], exact_match: false },
  },
  { type: "expect_table_columns_to_match_ordered_list", kwargs: { column_list: NAMES } },
  column("expect_column_values_to_not_be_null", "amount", { mostly: 0.9 }),
  column("expect_column_values_to_not_be_null", "balance"),
  column("expect_column_values_to_be_null", "balance", { mostly: 0.05 }),
  column("expect_column_proportion_of_non_null_values_to_be_between", "balance", { min_value: 0.8, max_value: 0.95 }),
  column("expect_column_values_to_be_unique", "transaction_id"),
  column("expect_column_values_to_be_unique", "amount", { mostly: 0.5 }),
  column("expect_column_values_to_be_unique", "time"),
  {
    type: "expect_compound_columns_to_be_unique",
    kwargs: { column_list: ["customer_id", "terminal_id", "visit"] },
  },
  {
    type: "expect_compound_columns_to_be_unique",
    kwargs: { column_list: ["channel", "balance"], ignore_row_if: "any_value_is_missing", mostly: 0.97 },
  },
  column("expect_column_values_to_be_in_set", "channel", { value_set: CHANNELS }),
  column("expect_column_values_to_be_in_set", "is_fraud", { value_set: [0, 1] }),
  column("expect_column_values_to_not_be_in_set", "channel", { value_set: ["phone", "app"], mostly: 0.8 }),
  column("expect_column_values_to_be_between", "amount", { min_value: 0, max_value: 5000 }),
  column("expect_column_values_to_be_between", "amount", { min_value: 5, strict_min: true, mostly: 0.95 }),
  column("expect_column_values_to_be_between", "visit", { min_value: 0, max_value: 3 }),
  column("expect_column_values_to_be_between", "time", {
    min_value: "2024-02-20T00:00:00",
    max_value: "2024-03-01T00:00:00",
  }),
  column("expect_column_values_to_be_increasing", "visit"),
  column("expect_column_values_to_be_increasing", "visit", { strictly: true, mostly: 0.01 }),
  column("expect_column_values_to_be_decreasing", "visit", { mostly: 0.98 }),
  column("expect_column_values_to_match_regex", "email", { regex: "^[a-z0-9]+@example\\.(org|com)$" }),
  column("expect_column_values_to_match_regex", "customer_id", { regex: "^10[0-9]{2}$", mostly: 0.95 }),
  column("expect_column_values_to_not_match_regex", "email", { regex: "\\s|ü" }),
  column("expect_column_values_to_match_regex_list", "terminal_id", {
    regex_list: ["^t-\\d$", "^t-1\\d$"],
    mostly: 0.65,
  }),
  column("expect_column_values_to_match_regex_list", "email", {
    regex_list: ["@", "^user\\d*[02468]@"],
    match_on: "all",
    mostly: 0.4,
  }),
  column("expect_column_values_to_not_match_regex_list", "channel", { regex_list: ["^ ", "one$"], mostly: 0.9 }),
  column("expect_column_value_lengths_to_be_between", "email", { min_value: 16, max_value: 19, mostly: 0.99 }),
  column("expect_column_value_lengths_to_equal", "email", { value: 19, mostly: 0.58 }),
  column("expect_column_values_to_match_strftime_format", "day", { strftime_format: "%Y-%m-%d" }),
  column("expect_column_values_to_be_dateutil_parseable", "written"),
  column("expect_column_values_to_be_json_parseable", "payload"),
  column("expect_column_values_to_match_json_schema", "payload", {
    json_schema: {
      type: "object",
      required: ["items", "device"],
      properties: { items: { type: "integer", minimum: 1 }, device: { enum: ["ios", "android"] } },
    },
  }),
  column("expect_column_values_to_be_of_type", "channel", { type_: "str" }),
  column("expect_column_values_to_be_of_type", "customer_id", { type_: "int64" }),
  column("expect_column_values_to_be_in_type_list", "customer_id", { type_list: ["int64", "int32"] }),
  column("expect_column_min_to_be_between", "amount", { min_value: 0, max_value: 10 }),
  column("expect_column_max_to_be_between", "amount", { max_value: 1000 }),
  column("expect_column_max_to_be_between", "time", { min_value: "2024-02-27T00:00:00" }),
  column("expect_column_mean_to_be_between", "amount", { min_value: 10, max_value: 60 }),
  column("expect_column_median_to_be_between", "amount", { min_value: 10, max_value: 30 }),
  column("expect_column_stdev_to_be_between", "amount", { min_value: 1, max_value: 60 }),
  column("expect_column_sum_to_be_between", "part_a", { min_value: 5000, max_value: 9000 }),
  column("expect_column_quantile_values_to_be_between", "amount", {
    quantile_ranges: {
      quantiles: [0.05, 0.5, 0.95],
      value_ranges: [
        [1, 20],
        [10, 40],
        [20, 200],
      ],
    },
  }),
  column("expect_column_quantile_values_to_be_between", "balance", {
    quantile_ranges: {
      quantiles: [0.25, 0.9],
      value_ranges: [
        [null, 300],
        [100, null],
      ],
    },
    allow_relative_error: "linear",
  }),
  column("expect_column_unique_value_count_to_be_between", "channel", { min_value: 3, max_value: 3 }),
  column("expect_column_unique_value_count_to_be_between", "amount", { min_value: 100 }),
  column("expect_column_proportion_of_unique_values_to_be_between", "customer_id", { min_value: 0.1, max_value: 0.5 }),
  column("expect_column_distinct_values_to_be_in_set", "channel", { value_set: CHANNELS }),
  column("expect_column_distinct_values_to_equal_set", "channel", { value_set: CHANNELS }),
  column("expect_column_distinct_values_to_contain_set", "country", { value_set: ["DE", "FR"] }),
  column("expect_column_most_common_value_to_be_in_set", "channel", { value_set: ["pos", "web"] }),
  column("expect_column_most_common_value_to_be_in_set", "country", { value_set: ["DE", "FR"], ties_okay: true }),
  column("expect_column_value_z_scores_to_be_less_than", "amount", { threshold: 3, double_sided: true, mostly: 0.985 }),
  column("expect_column_value_z_scores_to_be_less_than", "balance", { threshold: 1.5, double_sided: false }),
  column("expect_column_kl_divergence_to_be_less_than", "channel", {
    partition_object: { values: CHANNELS, weights: [0.3, 0.5, 0.2] },
    threshold: 0.05,
  }),
  column("expect_column_kl_divergence_to_be_less_than", "channel", {
    partition_object: { values: CHANNELS, weights: [0.3, 0.5, 0.2] },
    threshold: 0.1,
    tail_weight_holdout: 0.05,
  }),
  column("expect_column_kl_divergence_to_be_less_than", "amount", {
    partition_object: { bins: [0, 10, 20, 40, 100], weights: [0.25, 0.25, 0.25, 0.15], tail_weights: [0.01, 0.09] },
    threshold: 0.3,
  }),
  column("expect_column_kl_divergence_to_be_less_than", "balance", {
    partition_object: { bins: [0, 100, 250, 400], weights: [0.25, 0.4, 0.35] },
    tail_weight_holdout: 0.1,
    internal_weight_holdout: 0.05,
    threshold: 0.2,
  }),
  { type: "expect_column_pair_values_a_to_be_greater_than_b", kwargs: { column_A: "limit", column_B: "amount" } },
  {
    type: "expect_column_pair_values_a_to_be_greater_than_b",
    kwargs: {
      column_A: "amount",
      column_B: "balance",
      or_equal: true,
      ignore_row_if: "either_value_is_missing",
      mostly: 0.1,
    },
  },
  { type: "expect_column_pair_values_to_be_equal", kwargs: { column_A: "country", column_B: "billing", mostly: 0.9 } },
  {
    type: "expect_column_pair_values_to_be_equal",
    kwargs: { column_A: "country", column_B: "billing", ignore_row_if: "either_value_is_missing" },
  },
  {
    type: "expect_column_pair_values_to_be_in_set",
    kwargs: {
      column_A: "country",
      column_B: "billing",
      value_pairs_set: [
        ["DE", "DE"],
        ["FR", "FR"],
        ["IT", "IT"],
        ["ES", null],
      ],
      mostly: 0.7,
    },
  },
  { type: "expect_multicolumn_sum_to_equal", kwargs: { column_list: PARTS, sum_total: 100 } },
  {
    type: "expect_select_column_values_to_be_unique_within_record",
    kwargs: { column_list: PARTS, mostly: 0.942 },
  },
  {
    type: "expect_select_column_values_to_be_unique_within_record",
    kwargs: { column_list: ["channel", "country", "billing"], ignore_row_if: "any_value_is_missing", mostly: 0.1 },
  },
  { type: "expect_multicolumn_values_to_be_equal", kwargs: { column_list: ["country", "billing"], mostly: 0.9 } },
  // Only some rows.
  column("expect_column_values_to_be_between", "amount", {
    min_value: 2,
    max_value: 200,
    row_condition: 'channel == "web" and is_fraud == 0',
    condition_parser: "pandas",
  }),
  column("expect_column_values_to_not_be_null", "billing", {
    row_condition: 'amount > 20 or not (country in ["DE", "FR"])',
    condition_parser: "pandas",
    mostly: 0.928,
  }),
  column("expect_column_mean_to_be_between", "balance", {
    row_condition: "10 < amount <= 80 and balance.notnull()",
    condition_parser: "pandas",
    min_value: 200,
    max_value: 300,
  }),
  column("expect_column_values_to_be_unique", "email", {
    row_condition: {
      type: "and",
      conditions: [comparison("visit", ">=", 1), comparison("channel", "IN", ["web", "app"])],
    },
  }),
];
