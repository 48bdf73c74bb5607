// Pipelines: one YAML file parsed at the door into one typed, frozen value with defaults filled in.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { LineCounter, parseDocument } from "yaml";
import { parseDuration } from "../core/duration.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import { DURATION_PATTERN, PIPELINE_SCHEMA } from "./schema.ts";

/** The role each canonical column plays. */
export interface PipelineColumns {
  readonly id: string;
  readonly time: string;
  readonly amount: string;
  readonly card: string;
  readonly label: string;
}

export interface ModelParameters {
  readonly trees: number;
  readonly learningRate: number;
  readonly depthMax: number;
  readonly lambda: number;
  readonly alpha: number;
  readonly gamma: number;
  readonly minChildWeight: number;
  readonly rowSample: number;
  /** Both or neither; then rowSample is 1. */
  readonly gossTop?: number;
  readonly gossRest?: number;
  readonly columnSample: number;
  readonly binsMax: number;
  readonly categoryRowsMin: number;
  readonly categoryLambda: number;
  readonly categorySmoothing: number;
  readonly scalePositive: number;
  /** By feature: which way the score may go while the feature grows and all else stays. */
  readonly monotone?: Readonly<Record<string, "increasing" | "decreasing">>;
  readonly earlyStoppingRounds: number;
  readonly anomalyTrees: number;
  readonly anomalySample: number;
  readonly calibration: "choose" | "isotonic" | "beta" | "none";
  readonly seed: number;
}

/** How the prediction log is written and what it keeps. */
export interface LogPolicy {
  /** `sync`: an answer leaves once its record is on the disk. */
  readonly durability: "sync" | "interval";
  readonly flushMs: number;
  /** Age of the oldest unwritten record beyond which requests are refused. */
  readonly lagMsMax: number;
  /** 36,500 days: no limit. */
  readonly retention: { readonly days: number; readonly rows: number };
  /** Fields, by canonical or other names, that are never written as they came. */
  readonly redact: { readonly fields: readonly string[]; readonly how: "drop" | "hash" };
}

/** A pipeline with durations as milliseconds and paths as absolute. */
export interface Pipeline {
  readonly name: string;
  readonly model: string;
  readonly file: string;
  /** SHA-256 of the parsed content. */
  readonly hash: string;
  readonly source: string;
  readonly featuresFile: string;
  readonly featuresName: string;
  readonly schemaFile: string;
  readonly suiteFile: string;
  readonly columns: PipelineColumns;
  /** Any accepted name → canonical name (canonical names map to themselves only where an alias list names them). */
  readonly canonical: ReadonlyMap<string, string>;
  readonly labels: {
    readonly delayMs: number;
    readonly maturityMs: number;
    /** Whether a mature transaction that nobody reported counts as genuine. */
    readonly unreportedIsGenuine: boolean;
  };
  readonly split: {
    readonly history: number;
    readonly gapMs: number;
    readonly calibrate: number;
    readonly evaluate: number;
  };
  readonly modelParameters: ModelParameters;
  readonly decisions: {
    readonly reviewPolicy: "budget" | "max-f1" | "cost";
    readonly reviewShare: number;
    readonly reviewCost: number;
    readonly missedShare: number;
    readonly blockPrecision: number;
    readonly blockScoreMin: number;
    readonly failOpen: "approve" | "review" | "block";
  };
  readonly gates: {
    readonly data: { readonly labelRate: readonly [number, number] };
    readonly training: { readonly margin: number };
    readonly promotion: {
      readonly mode: "non-inferiority" | "superiority";
      readonly margin: number;
      readonly coverageMin: number;
      readonly fraudsMin: number;
      readonly daysMin: number;
      readonly resamples: number;
    };
  };
  readonly shadow: { readonly sample: number; readonly timeoutMs: number; readonly queueMax: number };
  readonly drift: { readonly windowMs: number; readonly psiFloor: number; readonly falseDiscoveryRate: number };
  readonly retrain: { readonly cooldownMs: number };
  readonly log: LogPolicy;
  readonly serve: { readonly pollMs: number; readonly bodyMaxBytes: number; readonly batchMax: number };
}

/** The names of the workspace's pipelines. */
export function pipelineNames(workspace: string): string[] {
  const folder = path.join(workspace, "pipelines");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => file.slice(0, -".yaml".length))
    .sort();
}

/** Reads pipelines/NAME.yaml. Errors: pipeline.missing, and pipeline.invalid with the line. */
export function loadPipeline(workspace: string, name: string): Pipeline {
  const file = path.join(workspace, "pipelines", `${name}.yaml`);
  if (!/^[\w-]+$/.test(name) || !existsSync(file)) {
    const known = pipelineNames(workspace);
    throw new SentinelError("pipeline.missing", `there is no pipeline ${JSON.stringify(name)} in ${workspace}`, {
      hint:
        known.length > 0
          ? `this workspace has: ${known.join(", ")}; name one with --pipeline`
          : "this folder has no pipelines/; make a workspace with `sentinel init`, or name one with --workspace",
    });
  }
  return parsePipeline(readText(file), { file, workspace });
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw invalid(file, `cannot be read: ${messageOf(error)}`, "put a readable YAML file there");
  }
}

/** Parses a pipeline's text; `file` is for messages and for what lies beside it. */
export function parsePipeline(text: string, where: { readonly file: string; readonly workspace: string }): Pipeline {
  const { file, workspace } = where;
  const raw = parseYaml(text, file) as RawPipeline;
  const beside = (name: string): string => path.join(path.dirname(file), name);
  const duration = (key: string, value: string): number => {
    const ms = parseDuration(value);
    if (Number.isNaN(ms))
      throw invalid(file, `${key}: ${JSON.stringify(value)} is no duration`, "write 90s, 15m, 6h or 7d");
    return ms;
  };
  const split = { history: 0.1, gap: "7d", calibrate: 0.1, evaluate: 0.15, ...raw.split };
  if (split.history + split.calibrate + split.evaluate > 0.8) {
    throw invalid(
      file,
      "split: history, calibrate and evaluate leave under 20 % of the days to train on",
      "lower one of them",
    );
  }
  const labels = { delay: "7d", maturity: "7d", unreported: "genuine" as const, ...raw.labels };
  const model = raw.model_parameters ?? {};
  const decisions = {
    review_policy: "budget" as const,
    review_share: 0.01,
    review_cost: 5,
    missed_share: 1,
    block_precision: 0.9,
    block_score_min: 0.5,
    fail_open: "review" as const,
    ...raw.decisions,
  };
  const promotion = raw.gates?.promotion ?? {};
  const shadow = { sample: 1, timeout: "250ms", queue_max: 10_000, ...raw.shadow };
  const drift = { window: "7d", psi_floor: 0.1, false_discovery_rate: 0.01, ...raw.drift };
  const serve = { poll: "1s", body_max_bytes: 1_048_576, batch_max: 1000, ...raw.serve };
  return {
    name: raw.name,
    model: raw.model,
    file,
    hash: sha256(canonicalJson(raw)),
    source: path.resolve(workspace, raw.source),
    featuresFile: path.join(workspace, "features", `${raw.features.split("#")[0]}.ts`),
    featuresName: raw.features.split("#")[1] ?? raw.features,
    schemaFile: beside(raw.schema),
    suiteFile: beside(raw.suite),
    columns: raw.columns,
    canonical: canonicalNames(raw, file),
    labels: {
      delayMs: duration("labels.delay", labels.delay),
      maturityMs: duration("labels.maturity", labels.maturity),
      unreportedIsGenuine: labels.unreported === "genuine",
    },
    split: { ...split, gapMs: duration("split.gap", split.gap) },
    modelParameters: {
      trees: model.trees ?? 300,
      learningRate: model.learning_rate ?? 0.1,
      depthMax: model.depth_max ?? 5,
      lambda: model.lambda ?? 1,
      alpha: model.alpha ?? 0,
      gamma: model.gamma ?? 0,
      minChildWeight: model.min_child_weight ?? 1,
      ...rowSampling(model, file),
      columnSample: model.column_sample ?? 0.5,
      binsMax: model.bins_max ?? 256,
      categoryRowsMin: model.category_rows_min ?? 20,
      categoryLambda: model.category_lambda ?? 10,
      categorySmoothing: model.category_smoothing ?? 10,
      scalePositive: model.scale_positive ?? 1,
      ...(model.monotone === undefined ? {} : { monotone: model.monotone }),
      earlyStoppingRounds: model.early_stopping_rounds ?? 30,
      anomalyTrees: model.anomaly_trees ?? 100,
      anomalySample: model.anomaly_sample ?? 256,
      calibration: model.calibration ?? "choose",
      seed: model.seed ?? 1,
    },
    decisions: {
      reviewPolicy: decisions.review_policy,
      reviewShare: decisions.review_share,
      reviewCost: decisions.review_cost,
      missedShare: decisions.missed_share,
      blockPrecision: decisions.block_precision,
      blockScoreMin: decisions.block_score_min,
      failOpen: decisions.fail_open,
    },
    gates: {
      data: { labelRate: raw.gates?.data?.label_rate ?? [0.0001, 0.2] },
      training: { margin: raw.gates?.training?.margin ?? 0.05 },
      promotion: {
        mode: promotion.mode ?? "non-inferiority",
        margin: promotion.margin ?? 0.02,
        coverageMin: promotion.coverage_min ?? 0.95,
        fraudsMin: promotion.frauds_min ?? 50,
        daysMin: promotion.days_min ?? 3,
        resamples: promotion.resamples ?? 1000,
      },
    },
    shadow: {
      sample: shadow.sample,
      timeoutMs: duration("shadow.timeout", shadow.timeout),
      queueMax: shadow.queue_max,
    },
    drift: {
      windowMs: duration("drift.window", drift.window),
      psiFloor: drift.psi_floor,
      falseDiscoveryRate: drift.false_discovery_rate,
    },
    retrain: { cooldownMs: duration("retrain.cooldown", raw.retrain?.cooldown ?? "1d") },
    log: logPolicy(raw, { file, duration }),
    serve: {
      pollMs: duration("serve.poll", serve.poll),
      bodyMaxBytes: serve.body_max_bytes,
      batchMax: serve.batch_max,
    },
  };
}

const LOG_DEFAULTS = { durability: "interval", flush: "5ms", lag_max: "5s" } as const;
/** A log of 10 million predictions takes about 6 GB. */
const LOG_ROWS_MAX = 10_000_000;
/** A hundred years: no limit. */
const LOG_DAYS_MAX = 36_500;

function logPolicy(
  raw: RawPipeline,
  on: { readonly file: string; readonly duration: (key: string, value: string) => number },
): LogPolicy {
  const given = { ...LOG_DEFAULTS, ...raw.log };
  const flushMs = on.duration("log.flush", given.flush);
  const lagMsMax = on.duration("log.lag_max", given.lag_max);
  if (flushMs < 1 || flushMs > 1000) {
    throw invalid(on.file, `log.flush: ${given.flush} is not between 1ms and 1s`, "5ms suits most disks");
  }
  if (lagMsMax < Math.max(50, 2 * flushMs) || lagMsMax > 60_000) {
    const fault = `log.lag_max: ${given.lag_max} is not between 50ms (or twice log.flush) and 60s`;
    throw invalid(on.file, fault, "5s rides out a slow disk; a killed server loses what waits");
  }
  const { days = LOG_DAYS_MAX, rows = LOG_ROWS_MAX } = given.retention ?? {};
  return {
    durability: given.durability,
    flushMs,
    lagMsMax,
    retention: { days, rows },
    redact: redaction(raw, on.file),
  };
}

/** Id, time, amount, card and label are what the log is for: evidence, replay and labels read them. */
function redaction(raw: RawPipeline, file: string): LogPolicy["redact"] {
  const { fields = [], how = "drop" } = raw.log?.redact ?? {};
  const canonical = canonicalNames(raw, file);
  const named = [...new Set(fields.map((field) => canonical.get(field) ?? field))];
  for (const [role, column] of Object.entries(raw.columns)) {
    if (!named.includes(column)) continue;
    const fault = `log.redact: ${column} is the ${role} of a transaction, which evidence, labels and replay read`;
    throw invalid(
      file,
      fault,
      "take it out of log.redact.fields; send a pseudonym instead where the value must not be stored",
    );
  }
  return { fields: named, how };
}

/** Rows are drawn evenly, or by the size of their gradients when both shares for that are given. */
function rowSampling(
  model: NonNullable<RawPipeline["model_parameters"]>,
  file: string,
): Pick<ModelParameters, "rowSample" | "gossTop" | "gossRest"> {
  const { row_sample: rowSample, goss_top: gossTop, goss_rest: gossRest } = model;
  if (gossTop === undefined && gossRest === undefined) return { rowSample: rowSample ?? 0.8 };
  if (gossTop === undefined || gossRest === undefined) {
    const [given, absent] = gossTop === undefined ? ["goss_rest", "goss_top"] : ["goss_top", "goss_rest"];
    const fault = `model_parameters: ${given} is given without ${absent}`;
    throw invalid(file, fault, "give both, for example goss_top: 0.2 and goss_rest: 0.1, or neither");
  }
  if (gossTop + gossRest > 1) {
    const fault = `model_parameters: goss_top ${gossTop} and goss_rest ${gossRest} are more than all rows`;
    throw invalid(file, fault, "lower one of them; together they are the share of the rows each tree sees");
  }
  if (rowSample !== undefined && rowSample < 1) {
    const fault = `model_parameters: row_sample ${rowSample} is given beside goss_top and goss_rest`;
    throw invalid(file, fault, "rows are sampled in one way only: leave out row_sample, or goss_top and goss_rest");
  }
  return { rowSample: 1, gossTop, gossRest };
}

interface RawPipeline {
  readonly name: string;
  readonly model: string;
  readonly source: string;
  readonly features: string;
  readonly schema: string;
  readonly suite: string;
  readonly columns: PipelineColumns;
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
  readonly labels?: {
    readonly delay?: string;
    readonly maturity?: string;
    readonly unreported?: "genuine" | "unknown";
  };
  readonly split?: Partial<{ history: number; gap: string; calibrate: number; evaluate: number }>;
  readonly model_parameters?: Partial<{
    trees: number;
    learning_rate: number;
    depth_max: number;
    lambda: number;
    alpha: number;
    gamma: number;
    min_child_weight: number;
    row_sample: number;
    goss_top: number;
    goss_rest: number;
    column_sample: number;
    bins_max: number;
    category_rows_min: number;
    category_lambda: number;
    category_smoothing: number;
    scale_positive: number;
    monotone: Readonly<Record<string, "increasing" | "decreasing">>;
    early_stopping_rounds: number;
    anomaly_trees: number;
    anomaly_sample: number;
    calibration: "choose" | "isotonic" | "beta" | "none";
    seed: number;
  }>;
  readonly decisions?: Partial<{
    review_policy: "budget" | "max-f1" | "cost";
    review_share: number;
    review_cost: number;
    missed_share: number;
    block_precision: number;
    block_score_min: number;
    fail_open: "approve" | "review" | "block";
  }>;
  readonly gates?: {
    readonly data?: { readonly label_rate?: [number, number] };
    readonly training?: { readonly margin?: number };
    readonly promotion?: Partial<{
      mode: "non-inferiority" | "superiority";
      margin: number;
      coverage_min: number;
      frauds_min: number;
      days_min: number;
      resamples: number;
    }>;
  };
  readonly shadow?: Partial<{ sample: number; timeout: string; queue_max: number }>;
  readonly drift?: Partial<{ window: string; psi_floor: number; false_discovery_rate: number }>;
  readonly retrain?: { readonly cooldown?: string };
  readonly log?: Partial<{
    durability: "sync" | "interval";
    flush: string;
    lag_max: string;
    retention: { readonly days?: number; readonly rows?: number };
    redact: { readonly fields: readonly string[]; readonly how: "drop" | "hash" };
  }>;
  readonly serve?: Partial<{ poll: string; body_max_bytes: number; batch_max: number }>;
}

const validateShape = new Ajv2020({ allErrors: true, verbose: true, strict: true, allowUnionTypes: true }).compile(
  PIPELINE_SCHEMA,
);

function parseYaml(text: string, file: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    throw invalid(file, `line ${line}, column ${col}: ${broken.message}`, "mend the YAML at that line");
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 20 });
  } catch (error) {
    throw invalid(file, messageOf(error), "use fewer YAML aliases");
  }
  if (value === null)
    throw invalid(file, "is empty", "copy pipelines/card.yaml of a fresh `sentinel init` and change it");
  if (validateShape(value)) return value;
  const faults = (validateShape.errors ?? []).map((fault) => {
    const keys = fault.instancePath.split("/").filter((key) => key !== "");
    const at = fault.keyword === "additionalProperties" ? [...keys, fault.params.additionalProperty] : keys;
    const node = document.getIn(at, true) as { range?: [number, number, number] } | undefined;
    const line = node?.range === undefined ? "" : `line ${lines.linePos(node.range[0]).line}: `;
    if (fault.params.pattern === DURATION_PATTERN)
      return `${line}${keys.join(".")}: ${JSON.stringify(fault.data)} is no duration such as 90s, 15m, 6h or 7d`;
    const extra = fault.keyword === "additionalProperties" ? ` (${fault.params.additionalProperty})` : "";
    const allowed = fault.keyword === "enum" ? ` (${fault.params.allowedValues.join(", ")})` : "";
    return `${line}${keys.join(".") || "the file"} ${fault.message}${extra}${allowed}`;
  });
  throw invalid(
    file,
    faults.slice(0, 5).join("; "),
    "see pipelines/card.yaml of a fresh `sentinel init` for every key",
  );
}

function canonicalNames(raw: RawPipeline, file: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const column of [...Object.values(raw.columns), ...Object.keys(raw.aliases ?? {})]) names.set(column, column);
  for (const [column, others] of Object.entries(raw.aliases ?? {})) {
    for (const other of others) {
      const taken = names.get(other);
      if (taken !== undefined && taken !== column) {
        throw invalid(file, `aliases: ${other} stands for both ${taken} and ${column}`, "keep one of the two");
      }
      names.set(other, column);
    }
  }
  return names;
}

function invalid(file: string, what: string, hint: string): SentinelError {
  return new SentinelError("pipeline.invalid", `${file}: ${what}`, { hint });
}
