// Label: late labels from a file into the prediction log, checked line by line before any is written.
import { SentinelError } from "../core/errors.ts";
import { type Column, numberAt, textAt } from "../core/table.ts";
import type { Label } from "../core/transaction.ts";
import type { Ports } from "../ports.ts";
import type { Pipeline } from "./pipeline.ts";
import { SharedStates } from "./shared/states.ts";
import { LABEL_KNOWN_AT } from "./vectors.ts";
import { transactionOf } from "./warm/catch-up.ts";

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
export async function readLabels(ports: Ports, pipeline: Pipeline, file: string): Promise<readonly Label[]> {
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
  const labels: Label[] = [];
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
      knownAt: Number.isNaN(given) ? delayed : given,
      source: source === undefined ? "file" : (textAt(source, row) ?? "file"),
    });
  }
  return labels;
}

/**
 * Writes labels of known transactions into the log; a missing time is the transaction's own plus the label delay. Where servers share
 * their feature state, it learns them too. Errors: log.*, state.*
 */
export async function writeLabels(ports: Ports, pipeline: Pipeline, labels: readonly Label[]): Promise<LabelResult> {
  if (ports.shared === undefined) return write(ports, { pipeline, labels, states: null });
  const states = await SharedStates.open(ports, await ports.shared(), { pipeline: pipeline.name });
  try {
    return await write(ports, { pipeline, labels, states: (await states.follow()) ? states : null });
  } finally {
    await states.close();
  }
}

/** `states` null: nobody shares a state, or nobody has begun to. */
async function write(
  ports: Ports,
  given: { readonly pipeline: Pipeline; readonly labels: readonly Label[]; readonly states: SharedStates | null },
): Promise<LabelResult> {
  const { pipeline, labels, states } = given;
  const log = await ports.log();
  const unknown: string[] = [];
  let unknownCount = 0;
  let written = 0;
  for (const [index, label] of labels.entries()) {
    const prediction = await log.find(label.transactionId);
    if (prediction === null) {
      unknownCount++;
      if (unknown.length < UNKNOWN_SHOWN_MAX) unknown.push(label.transactionId);
      continue;
    }
    const knownAt = Number.isNaN(label.knownAt) ? prediction.time + pipeline.labels.delayMs : label.knownAt;
    const entry = { ...label, knownAt, receivedAt: ports.clock.now() };
    if (states !== null) await states.takeLabel({ ...entry, transaction: transactionOf(prediction), log });
    else if (!log.appendLabel(entry)) {
      await log.flush();
      log.appendLabel(entry);
    }
    written++;
    if (index % FLUSH_EVERY === 0) {
      await log.flush();
      ports.report.progress("labels", index, labels.length);
    }
  }
  await log.flush();
  return { read: labels.length, written, unknown, unknownCount };
}

function invalid(file: string, row: number, what: string): SentinelError {
  return new SentinelError("labels.invalid", `${file}: data row ${row + 1} ${what}`, {
    hint: "mend the row; nothing of the file was written",
  });
}
