// Position: up to which place of the log all alerts are in the store; what a start goes on from.
import { sha256 } from "../../core/hash.ts";
import type { SnapshotStore } from "../../ports/ports.ts";

export interface Position {
  /** Of the log: entries up to it need no second look. */
  readonly sequence: number;
  /** The newest alert that the store had then: a store with less has lost some. */
  readonly lastAlert: number;
}

/** A pipeline may be called what no snapshot may. */
const nameOf = (pipeline: string): string => `alerts-${sha256(pipeline).slice(0, 24)}`;

/** Null where there is none, or none that can be read: alerts then begin now. */
export async function loadPosition(snapshots: SnapshotStore, pipeline: string): Promise<Position | null> {
  const bytes = await snapshots.load(nameOf(pipeline));
  if (bytes === null) return null;
  try {
    const { sequence, lastAlert } = JSON.parse(Buffer.from(bytes).toString("utf8")) as Partial<Position>;
    if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(lastAlert)) return null;
    return { sequence: sequence!, lastAlert: lastAlert! };
  } catch {
    return null;
  }
}

export async function savePosition(snapshots: SnapshotStore, pipeline: string, position: Position): Promise<void> {
  await snapshots.save(nameOf(pipeline), Buffer.from(JSON.stringify(position)));
}
