// Label: late labels from a file into the prediction log, checked line by line before any is written.

import { SentinelError } from "../core/errors.ts";
import { type Column, numberAt, textAt } from "../core/table.ts";
import { type LabelDraft, type LabelRefusal, type LabelRoad, labelFault, takeLabel } from "../online/label.ts";
import { SharedStates } from "../online/states.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import { LABEL_KNOWN_AT } from "./data/vectors.ts";

export interface LabelResult {
  readonly read: number;
  readonly written: number;
  /** Ids the log does not know, at most {@link UNKNOWN_SHOWN_MAX} of them. */
  readonly unknown: readonly string[];
  readonly unknownCount: number;
}

const UNKNOWN_SHOWN_MAX = 20;
/** Labels written between two flushes, below the log's buffer. */
const FLUSH_EVERY = 1000;

/** Reads a table of labels: id, label, and optionally label_known_at and source. Errors: dataset.*, labels.invalid. */
export async function readLabels(ports: Ports, pipeline: Pipeline, file: string): Promise<readonly LabelDraft[]> {
  const dataset = await ports.dataset();
  const { columns } = await dataset.describe(file);
  const { id, label, time } = pipeline.columns;
  const named = new Map<string, string>();
  for (const { name } of columns) {
    const canonical = pipeline.canonical.get(name) ?? name;
    if (!named.has(canonical)) named.set(canonical, name);
  }
  for (const wanted of [id, label]) {
    if (!named.has(wanted)) {
      throw new SentinelError(
        "dataset.columns-missing",
        `${file} has no column ${wanted}; it has: ${columns.map(({ name }) => name).join(", ")}`,
        {
          hint: `a file of labels needs ${id} and ${label} (1 fraud, 0 genuine), and may have ${LABEL_KNOWN_AT} and source`,
        },
      );
    }
  }
  const table = await dataset.read(file, { columns: [...named.values()] });
  const column = (name: string): Column | undefined => table.columns.get(named.get(name) ?? "");
  const labels: LabelDraft[] = [];
  for (let row = 0; row < table.rows; row++) {
    const value = numberAt(column(label)!, row);
    const transactionId = textAt(column(id)!, row);
    if (transactionId === null) throw invalid(file, row, "has no transaction id");
    if (value !== 0 && value !== 1)
      throw invalid(file, row, `has label ${String(textAt(column(label)!, row))}; a label is 0 or 1`);
    const known = column(LABEL_KNOWN_AT);
    const happened = column(time);
    const delayed = happened === undefined ? Number.NaN : numberAt(happened, row) + pipeline.labels.delayMs;
    const given = known === undefined ? Number.NaN : numberAt(known, row);
    const source = column("source");
    labels.push({
      transactionId,
      fraud: value === 1,
      knownAt: firstTime(given, delayed),
      source: source === undefined ? "file" : (textAt(source, row) ?? "file"),
    });
  }
  return labels;
}

/** The first that is a time. */
function firstTime(...times: readonly number[]): LabelDraft["knownAt"] {
  return times.find((time) => !Number.isNaN(time)) ?? "after-delay";
}

/**
 * Writes labels of transactions that the log knows, by the same road as a server's. Where servers share their feature state, it learns them
 * too. Errors: log.*, state.*, labels.invalid (a label older than its transaction; then nothing is written).
 */
export async function writeLabels(
  ports: Ports,
  pipeline: Pipeline,
  labels: readonly LabelDraft[],
): Promise<LabelResult> {
  const log = await ports.log();
  if (ports.shared === undefined) return write(ports, { pipeline, labels, log, states: logOnly() });
  const states = await SharedStates.open(ports, await ports.shared(), { pipeline: pipeline.name });
  try {
    return await write(ports, { pipeline, labels, log, states: (await states.follow()) ? states : logOnly() });
  } finally {
    await states.close();
  }
}

/** Where nobody shares a state, or nobody has begun to: a server learns the label from the log when it starts. */
function logOnly(): LabelRoad["states"] {
  return {
    answered: async () => null,
    async takeLabel({ transaction, log, fraud, source, knownAt, receivedAt }) {
      const record = { transactionId: transaction.id, fraud, source, knownAt: knownAt ?? receivedAt, receivedAt };
      if (log.appendLabel(record)) return true;
      await log.flush();
      return log.appendLabel(record);
    },
  };
}

async function write(
  ports: Ports,
  given: {
    readonly pipeline: Pipeline;
    readonly labels: readonly LabelDraft[];
    readonly log: PredictionLog;
    readonly states: LabelRoad["states"];
  },
): Promise<LabelResult> {
  const { pipeline, labels, log, states } = given;
  const road = { log, states, clock: ports.clock, delayMs: pipeline.labels.delayMs };
  const unknown: string[] = [];
  let unknownCount = 0;
  let written = 0;
  // Every label is checked before the first is written.
  for (const label of labels) {
    const fault = await labelFault(road, label);
    if (fault !== null && fault.code !== "request.not-found") throw refused(fault, written);
  }
  for (const [index, label] of labels.entries()) {
    const outcome = await takeLabel(road, label);
    if (outcome.accepted) written++;
    else if (outcome.code === "request.not-found") {
      unknownCount++;
      if (unknown.length < UNKNOWN_SHOWN_MAX) unknown.push(label.transactionId);
    } else throw refused(outcome, written);
    if (index % FLUSH_EVERY === 0) {
      await log.flush();
      ports.report.progress("labels", index, labels.length);
    }
  }
  await log.flush();
  return { read: labels.length, written, unknown, unknownCount };
}

function refused(outcome: LabelRefusal, written: number): SentinelError {
  const code = outcome.code === "labels.invalid" ? "labels.invalid" : "log.unwritable";
  const what = `label of ${JSON.stringify(outcome.transactionId)}: ${outcome.message} (${written} labels before it are written)`;
  return new SentinelError(code, what, {
    hint: "correct the file and run the command again; a label that is written already stays as it is",
  });
}

function invalid(file: string, row: number, what: string): SentinelError {
  return new SentinelError("labels.invalid", `${file}: data row ${row + 1} ${what}`, {
    hint: "fix the row; nothing of the file was written",
  });
}
