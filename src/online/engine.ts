// The engine: everything that answers transactions and takes labels for one pipeline, whatever door they come through.
import { DAY_MS } from "../core/duration.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Rule } from "../core/rule.ts";
import { encode } from "../features/encode.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { LogWatcher, PredictionLog } from "../ports/log.ts";
import type { Clock, Ports } from "../ports/ports.ts";
import { Adapting } from "./adapting.ts";
import { Alerts } from "./alerts.ts";
import type { Chaos } from "./chaos.ts";
import { type Counters, type EngineLog, noCounters, silentLog } from "./counters.ts";
import { declared } from "./declared.ts";
import { Duplicates } from "./duplicates.ts";
import { type Explorer, explorerOf } from "./explore.ts";
import { checkFields } from "./fields.ts";
import { judgedBy } from "./judged-by.ts";
import { Live } from "./live.ts";
import { createParser, type TransactionParser } from "./parse.ts";
import { checkRedaction, type Redact, redactor } from "./redact.ts";
import { Rules } from "./rules.ts";
import type { loadScorer } from "./score.ts";
import { ServedInputs } from "./served-inputs.ts";
import { Shadows } from "./shadow.ts";
import { type OnlineStates, openStates } from "./states.ts";

/** The parts that `answer`, `takeLabel` and a door share. */
export interface Engine {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  /** JSON Schema of a transaction, canonical names. */
  readonly schema: object;
  readonly log: PredictionLog;
  readonly states: OnlineStates;
  readonly shadows: Shadows;
  readonly live: Live;
  readonly rules: Rules;
  readonly parser: TransactionParser;
  readonly duplicates: Duplicates;
  readonly inputs: ServedInputs;
  /** Reads a vector; a door that measures puts its own around it. */
  readonly encode: typeof encode;
  /** What the log may hold of a transaction's content. */
  readonly redact: Redact;
  /** The review threshold that follows the budget; null where it stays as it was trained. */
  readonly adapting: Adapting | null;
  /** What lets through a share of what the model blocks; null where nothing is. */
  readonly explorer: Explorer | null;
  /** What somebody should look at; null where there is no store. */
  readonly alerts: Alerts | null;
  /** Answers that are late or fail on purpose; null: none. */
  readonly chaos: Chaos | null;
  readonly counters: Counters;
  readonly logger: EngineLog;
  /** How far an event time may be ahead of the clock, in milliseconds. */
  readonly aheadMaxMs: number;
  /** Looks the aliases up, loads and warms what they name; follows them and saves the feature state from then on. Never throws. */
  start(): Promise<void>;
  /** Resolves once a start has read the log's ids: from then on a new transaction is looked up no more. Never rejects. */
  settled(): Promise<void>;
  /** Saves the feature state and the log's ids now. Never throws: what cannot be saved is counted and logged. */
  persist(): Promise<void>;
  /** Stops following; the shadows finish (for `drainMsMax` at most), the feature state and the log are written. Call it once. */
  stop(drainMsMax: number): Promise<void>;
}

export interface EngineOptions {
  readonly counters?: Counters;
  readonly logger?: EngineLog;
  readonly aheadMaxMs?: number;
  /** What `log.redact` with `how: hash` hashes with; null: nothing, then that is refused. */
  readonly redactKey?: string | null;
  /** Makes ids of transactions that bring none; absent: such are refused. Also whether a pipeline without rules and model answers. */
  readonly makeId?: () => string;
  /** Answers that are late or fail on purpose. Absent: none. */
  readonly chaos?: Chaos;
  /** How often the feature state is saved. */
  readonly persistMs?: number;
  /** What a candidate's worker runs, and how a bundle becomes a scorer; for tests of misbehaving ones. */
  readonly workerModule?: URL;
  readonly load?: typeof loadScorer;
}

const PERSIST_MS = 300_000;

/**
 * An engine for one pipeline; it answers after `start`. Errors: pipeline.invalid (the schema), config.invalid, log.unwritable, log.unreadable,
 * state.unreachable, state.foreign.
 */
export async function openEngine(input: {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  /** JSON Schema of a transaction, canonical names. */
  readonly schema: object;
  readonly options?: EngineOptions;
}): Promise<Engine> {
  const { ports, pipeline, schema, options = {} } = input;
  if (pipeline.decisions.adapt !== "off" && ports.shared !== undefined) throw severalServers(pipeline);
  const { aheadMaxMs = DAY_MS, logger = silentLog, counters = noCounters, persistMs = PERSIST_MS } = options;
  const redact = redactor(pipeline.log.redact, options.redactKey ?? null);
  const { makeId } = options;
  const parser = createParser({ pipeline, schema, aheadMaxMs, makeId });
  const log = await ports.log();
  log.watch(watcherOf(log, logger, ports.clock));
  await log.prepare();
  const states = await openStates(ports, {
    pipeline: pipeline.name,
    onFault: (error) => logger.warn({ error }, "the shared feature state"),
  });
  const adapting =
    pipeline.decisions.adapt === "off"
      ? null
      : new Adapting({ pipeline, log, store: await ports.snapshots(), counters, logger });
  const shadows = new Shadows({
    log,
    sample: pipeline.shadow.sample,
    batchMsMax: pipeline.shadow.timeoutMs,
    queueMax: pipeline.shadow.queueMax,
    onFault: (version, error) => logger.warn({ version, error }, "a candidate failed in shadow"),
    workerModule: options.workerModule,
  });
  const inputs = new ServedInputs({ ports, pipeline: pipeline.name, counters, logger });
  const rules = new Rules({ ports, pipeline, schema, states, log, logger, counters });
  const live = new Live({
    ports,
    model: pipeline.model,
    states,
    shadows,
    pollMs: pipeline.serve.pollMs,
    logger,
    counters,
    load: options.load,
    rules,
    unruled: makeId !== undefined,
    check: ({ plan }) => {
      checkRedaction(pipeline.log.redact, plan);
      checkFields(plan, { pipeline, schema });
    },
    prepare: (scorer) => inputs.prepare(scorer),
  });
  const duplicates = new Duplicates(log, {
    model: pipeline.model,
    others: states.sharing() !== null,
    saved: { store: await ports.snapshots(), pipeline: pipeline.name },
    redact,
  });
  const alerts = alertsOf({ ports, pipeline, schema, log, counters, logger, live });
  const persist = async (): Promise<void> => {
    await states.persist().catch((error) => {
      counters.persistFailed();
      logger.error({ error: messageOf(error) }, "the feature state could not be saved");
    });
    await duplicates.persist().catch((error) => {
      logger.warn({ error: messageOf(error) }, "the log's ids could not be saved: the next start reads all of them");
    });
  };
  let timer: NodeJS.Timeout | undefined;
  let filling: Promise<void> | undefined;
  const parts = {
    ports,
    pipeline,
    schema,
    log,
    states,
    shadows,
    live,
    rules,
    parser,
    duplicates,
    inputs,
    encode,
    redact,
    adapting,
    explorer: explorerOf(pipeline),
    alerts,
    chaos: options.chaos ?? null,
    counters,
    logger,
    aheadMaxMs,
  };
  return {
    ...parts,
    async start() {
      filling = duplicates.open().then(
        (read) => logger.info({ read }, "the log's ids are known: new ones are looked up no more"),
        (error: unknown) => {
          logger.warn({ error: messageOf(error) }, "the log's ids cannot be read: every id is looked up in the log");
        },
      );
      await adapting?.open();
      await alerts?.start();
      await live.poll();
      live.start();
      timer = setInterval(() => void persist(), persistMs).unref();
    },
    async settled() {
      await filling;
    },
    persist,
    async stop(drainMsMax) {
      clearInterval(timer);
      duplicates.stop();
      await filling;
      await live.stop();
      await shadows.stop(drainMsMax);
      await alerts?.stop();
      await persist();
      await adapting?.settled();
      await log.flush();
      await states.close();
    },
  };
}

function severalServers({ file }: Pipeline): SentinelError {
  return new SentinelError(
    "config.invalid",
    `${file}: decisions.adapt: each of several servers would follow only the scores that it gave itself`,
    { hint: "write `adapt: off`, or serve the pipeline from one process without SENTINEL_REDIS_URL" },
  );
}

/** An engine whose pipeline has changed: requests may bring fields that it did not know before, and other shares are drawn; in-flight requests go on with the ones before. */
export function grownBy(
  schema: object,
  engine: Pick<Engine, "pipeline" | "aheadMaxMs" | "rules" | "alerts">,
  makeId: (() => string) | undefined,
): Pick<Engine, "schema" | "parser"> {
  const { pipeline, aheadMaxMs, rules, alerts } = engine;
  const parser = createParser({ pipeline, schema, aheadMaxMs, makeId });
  rules.grow(schema);
  alerts?.drawBy(pipeline.cases.explore);
  return { schema, parser };
}

const SETS_KEPT = 8;

/** Null where the workspace has no store. */
function alertsOf(of: {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  readonly schema: object;
  readonly log: PredictionLog;
  readonly counters: Counters;
  readonly logger: EngineLog;
  readonly live: Live;
}): Alerts | null {
  const { ports, schema, live, ...rest } = of;
  const { store, rules } = ports;
  if (store === undefined) return null;
  const kept = new Map<string, ReadonlyMap<string, Rule>>();
  const rulesOf = async (set: string): Promise<ReadonlyMap<string, Rule> | null> => {
    const known = kept.get(set);
    if (known !== undefined || rules === undefined) return known ?? null;
    const found = await (await rules()).set(set).catch((error: unknown) => {
      // An alert is raised although its rules are gone; a store that is away is asked again.
      if (error instanceof SentinelError && error.code === "rules.unknown") return null;
      throw error;
    });
    if (found === null) return null;
    const byId = new Map(found.rules.map((rule) => [rule.id, rule] as const));
    if (kept.size >= SETS_KEPT) kept.delete([...kept.keys()][0]);
    kept.set(set, byId);
    return byId;
  };
  return new Alerts({
    ...rest,
    store: () => store(),
    snapshots: () => ports.snapshots(),
    declare: () => declared({ pipeline: of.pipeline, schema }),
    rulesOf,
    scorerOf: (by) => judgedBy({ live, ports, pipeline: of.pipeline }, by),
    clock: ports.clock,
  });
}

/** Pruning goes on batch after batch; one line per so long tells of it. */
const PRUNED_TOLD_MS = 60_000;

/** The log's troubles as lines for an operator. */
function watcherOf(log: PredictionLog, logger: EngineLog, clock: Clock): LogWatcher {
  let pruned = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  return {
    failed: (error) =>
      logger.error(
        { code: error.code, error: error.message, hint: error.hint, ...log.health() },
        "the prediction log cannot be written",
      ),
    recovered: () => logger.info({ failures: log.health().failures }, "the prediction log is written again"),
    pruned(predictions, through) {
      pruned += predictions;
      const now = clock.elapsed();
      if (now - toldAt < PRUNED_TOLD_MS) return;
      toldAt = now;
      logger.info({ predictions: pruned, through }, "the prediction log forgot its oldest entries (log.retention)");
      pruned = 0;
    },
  };
}
