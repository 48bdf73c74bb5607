// How far a stream reaches in the prediction log: by partition a position before which the log holds everything.
import { sha256 } from "../core/hash.ts";
import type { Engine } from "../online/engine.ts";

const FORMAT = "sentinel-stream-positions/1";

export interface Reached {
  /** By partition. */
  readonly positions: ReadonlyMap<number, number>;
  /** The last log entry that they include. */
  readonly sequence: number;
}

/** `topic/partition/offset`. */
export function positionOf(topic: string, record: { readonly partition: number; readonly offset: number }): string {
  return `${topic}/${record.partition}/${record.offset}`;
}

/** The parts of a position; null for one of another form. */
export function parsePosition(position: string): { topic: string; partition: number; offset: number } | null {
  const [, topic, partition, offset] = /^(.*)\/(\d+)\/(\d+)$/.exec(position) ?? [];
  return topic === undefined ? null : { topic, partition: Number(partition), offset: Number(offset) };
}

/**
 * What was saved, and what the log holds since. A log that ends before what was saved (a power cut took its end, or it was put back from a
 * backup) is read from its beginning. Errors: log.unreadable.
 */
export async function readReached(engine: Engine, topic: string): Promise<Reached> {
  const { sequence: last } = await engine.log.last();
  const saved = await loadReached(engine, topic);
  const from = saved !== null && saved.sequence <= last ? saved : { positions: new Map<number, number>(), sequence: 0 };
  const positions = new Map(from.positions);
  for await (const { kind, record } of engine.log.scan(from.sequence + 1)) {
    if (kind !== "prediction" || record.position === undefined) continue;
    const at = parsePosition(record.position);
    if (at === null || at.topic !== topic) continue;
    // That record is read once more and known: where the next one begins is not said by its position.
    positions.set(at.partition, Math.max(positions.get(at.partition) ?? 0, at.offset));
  }
  return { positions, sequence: last };
}

/** Saves how far the log reaches; `positions` were all in the log before it was asked for its last entry. Errors: log.*, workspace.unwritable. */
export async function saveReached(
  engine: Engine,
  topic: string,
  positions: ReadonlyMap<number, number>,
): Promise<void> {
  const { sequence } = await engine.log.last();
  const saved = { format: FORMAT, topic, sequence, positions: [...positions] };
  const store = await engine.ports.snapshots();
  await store.save(nameOf(engine, topic), new TextEncoder().encode(JSON.stringify(saved)));
}

async function loadReached(engine: Engine, topic: string): Promise<Reached | null> {
  const bytes = await (await engine.ports.snapshots()).load(nameOf(engine, topic));
  if (bytes === null) return null;
  try {
    const saved = JSON.parse(new TextDecoder().decode(bytes)) as {
      readonly format: string;
      readonly sequence: number;
      readonly positions: readonly (readonly [number, number])[];
    };
    if (saved.format === FORMAT) return { positions: new Map(saved.positions), sequence: saved.sequence };
  } catch {
    // The log tells the same, only slower.
  }
  return null;
}

function nameOf(engine: Engine, topic: string): string {
  return `stream-${sha256(`${engine.pipeline.name}\n${topic}`).slice(0, 24)}`;
}
