// JSON Schemas of what the server answers.

const text = { type: "string" };
const count = { type: "integer", minimum: 0 };
const decision = { enum: ["approve", "review", "block"] };
const shape = { type: "array", items: count };
const share = { type: ["number", "null"], minimum: 0, maximum: 1 };

/** A schema among the document's components. */
export function ref(name: string): object {
  return { $ref: `#/components/schemas/${name}` };
}

/** The query that asks for reasons. */
export const EXPLAIN_QUERY = {
  explain: {
    description:
      "true adds `reasons`: what raised the score most, each with a stable code and a sentence; null with `reasons_absent` where there are none to give.",
    schema: { type: "boolean", default: false },
  },
};

export const ANSWER_SCHEMA = ref("Answer");
export const EXPLANATION_SCHEMA = ref("Explanation");
export const FEEDBACK_RESULT_SCHEMA = ref("FeedbackResult");
/** A line of an NDJSON answer. */
export const LINE_SCHEMA = { anyOf: [ref("Answer"), ref("LineProblem")] };
export const PROBLEM_SCHEMA = ref("Problem");

const model = {
  type: "object",
  required: ["name", "version", "bundle"],
  properties: { name: text, version: text, bundle: { ...text, description: "SHA-256 over the bundle's files." } },
};
const number = { type: "number" };
const numberOrNull = { type: ["number", "null"] };

/** What an explanation says of one bundle. */
const side = {
  model,
  decision,
  score: { ...share, description: "Calibrated probability of fraud." },
  anomaly_score: share,
  uncalibrated_score: { ...share, description: "The margin's probability before calibration." },
  margin: { ...number, description: "Log-odds that the trees give." },
  baseline: {
    ...number,
    description: "Margin of a transaction nothing is known of; contributions lead from it to the margin.",
  },
};

/** components.schemas of what is answered. */
export const SCHEMAS = {
  Answer: {
    type: "object",
    required: ["transaction_id", "score", "anomaly_score", "decision", "model"],
    properties: {
      transaction_id: text,
      score: { ...share, description: "Calibrated probability of fraud; null when degraded." },
      anomaly_score: { ...share, description: "Isolation Forest, 0 to 1; null when degraded." },
      decision,
      model: { ...model, type: ["object", "null"], description: "Null where the pipeline has no model." },
      decided_by: { enum: ["model", "rule", "list", "policy"], description: "Who decided, where there are rules." },
      rules: {
        type: "object",
        description: "What the rules said, where there are any.",
        required: ["set", "rule", "fired", "shadow"],
        properties: {
          set: { ...text, description: "SHA-256 of the rule set." },
          rule: { type: ["string", "null"], description: "The rule that decided." },
          fired: { type: "array", items: text, description: "Rules that fired and may decide." },
          shadow: { type: "array", items: text, description: "Rules that fired in shadow, which decides nothing." },
          unready: { type: "integer", description: "Rules that could not be asked." },
        },
      },
      degraded: { const: true, description: "Scoring failed; the pipeline's policy decided." },
      explored: {
        type: "object",
        required: ["model_decision", "let_through", "propensity", "why"],
        properties: {
          model_decision: { const: "block" },
          let_through: { type: "boolean" },
          propensity: { ...number, description: "The chance with which it is let through." },
          why: text,
        },
        description: "Where the model blocks and a draw decided whether that stands (`decisions.explore`).",
      },
      thresholds: {
        type: "object",
        required: ["review", "block", "policy"],
        properties: {
          review: { ...number, description: "Reviewed from this score up; over 1: never." },
          block: { ...number, description: "Blocked from this score up; over 1: never." },
          segment: { ...text, description: "Absent where the policy has no segments, or none for this transaction." },
          policy: { ...text, description: "Hash of the policy." },
        },
        description:
          "Where thresholds depend on the transaction (`decisions.review_policy: expected-cost`, `decisions.segments`).",
      },
      reasons: {
        type: ["array", "null"],
        items: { $ref: "#/components/schemas/Reason" },
        description:
          "With ?explain=true: what raised the score, the strongest first; null when there are none to give.",
      },
      reasons_absent: {
        type: "object",
        description: "Beside reasons that are null: what keeps them away.",
        required: ["code", "text"],
        properties: { code: { enum: ["degraded", "not-explainable", "not-logged", "failed"] }, text },
      },
    },
  },
  EntityAnswer: {
    type: "object",
    description: "An entity alone: the score of a transaction of which nothing else is known.",
    required: ["entity", "score", "anomaly_score", "decision", "as_of", "model"],
    properties: {
      entity: { type: "object", description: "The key that was sent." },
      score: share,
      anomaly_score: share,
      decision,
      as_of: { ...text, format: "date-time", description: "The newest event time that is known." },
      model,
    },
  },
  Reason: {
    type: "object",
    required: ["code", "text", "feature", "value", "contribution"],
    properties: {
      code: { ...text, description: "Stable and for machines: one for all features of a key and a measure." },
      text: { ...text, description: "What an analyst would say aloud." },
      feature: { ...text, description: "The strongest feature of the code." },
      value: { type: ["number", "null"], description: "Its value; null: missing." },
      contribution: { type: "number", description: "What the code's features add to the margin (log-odds)." },
    },
  },
  Explanation: {
    type: "object",
    required: ["transaction_id", "logged", ...Object.keys(side), "additivity_error", "reasons", "contributions"],
    properties: {
      transaction_id: text,
      logged: { type: "boolean", description: "True when an earlier answer is explained by its logged vector." },
      ...side,
      additivity_error: { ...number, description: "|baseline + sum of contributions − margin|: rounding alone." },
      reasons: { type: "array", items: { $ref: "#/components/schemas/Reason" } },
      contributions: {
        type: "array",
        description: "Every input of the trees, the strongest first.",
        items: {
          type: "object",
          required: ["feature", "value", "contribution", "text"],
          properties: { feature: text, value: numberOrNull, contribution: number, text },
        },
      },
      against: {
        type: "object",
        description: "With `against`: the other version's side, and its contributions minus the answering one's.",
        required: [...Object.keys(side), "difference", "contributions"],
        properties: {
          ...side,
          difference: {
            type: "object",
            required: ["baseline", "margin", "score"],
            properties: { baseline: number, margin: number, score: number },
          },
          contributions: {
            type: "array",
            items: {
              type: "object",
              required: ["feature", "values", "champion", "candidate", "difference"],
              properties: {
                feature: text,
                values: { type: "object", properties: { champion: numberOrNull, candidate: numberOrNull } },
                champion: numberOrNull,
                candidate: numberOrNull,
                difference: number,
              },
            },
          },
        },
      },
    },
  },
  FeedbackResult: {
    type: "object",
    required: ["accepted", "rejected", "items"],
    properties: {
      accepted: count,
      rejected: count,
      items: {
        type: "array",
        items: {
          type: "object",
          required: ["transaction_id", "accepted"],
          properties: { transaction_id: text, accepted: { type: "boolean" }, code: text, message: text },
        },
      },
    },
  },
  InferRequest: {
    type: "object",
    description: "Open Inference Protocol v2: one tensor a field, one value a transaction.",
    required: ["inputs"],
    properties: {
      id: text,
      parameters: { type: "object", properties: { binary_data_output: { type: "boolean", default: false } } },
      inputs: {
        type: "array",
        items: {
          type: "object",
          required: ["name", "shape", "datatype"],
          properties: {
            name: { ...text, description: "A field of a transaction, under any of its names." },
            shape: { ...shape, description: "[n] or [n, 1]." },
            datatype: {
              enum: [
                ...["BYTES", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64"],
                ...["INT8", "INT16", "INT32", "INT64", "FP32", "FP64"],
              ],
            },
            data: { type: "array", description: "n values; null, and NaN of a float, is a missing field." },
            parameters: { type: "object", properties: { binary_data_size: count } },
          },
        },
      },
      outputs: {
        type: "array",
        description: "Absent: all of them.",
        items: {
          type: "object",
          required: ["name"],
          properties: {
            name: { enum: ["score", "anomaly_score", "decision", "transaction_id", "version"] },
            parameters: { type: "object", properties: { binary_data: { type: "boolean", default: false } } },
          },
        },
      },
    },
  },
  InferResponse: {
    type: "object",
    required: ["model_name", "model_version", "outputs"],
    properties: {
      model_name: text,
      model_version: { ...text, description: "Of the first answer; the output `version` has each." },
      id: text,
      outputs: {
        type: "array",
        items: {
          type: "object",
          required: ["name", "shape", "datatype"],
          properties: {
            name: text,
            shape,
            datatype: { enum: ["FP64", "BYTES"] },
            data: { type: "array", items: { type: ["number", "string", "null"] } },
            parameters: { type: "object", properties: { binary_data_size: count } },
          },
        },
      },
    },
  },
  Invocation: {
    type: "object",
    description: "MLflow's scoring protocol: exactly one of these. A null is a missing field.",
    properties: {
      dataframe_split: {
        type: "object",
        required: ["columns", "data"],
        properties: { columns: { type: "array", items: text }, data: { type: "array", items: { type: "array" } } },
      },
      dataframe_records: { type: "array", items: { type: "object" } },
      instances: { type: "array", items: { type: "object" } },
      inputs: { type: ["object", "array"], description: "Columns of equal length, objects, or one object." },
      params: { type: "object", maxProperties: 0 },
    },
  },
  Predictions: {
    type: "object",
    required: ["predictions"],
    properties: { predictions: { type: "array", items: { $ref: "#/components/schemas/Answer" } } },
  },
  LineProblem: {
    description: "A problem in the place of a line's answer; `line` counts from 1, blank ones included.",
    allOf: [
      { $ref: "#/components/schemas/Problem" },
      { type: "object", required: ["line"], properties: { line: { type: "integer", minimum: 1 } } },
    ],
  },
  Problem: {
    type: "object",
    description: "RFC 9457.",
    required: ["type", "title", "status", "detail", "code", "hint"],
    properties: {
      type: text,
      title: text,
      status: count,
      detail: text,
      code: text,
      hint: { ...text, description: "What to do next." },
      error: { ...text, description: "The detail again, where the Open Inference Protocol looks for it." },
      errors: {
        type: "array",
        items: { type: "object", required: ["field", "message"], properties: { field: text, message: text } },
      },
    },
  },
} as const;
