// What is known of a key: its features as a transaction would see them now, and the score of an entity of which nothing else is said.
import { SentinelError } from "../core/errors.ts";
import { emptyFields, type Transaction } from "../core/transaction.ts";
import { nameFolder } from "../pipeline/names.ts";
import { cannotScore, championOf } from "./answer.ts";
import type { Engine } from "./engine.ts";
import { rename } from "./parse.ts";

/** A key column of the champion's features with a value. */
export interface Entity {
  readonly column: string;
  readonly value: string | number;
}

/** A longer one is no key that a transaction could have brought. */
const VALUE_LENGTH_MAX = 1000;

/**
 * The entity, where a request's body names one and nothing else: one field, by any of its names, that a feature of the champion is keyed by.
 * Null for everything else, also while there is no champion.
 */
export function entityIn(engine: Engine, value: unknown): Entity | null {
  const { champion } = engine.live.current;
  if (champion === null || value === null || typeof value !== "object" || Array.isArray(value)) return null;
  const names = Object.keys(value);
  if (names.length !== 1) return null;
  const { renamed } = rename(value, nameFolder(engine.pipeline.canonical));
  const [[column, given]] = Object.entries(renamed);
  if (!keysOf(champion.scorer.plan).has(column)) return null;
  if (typeof given === "number" && Number.isSafeInteger(given)) return { column, value: given };
  return typeof given === "string" && given !== "" && given.length <= VALUE_LENGTH_MAX
    ? { column, value: given }
    : null;
}

/**
 * The score of an entity: that of a transaction of which nothing but the entity is known, at the newest event time. Nothing is logged or
 * learned. No policy answers for an entity alone. Errors: server.not-ready, also where scoring fails, state.*.
 */
export async function scoreEntity(engine: Engine, entity: Entity) {
  const { scorer, time, vector, guard } = await read(engine, entity);
  const { score, anomalyScore, decision } = guard.run(() => scorer.score(vector)) ?? cannotScore(scorer);
  const { model, version, bundle } = scorer;
  return {
    entity: { [entity.column]: entity.value },
    decision,
    score,
    anomaly_score: anomalyScore,
    as_of: new Date(time).toISOString(),
    model: { name: model, version, bundle },
  };
}

/**
 * The features that are kept by a key, for one value of it. Windows that include the transaction itself count the one that asks. Errors:
 * request.not-found for what no feature is kept by, server.not-ready, state.*.
 */
export async function featuresOf(engine: Engine, given: Entity) {
  const { plan } = championOf(engine.live.current).scorer;
  const column = nameFolder(engine.pipeline.canonical)(given.column);
  const keys = keysOf(plan);
  if (!keys.has(column)) {
    throw new SentinelError("request.not-found", `no feature is kept by ${JSON.stringify(given.column)}`, {
      hint: keys.size === 0 ? "the champion's features have no keys" : `features are kept by ${[...keys].join(", ")}`,
    });
  }
  if (given.value === "" || String(given.value).length > VALUE_LENGTH_MAX) {
    throw new SentinelError("request.not-found", `a value of ${column} has 1 to ${VALUE_LENGTH_MAX} characters`, {
      hint: "send the value as transactions have it",
    });
  }
  const { scorer, time, vector } = await read(engine, { column, value: given.value });
  const features: Record<string, number | null> = {};
  for (const feature of plan.spec.features) {
    const by = "key" in feature ? [feature.key].flat() : [];
    if (by.length !== 1 || by[0] !== column) continue;
    const place = plan.names.indexOf(feature.name);
    if (place >= 0) features[feature.name] = Number.isNaN(vector[place]) ? null : vector[place];
  }
  return {
    key: column,
    value: String(given.value),
    as_of: new Date(time).toISOString(),
    features,
    model: { name: scorer.model, version: scorer.version, bundle: scorer.bundle },
  };
}

async function read(engine: Engine, { column, value }: Entity) {
  const champion = championOf(engine.live.current);
  const { scorer, guard } = champion;
  const newest = engine.states.newestTime;
  const time = Number.isFinite(newest) ? newest : engine.ports.clock.now();
  const transaction: Transaction = { id: "", time, fields: Object.assign(emptyFields(), { [column]: value }) };
  const vector = await engine.states.look(transaction, () =>
    guard.run(() => engine.encode(champion.held.state, scorer.plan, transaction)),
  );
  return { scorer, time, vector: vector ?? cannotScore(scorer), guard };
}

/** Columns that alone are the key of a feature. */
function keysOf(plan: { readonly spec: { readonly features: readonly object[] } }): ReadonlySet<string> {
  return new Set(
    plan.spec.features.flatMap((feature) => {
      const by = "key" in feature ? ([feature.key].flat() as readonly string[]) : [];
      return by.length === 1 ? by : [];
    }),
  );
}
