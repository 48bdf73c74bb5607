// Label: late labels from a file into the prediction log, checked line by line before any is written.

import { Codes } from "../core/codes.ts";
import { SentinelError } from "../core/errors.ts";
import type { LabelWords } from "../core/label-words.ts";
import { type Column, numberAt, type TimeColumn, textAt } from "../core/table.ts";
import { countsBySpelling } from "../core/time.ts";
import {
  type LabelDraft,
  type LabelRefusal,
  type LabelRoad,
  labelFault,
  labelKnownMax,
  takeLabel,
} from "../online/label.ts";
import { SharedStates } from "../online/states.ts";
import { nameFolder } from "../pipeline/names.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import { instants, type Place } from "./data/instants.ts";
import { checkDigits, checkKnownAt, columnList, fileNames, placeIn } from "./data/source.ts";
import { LABEL_KNOWN_AT } from "./data/vectors.ts";
import { composed, labelColumn } from "./data/written.ts";

export interface LabelResult {
  readonly read: number;
  readonly written: number;
  /** Ids the log does not know, at most {@link SHOWN_MAX} of them. */
  readonly unknown: readonly string[];
  readonly unknownCount: number;
}

/** Two rows of a file that say one thing and the other of a transaction, as known at the same time: the later row counts. */
export interface Contradiction {
  readonly transactionId: string;
  /** Data rows, from 1. */
  readonly rows: readonly [number, number];
  /** What the later row says. */
  readonly fraud: boolean;
}

const SHOWN_MAX = 20;
/** Labels written between two flushes, below the log's buffer. */
const FLUSH_EVERY = 1000;

/**
 * Reads a table of labels: id as it is spelled, label, and optionally time, label_known_at and source. Errors: dataset.*, naming row and
 * value of a time that cannot be read or lies before its transaction; labels.invalid. Where no time is given, the pipeline's delay counts
 * from the transaction as it was answered.
 */
export async function readLabels(ports: Ports, pipeline: Pipeline, file: string): Promise<readonly LabelDraft[]> {
  const dataset = await ports.dataset();
  const description = await dataset.describe(file);
  const { id, label, time } = pipeline.columns;
  const named = fileNames(description, nameFolder(pipeline.canonical, [LABEL_KNOWN_AT, SOURCE]));
  const lacking = [id, label].filter((wanted) => !named.has(wanted));
  if (lacking.length > 0) {
    throw new SentinelError(
      "dataset.columns-missing",
      `${file} has no column ${lacking.join(" and no ")}; it has: ${columnList(description)}`,
      {
        hint: `a file of labels needs ${id} and ${label} (1 fraud, 0 genuine), and may have ${LABEL_KNOWN_AT} and source`,
      },
    );
  }
  const { timeParts, labelWords: words } = pipeline.written;
  const times = timeParts ?? [time];
  const read = [id, label, ...times, LABEL_KNOWN_AT, SOURCE].filter((name) => named.has(name));
  const spelled = [
    id,
    SOURCE,
    ...(words === null ? [] : [label]),
    ...(countsBySpelling(pipeline.times) ? [...times, LABEL_KNOWN_AT] : []),
  ];
  const fileNamesOf = (names: readonly string[]): string[] =>
    names.filter((name) => named.has(name)).map((name) => named.get(name)!);
  const table = await dataset.read(file, { columns: fileNamesOf(read), spelled: fileNamesOf(spelled) });
  const column = (name: string): Column | undefined => table.columns.get(named.get(name) ?? "");
  checkDigits(column(id)!, placeIn(description, { name: named.get(id)!, pipeline }));
  const instantsIn = (name: string): TimeColumn | null => {
    const given = column(name);
    if (given === undefined) return null;
    const place = placeIn(description, { name: named.get(name)!, pipeline });
    return instants(given, { place, rule: pipeline.times, needed: false });
  };
  const parts = (timeParts ?? []).map(column).filter((part) => part !== undefined);
  const composedIn = (): TimeColumn => {
    const place = placeIn(description, { name: named.get(times[0])!, pipeline });
    return instants(composed(parts, table.rows), { place, rule: pipeline.times, needed: false });
  };
  const happened = timeParts === null ? instantsIn(time) : parts.length === times.length ? composedIn() : null;
  const known = instantsIn(LABEL_KNOWN_AT);
  const labels = labelsIn(column(label)!, placeIn(description, { name: named.get(label)!, pipeline }), words);
  if (known !== null && happened !== null) {
    const place = placeIn(description, { name: named.get(LABEL_KNOWN_AT)!, pipeline });
    checkKnownAt(known, { times: happened, labels, place });
  }
  const source = column(SOURCE);
  return Array.from({ length: table.rows }, (_, row) => {
    const transactionId = textAt(column(id)!, row);
    if (transactionId === null) throw invalid(file, row, "has no transaction id");
    const given = known === null ? Number.NaN : known.values[row];
    return {
      transactionId,
      fraud: fraudAt(labels, row, file),
      knownAt: Number.isNaN(given) ? "after-delay" : given,
      source: source === undefined ? "file" : (textAt(source, row) ?? "file"),
    };
  });
}

/**
 * The rows of a file that contradict a row before them, at most {@link SHOWN_MAX} of them, and how many there are. Labels that became known at
 * different times contradict nothing: the one known last counts, and the others are its history.
 */
export function contradictions(labels: readonly LabelDraft[]): {
  readonly contradictory: readonly Contradiction[];
  readonly contradictoryCount: number;
} {
  const places = new Codes<string>();
  const rowOf: number[] = [];
  const contradictory: Contradiction[] = [];
  let contradictoryCount = 0;
  for (const [row, { transactionId, fraud, knownAt }] of labels.entries()) {
    const word = `${knownAt} ${transactionId}`;
    const place = places.get(word);
    if (place === undefined) {
      places.set(word, rowOf.push(row) - 1);
      continue;
    }
    const before = rowOf[place];
    rowOf[place] = row;
    if (labels[before].fraud === fraud) continue;
    contradictoryCount++;
    if (contradictory.length < SHOWN_MAX) contradictory.push({ transactionId, rows: [before + 1, row + 1], fraud });
  }
  return { contradictory, contradictoryCount };
}

/** The column of a label file that says where a label comes from. */
const SOURCE = "source";

/** Labels in the pipeline's words as 0 and 1; a word for unknown stays missing, and is refused as a label. */
function labelsIn(column: Column, place: Place, words: LabelWords | null): Column {
  return words === null ? column : labelColumn(column, words, place);
}

function fraudAt(column: Column, row: number, file: string): boolean {
  const value = numberAt(column, row);
  if (value === 0 || value === 1) return value === 1;
  const text = textAt(column, row);
  const cast = text === "0" || text === "1" ? " and typed as a number, not as text" : "";
  throw invalid(
    file,
    row,
    `has label ${text?.slice(0, 40) ?? "null"}; a label is 0 or 1${cast}: 1 for fraud, 0 for genuine`,
  );
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
  const newestTime = (await log.recent(1)).at(-1)?.time ?? Number.NEGATIVE_INFINITY;
  const knownMax = labelKnownMax({ now: ports.clock.now(), newestTime });
  const road = { log, states, clock: ports.clock, delayMs: pipeline.labels.delayMs, knownMax };
  const unknown: string[] = [];
  let unknownCount = 0;
  let written = 0;
  // Every label is checked before the first is written.
  for (const [row, label] of labels.entries()) {
    const fault = await labelFault(road, label);
    if (fault !== null && fault.code !== "request.not-found") throw refused(fault, { row, written });
  }
  for (const [index, label] of labels.entries()) {
    const outcome = await takeLabel(road, label);
    if (outcome.accepted) written++;
    else if (outcome.code === "request.not-found") {
      unknownCount++;
      if (unknown.length < SHOWN_MAX) unknown.push(label.transactionId);
    } else throw refused(outcome, { row: index, written });
    if (index % FLUSH_EVERY === 0) {
      await log.flush();
      ports.report.progress("labels", index, labels.length);
    }
  }
  await log.flush();
  return { read: labels.length, written, unknown, unknownCount };
}

function refused(
  outcome: LabelRefusal,
  { row, written }: { readonly row: number; readonly written: number },
): SentinelError {
  const code = outcome.code === "labels.invalid" ? "labels.invalid" : "log.unwritable";
  const what = `data row ${row + 1}, label of ${JSON.stringify(outcome.transactionId)}: ${outcome.message} (${written} labels before it are written)`;
  return new SentinelError(code, what, {
    hint: "correct the file and run the command again; a label that is written already stays as it is",
  });
}

function invalid(file: string, row: number, what: string): SentinelError {
  return new SentinelError("labels.invalid", `${file}: data row ${row + 1} ${what}`, {
    hint: "correct the row; nothing of the file was written",
  });
}
