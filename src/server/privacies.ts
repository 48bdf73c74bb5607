// What is known of the personal columns of a tenant's pipelines, also of those that are not up: what is stored of them is shown all the same.
import type { Mask } from "../core/mask.ts";
import type { Slot } from "../online/pipelines.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { personalMask } from "../pipeline/privacy.ts";
import type { PipelineRecord } from "../ports/store.ts";

/** Pipelines that came and went are remembered, the newest of them: of others nothing is shown that may say whose it is. */
const KNOWN_MAX = 1000;

/** The pipelines of a tenant, up or not. */
interface Slots {
  all(): readonly Slot<{ readonly pipeline: Pipeline }>[];
}

export class Privacies {
  private readonly known = new Map<string, Pipeline>();
  private readonly pipelines: Slots;

  constructor(pipelines: Slots) {
    this.pipelines = pipelines;
  }

  /** Of all pipelines that were ever up here, as they were then. */
  all(): readonly Pipeline[] {
    for (const { engine } of this.pipelines.all()) if (engine !== null) this.learn(engine.pipeline);
    return [...this.known.values()];
  }

  learn(pipeline: Pipeline): void {
    this.known.delete(pipeline.name);
    this.known.set(pipeline.name, pipeline);
    if (this.known.size > KNOWN_MAX) this.known.delete([...this.known.keys()][0]);
  }

  /** What hides them. `stored`: pipelines that the store has rows of; null: it cannot say. */
  mask(stored: readonly PipelineRecord[] | null): Mask {
    const all = this.all();
    const slots = this.pipelines.all();
    const names = new Set(all.map(({ name }) => name));
    // What a program makes names no personal columns: only files do.
    for (const { name, from } of slots) if (from === "api") names.add(name);
    const records = stored ?? [];
    const isRead = ({ slug, source }: PipelineRecord): boolean => source === "api" || names.has(slug);
    if (stored !== null && records.every(isRead) && slots.every(({ name }) => names.has(name)))
      return personalMask(all);
    const readable = new Set(names);
    for (const record of records.filter(isRead)) readable.add(record.slug).add(String(record.id));
    return personalMask(all, { readable });
  }
}
