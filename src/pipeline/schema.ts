// The JSON Schema of a pipeline file: which keys exist, of what type and in what range.

import { TIME_UNITS } from "../core/time.ts";

const share = { type: "number", minimum: 0, maximum: 1 };
export const DURATION_PATTERN = "^\\d+(\\.\\d+)?(ms|s|m|h|d)$";
const duration = { type: "string", pattern: DURATION_PATTERN };
const count = (minimum: number, maximum: number): object => ({ type: "integer", minimum, maximum });
const number = (minimum: number, maximum: number): object => ({ type: "number", minimum, maximum });
const closed = (properties: object, required: readonly string[] = []): object => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});
const text = { type: "string", minLength: 1, maxLength: 200 };

/** The time column with how it is written. */
const time = closed({ column: text, unit: { enum: [...TIME_UNITS] }, origin: text, format: text, zone: text }, [
  "column",
]);

export const PIPELINE_SCHEMA = closed(
  {
    name: { type: "string", pattern: "^[\\w-]{1,100}$" },
    model: { type: "string", pattern: "^[\\w.-]{1,100}$" },
    source: text,
    features: { type: "string", pattern: "^[\\w-]+(#[A-Za-z_$][\\w$]*)?$" },
    schema: text,
    suite: text,
    columns: closed({ id: text, time: { anyOf: [text, time] }, amount: text, card: text, label: text }, [
      "id",
      "time",
      "amount",
      "label",
    ]),
    aliases: { type: "object", additionalProperties: { type: "array", items: text, maxItems: 50 } },
    labels: closed({ delay: duration, maturity: duration, unreported: { enum: ["genuine", "unknown"] } }),
    split: closed({ history: share, gap: duration, calibrate: share, evaluate: share }),
    model_parameters: closed({
      trees: count(1, 10_000),
      learning_rate: number(1e-6, 1),
      depth_max: count(1, 16),
      lambda: number(0, 1e6),
      alpha: number(0, 1e6),
      gamma: number(0, 1e6),
      min_child_weight: number(0, 1e6),
      row_sample: number(0.01, 1),
      goss_top: number(0, 0.99),
      goss_rest: number(0.001, 1),
      column_sample: number(0.01, 1),
      bins_max: count(3, 256),
      category_rows_min: count(1, 1_000_000),
      category_lambda: number(0, 1e6),
      category_smoothing: number(0, 1e6),
      scale_positive: number(1e-3, 1e6),
      monotone: { type: "object", additionalProperties: { enum: ["increasing", "decreasing"] } },
      early_stopping_rounds: count(0, 10_000),
      anomaly_trees: count(1, 10_000),
      anomaly_sample: count(2, 1_000_000),
      calibration: { enum: ["choose", "isotonic", "beta", "none"] },
      seed: count(0, 4_294_967_295),
    }),
    decisions: closed({
      review_policy: { enum: ["budget", "max-f1", "cost"] },
      review_share: share,
      review_cost: number(0, 1e9),
      missed_share: share,
      block_precision: share,
      block_score_min: share,
      fail_open: { enum: ["approve", "review", "block"] },
    }),
    gates: closed({
      data: closed({ label_rate: { type: "array", items: share, minItems: 2, maxItems: 2 } }),
      training: closed({ margin: share }),
      promotion: closed({
        mode: { enum: ["non-inferiority", "superiority"] },
        margin: share,
        coverage_min: share,
        frauds_min: count(1, 1_000_000),
        days_min: number(0, 365),
        resamples: count(100, 100_000),
      }),
    }),
    shadow: closed({ sample: share, timeout: duration, queue_max: count(1, 1_000_000) }),
    drift: closed({ window: duration, psi_floor: number(0, 10), false_discovery_rate: share }),
    retrain: closed({ cooldown: duration }),
    serve: closed({ poll: duration, body_max_bytes: count(1024, 104_857_600), batch_max: count(1, 100_000) }),
  },
  ["name", "model", "source", "features", "schema", "suite", "columns"],
);
