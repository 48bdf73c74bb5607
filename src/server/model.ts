// GET /model: what is serving, what shadows it, how old the aliases are, what could not be loaded.

import { isFor } from "../core/key.ts";
import { boundsOf } from "../online/adapt.ts";
import { reviewNow } from "../online/adapting.ts";
import type { Served } from "../online/live.ts";
import type { Shadowed } from "../online/shadow.ts";
import type { WarmState } from "../online/states.ts";
import type { Caller } from "./access.ts";
import { jsonResponse, type Route, type ServerParts } from "./parts.ts";

export const modelRoute: Route = {
  method: "GET",
  access: "any",
  path: "/model",
  summary: "What is serving and in shadow, whether their feature state is warm, and how old the aliases are.",
  answers: { "application/json": { type: "object" } },
  run: (parts, context) => jsonResponse(modelOf(parts, context.get("caller"))),
};

/** The state of what serves, as plain data. Only those with a key see where files lie on the machine that trained. */
export function modelOf(parts: ServerParts, { key }: Caller) {
  const { live, pipeline, ports, adapting } = parts;
  const { champion, shadows } = live.current;
  const paths = key !== null && isFor(key, pipeline.name);
  return {
    name: pipeline.model,
    pipeline: pipeline.name,
    champion: champion === null ? null : championOf(champion, paths),
    ...(adapting === null || champion === null ? {} : { adapting: adaptingOf(parts, champion) }),
    shadows: shadows.map((shadow) => shadowOf(shadow, paths)),
    aliases: live.aliases,
    registry: registryOf(parts, ports.clock.now()),
    broken: live.faults(),
    inputs: inputsOf(parts),
    rules: rulesOf(parts, ports.clock.now()),
    ...sharingOf(parts),
  };
}

/** Which rule sets decide, and how fresh that is: with a store that does not answer the last known ones go on. */
export function rulesOf(parts: ServerParts, now: number) {
  const { checkedAt, storeFault, windowsWarm, ...status } = parts.rules.status();
  return {
    revision: status.revision,
    live: status.live,
    candidate: status.candidate,
    faults: status.faults,
    windows_warm: windowsWarm,
    store: {
      reachable: storeFault === null,
      checked_at: isoOf(checkedAt),
      age_ms: parts.rules.ageMs(now),
      fault: storeFault,
    },
  };
}

/** How the requests of late feed the champion's features; null before the first. */
function inputsOf(parts: ServerParts) {
  const report = parts.inputs.report();
  if (report === null) return null;
  return {
    requests: report.rows,
    fields: Object.fromEntries(
      report.fields.map(({ field, lacking, text, trained }) => [
        field,
        { lacking, text, lacking_in_training: trained },
      ]),
    ),
    keys: report.keys.map(({ key, rows, known, trained }) => ({
      key,
      requests: rows,
      known_to_training: rows === 0 ? null : known / rows,
      known_in_training: trained,
    })),
    warnings: report.warnings,
  };
}

/** Where the feature state is shared, and whether it answers; nothing where it is the process's own. */
export function sharingOf(parts: ServerParts) {
  const shared = parts.states.sharing();
  return shared === null ? {} : { shared };
}

/** How fresh the aliases are. */
export function registryOf(parts: ServerParts, now: number) {
  const { checkedAt, registryFault } = parts.live;
  return {
    reachable: registryFault === null,
    checked_at: isoOf(checkedAt),
    age_ms: parts.live.ageMs(now),
    fault: registryFault,
  };
}

/** The review threshold that follows the budget: what it is now, within which bounds, and how it moved; newest last. */
function adaptingOf({ adapting, pipeline, ports }: ServerParts, { scorer }: Served) {
  const { reviewShare, adaptRange } = pipeline.decisions;
  const { thresholds } = scorer.manifest;
  const [lowest, highest] = boundsOf(thresholds, adaptRange);
  return {
    review: reviewNow(adapting, { scorer, now: ports.clock.now() }),
    trained: thresholds.review,
    lowest,
    highest,
    budget: reviewShare,
    moves: adapting!
      .history()
      .slice(-MOVES_SHOWN)
      .map(({ at, bundle, from, to, rows, flaggedBefore }) => ({
        at: isoOf(at),
        bundle,
        from,
        to,
        scores: rows,
        flagged_before: flaggedBefore,
      })),
  };
}

const MOVES_SHOWN = 20;

function championOf({ scorer, held, since }: Served, paths: boolean) {
  const { manifest } = scorer;
  return {
    version: scorer.version,
    bundle: scorer.bundle,
    since: isoOf(since),
    features: scorer.plan.width,
    thresholds: manifest.thresholds,
    ...(manifest.policy === undefined ? {} : { policy: manifest.policy }),
    trained_up_to: isoOf(manifest.trainedUpTo),
    state: stateOf(held, paths),
  };
}

function shadowOf({ scorer, held }: Shadowed, paths: boolean) {
  return {
    version: scorer.version,
    bundle: scorer.bundle,
    state: held === null ? { warm: false } : stateOf(held, paths),
  };
}

function stateOf({ warm, origin, caughtUp }: WarmState, paths: boolean) {
  return {
    warm,
    ...(paths ? { from: warm ? origin.dataPath : null } : {}),
    data_hash: warm ? origin.dataHash : null,
    up_to: isoOf(origin.trainedUpTo),
    caught_up: caughtUp,
  };
}

function isoOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
