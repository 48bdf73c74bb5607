// Produce: simulated transactions at a rate, or the rows of a table, as JSON records of a pipeline's topic, keyed by its card.
import { SentinelError } from "../core/errors.ts";
import type { Column, Table } from "../core/table.ts";
import { nameFolder } from "../pipeline/names.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { streamSettings } from "../pipeline/stream.ts";
import type { Ports } from "../ports/ports.ts";
import { type Schemas, subjectOf } from "../ports/schemas.ts";
import type { OutRecord, Streams, StreamWriter } from "../ports/stream.ts";
import { avroLayout } from "./produce/avro.ts";
import { emit, type SimulateOptions } from "./simulate.ts";

export interface ProduceInput {
  readonly pipeline: Pipeline;
  readonly streams: Streams;
  readonly from:
    | { readonly kind: "simulation"; readonly options: SimulateOptions; readonly rate: number }
    /** A table of any format; `rate` null: as fast as the broker takes it. */
    | { readonly kind: "file"; readonly file: string; readonly rate: number | null };
  /** Avro, by the schema of the pipeline's; absent: JSON. */
  readonly avro?: { readonly schemas: Schemas; readonly schema: object };
  readonly count?: number;
  readonly topic?: string;
  /** What is written together is a transaction, so that readers see all of it or nothing. */
  readonly transactional?: boolean;
  /** Make the topic with so many partitions where it is not there. */
  readonly partitions?: number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly signal?: AbortSignal;
}

export interface ProduceResult {
  readonly topic: string;
  readonly records: number;
  readonly seconds: number;
}

/** Records of one call to the writer. */
const TOGETHER_MAX = 1000;

/** Errors: stream.*, schemas.*, dataset.*, cli.usage. */
export async function produce(
  ports: Pick<Ports, "clock" | "dataset" | "report">,
  input: ProduceInput,
): Promise<ProduceResult> {
  const { pipeline, streams, from, transactional = false, signal } = input;
  const settings = streamSettings(pipeline);
  const topic = input.topic ?? settings.topic;
  if (input.avro !== undefined && !streams.binary) {
    throw new SentinelError("stream.unsupported", `${streams.where} holds lines of text, and Avro is none`, {
      hint: "set SENTINEL_KAFKA_BROKERS; or --format json for files",
    });
  }
  await ensure(streams, topic, input.partitions);
  const writer = await streams.writer({ id: transactional ? `produce-${topic}` : null, group: "produce", topic });
  await writer.takeOver([]);
  const begun = ports.clock.elapsed();
  let records = 0;
  const keyed = keyedBy(pipeline, settings.key, await bytesOf(input, topic));
  const write = async (rows: readonly Row[]): Promise<void> => {
    for (let at = 0; at < rows.length; at += TOGETHER_MAX) {
      const some = rows.slice(at, at + TOGETHER_MAX).map((row): OutRecord => {
        return { ...keyed(row), timestamp: ports.clock.now() };
      });
      await send(writer, topic, some);
      records += some.length;
    }
    ports.report.progress("produce", records, Math.max(records, input.count ?? records));
  };
  try {
    if (from.kind === "simulation") {
      const { options, rate } = from;
      await emit({
        options,
        rate,
        ...(input.count === undefined ? {} : { count: input.count }),
        write: (lines) =>
          write(
            lines
              .split("\n")
              .filter((line) => line !== "")
              .map((line) => JSON.parse(line) as Row),
          ),
        sleep: input.sleep,
        clock: ports.clock,
        ...(signal === undefined ? {} : { signal }),
      });
    } else {
      const most = input.count ?? Number.POSITIVE_INFINITY;
      for await (const rows of rowsOf(await ports.dataset(), from.file, pipeline)) {
        if (signal?.aborted || records >= most) break;
        for (let at = 0; at < rows.length && records < most && !signal?.aborted; ) {
          // A fiftieth of a second's records at a time keeps the rate even.
          const portion = from.rate === null ? TOGETHER_MAX : Math.max(1, Math.ceil(from.rate / 50));
          const some = rows.slice(at, at + Math.min(portion, most - records));
          await write(some);
          at += some.length;
          if (from.rate === null) continue;
          const early = (records * 1000) / from.rate - (ports.clock.elapsed() - begun);
          if (early > 0) await input.sleep(early);
        }
      }
    }
  } finally {
    await writer.close();
  }
  return { topic, records, seconds: (ports.clock.elapsed() - begun) / 1000 };
}

/** A row as the bytes of a record. */
async function bytesOf({ avro, pipeline }: ProduceInput, topic: string): Promise<(row: Row) => OutRecord["value"]> {
  if (avro === undefined) return JSON.stringify;
  const layout = avroLayout(pipeline, avro.schema);
  const encode = await avro.schemas.encoder(subjectOf(topic), layout.schema);
  return (row) => encode(layout.record(row));
}

type Row = Readonly<Record<string, unknown>>;

async function send(writer: StreamWriter, topic: string, records: readonly OutRecord[]): Promise<void> {
  await writer.commit({ outputs: new Map([[topic, records]]), positions: new Map() });
}

async function ensure(streams: Streams, topic: string, partitions: number | undefined): Promise<void> {
  const there = await streams.topics([topic]);
  if (there.has(topic)) return;
  if (partitions === undefined) {
    throw new SentinelError("stream.missing", `${streams.where} has no topic ${topic}`, {
      hint: "create it, or let `sentinel produce --create N` make it with N partitions",
    });
  }
  await streams.create(topic, partitions);
}

/** A row as a record: without its label, keyed by the pipeline's card, else by its id. */
function keyedBy(
  pipeline: Pipeline,
  key: string | null,
  written: (row: Row) => OutRecord["value"],
): (row: Row) => Pick<OutRecord, "key" | "value"> {
  const nameOf = nameFolder(pipeline.canonical);
  const { id, label } = pipeline.columns;
  return (row) => {
    const sent: Record<string, unknown> = Object.create(null);
    let by: unknown;
    let own: unknown;
    for (const [name, value] of Object.entries(row)) {
      const canonical = nameOf(name);
      if (canonical === label || canonical === "tx_fraud_scenario") continue;
      if (canonical === key) by = value;
      if (canonical === id) own = value;
      sent[name] = value;
    }
    return { key: String(by ?? own ?? ""), value: written(sent) };
  };
}

/** The rows of a table as objects, batch by batch; missing cells are left out, ids and keys are as the file spells them. */
async function* rowsOf(
  dataset: Awaited<ReturnType<Ports["dataset"]>>,
  file: string,
  pipeline: Pipeline,
): AsyncGenerator<readonly Row[]> {
  const { columns } = await dataset.describe(file);
  const names = columns.map(({ name }) => name);
  const nameOf = nameFolder(pipeline.canonical);
  const { id, card } = pipeline.columns;
  const spelled = names.filter((name) => [id, card].includes(nameOf(name)));
  const scan = await dataset.scan(file, { columns: names, spelled });
  for await (const table of scan.batches(names)) yield objectsOf(table);
}

function objectsOf(table: Table): Row[] {
  const columns = [...table.columns];
  return Array.from({ length: table.rows }, (_, row) => {
    const object: Record<string, unknown> = {};
    for (const [name, column] of columns) {
      const cell = cellOf(column, row);
      if (cell !== undefined) object[name] = cell;
    }
    return object;
  });
}

function cellOf(column: Column, row: number): string | number | undefined {
  if (column.kind === "text") {
    const code = column.codes[row];
    return code < 0 ? undefined : column.dictionary[code];
  }
  const value = column.values[row];
  if (Number.isNaN(value)) return undefined;
  return column.kind === "time" ? new Date(value).toISOString() : value;
}
