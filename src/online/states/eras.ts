// Eras: which origin each feature state had from which log entry on, kept so that a replay can begin where the server did.
import { SentinelError } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import type { SnapshotStore } from "../../ports/ports.ts";
import type { StateOrigin } from "./origin.ts";

/** From the log entry after origin.catchUpSequence on, vectors of this layout come from a state of this origin. */
export interface Era {
  readonly layout: string;
  readonly origin: StateOrigin;
}

/** Eras kept; the oldest go. A new layout makes one, and a state that had to start again. */
const ERAS_MAX = 1000;

/** Oldest first. */
export async function readEras(store: SnapshotStore, pipeline: string): Promise<readonly Era[]> {
  const name = erasName(pipeline);
  const bytes = await store.load(name);
  if (bytes === null) return [];
  try {
    const { eras } = JSON.parse(new TextDecoder().decode(bytes)) as { readonly eras: readonly Era[] };
    if (Array.isArray(eras)) return eras;
  } catch {
    // Told below, with what to do.
  }
  throw new SentinelError("state.corrupt", `the record of feature states (snapshot ${name}) is damaged`, {
    hint: "put it back from a backup of models/state; without it a replay cannot know where the server's state began",
  });
}

/** A damaged record is started again: answering payments matters more than replaying those before. */
export async function addEra(store: SnapshotStore, pipeline: string, era: Era): Promise<void> {
  const before = await readEras(store, pipeline).catch((error: unknown) => {
    if (error instanceof SentinelError && error.code === "state.corrupt") return [];
    throw error;
  });
  const eras = [...before, era].slice(-ERAS_MAX);
  await store.save(erasName(pipeline), new TextEncoder().encode(`${JSON.stringify({ eras }, null, 2)}\n`));
}

function erasName(pipeline: string): string {
  return `eras-${sha256(pipeline).slice(0, 24)}`;
}
