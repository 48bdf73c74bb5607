// Pipelines: one YAML file parsed at the door into one typed, frozen value with defaults filled in.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { LineCounter, parseDocument } from "yaml";
import { parseDuration } from "../core/duration.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import { PLAIN_TIME, parseIso, type TimeRule, type TimeUnit } from "../core/time.ts";
import { compileFormat, FORMAT_DIRECTIVES } from "../core/time-format.ts";
import { zoneOf } from "../core/zone.ts";
import { DURATION_PATTERN, PIPELINE_SCHEMA } from "./schema.ts";

/** The role each canonical column plays. */
export interface PipelineColumns {
  readonly id: string;
  readonly time: string;
  readonly amount: string;
  /** Whose transactions belong together, where the data says so. */
  readonly card: string | null;
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
  /** How the time column is written, in tables, labels and requests. */
  readonly times: TimeRule;
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
  const { time } = raw.columns;
  const columns: PipelineColumns = {
    ...raw.columns,
    time: typeof time === "string" ? time : time.column,
    card: raw.columns.card ?? null,
  };
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
    columns,
    times: timeRule(raw.columns.time, file),
    canonical: canonicalNames({ ...raw, columns }, file),
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
    serve: {
      pollMs: duration("serve.poll", serve.poll),
      bodyMaxBytes: serve.body_max_bytes,
      batchMax: serve.batch_max,
    },
  };
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

/** How times are written, beyond the column's name. */
interface RawTime {
  readonly column: string;
  readonly unit?: TimeUnit;
  readonly origin?: string;
  readonly format?: string;
  readonly zone?: string;
}

function timeRule(raw: string | RawTime, file: string): TimeRule {
  if (typeof raw === "string") return PLAIN_TIME;
  const zone = zoneOf(raw.zone ?? "UTC");
  if (zone === null) {
    const fault = `columns.time.zone: ${JSON.stringify(raw.zone)} is no time zone`;
    throw invalid(file, fault, 'write UTC, an offset such as "+02:00", or a name such as Europe/Paris');
  }
  const origin = raw.origin === undefined ? 0 : parseIso(raw.origin, zone);
  if (Number.isNaN(origin)) {
    const fault = `columns.time.origin: ${JSON.stringify(raw.origin)} is no time`;
    throw invalid(file, fault, "write the instant that numbers count from, such as 2024-01-01");
  }
  const format = raw.format === undefined ? null : compileFormat(raw.format);
  if (raw.format !== undefined && format === null) {
    const fault = `columns.time.format: ${JSON.stringify(raw.format)} is no format of a date`;
    throw invalid(
      file,
      fault,
      `write it with ${FORMAT_DIRECTIVES}, such as "%d/%m/%Y %H:%M"; year, month and day must be there`,
    );
  }
  if (format !== null && (raw.unit !== undefined || raw.origin !== undefined)) {
    const fault = "columns.time: a format is given beside unit or origin";
    throw invalid(
      file,
      fault,
      "a column holds texts of a format, or counts of a unit from an origin: keep one of the two",
    );
  }
  return { unit: raw.unit ?? "ms", origin, ...(format === null ? {} : { format }), zone };
}

interface RawPipeline {
  readonly name: string;
  readonly model: string;
  readonly source: string;
  readonly features: string;
  readonly schema: string;
  readonly suite: string;
  readonly columns: Omit<PipelineColumns, "card" | "time"> & {
    readonly card?: string;
    readonly time: string | RawTime;
  };
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

/** Upper and lower case are one, as in tables and requests. */
function canonicalNames(
  raw: { readonly columns: PipelineColumns; readonly aliases?: RawPipeline["aliases"] },
  file: string,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const folded = new Map<string, string>();
  const add = (name: string, column: string): void => {
    const taken = folded.get(name.toLowerCase());
    if (taken !== undefined && taken !== column) {
      throw invalid(file, `aliases: ${name} stands for both ${taken} and ${column}`, "keep one of the two");
    }
    folded.set(name.toLowerCase(), column);
    names.set(name, column);
  };
  const roles = Object.values(raw.columns).filter((name) => name !== null);
  for (const column of [...roles, ...Object.keys(raw.aliases ?? {})]) add(column, column);
  for (const [column, others] of Object.entries(raw.aliases ?? {})) for (const other of others) add(other, column);
  return names;
}

function invalid(file: string, what: string, hint: string): SentinelError {
  return new SentinelError("pipeline.invalid", `${file}: ${what}`, { hint });
}
