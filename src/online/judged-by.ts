// The bundle that judged an earlier transaction: still serving, in shadow, or fetched from the registry again.
import { SentinelError } from "../core/errors.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import type { Live } from "./live.ts";
import { loadVersion, type Scorer } from "./score.ts";

/** Bundles kept besides those that serve; an analyst looks at a few versions at a time. */
const KEPT_MAX = 4;

/** What of an engine leads to its bundles. */
export interface Judges {
  readonly live: Live;
  readonly ports: Pick<Ports, "registry">;
  readonly pipeline: Pick<Pipeline, "model">;
}

const kept = new WeakMap<Judges["live"], Map<string, Promise<Scorer>>>();

/** Errors: those of the registry and of loading; `registry.version-unknown` when the version is another bundle by now. */
export async function judgedBy(
  engine: Judges,
  by: { readonly version: string; readonly bundle: string },
): Promise<Scorer> {
  const { champion, shadows } = engine.live.current;
  const live = [...(champion === null ? [] : [champion]), ...shadows].find(({ scorer }) => scorer.bundle === by.bundle);
  if (live !== undefined) return live.scorer;
  const scorer = await fetched(engine, by.version);
  if (scorer.bundle === by.bundle) return scorer;
  throw new SentinelError("registry.version-unknown", `version ${by.version} is not the bundle that judged then`, {
    hint: "only the bundle itself can say why it decided; put it back into the registry",
  });
}

async function fetched(engine: Judges, version: string): Promise<Scorer> {
  const own = kept.get(engine.live) ?? new Map<string, Promise<Scorer>>();
  kept.set(engine.live, own);
  const known = own.get(version);
  if (known !== undefined) return known;
  const loading = engine.ports
    .registry()
    .then((registry) => loadVersion(registry, { model: engine.pipeline.model, version }));
  if (own.size >= KEPT_MAX) own.delete(own.keys().next().value!);
  own.set(version, loading);
  loading.catch(() => own.delete(version));
  return loading;
}
