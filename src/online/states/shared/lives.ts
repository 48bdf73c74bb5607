// Lives: which contents of the shared store belong to this workspace, kept beside the eras, so that a foreign or lost one is noticed.
import { sha256 } from "../../../core/hash.ts";
import type { SnapshotStore } from "../../../ports/ports.ts";

/** One life of the store's content: from when it was begun until it was lost or started again. */
export interface Life {
  readonly marker: string;
  readonly generation: number;
  /** Log entries up to this one were there when it began: they are its history. */
  readonly catchUpSequence: number;
}

const LIVES_MAX = 1000;
/** Places in the order that one life may give: at 10,000 changes a second, three years. */
const SPAN = 2 ** 40;

/** The place before the first of a generation. */
export function sequenceOf(generation: number): number {
  return generation * SPAN;
}

export function generationOf(applied: number): number {
  return Math.floor(applied / SPAN);
}

/** Oldest first. */
export async function readLives(store: SnapshotStore, pipeline: string): Promise<readonly Life[]> {
  const bytes = await store.load(nameOf(pipeline));
  if (bytes === null) return [];
  return (JSON.parse(new TextDecoder().decode(bytes)) as { readonly lives: readonly Life[] }).lives;
}

export async function addLife(store: SnapshotStore, pipeline: string, life: Life): Promise<void> {
  const lives = [...(await readLives(store, pipeline)), life].slice(-LIVES_MAX);
  await store.save(nameOf(pipeline), new TextEncoder().encode(`${JSON.stringify({ lives }, null, 2)}\n`));
}

function nameOf(pipeline: string): string {
  return `lives-${sha256(pipeline).slice(0, 24)}`;
}
